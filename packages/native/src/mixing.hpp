// Neighbour types mixed into channels, one centre at a time: the coefficients of each type that is there stay in the
// cache, only those of the channels are written.
#pragma once
#include "expansion.hpp"
#include "mixing_kernels.hpp"

namespace KETMAP_ISA {

// Scratch of one thread. Everything is padded in n.
template <class T> struct Mixer {
    const ketmap::Mixing<T> &mixing;
    const Expansion<T> &e; // its channels are the types
    std::vector<int> present;
    buffer<T> c, G; // [type that is present][lm][n]; [lm][n]

    Mixer(const ketmap::Mixing<T> &mixing, const Expansion<T> &e) : mixing(mixing), e(e), G(e.channel_size()) {}

    const T *weights(int type) const { return mixing.weights + type * mixing.n_channels; }

    // The coefficients of the types around a centre
    void expand(const Neighborhood<T> &hood) {
        present.clear();
        for (int t = 0; t < mixing.n_types; t++)
            if (hood.begin[t] < hood.begin[t + 1]) present.push_back(t);
        c.resize(present.size() * e.channel_size());
        for (size_t k = 0; k < present.size(); k++)
            hood.coefficients(present[k], Rows<T>{&c[k * e.channel_size()], 0, e.n_pad, e.n_pad});
    }

    // Σ_type weights[type][channel] c[type] of `Channels` channels and `Vectors` vectors of one lm
    template <int Channels, int Vectors> void tile(int channel, int64_t first, T *to, int64_t channel_step) const {
        vec_t<T> sum[Channels][Vectors] = {};
        const T *from = c.data() + first;
        for (const int t : present) {
            const T *w = weights(t) + channel;
            vec_t<T> values[Vectors];
            unrolled<Vectors>([&](auto v) { values[v] = load<T>(from + v * lanes<T>); });
            unrolled<Channels>([&](auto q) {
                unrolled<Vectors>([&](auto v) { sum[q][v] += w[q] * values[v]; });
            });
            from += e.channel_size();
        }
        unrolled<Channels>([&](auto q) {
            unrolled<Vectors>([&](auto v) { store<T>(to + q * channel_step + v * lanes<T>, sum[q][v]); });
        });
    }
    template <int Channels> void row(int channel, int64_t first, T *to, int64_t channel_step) const {
        int j = 0;
        for (; j + 2 * lanes<T> <= e.n_pad; j += 2 * lanes<T>)
            tile<Channels, 2>(channel, first + j, to + j, channel_step);
        if (j < e.n_pad) tile<Channels, 1>(channel, first + j, to + j, channel_step);
    }
    // All channels into the rows of the first one, which are `channel_step` before those of the next; `own`: the type
    // of the centre, or -1, which adds `self`
    void mix(const Rows<T> &rows, int64_t channel_step, int own, const T *self) const {
        for (int l = 0; l <= e.l_max; l++)
            for (int m = 0; m < 2 * l + 1; m++) {
                const int64_t first = int64_t(l * l + m) * e.n_pad;
                T *to = rows.of(l) + m * rows.m_step;
                int q = 0;
                for (; q + 4 <= mixing.n_channels; q += 4) row<4>(q, first, to + q * channel_step, channel_step);
                for (; q < mixing.n_channels; q++) row<1>(q, first, to + q * channel_step, channel_step);
            }
        for (int q = 0; own >= 0 && q < mixing.n_channels; q++)
            for (int n = 0; n < e.n_pad; n++) rows.origin[q * channel_step + n] += weights(own)[q] * self[n];
    }

    // The gradient for the coefficients of one type, from those for the channels
    Rows<const T> unmix(int type, const Rows<const T> &rows, int64_t channel_step) {
        const T *w = weights(type);
        for (int l = 0; l <= e.l_max; l++)
            for (int m = 0; m < 2 * l + 1; m++) {
                const T *from = rows.of(l) + m * rows.m_step;
                for (int j = 0; j < e.n_pad; j += lanes<T>) {
                    vec_t<T> sum{};
                    for (int q = 0; q < mixing.n_channels; q++) sum += w[q] * load<T>(from + q * channel_step + j);
                    store<T>(&G[(l * l + m) * e.n_pad + j], sum);
                }
            }
        return {G.data(), 0, e.n_pad, e.n_pad};
    }
};

// Copies of one centre's coefficients, or their gradient, padded in n
template <class T> struct PaddedCenter {
    int64_t rows;
    int n, n_pad;
    buffer<T> scratch;

    PaddedCenter(const Expansion<T> &e, int n_channels)
        : rows(int64_t(n_channels) * e.n_lm), n(e.n_max), n_pad(e.n_pad), scratch(n == n_pad ? 0 : rows * n_pad, T(0)) {}
    T *padded(T *out) { return scratch.empty() ? out : scratch.data(); }
    void write(T *out) const {
        for (int64_t k = 0; k < rows && !scratch.empty(); k++)
            std::memcpy(out + k * n, &scratch[k * n_pad], n * sizeof(T));
    }
    const T *read(const T *from) {
        if (scratch.empty()) return from;
        for (int64_t k = 0; k < rows; k++) std::memcpy(&scratch[k * n_pad], from + k * n, n * sizeof(T));
        return scratch.data();
    }
};

template <class T> void expand_mixed(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs,
                                     const ketmap::Mixing<T> &mixing, const int32_t *own, double center_weight, T *c,
                                     int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, mixing.n_types);
    const auto self = self_density(e, center_weight);
    Neighborhood<T> hood(e);
    Mixer<T> mixer(mixing, e);
    PaddedCenter<T> center(e, mixing.n_channels);
    for (int64_t i = begin; i < end; i++) {
        hood.gather(pairs.starts + i * mixing.n_types, false,
                    [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<false>();
        mixer.expand(hood);
        T *out = c + i * center.rows * e.n_max;
        mixer.mix({center.padded(out), 0, e.n_pad, e.n_pad}, e.channel_size(), own[i], own[i] < 0 ? nullptr : self.of(own[i]));
        center.write(out);
    }
}

template <class T> void expand_mixed_vjp(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs,
                                         const ketmap::Mixing<T> &mixing, const T *grad, T *grad_vectors, int64_t begin,
                                         int64_t end) {
    const Expansion<T> e = expansion(table, mixing.n_types);
    Neighborhood<T> hood(e);
    Mixer<T> mixer(mixing, e);
    PaddedCenter<T> center(e, mixing.n_channels);
    for (int64_t i = begin; i < end; i++) {
        const int64_t *starts = pairs.starts + i * mixing.n_types;
        hood.gather(starts, true, [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        const Rows<const T> G{center.read(grad + i * center.rows * e.n_max), 0, e.n_pad, e.n_pad};
        std::memset(grad_vectors + 3 * starts[0], 0, 3 * (starts[mixing.n_types] - starts[0]) * sizeof(T));
        for (int t = 0; t < mixing.n_types; t++)
            if (hood.begin[t] < hood.begin[t + 1]) {
                hood.prepare(mixer.unmix(t, G, e.channel_size()));
                hood.pull_back_channel(
                    t, [&](int p, const T *g) { std::memcpy(grad_vectors + 3 * hood.pair[p], g, 3 * sizeof(T)); });
            }
    }
}

// What every centre adds to the gradient for the weights.  [centre][type][channel]
template <class T> void mixing_weights_vjp(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs,
                                           const ketmap::Mixing<T> &mixing, const int32_t *own, double center_weight,
                                           const T *grad, T *grad_weights, int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, mixing.n_types);
    const auto self = self_density(e, center_weight);
    Neighborhood<T> hood(e);
    Mixer<T> mixer(mixing, e);
    PaddedCenter<T> center(e, mixing.n_channels);
    const int64_t size = int64_t(mixing.n_types) * mixing.n_channels;
    for (int64_t i = begin; i < end; i++) {
        hood.gather(pairs.starts + i * mixing.n_types, false,
                    [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<false>();
        mixer.expand(hood);
        const T *G = center.read(grad + i * center.rows * e.n_max);
        T *out = grad_weights + i * size;
        std::memset(out, 0, size * sizeof(T));
        for (size_t k = 0; k < mixer.present.size(); k++)
            for (int q = 0; q < mixing.n_channels; q++) {
                const T *c = &mixer.c[k * e.channel_size()], *g = G + int64_t(q) * e.channel_size();
                vec_t<T> product{};
                for (int j = 0; j < e.channel_size(); j += lanes<T>) product += load<T>(c + j) * load<T>(g + j);
                out[mixer.present[k] * mixing.n_channels + q] = sum<T>(product);
            }
        for (int q = 0; own[i] >= 0 && q < mixing.n_channels; q++)
            for (int n = 0; n < e.n_max; n++)
                out[own[i] * mixing.n_channels + q] += self.of(own[i])[n] * G[int64_t(q) * e.channel_size() + n];
    }
}

} // namespace KETMAP_ISA
