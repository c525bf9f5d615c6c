// What each instruction set provides: functions over ranges of centres, without threads of their own.
#pragma once
#include <cstdint>

namespace ketmap {

template <class T> struct RadialTable {
    const T *table; // [row, l, n], or one of these for every channel
    int n_tables, rows, n_l, n_max;
    double spacing, cutoff, width; // of the knots; of the cutoff function
};

template <class T> struct Pairs {
    const T *vectors;      // [pair, 3]
    const int64_t *starts; // [centre * channel + 1]
    int n_channels;
};

// c[channel] = Σ_type weights[type][channel] c[type]; the pairs are grouped by type
template <class T> struct Mixing {
    const T *weights; // [type, channel]; null: every type is a channel
    int n_types, n_channels;
};

template <class T> struct SoapEnergy {
    RadialTable<T> radial;
    Mixing<T> mixing;
    double center_weight;
    const T *positions, *cells;                  // [atom, 3], [system, 3, 3]
    const int32_t *system, *centers, *neighbors; // [atom], [centre], [pair]
    const int32_t *shifts, *own, *kind;          // [pair, 3], [centre], [centre]
    const int64_t *starts;                       // [centre * type + 1]
    const T *quadratic;                          // [kind, l, channel n, channel n], symmetric
    T *energies, *virials, *pair_gradients,
        *diagonal; // [centre], [centre, 9], [pair, 3], [centre, channel, l, n] or null
};

constexpr int energy_block =
    6; // centres handled together: rows of the quadratic form's product come in multiples of six

template <class T> struct Kernels {
    void (*expand)(const RadialTable<T> &, const Pairs<T> &, const int32_t *own, double center_weight, T *c,
                   int64_t begin, int64_t end);
    void (*expand_vjp)(const RadialTable<T> &, const Pairs<T> &, const T *grad, T *grad_vectors, int64_t begin,
                       int64_t end);
    void (*expand_jacobian)(const RadialTable<T> &, const Pairs<T> &, T *jacobian, int64_t begin, int64_t end);
    void (*soap_energy)(const SoapEnergy<T> &, int64_t begin, int64_t end);
};

} // namespace ketmap
