// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "mixing.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::MixingKernels<T> &mixing_kernels() {
    static const ketmap::MixingKernels<T> table{expand_mixed<T>, expand_mixed_vjp<T>, mixing_weights_vjp<T>};
    return table;
}
template const ketmap::MixingKernels<float> &mixing_kernels<float>();
template const ketmap::MixingKernels<double> &mixing_kernels<double>();
} // namespace KETMAP_ISA
