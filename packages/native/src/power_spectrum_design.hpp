// Sums of p, and of its derivatives, over the atoms of structures: the rows of design matrices. The centres that are summed
// over are the inner dimension of the matrix products, so every number is written once.
#pragma once
#include "power_spectrum.hpp"

namespace KETMAP_ISA {

constexpr int design_chunk = 32; // centres summed over at once: their coefficients fit into the second-level cache

// Writes the unique features of one pair of channels from [l][n1][n2 padded]: all of it for unlike channels. For like ones
// n1 ≤ n2, weighted √2 off the diagonal; `half` means that the transpose is still to be added.
template <class T> void pack(const T *tile, int n_l, int n, int n_pad, bool same, bool half, T *out) {
    if (!same) return unpad(tile, int64_t(n_l) * n, n, n_pad, out);
    const T root = T(std::sqrt(2.0));
    for (int l = 0; l < n_l; l++, tile += n * n_pad)
        for (int i = 0; i < n; i++) {
            *out++ = (half ? T(2) : T(1)) * tile[i * n_pad + i];
            for (int j = i + 1; j < n; j++) *out++ = root * (half ? tile[i * n_pad + j] + tile[j * n_pad + i] : tile[i * n_pad + j]);
        }
}

// Factors of several centres, [l][centre, m][n padded]
template <class T> struct Stack {
    int n_l, n, n_pad;
    std::vector<T> values;
    Stack(const Products<T> &p) : n_l(p.s.n_l), n(p.s.n_max), n_pad(p.n_pad), values(size_t(design_chunk) * p.channel) {}
    void put(int i, int count, const T *from, int ld) { // from [lm][ld]
        for (int l = 0; l < n_l; l++)
            for (int m = 0; m < 2 * l + 1; m++) {
                T *to = &values[(size_t(count) * l * l + size_t(i) * (2 * l + 1) + m) * n_pad];
                const T *row = from + (l * l + m) * ld;
                std::memcpy(to, row, n * sizeof(T));
                for (int j = n; j < n_pad; j++) to[j] = 0;
            }
    }
    const T *of(int l, int count) const { return &values[size_t(count) * l * l * n_pad]; }
};

template <class T>
void spectrum_sums(const ketmap::Spectrum<T> &s, const T *dc, int n_x, const int64_t *segments, T *sums, int64_t begin, int64_t end) {
    Products<T> products(s);
    const int n_pad = products.n_pad, n_lm = products.n_lm, n_ab = int(s.pairs());
    const int64_t width = ketmap::packed_size(s.n_channels, s.n_l, s.n_max), one = int64_t(n_lm) * s.n_max;
    Stack<T> ca(products), cb(products), da(products), db(products);
    for (int64_t task = begin; task < end; task++) {
        const int64_t segment = task / n_ab;
        int a = 0, b = 0; // the channels of this pair, and the features of those before it
        int64_t offset = 0;
        for (int64_t k = 0; k < task % n_ab; k++) {
            offset += ketmap::packed_size(s.n_l, s.n_max, a == b);
            if (++b == s.n_channels) b = ++a;
        }
        for (int x = 0; x < n_x; x++) {
            std::fill(products.tile.begin(), products.tile.end(), T(0));
            for (int64_t first = segments[segment]; first < segments[segment + 1]; first += design_chunk) {
                const int count = int(std::min<int64_t>(design_chunk, segments[segment + 1] - first));
                for (int i = 0; i < count; i++) {
                    const T *c = s.c + (first + i) * s.size(), *d = dc + (first + i) * n_x * s.size();
                    ca.put(i, count, c + a * one, s.n_max);
                    cb.put(i, count, c + b * one, s.n_max);
                    da.put(i, count, d + (int64_t(a) * n_x + x) * one, s.n_max);
                    db.put(i, count, d + (int64_t(b) * n_x + x) * one, s.n_max);
                }
                for (int l = 0; l < s.n_l; l++) {
                    const Factor<T> both[2] = {{da.of(l, count), cb.of(l, count)}, {ca.of(l, count), db.of(l, count)}};
                    contract<T, 2, Write::added>(s.n_max, (2 * l + 1) * count, both, n_pad, Products<T>::unlike(a, b) * products.scales[l],
                                                 &products.tile[size_t(l) * s.n_max * n_pad], n_pad);
                }
            }
            pack(products.tile.data(), s.n_l, s.n_max, n_pad, a == b, false, sums + (segment * n_x + x) * width + offset);
        }
    }
}

// ∂/∂r_j of the sums over the centres of each type: what j changes in p of its neighbours, and in its own.
template <class T> struct DesignRow {
    const ketmap::Spectrum<T> &s;
    const ketmap::Design<T> &g;
    Products<T> products;
    Expansion<T> e;
    Neighborhood<T> hood;
    Stack<T> slopes[3];
    std::vector<Stack<T>> c;             // [channel]
    std::vector<T> jacobian, own, tiles; // [3, lm, n] · [channel, 3, lm, n] · [channel, 3, l, n1, n2]
    int64_t width, tile;

    DesignRow(const ketmap::Spectrum<T> &s, const ketmap::Design<T> &g)
        : s(s), g(g), products(s), e(expansion(g.radial, s.n_channels)), hood(e), slopes{products, products, products},
          c(s.n_channels, Stack<T>(products)), jacobian(3 * products.channel), own(size_t(s.n_channels) * 3 * products.channel),
          width(ketmap::packed_size(s.n_channels, s.n_l, s.n_max)), tile(int64_t(s.n_l) * s.n_max * products.n_pad) {
        tiles.resize(size_t(s.n_channels) * 3 * tile);
    }

    // Adds what j, of channel t, changes in p of its neighbours q … q + count of one type. Seen from there the pair vector
    // is reversed, so its jacobian is (-1)^(l+1) times that seen from j.
    void neighbors(int t, int channel, int q, int count) {
        const int64_t one = int64_t(products.n_lm) * s.n_max;
        for (int i = 0; i < count; i++) {
            hood.jacobian(q + i, jacobian.data());
            T *o = &own[size_t(channel) * 3 * products.channel];
            for (int k = 0; k < 3 * products.channel; k += lanes<T>) store<T>(o + k, load<T>(o + k) - load<T>(&jacobian[k]));
            for (int x = 0; x < 3; x++) slopes[x].put(i, count, &jacobian[x * products.channel], products.n_pad);
            for (int b = 0; b < s.n_channels; b++)
                c[b].put(i, count, s.c + g.places[hood.pair[q + i]] * s.size() + b * one, s.n_max);
        }
        for (int b = 0; b < s.n_channels; b++)
            for (int x = 0; x < 3; x++)
                for (int l = 0; l < s.n_l; l++) {
                    const T *d = slopes[x].of(l, count), *other = c[b].of(l, count);
                    const Factor<T> one_term[1] = {t <= b ? Factor<T>{d, other} : Factor<T>{other, d}};
                    const T scale = (l % 2 ? 1 : -1) * Products<T>::unlike(t, b) * products.scales[l];
                    contract<T, 1, Write::added>(s.n_max, (2 * l + 1) * count, one_term, products.n_pad, scale,
                                                 &tiles[(size_t(b) * 3 + x) * tile + size_t(l) * s.n_max * products.n_pad], products.n_pad);
                }
    }

    // Features of centres of type `kind`, from the tiles and, for j's own type, from its own coefficients
    void write(int t, int kind, T *out) {
        int64_t offset = kind * width;
        const int64_t stride = s.n_channels * width;
        for (int a = 0; a < s.n_channels; a++)
            for (int b = a; b < s.n_channels; b++) {
                const int64_t size = ketmap::packed_size(s.n_l, s.n_max, a == b);
                for (int x = 0; x < 3; x++) {
                    T *to = out + x * stride + offset, *from = products.tile.data();
                    if (a == t || b == t) from = &tiles[(size_t(a == t ? b : a) * 3 + x) * tile];
                    else if (kind != t) {
                        std::fill(to, to + size, T(0));
                        continue;
                    } else
                        std::fill(products.tile.begin(), products.tile.end(), T(0));
                    if (kind == t) {
                        const T *da = &own[(size_t(a) * 3 + x) * products.channel], *db = &own[(size_t(b) * 3 + x) * products.channel];
                        const Factor<T> both[2] = {{da, products.of(b)}, {products.of(a), db}};
                        if (a == b) products.template write<1, Write::added>(both, 1, from); // pack adds the transpose
                        else products.template write<2, Write::added>(both, Products<T>::unlike(a, b), from);
                    }
                    pack(from, s.n_l, s.n_max, products.n_pad, a == b, true, to);
                }
                offset += size;
            }
    }

    void compute(int64_t j, T *rows) {
        hood.gather(g.pairs.starts + j * s.n_channels, true, [&](int64_t p, T *v) { std::memcpy(v, g.pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        products.load_center(j);
        std::fill(own.begin(), own.end(), T(0));
        const int t = g.own[j];
        T *out = rows + int64_t(g.centers[j]) * 3 * s.n_channels * width;
        for (int k = 1; k <= s.n_channels; k++) { // its own type last, when all that it takes from itself is known
            const int kind = (t + k) % s.n_channels;
            std::fill(tiles.begin(), tiles.end(), T(0));
            for (int q = hood.begin[kind]; q < hood.begin[kind + 1]; q += design_chunk)
                neighbors(t, kind, q, std::min(design_chunk, hood.begin[kind + 1] - q));
            write(t, kind, out);
        }
    }
};

template <class T> void spectrum_design(const ketmap::Spectrum<T> &s, const ketmap::Design<T> &g, T *rows, int64_t begin, int64_t end) {
    DesignRow<T> row(s, g);
    for (int64_t j = begin; j < end; j++) row.compute(j, rows);
}

} // namespace KETMAP_ISA
