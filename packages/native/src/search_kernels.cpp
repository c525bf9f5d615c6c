// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "search.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::SearchKernels<T> &search_kernels() {
    static const ketmap::SearchKernels<T> table{find_neighbors<T>, place_neighbors<T>};
    return table;
}
template const ketmap::SearchKernels<float> &search_kernels<float>();
template const ketmap::SearchKernels<double> &search_kernels<double>();
} // namespace KETMAP_ISA
