// One centre at a time: its pairs within the cutoff, their harmonics and radial functions, the density coefficients
// c[channel][lm][n] and the pull-back of a gradient with respect to c onto the pair vectors.
#pragma once
#include <vector>
#include "harmonics.hpp"
#include "radial.hpp"

namespace KETMAP_ISA {

// What all centres share.
template <class T> struct Expansion {
    Harmonics<T> harmonics;
    Ladder<T> ladder;
    Radial<T> radial;
    CutoffFunction<T> cutoff;
    int l_max, n_max, n_pad, n_lm, n_channels;
    buffer<T> padded; // the table, when n had to be padded or it was not aligned

    Expansion(const T *table, int n_tables, int rows, int n_l, int n_max, double spacing, double cutoff, double width,
              int n_channels)
        : harmonics(n_l - 1), ladder(n_l - 1), cutoff{T(cutoff), T(width)}, l_max(n_l - 1), n_max(n_max),
          n_pad(round_up(n_max, lanes<T>)), n_lm(n_l * n_l), n_channels(n_channels) {
        if (n_pad != n_max || !aligned(table)) {
            padded.assign(size_t(n_tables) * rows * n_l * n_pad, 0);
            for (int64_t k = 0; k < int64_t(n_tables) * rows * n_l; k++)
                std::memcpy(&padded[k * n_pad], table + k * n_max, n_max * sizeof(T));
            table = padded.data();
        }
        radial = {table, n_tables > 1 ? int64_t(rows) * n_l * n_pad : 0, rows, n_l, n_pad, T(1 / spacing), {}};
        for (int l = 0; l < n_l; l++)
            for (int j = 0; j < n_pad; j += lanes<T>)
                radial.shares.insert(radial.shares.end(), {T(1) / T(l > 0 ? l : 1), T(l > 0)});
    }
    Expansion(const Expansion &) = delete; // radial points into padded
    int channel_size() const { return n_lm * n_pad; }
    int size() const { return n_channels * channel_size(); }
};

// Where the coefficients of one channel go, or the gradient comes from: of each l a matrix [m][n padded]
template <class T> struct Rows {
    T *origin;
    int64_t l_step, l_square, m_step; // of degree l at origin + l · l_step + l² · l_square; its m are m_step apart
    T *of(int l) const { return origin + l * l_step + l * l * l_square; }
};

// The rows of one channel of [channel][lm][n padded]
template <class T> Rows<T> dense(const Expansion<std::remove_const_t<T>> &e, T *c, int channel) {
    return {c + channel * e.channel_size(), 0, e.n_pad, e.n_pad};
}

// Scratch of one thread.
template <class T> struct Neighborhood {
    using V = vec_t<T>;
    const Expansion<T> &e;
    int capacity = 0, n_pairs = 0;
    std::vector<int> begin;        // [channel + 1]: first pair of each channel
    std::vector<int64_t> pair;     // [pair]: its place in the list
    buffer<T> x, y, z, r, inverse; // directions, distances and their inverses; zero at r = 0
    buffer<T> Y, R;                // [block of pairs][lm][lane]; [pair][l][vector of n][R, K], see Radial
    int parts = 1;                 // 2 with gradients, for K
    buffer<T> H, slopes; // [lm of degree below l_max][x, y, z][n], see prepare; of block `sloped` [lm][x, y, z][lane]
    int sloped = -1;

    explicit Neighborhood(const Expansion<T> &e) : e(e), begin(e.n_channels + 1) {}

    void reserve(int64_t n, bool gradient) {
        if (n > capacity) capacity = round_up(int(n) * 5 / 4, 16);
        for (auto *a : {&x, &y, &z, &r, &inverse}) a->resize(capacity);
        pair.resize(capacity);
        Y.resize(size_t(e.n_lm) * capacity);
        parts = gradient ? 2 : 1;
        R.resize(size_t(e.radial.size()) * parts * capacity);
    }

    // The pairs closer than the cutoff; `vector(p, v)` writes the vector of pair p.
    template <class Vector> void gather(const int64_t *starts, bool gradient, Vector vector) {
        reserve(starts[e.n_channels] - starts[0] + lanes<T>, gradient);
        const T square = e.cutoff.radius * e.cutoff.radius;
        n_pairs = 0;
        for (int a = 0; a < e.n_channels; a++) {
            begin[a] = n_pairs;
            for (int64_t p = starts[a]; p < starts[a + 1]; p++) {
                T v[3];
                vector(p, v);
                const T r2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
                x[n_pairs] = v[0];
                y[n_pairs] = v[1];
                z[n_pairs] = v[2];
                r[n_pairs] = r2;
                pair[n_pairs] = p;
                n_pairs += r2 < square;
            }
        }
        begin[e.n_channels] = n_pairs;
        const int end = round_up(n_pairs, lanes<T>);
        for (int p = n_pairs; p < end; p++) x[p] = y[p] = z[p] = r[p] = 0;
        for (int p = 0; p < end; p++) r[p] = std::sqrt(r[p]);
        for (int p = 0; p < end; p++) { // at r = 0 the direction is zero: harmonics with l > 0 vanish
            inverse[p] = r[p] > 0 ? 1 / r[p] : 0;
            x[p] *= inverse[p];
            y[p] *= inverse[p];
            z[p] *= inverse[p];
        }
    }

    template <bool Gradient> void functions() {
        sloped = -1;
        typename Radial<T>::Weights weights;
        const size_t size = e.radial.size() * (Gradient ? 2 : 1);
        int channel = 0; // of pair q
        for (int p = 0; p < n_pairs; p += lanes<T>) {
            e.harmonics.compute(load<T>(&x[p]), load<T>(&y[p]), load<T>(&z[p]), &Y[size_t(p) * e.n_lm]);
            V f, df;
            e.cutoff.compute(load<T>(&r[p]), f, df);
            e.radial.weights(load<T>(&r[p]), f, df, weights);
            for (int q = p; q < n_pairs && q < p + lanes<T>; q++) {
                while (q >= begin[channel + 1]) channel++;
                e.radial.template compute<Gradient>(weights, q - p, channel, inverse[q], &R[q * size]);
            }
        }
    }

    const T *harmonic(int p) const {
        return &Y[size_t(p / lanes<T> * lanes<T>) * e.n_lm + p % lanes<T>];
    } // [lm · lanes]
    const T *radial(int p, int l, int j) const { return &R[(size_t(p) * e.radial.size() + l * e.n_pad + j) * parts]; }

    // Σ_p Y[lm][p] R[p][l][n] for `Count` consecutive lm from `first`, of degrees L … or, without Degrees, all of
    // degree l
    template <bool Degrees, int Count> void tile(int channel, int j, int l, int first, const Rows<T> &rows) const {
        V sum[Count] = {};
        const int step = parts * e.n_pad;
        for (int p = begin[channel]; p < begin[channel + 1]; p++) {
            const T *y = harmonic(p) + first * lanes<T>, *r = radial(p, l, j);
            V value = load<T>(r);
            unrolled<Count>([&](auto i) {
                if constexpr (Degrees && starts_degree(i) && i > 0) value = load<T>(r += step);
                sum[i] += y[i * lanes<T>] * value;
            });
        }
        T *c = rows.of(l) + j + (first - l * l) * rows.m_step;
        unrolled<Count>([&](auto i) {
            if constexpr (Degrees && starts_degree(i) && i > 0) c = rows.of(++l) + j;
            store<T>(c, sum[i]);
            c += rows.m_step;
        });
    }
    static constexpr bool starts_degree(int lm) {
        for (int l = 0; l * l <= lm; l++)
            if (l * l == lm) return true;
        return false;
    }
    // m of degree l from `m` on, in pieces that the registers hold
    void degree(int channel, int j, int l, int m, const Rows<T> &rows) const {
        const int first = l * l + m;
        switch (2 * l + 1 - m) {
        case 1:
            return tile<false, 1>(channel, j, l, first, rows);
        case 3:
            return tile<false, 3>(channel, j, l, first, rows);
        case 5:
            return tile<false, 5>(channel, j, l, first, rows);
        case 7:
            return tile<false, 7>(channel, j, l, first, rows);
        case 9:
            return tile<false, 9>(channel, j, l, first, rows);
        case 11:
            return tile<false, 11>(channel, j, l, first, rows);
        case 13:
            return tile<false, 13>(channel, j, l, first, rows);
        default:
            tile<false, 8>(channel, j, l, first, rows);
            return degree(channel, j, l, m + 8, rows);
        }
    }
    // c[channel][lm][n padded], every number written
    void coefficients(T *c) const {
        for (int a = 0; a < e.n_channels; a++) coefficients(a, dense(e, c, a));
    }
    // The same of one channel; low degrees share one pass over the pairs
    void coefficients(int channel, const Rows<T> &rows) const {
        for (int j = 0; j < e.n_pad; j += lanes<T>) {
            int l = 0;
            if (registers == 32 && e.l_max >= 4) {
                tile<true, 25>(channel, j, 0, 0, rows);
                l = 5;
            } else if (e.l_max >= 2) {
                tile<true, 9>(channel, j, 0, 0, rows);
                l = 3;
            }
            for (; l <= e.l_max; l++) degree(channel, j, l, 0, rows);
        }
    }

    // A gradient G with respect to c of one channel, turned for `pull_back`: H = Σ_m D^k_{m m'} G_lm
    void prepare(const Rows<const T> &G) {
        H.resize(size_t(3) * e.n_lm * e.n_pad);
        const int l_max = e.l_max, n_pad = e.n_pad;
        const auto *rung = e.ladder.rungs.data();
        T *h = H.data();
        const T constant = e.harmonics.recursion[0];
        for (int j = 0; j < n_pad; j += lanes<T>, h += lanes<T>) store<T>(h, constant * load<T>(G.origin + j));
        for (int l = 1; l <= l_max; l++) {
            const T *g = G.of(l);
            for (const auto *end = rung + 3 * (2 * l - 1); rung < end; rung++) {
                const T *g0 = g + rung->row[0] * G.m_step, *g1 = g + rung->row[1] * G.m_step;
                const V w0 = broadcast<T>(rung->weight[0]), w1 = broadcast<T>(rung->weight[1]);
                for (int j = 0; j < n_pad; j += lanes<T>, h += lanes<T>)
                    store<T>(h, w0 * load<T>(g0 + j) + w1 * load<T>(g1 + j));
            }
        }
    }

    // Gradients with respect to the vectors of `Count` pairs from p on, of the channel that was prepared:
    // Σ_lmn G ∇(R_l Y_l(u)) = Σ_ln [ R_l/r v_l + u (u·v_l) K_l ] with v_l = Σ_m G ∇Y_l(u) = Σ_m' H Y_{l-1,m'}(u),
    // since u·∇Y_l(u) = l Y_l(u)
    template <int Count> void pull_back(int p, T (*out)[3]) const {
        const int l_max = e.l_max, n_pad = e.n_pad;
        T u[Count][3], sums[Count][3] = {};
        unrolled<Count>([&](auto q) {
            u[q][0] = x[p + q];
            u[q][1] = y[p + q];
            u[q][2] = z[p + q];
        });
        for (int j = 0; j < n_pad; j += lanes<T>) {
            const T *h = H.data() + j, *Yp[Count], *Rp[Count];
            V a[Count][3] = {}, b[Count];
            unrolled<Count>([&](auto q) {
                Yp[q] = harmonic(p + q);
                Rp[q] = radial(p + q, 0, j);
                b[q] = load<T>(h) * load<T>(Rp[q] + lanes<T>);
            });
            h += n_pad;
            for (int l = 1; l <= l_max; l++) {
                V v[Count][3] = {};
                for (int m = 0; m < 2 * l - 1; m++, h += 3 * n_pad) {
                    V hx = load<T>(h), hy = load<T>(h + n_pad), hz = load<T>(h + 2 * n_pad);
                    hold(hx), hold(hy), hold(hz);
                    unrolled<Count>([&](auto q) {
                        const V value = broadcast<T>(*Yp[q]);
                        Yp[q] += lanes<T>;
                        v[q][0] += value * hx;
                        v[q][1] += value * hy;
                        v[q][2] += value * hz;
                    });
                }
                unrolled<Count>([&](auto q) {
                    Rp[q] += 2 * n_pad;
                    const V R = load<T>(Rp[q]);
                    b[q] += (u[q][0] * v[q][0] + u[q][1] * v[q][1] + u[q][2] * v[q][2]) * load<T>(Rp[q] + lanes<T>);
                    unrolled<3>([&](auto k) { a[q][k] += R * v[q][k]; });
                });
            }
            unrolled<Count>([&](auto q) {
                unrolled<3>([&](auto k) { sums[q][k] += sum<T>(a[q][k] * inverse[p + q] + u[q][k] * b[q]); });
            });
        }
        std::memcpy(out, sums, sizeof(sums));
    }

    // pull_back of all pairs of a channel; `give(p, gradient)` takes them in order
    template <class Give> void pull_back_channel(int channel, Give give) const {
        T g[pairs_at_once][3];
        int p = begin[channel];
        for (; p + pairs_at_once <= begin[channel + 1]; p += pairs_at_once) {
            pull_back<pairs_at_once>(p, g);
            for (int q = 0; q < pairs_at_once; q++) give(p + q, g[q]);
        }
        for (; p < begin[channel + 1]; p++) {
            pull_back<1>(p, g);
            give(p, g[0]);
        }
    }
    static constexpr int pairs_at_once = 2;

    // d (f R Y) / d vector of pair p.  [3][lm][n padded]
    void jacobian(int p, T *out) {
        if (p / lanes<T> != sloped) climb(p / lanes<T>);
        const T *Yp = harmonic(p), *Sp = &slopes[p % lanes<T>], direction[3] = {x[p], y[p], z[p]};
        for (int l = 0; l <= e.l_max; l++)
            for (int j = 0; j < e.n_pad; j += lanes<T>) {
                const V tangential = load<T>(radial(p, l, j)) * inverse[p];
                const V along = load<T>(radial(p, l, j) + lanes<T>) * T(l > 0 ? l : 1);
                for (int lm = l * l; lm < (l + 1) * (l + 1); lm++)
                    for (int k = 0; k < 3; k++)
                        store<T>(out + (k * e.n_lm + lm) * e.n_pad + j,
                                 along * (Yp[lm * lanes<T>] * direction[k]) + tangential * Sp[(3 * lm + k) * lanes<T>]);
            }
    }
    // The gradients of the harmonics of one block of pairs
    void climb(int block) {
        slopes.assign(size_t(3) * e.n_lm * lanes<T>, 0);
        const T *value = harmonic(block * lanes<T>);
        const auto *rung = e.ladder.rungs.data();
        for (int l = 1; l <= e.l_max; l++)
            for (int m = 0; m < 2 * l - 1; m++, value += lanes<T>)
                for (int k = 0; k < 3; k++, rung++)
                    for (int i = 0; i < 2; i++) {
                        T *slope = &slopes[(3 * (l * l + rung->row[i]) + k) * lanes<T>];
                        store<T>(slope, load<T>(slope) + rung->weight[i] * load<T>(value));
                    }
        sloped = block;
    }
};

} // namespace KETMAP_ISA
