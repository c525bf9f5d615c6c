// What each instruction set provides for the power spectrum: functions over ranges, without threads of their own.
#pragma once
#include "kernels.hpp"

namespace ketmap {

// Coefficients c and where the products of two channels of a centre go
template <class T> struct Spectrum {
    const T *c; // [centre, channel, lm, n]
    int n_channels, n_l, n_max;
    const int64_t *place; // [centre, ab]: row of the output, -1: not wanted
    int64_t pairs() const { return int64_t(n_channels) * (n_channels + 1) / 2; }
    int64_t size() const { return int64_t(n_channels) * n_l * n_l * n_max; } // of c for one centre
    int64_t row() const { return int64_t(n_l) * n_max * n_max; }
};

template <class T> struct PositionRows {
    RadialTable<T> radial;
    Pairs<T> pairs;
    const int32_t *neighbors, *centers; // [pair], [centre]: atoms
    const int64_t *row_starts;          // [row of p + 1]: the first row of its derivatives
};

template <class T> struct Design {
    RadialTable<T> radial;
    Pairs<T> pairs;
    const int32_t *places, *centers, *own; // [pair]: centre that the neighbour is, [centre]: its atom, its kind
};

template <class T> struct SpectrumKernels {
    void (*values)(const Spectrum<T> &, T *p, int64_t begin, int64_t end);
    void (*of_pairs)(const Spectrum<T> &, const RadialTable<T> &, const Pairs<T> &, const int32_t *own,
                     double center_weight, T *p, int64_t begin, int64_t end);
    void (*vjp)(const Spectrum<T> &, const T *grad, T *grad_c, int64_t begin, int64_t end);
    void (*jvp)(const Spectrum<T> &, const T *dc, int n_x, T *dp, int64_t begin, int64_t end);
    void (*positions)(const Spectrum<T> &, const PositionRows<T> &, T *rows, int64_t begin, int64_t end);
    void (*sums)(const Spectrum<T> &, const T *dc, int n_x, const int64_t *segments, T *sums, int64_t begin,
                 int64_t end);
    void (*design)(const Spectrum<T> &, const Design<T> &, T *rows, int64_t begin, int64_t end);
    void (*outer)(const RadialTable<T> &, const Pairs<T> &, const T *left, T *dc, int64_t begin, int64_t end);
};

// Number of unique features of one pair of channels
inline int64_t packed_size(int n_l, int n_max, bool same) {
    return int64_t(n_l) * (same ? n_max * (n_max + 1) / 2 : n_max * n_max);
}
inline int64_t packed_size(int n_channels, int n_l, int n_max) {
    return n_channels * packed_size(n_l, n_max, true) +
           n_channels * (n_channels - 1) / 2 * packed_size(n_l, n_max, false);
}

} // namespace ketmap
