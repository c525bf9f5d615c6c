// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "energy.hpp"
#include "expansion.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::Kernels<T> &kernels() {
    static const ketmap::Kernels<T> table{expand<T>, expand_vjp<T>, expand_jacobian<T>, soap_energy<T>};
    return table;
}
template const ketmap::Kernels<float> &kernels<float>();
template const ketmap::Kernels<double> &kernels<double>();
} // namespace KETMAP_ISA
