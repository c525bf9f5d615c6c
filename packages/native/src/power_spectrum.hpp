// The power spectrum p[ab][l][n1][n2] = f_ab (-1)^l/√(2l+1) Σ_m c[a][lm][n1] c[b][lm][n2] and its derivatives, one
// centre at a time: its coefficients and their derivatives stay in the cache, the output is written once.
#pragma once
#include <algorithm>
#include "expansion.hpp"
#include "power_spectrum_kernels.hpp"
#include "power_spectrum_products.hpp"

namespace KETMAP_ISA {

// Scratch of one thread: the coefficients of one centre, padded in n, and the writing of rows of p
template <class T> struct Products {
    const ketmap::Spectrum<T> &s;
    int n_lm, n_pad, channel;
    std::vector<T> c, tile;
    std::vector<T> scales; // [l]: (-1)^l/√(2l+1)

    explicit Products(const ketmap::Spectrum<T> &s)
        : s(s), n_lm(s.n_l * s.n_l), n_pad(round_up(s.n_max, lanes<T>)), channel(n_lm * n_pad),
          c(size_t(s.n_channels) * channel), tile(size_t(s.n_l) * s.n_max * n_pad), scales(s.n_l) {
        for (int l = 0; l < s.n_l; l++) scales[l] = T((l % 2 ? -1 : 1) / std::sqrt(2 * l + 1.0));
    }
    int64_t rows() const { return int64_t(s.n_channels) * n_lm; }
    void load_center(int64_t i) { pad(s.c + i * s.size(), rows(), s.n_max, n_pad, c.data()); }
    const T *of(int a) const { return &c[size_t(a) * channel]; }
    static T unlike(int a, int b) { return a == b ? T(1) : T(std::sqrt(2.0)); }

    template <int Terms, Write How>
    void write(const Factor<T> *factors, const std::vector<T> &scales, T weight, T *out) const {
        for (int l = 0; l < s.n_l; l++) {
            Factor<T> here[Terms];
            for (int t = 0; t < Terms; t++)
                here[t] = {factors[t].left + l * l * n_pad, factors[t].right + l * l * n_pad};
            contract<T, Terms, How>(s.n_max, 2 * l + 1, here, n_pad, weight * scales[l],
                                    out + int64_t(l) * s.n_max * n_pad, n_pad);
        }
    }
    // One row [l][n1][n2] of the output: the sum of products of factors [lm][n padded]
    template <int Terms> void row(const Factor<T> (&factors)[Terms], T weight, T *out) {
        if (n_pad != s.n_max) {
            write<Terms, Write::cached>(factors, scales, weight, tile.data());
            unpad(tile.data(), int64_t(s.n_l) * s.n_max, s.n_max, n_pad, out);
        } else if (reinterpret_cast<uintptr_t>(out) % vector_bytes == 0)
            write<Terms, Write::streamed>(factors, scales, weight, out);
        else write<Terms, Write::cached>(factors, scales, weight, out);
    }
    // Σ of derivatives of both factors: d[a] c[b] + c[a] d[b]
    void product_rule(const T *da, const T *db, int a, int b, T *out) {
        const Factor<T> both[2] = {{da, of(b)}, {of(a), db}};
        row(both, unlike(a, b), out);
    }
};

// The wanted rows of the centre that is loaded
template <class T> void center_rows(Products<T> &products, int64_t i, T *p) {
    const auto &s = products.s;
    const int64_t *place = s.place + i * s.pairs();
    for (int a = 0; a < s.n_channels; a++)
        for (int b = a; b < s.n_channels; b++, place++)
            if (*place >= 0) {
                const Factor<T> one[1] = {{products.of(a), products.of(b)}};
                products.row(one, Products<T>::unlike(a, b), p + *place * s.row());
            }
}

template <class T> void spectrum_values(const ketmap::Spectrum<T> &s, T *p, int64_t begin, int64_t end) {
    Products<T> products(s);
    for (int64_t i = begin; i < end; i++) {
        products.load_center(i);
        center_rows(products, i, p);
    }
    drain();
}

// The same from pairs, without storing the coefficients.
template <class T> void spectrum_of_pairs(const ketmap::Spectrum<T> &s, const ketmap::RadialTable<T> &table,
                                          const ketmap::Pairs<T> &pairs, const int32_t *own, double center_weight, T *p,
                                          int64_t begin, int64_t end) {
    Products<T> products(s);
    const auto e = expansion(table, s.n_channels);
    const auto self = self_density(e, center_weight);
    Neighborhood<T> hood(e);
    for (int64_t i = begin; i < end; i++) {
        hood.gather(pairs.starts + i * s.n_channels, false,
                    [&](int64_t q, T *v) { std::memcpy(v, pairs.vectors + 3 * q, 3 * sizeof(T)); });
        hood.template functions<false>();
        hood.coefficients(products.c.data());
        if (own[i] >= 0)
            for (int n = 0; n < s.n_max; n++) products.c[own[i] * products.channel + n] += self.of(own[i])[n];
        center_rows(products, i, p);
    }
    drain();
}

template <class T>
void spectrum_vjp(const ketmap::Spectrum<T> &s, const T *grad, T *grad_c, int64_t begin, int64_t end) {
    Products<T> products(s);
    const int n = s.n_max, n_pad = products.n_pad;
    std::vector<T> g(products.c.size()), rows(size_t(n) * n_pad), columns(size_t(n) * n_pad);
    // to[m][j] += Σ_k weights[m][k] matrix[k][j]
    auto accumulate = [&](const T *weights, const T *matrix, int n_m, T *to) {
        for (int m = 0; m < n_m; m++)
            for (int j = 0; j < n_pad; j += lanes<T>) {
                vec_t<T> sum = load<T>(to + m * n_pad + j);
                for (int k = 0; k < n; k++) sum += weights[m * n_pad + k] * load<T>(matrix + k * n_pad + j);
                store<T>(to + m * n_pad + j, sum);
            }
    };
    for (int64_t i = begin; i < end; i++) {
        products.load_center(i);
        std::fill(g.begin(), g.end(), T(0));
        const int64_t *place = s.place + i * s.pairs();
        for (int a = 0; a < s.n_channels; a++)
            for (int b = a; b < s.n_channels; b++, place++)
                for (int l = 0; l < s.n_l && *place >= 0; l++) {
                    const T *in = grad + *place * s.row() + int64_t(l) * n * n;
                    const T scale = products.scales[l] * Products<T>::unlike(a, b);
                    for (int k = 0; k < n; k++)
                        for (int j = 0; j < n; j++) {
                            rows[k * n_pad + j] = scale * in[k * n + j];
                            columns[j * n_pad + k] = scale * in[k * n + j];
                        }
                    const int first = l * l * n_pad;
                    accumulate(products.of(b) + first, columns.data(), 2 * l + 1,
                               &g[size_t(a) * products.channel + first]);
                    accumulate(products.of(a) + first, rows.data(), 2 * l + 1,
                               &g[size_t(b) * products.channel + first]);
                }
        unpad(g.data(), products.rows(), n, n_pad, grad_c + i * s.size());
    }
}

template <class T>
void spectrum_jvp(const ketmap::Spectrum<T> &s, const T *dc, int n_x, T *dp, int64_t begin, int64_t end) {
    Products<T> products(s);
    std::vector<T> d(products.c.size() * n_x);
    const int64_t per_channel = int64_t(n_x) * products.channel;
    for (int64_t i = begin; i < end; i++) {
        products.load_center(i);
        pad(dc + i * n_x * s.size(), products.rows() * n_x, s.n_max, products.n_pad, d.data());
        const int64_t *place = s.place + i * s.pairs();
        for (int a = 0; a < s.n_channels; a++)
            for (int b = a; b < s.n_channels; b++, place++)
                for (int x = 0; x < n_x && *place >= 0; x++)
                    products.product_rule(&d[a * per_channel + x * products.channel],
                                          &d[b * per_channel + x * products.channel], a, b,
                                          dp + (*place * n_x + x) * s.row());
    }
    drain();
}

// Rows of ∂p/∂r: for every sample the centre and its neighbours of both channels, by ascending atom.
template <class T> struct PositionGradient {
    const ketmap::Spectrum<T> &s;
    const ketmap::PositionRows<T> &g;
    Products<T> products;
    Expansion<T> e;
    Neighborhood<T> hood;
    std::vector<T> moved, pair, own;         // [3, lm, n] of a neighbour, of one of its images; [channel, 3, lm, n]
    std::vector<std::vector<int32_t>> atoms; // [channel]: neighbours, each once, without the centre

    PositionGradient(const ketmap::Spectrum<T> &s, const ketmap::PositionRows<T> &g)
        : s(s), g(g), products(s), e(expansion(g.radial, s.n_channels)), hood(e), moved(3 * products.channel),
          pair(3 * products.channel), own(size_t(s.n_channels) * 3 * products.channel), atoms(s.n_channels) {}

    int64_t below(int a, int32_t atom) const {
        return std::lower_bound(atoms[a].begin(), atoms[a].end(), atom) - atoms[a].begin();
    }
    // Row of `atom` in the sample of channels a, b of centre `center`
    int64_t row(int64_t place, int a, int b, int32_t atom, int32_t center) const {
        return g.row_starts[place] + below(a, atom) + (a == b ? 0 : below(b, atom)) + (center < atom);
    }

    void gather(int64_t i) {
        const int64_t *starts = g.pairs.starts + i * s.n_channels;
        for (int a = 0; a < s.n_channels; a++) {
            atoms[a].clear();
            for (int64_t p = starts[a]; p < starts[a + 1]; p++)
                if (g.neighbors[p] != g.centers[i] && (atoms[a].empty() || atoms[a].back() != g.neighbors[p]))
                    atoms[a].push_back(g.neighbors[p]);
        }
        hood.gather(starts, true, [&](int64_t p, T *v) { std::memcpy(v, g.pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        products.load_center(i);
        std::fill(own.begin(), own.end(), T(0));
    }

    // `moved` is the sum over the images of `atom`, of channel t: its rows, and what it takes from the centre
    void neighbor(int64_t i, int t, int32_t atom, T *rows) {
        const int64_t *place = s.place + i * s.pairs();
        for (int a = 0; a < s.n_channels; a++)
            for (int b = a; b < s.n_channels; b++, place++) {
                if ((a != t && b != t) || *place < 0) continue;
                T *out = rows + row(*place, a, b, atom, g.centers[i]) * 3 * s.row();
                for (int k = 0; k < 3; k++, out += s.row()) {
                    const T *d = &moved[k * products.channel];
                    if (a == b) products.product_rule(d, d, a, b, out);
                    else {
                        const Factor<T> one[1] = {a == t ? Factor<T>{d, products.of(b)} : Factor<T>{products.of(a), d}};
                        products.row(one, Products<T>::unlike(a, b), out);
                    }
                }
            }
        T *o = &own[size_t(t) * 3 * products.channel];
        for (int k = 0; k < 3 * products.channel; k += lanes<T>) store<T>(o + k, load<T>(o + k) - load<T>(&moved[k]));
    }

    void center(int64_t i, T *rows) {
        gather(i);
        const int64_t *starts = g.pairs.starts + i * s.n_channels;
        for (int t = 0; t < s.n_channels; t++) {
            int64_t p = starts[t];
            int q = hood.begin[t];
            for (int32_t atom : atoms[t]) {
                std::fill(moved.begin(), moved.end(), T(0));
                while (g.neighbors[p] != atom) p++;
                for (; p < starts[t + 1] && g.neighbors[p] == atom; p++) {
                    while (q < hood.begin[t + 1] && hood.pair[q] < p) q++;
                    if (q == hood.begin[t + 1] || hood.pair[q] != p) continue; // beyond the cutoff
                    hood.jacobian(q, pair.data());
                    for (int k = 0; k < 3 * products.channel; k += lanes<T>)
                        store<T>(&moved[k], load<T>(&moved[k]) + load<T>(&pair[k]));
                }
                neighbor(i, t, atom, rows);
            }
        }
        const int64_t *place = s.place + i * s.pairs();
        const int32_t atom = g.centers[i];
        for (int a = 0; a < s.n_channels; a++)
            for (int b = a; b < s.n_channels; b++, place++)
                for (int k = 0; k < 3 && *place >= 0; k++)
                    products.product_rule(&own[(size_t(a) * 3 + k) * products.channel],
                                          &own[(size_t(b) * 3 + k) * products.channel], a, b,
                                          rows + (row(*place, a, b, atom, atom) * 3 + k) * s.row());
    }
};

template <class T> void spectrum_positions(const ketmap::Spectrum<T> &s, const ketmap::PositionRows<T> &g, T *rows,
                                           int64_t begin, int64_t end) {
    PositionGradient<T> gradient(s, g);
    for (int64_t i = begin; i < end; i++) gradient.center(i, rows);
    drain();
}

} // namespace KETMAP_ISA
