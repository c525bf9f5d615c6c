// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "cg_product.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::CgKernels<T> &cg_kernels() {
    static const ketmap::CgKernels<T> table{cg_product<T>, cg_product_vjp<T>};
    return table;
}
template const ketmap::CgKernels<float> &cg_kernels<float>();
template const ketmap::CgKernels<double> &cg_kernels<double>();
} // namespace KETMAP_ISA
