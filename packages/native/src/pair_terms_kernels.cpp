// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "pair_terms.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::PairTermKernels<T> &pair_term_kernels() {
    static const ketmap::PairTermKernels<T> table{pair_terms<T>, pair_gradients<T>};
    return table;
}
template const ketmap::PairTermKernels<float> &pair_term_kernels<float>();
template const ketmap::PairTermKernels<double> &pair_term_kernels<double>();
} // namespace KETMAP_ISA
