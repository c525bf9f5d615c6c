// Sums of p, and of its derivatives, over the atoms of structures: the rows of design matrices. The sums stay in the
// cache, every number of the output is written once.
#pragma once
#include "power_spectrum.hpp"

namespace KETMAP_ISA {

// Writes the unique features of one pair of channels from [l][n1][n2 padded]: all of it for unlike channels. For like
// ones n1 ≤ n2, weighted √2 off the diagonal; `half` means that the transpose is still to be added.
template <class T> void pack(const T *tile, int n_l, int n, int n_pad, bool same, bool half, T *out) {
    if (!same) return unpad(tile, int64_t(n_l) * n, n, n_pad, out);
    const T root = T(std::sqrt(2.0));
    for (int l = 0; l < n_l; l++, tile += n * n_pad)
        for (int i = 0; i < n; i++) {
            *out++ = (half ? T(2) : T(1)) * tile[i * n_pad + i];
            for (int j = i + 1; j < n; j++)
                *out++ = root * (half ? tile[i * n_pad + j] + tile[j * n_pad + i] : tile[i * n_pad + j]);
        }
}

// Rows [.][lm][n padded]: as they are where n needs no padding
template <class T> const T *padded(const Products<T> &p, const T *from, std::vector<T> &scratch) {
    if (p.n_pad == p.s.n_max) return from;
    scratch.resize(p.channel);
    pad(from, p.n_lm, p.s.n_max, p.n_pad, scratch.data());
    return scratch.data();
}

template <class T> void spectrum_sums(const ketmap::Spectrum<T> &s, const T *dc, int n_x, const int64_t *segments,
                                      T *sums, int64_t begin, int64_t end) {
    Products<T> products(s);
    const int64_t width = ketmap::packed_size(s.n_channels, s.n_l, s.n_max), one = int64_t(products.n_lm) * s.n_max;
    std::vector<T> ca, cb, da, db;
    for (int64_t task = begin; task < end; task++) { // one segment and pair of channels
        const int64_t segment = task / s.pairs();
        int a = 0, b = 0; // the channels of this pair, and the features of those before it
        int64_t offset = 0;
        for (int64_t k = 0; k < task % s.pairs(); k++) {
            offset += ketmap::packed_size(s.n_l, s.n_max, a == b);
            if (++b == s.n_channels) b = ++a;
        }
        for (int x = 0; x < n_x; x++) {
            std::fill(products.tile.begin(), products.tile.end(), T(0));
            for (int64_t i = segments[segment]; i < segments[segment + 1]; i++) {
                const T *c = s.c + i * s.size(), *d = dc + i * n_x * s.size() + x * one;
                const Factor<T> both[2] = {
                    {padded(products, d + a * n_x * one, da), padded(products, c + b * one, cb)},
                    {padded(products, c + a * one, ca), padded(products, d + b * n_x * one, db)}};
                products.template write<2, Write::added>(both, products.scales, Products<T>::unlike(a, b),
                                                         products.tile.data());
            }
            pack(products.tile.data(), s.n_l, s.n_max, products.n_pad, a == b, false,
                 sums + (segment * n_x + x) * width + offset);
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
    std::vector<T> jacobian, own, tiles, scratch; // [3, lm, n] · [channel, 3, lm, n] · [channel, 3, l, n1, n2]
    std::vector<T> reversed;                      // [l]: scales for pair vectors seen from the other end
    int64_t width, tile;

    DesignRow(const ketmap::Spectrum<T> &s, const ketmap::Design<T> &g)
        : s(s), g(g), products(s), e(expansion(g.radial, s.n_channels)), hood(e), jacobian(3 * products.channel),
          own(size_t(s.n_channels) * 3 * products.channel), reversed(s.n_l),
          width(ketmap::packed_size(s.n_channels, s.n_l, s.n_max)), tile(int64_t(s.n_l) * s.n_max * products.n_pad) {
        tiles.resize(size_t(s.n_channels) * 3 * tile);
        for (int l = 0; l < s.n_l; l++) reversed[l] = (l % 2 ? 1 : -1) * products.scales[l];
    }

    // Adds what j, of channel t, changes in p of its neighbour q, and in its own coefficients. Seen from q the pair
    // vector is reversed, so its jacobian is (-1)^(l+1) times that seen from j.
    void neighbor(int t, int channel, int q) {
        hood.jacobian(q, jacobian.data());
        T *o = &own[size_t(channel) * 3 * products.channel];
        for (int k = 0; k < 3 * products.channel; k += lanes<T>)
            store<T>(o + k, load<T>(o + k) - load<T>(&jacobian[k]));
        const T *c = s.c + g.places[hood.pair[q]] * s.size();
        for (int b = 0; b < s.n_channels; b++) {
            const T *other = padded(products, c + int64_t(b) * products.n_lm * s.n_max, scratch);
            for (int x = 0; x < 3; x++) {
                const T *d = &jacobian[x * products.channel];
                const Factor<T> one[1] = {t <= b ? Factor<T>{d, other} : Factor<T>{other, d}};
                products.template write<1, Write::added>(one, reversed, Products<T>::unlike(t, b),
                                                         &tiles[(size_t(b) * 3 + x) * tile]);
            }
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
                    } else std::fill(products.tile.begin(), products.tile.end(), T(0));
                    if (kind == t) {
                        const T *da = &own[(size_t(a) * 3 + x) * products.channel],
                                *db = &own[(size_t(b) * 3 + x) * products.channel];
                        const Factor<T> both[2] = {{da, products.of(b)}, {products.of(a), db}};
                        if (a == b)
                            products.template write<1, Write::added>(both, products.scales, 1,
                                                                     from); // pack adds the transpose
                        else
                            products.template write<2, Write::added>(both, products.scales, Products<T>::unlike(a, b),
                                                                     from);
                    }
                    pack(from, s.n_l, s.n_max, products.n_pad, a == b, true, to);
                }
                offset += size;
            }
    }

    void compute(int64_t j, T *rows) {
        hood.gather(g.pairs.starts + j * s.n_channels, true,
                    [&](int64_t p, T *v) { std::memcpy(v, g.pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        products.load_center(j);
        std::fill(own.begin(), own.end(), T(0));
        const int t = g.own[j];
        T *out = rows + int64_t(g.centers[j]) * 3 * s.n_channels * width;
        for (int k = 1; k <= s.n_channels; k++) { // its own type last, when all that it takes from itself is known
            const int kind = (t + k) % s.n_channels;
            std::fill(tiles.begin(), tiles.end(), T(0));
            for (int q = hood.begin[kind]; q < hood.begin[kind + 1]; q++) neighbor(t, kind, q);
            write(t, kind, out);
        }
    }
};

template <class T>
void spectrum_design(const ketmap::Spectrum<T> &s, const ketmap::Design<T> &g, T *rows, int64_t begin, int64_t end) {
    DesignRow<T> row(s, g);
    for (int64_t j = begin; j < end; j++) row.compute(j, rows);
}

} // namespace KETMAP_ISA
