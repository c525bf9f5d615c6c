// What each instruction set provides for channels that mix neighbour types: functions over ranges of centres.
#pragma once
#include "kernels.hpp"

namespace ketmap {

template <class T> struct MixingKernels {
    void (*expand)(const RadialTable<T> &, const Pairs<T> &, const Mixing<T> &, const int32_t *own,
                   double center_weight, T *c, int64_t begin, int64_t end);
    void (*vjp)(const RadialTable<T> &, const Pairs<T> &, const Mixing<T> &, const T *grad, T *grad_vectors,
                int64_t begin, int64_t end);
    void (*weights_vjp)(const RadialTable<T> &, const Pairs<T> &, const Mixing<T> &, const int32_t *own,
                        double center_weight, const T *grad, T *grad_weights, int64_t begin, int64_t end);
};

} // namespace ketmap
