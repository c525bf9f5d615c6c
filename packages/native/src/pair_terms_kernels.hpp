// What each instruction set provides for terms of single pairs: functions over ranges, without threads of their own.
#pragma once
#include "kernels.hpp"

namespace ketmap {

template <class T> struct PairTermKernels {
    void (*terms)(const RadialTable<T> &, const T *vectors, T *terms, int64_t begin, int64_t end);
    // rows starts[p] … starts[p + 1] are the derivative of pair p times left[row]
    void (*gradients)(const RadialTable<T> &, const T *vectors, const T *left, const int64_t *starts, T *rows,
                      int64_t begin, int64_t end);
};

} // namespace ketmap
