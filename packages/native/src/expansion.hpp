// Density coefficients of ranges of centres, their vector-Jacobian product and their Jacobian.
#pragma once
#include "kernels.hpp"
#include "neighborhood.hpp"

namespace KETMAP_ISA {

template <class T> Expansion<T> expansion(const ketmap::RadialTable<T> &t, int n_channels) {
    return Expansion<T>(t.table, t.n_tables, t.rows, t.n_l, t.n_max, t.spacing, t.cutoff, t.width, n_channels);
}

// weight R_n0(0) Y_00: what the centre adds to its own channel
template <class T> struct SelfDensity {
    int step;         // from one channel to the next; 0: all alike
    buffer<T> values; // [n padded], or [channel][n padded]
    const T *of(int channel) const { return &values[channel * step]; }
};
template <class T> SelfDensity<T> self_density(const Expansion<T> &e, double weight) {
    const int n_tables = e.radial.step > 0 ? e.n_channels : 1;
    SelfDensity<T> self{e.radial.step > 0 ? e.n_pad : 0, buffer<T>(n_tables * e.n_pad)};
    buffer<T> values(e.radial.size());
    typename Radial<T>::Weights weights;
    const vec_t<T> zero{};
    e.radial.weights(zero, broadcast<T>(T(weight / std::sqrt(4 * M_PI))), zero, weights);
    for (int channel = 0; channel < n_tables; channel++) {
        e.radial.template compute<false>(weights, 0, channel, 0, values.data());
        std::memcpy(&self.values[channel * e.n_pad], values.data(), e.n_pad * sizeof(T));
    }
    return self;
}

template <class T> void expand(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs, const int32_t *own,
                               double center_weight, T *c, int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, pairs.n_channels);
    const auto self = self_density(e, center_weight);
    Neighborhood<T> hood(e);
    buffer<T> scratch(e.n_pad == e.n_max ? 0 : e.size(), T(0));
    const int64_t rows = int64_t(e.n_channels) * e.n_lm;
    for (int64_t i = begin; i < end; i++) {
        hood.gather(pairs.starts + i * e.n_channels, false,
                    [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<false>();
        T *out = c + i * rows * e.n_max, *padded = scratch.empty() ? out : scratch.data();
        hood.coefficients(padded);
        if (own[i] >= 0)
            for (int n = 0; n < e.n_max; n++) padded[own[i] * e.channel_size() + n] += self.of(own[i])[n];
        if (padded != out)
            for (int64_t k = 0; k < rows; k++)
                std::memcpy(out + k * e.n_max, padded + k * e.n_pad, e.n_max * sizeof(T));
    }
}

template <class T> void expand_vjp(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs, const T *grad,
                                   T *grad_vectors, int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, pairs.n_channels);
    Neighborhood<T> hood(e);
    buffer<T> scratch(e.n_pad == e.n_max ? 0 : e.size(), T(0));
    const int64_t rows = int64_t(e.n_channels) * e.n_lm;
    for (int64_t i = begin; i < end; i++) {
        const int64_t *starts = pairs.starts + i * e.n_channels;
        hood.gather(starts, true, [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        const T *G = grad + i * rows * e.n_max;
        if (!scratch.empty()) {
            for (int64_t k = 0; k < rows; k++) std::memcpy(&scratch[k * e.n_pad], G + k * e.n_max, e.n_max * sizeof(T));
            G = scratch.data();
        }
        std::memset(grad_vectors + 3 * starts[0], 0, 3 * (starts[e.n_channels] - starts[0]) * sizeof(T));
        for (int a = 0; a < e.n_channels; a++)
            if (hood.begin[a] < hood.begin[a + 1]) {
                hood.prepare(dense(e, G, a));
                hood.pull_back_channel(
                    a, [&](int p, const T *g) { std::memcpy(grad_vectors + 3 * hood.pair[p], g, 3 * sizeof(T)); });
            }
    }
}

template <class T> void expand_jacobian(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs, T *jacobian,
                                        int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, pairs.n_channels);
    Neighborhood<T> hood(e);
    buffer<T> scratch(3 * e.channel_size());
    const int64_t size = int64_t(e.n_lm) * e.n_max;
    for (int64_t i = begin; i < end; i++) {
        const int64_t *starts = pairs.starts + i * e.n_channels;
        hood.gather(starts, true, [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        std::memset(jacobian + starts[0] * 3 * size, 0, (starts[e.n_channels] - starts[0]) * 3 * size * sizeof(T));
        for (int p = 0; p < hood.n_pairs; p++) {
            hood.jacobian(p, scratch.data());
            T *out = jacobian + hood.pair[p] * 3 * size;
            for (int64_t k = 0; k < 3 * e.n_lm; k++)
                std::memcpy(out + k * e.n_max, &scratch[k * e.n_pad], e.n_max * sizeof(T));
        }
    }
}

} // namespace KETMAP_ISA
