// What operators share: the type of their floats, the radial table and the pairs, checked.
#pragma once
#include "kernels.hpp"
#include "tensors.hpp"

namespace ketmap {

// f(double()) or f(float()), by the type of t
template <class F> auto by_type(const Tensor &t, const char *op, const F &f) {
    if (t.scalar_type() == ScalarType::Double) return f(double());
    require(t.scalar_type() == ScalarType::Float, op, "expected float32 or float64");
    return f(float());
}

template <class T>
RadialTable<T> radial_table(const char *op, const Tensor &table, double spacing, double cutoff, double width) {
    const int first = table.dim() == 4; // the axis of the rows
    const T *values = first ? data<T>(op, "table", table, {-1, -1, -1, -1}) : data<T>(op, "table", table, {-1, -1, -1});
    require(table.size(first) >= 6 && table.size(first + 1) >= 1, op, "'table' must be [row >= 6, l >= 1, n]");
    return {values, first ? int(table.size(0)) : 1, int(table.size(first)), int(table.size(first + 1)),
            int(table.size(first + 2)), spacing, cutoff, width};
}

// The same, whose tables are one for all channels or one for each
template <class T>
RadialTable<T> radial_table(const char *op, const Tensor &table, double spacing, double cutoff, double width,
                            int64_t n_channels) {
    const auto radial = radial_table<T>(op, table, spacing, cutoff, width);
    require(table.dim() != 4 || n_channels == 0 || radial.n_tables == n_channels, op, "'table' must have an entry for every channel");
    return radial;
}

inline const int64_t *segments(const char *op, const Tensor &starts, int64_t n_segments, int64_t n_pairs) {
    const int64_t *values = data<int64_t>(op, "starts", starts, {n_segments + 1});
    bool ascending = values[0] == 0;
    for (int64_t k = 0; k < n_segments; k++) ascending &= values[k] <= values[k + 1];
    require(ascending, op, "'starts' must ascend from zero");
    require(values[n_segments] == n_pairs, op, "'starts' must end with the number of pairs");
    return values;
}

inline int64_t channels(const Tensor &starts, int64_t n_centers) {
    return n_centers > 0 ? (starts.size(0) - 1) / n_centers : 0;
}

template <class T> Pairs<T> pairs_of(const char *op, const Tensor &vectors, const Tensor &starts, int64_t n_centers) {
    const int64_t n_channels = channels(starts, n_centers);
    const T *values = data<T>(op, "vectors", vectors, {-1, 3});
    return {values, segments(op, starts, n_centers * n_channels, vectors.size(0)), int(n_channels)};
}

} // namespace ketmap
