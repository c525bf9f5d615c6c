// One centre at a time: its pairs within the cutoff, their harmonics and radial functions, the density coefficients
// c[channel][lm][n] and the pull-back of a gradient with respect to c onto the pair vectors.
#pragma once
#include <vector>
#include "harmonics.hpp"
#include "radial.hpp"

namespace KETMAP_ISA {

template <class T> struct Expansion {
    using V = vec_t<T>;
    Harmonics<T> harmonics;
    Radial<T> radial;
    CutoffFunction<T> cutoff;
    int l_max, n_max, n_pad, n_lm, n_channels;
    std::vector<T> padded; // the table, when n had to be padded

    Expansion(const T *table, int rows, int n_l, int n_max, double spacing, double cutoff, double width, int n_channels)
        : harmonics(n_l - 1), cutoff{T(cutoff), T(width)}, l_max(n_l - 1), n_max(n_max),
          n_pad(round_up(n_max, lanes<T>)), n_lm(n_l * n_l), n_channels(n_channels) {
        if (n_pad != n_max) {
            padded.assign(size_t(rows) * n_l * n_pad, 0);
            for (int64_t k = 0; k < int64_t(rows) * n_l; k++)
                std::memcpy(&padded[k * n_pad], table + k * n_max, n_max * sizeof(T));
            table = padded.data();
        }
        radial = {table, rows, n_l * n_pad, T(1 / spacing)};
    }
    int channel_size() const { return n_lm * n_pad; }
    int size() const { return n_channels * channel_size(); }

    // Σ_p Y[m][p] R[p][n] for Rows values of m: a register tile
    template <int Rows> static void tile(const T *Y, int ld, const T *R, int ldr, int n_pairs, T *c, int n_pad) {
        V acc[Rows] = {};
        for (int p = 0; p < n_pairs; p++) {
            const V r = load<T>(R + int64_t(p) * ldr);
            for (int m = 0; m < Rows; m++) acc[m] += Y[m * ld + p] * r;
        }
        for (int m = 0; m < Rows; m++) store<T>(c + m * n_pad, acc[m]);
    }
    static void rows(int n, const T *Y, int ld, const T *R, int ldr, int n_pairs, T *c, int n_pad) {
        switch (n) {
        case 1: return tile<1>(Y, ld, R, ldr, n_pairs, c, n_pad);
        case 3: return tile<3>(Y, ld, R, ldr, n_pairs, c, n_pad);
        case 5: return tile<5>(Y, ld, R, ldr, n_pairs, c, n_pad);
        case 7: return tile<7>(Y, ld, R, ldr, n_pairs, c, n_pad);
        case 9: return tile<9>(Y, ld, R, ldr, n_pairs, c, n_pad);
        case 11: return tile<11>(Y, ld, R, ldr, n_pairs, c, n_pad);
        case 13: return tile<13>(Y, ld, R, ldr, n_pairs, c, n_pad);
        default: // higher degrees in pieces of at most eleven rows, odd ones last
            tile<8>(Y, ld, R, ldr, n_pairs, c, n_pad);
            return rows(n - 8, Y + 8 * ld, ld, R, ldr, n_pairs, c + 8 * n_pad, n_pad);
        }
    }
};

// Scratch of one thread.
template <class T> struct Neighborhood {
    using V = vec_t<T>;
    const Expansion<T> &e;
    int capacity = 0, n_pairs = 0, ld = 0;
    std::vector<int> begin;    // [channel + 1]: first pair of each channel
    std::vector<int64_t> pair; // [pair]: its place in the list
    std::vector<T> x, y, z, r, f, df, Y, X_, Y_, Z_, R, D;

    explicit Neighborhood(const Expansion<T> &e) : e(e), begin(e.n_channels + 1) {}

    void reserve(int64_t n, bool gradient) {
        if (n <= capacity && (!gradient || !D.empty())) return;
        if (n > capacity) capacity = round_up(int(n) * 5 / 4, 16);
        ld = capacity;
        for (auto *a : {&x, &y, &z, &r, &f, &df}) a->resize(capacity);
        pair.resize(capacity);
        Y.resize(size_t(e.n_lm) * ld);
        R.resize(size_t(e.radial.size) * capacity);
        if (gradient) {
            for (auto *a : {&X_, &Y_, &Z_}) a->resize(size_t(e.n_lm) * ld);
            D.resize(size_t(e.radial.size) * capacity);
        }
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
        for (int p = n_pairs; p < round_up(n_pairs, lanes<T>); p++) x[p] = y[p] = z[p] = r[p] = 0;
        for (int p = 0; p < n_pairs; p++) {
            r[p] = std::sqrt(r[p]);
            e.cutoff.compute(r[p], f[p], df[p]);
        }
        for (int p = 0; p < n_pairs; p++) { // at r = 0 the direction is zero: harmonics with l > 0 vanish
            const T inverse = 1 / (r[p] > 0 ? r[p] : 1);
            x[p] *= inverse;
            y[p] *= inverse;
            z[p] *= inverse;
        }
    }

    template <bool Gradient> void functions() {
        for (int p = 0; p < n_pairs; p += lanes<T>)
            e.harmonics.template compute<Gradient>(load<T>(&x[p]), load<T>(&y[p]), load<T>(&z[p]), &Y[p],
                                                   X_.data() + p, Y_.data() + p, Z_.data() + p, ld);
        for (int p = 0; p < n_pairs; p++)
            e.radial.template compute<Gradient>(r[p], f[p], df[p], &R[size_t(p) * e.radial.size],
                                                Gradient ? &D[size_t(p) * e.radial.size] : nullptr);
    }

    // c[channel][lm][n padded], every number written
    void coefficients(T *c) const {
        for (int a = 0; a < e.n_channels; a++) {
            const int first = begin[a], count = begin[a + 1] - first;
            for (int l = 0; l <= e.l_max; l++)
                for (int j = 0; j < e.n_pad; j += lanes<T>)
                    Expansion<T>::rows(2 * l + 1, &Y[size_t(l) * l * ld + first], ld,
                                       &R[size_t(first) * e.radial.size + l * e.n_pad + j], e.radial.size, count,
                                       c + a * e.channel_size() + l * l * e.n_pad + j, e.n_pad);
        }
    }

    // Gradient with respect to the vector of pair p, from the gradient G[lm][n padded] of its channel:
    // Σ_lmn G [ (R' - l R/r) Y u + R/r ∇Y(u) ], with lanes over n
    void pull_back(int p, const T *G, T *out) const {
        V s{}, sx{}, sy{}, sz{};
        const T inverse = r[p] > 0 ? 1 / r[p] : 0;
        const T *Rp = &R[size_t(p) * e.radial.size], *Dp = &D[size_t(p) * e.radial.size];
        for (int l = 0; l <= e.l_max; l++) {
            const T *Yl = &Y[size_t(l) * l * ld + p], *Xl = &X_[size_t(l) * l * ld + p], *Wl = &Y_[size_t(l) * l * ld + p],
                    *Zl = &Z_[size_t(l) * l * ld + p];
            for (int j = 0; j < e.n_pad; j += lanes<T>) {
                V a{}, bx{}, by{}, bz{};
                const T *g = G + l * l * e.n_pad + j;
                for (int m = 0; m < 2 * l + 1; m++) {
                    const V v = load<T>(g + m * e.n_pad);
                    a += Yl[m * ld] * v;
                    bx += Xl[m * ld] * v;
                    by += Wl[m * ld] * v;
                    bz += Zl[m * ld] * v;
                }
                const V tangential = load<T>(Rp + l * e.n_pad + j) * inverse;
                s += a * (load<T>(Dp + l * e.n_pad + j) - T(l) * tangential);
                sx += bx * tangential;
                sy += by * tangential;
                sz += bz * tangential;
            }
        }
        const T radial = sum<T>(s);
        out[0] = radial * x[p] + sum<T>(sx);
        out[1] = radial * y[p] + sum<T>(sy);
        out[2] = radial * z[p] + sum<T>(sz);
    }

    // d (f R Y) / d vector of pair p.  [3][lm][n padded]
    void jacobian(int p, T *out) const {
        const T inverse = r[p] > 0 ? 1 / r[p] : 0;
        const T *Rp = &R[size_t(p) * e.radial.size], *Dp = &D[size_t(p) * e.radial.size];
        const T *slopes[3] = {X_.data() + p, Y_.data() + p, Z_.data() + p};
        const T direction[3] = {x[p], y[p], z[p]};
        for (int l = 0; l <= e.l_max; l++)
            for (int j = 0; j < e.n_pad; j += lanes<T>) {
                const V tangential = load<T>(Rp + l * e.n_pad + j) * inverse;
                const V radial = load<T>(Dp + l * e.n_pad + j) - T(l) * tangential;
                for (int lm = l * l; lm < (l + 1) * (l + 1); lm++)
                    for (int k = 0; k < 3; k++)
                        store<T>(out + (k * e.n_lm + lm) * e.n_pad + j,
                                 radial * (Y[size_t(lm) * ld + p] * direction[k]) +
                                     tangential * slopes[k][size_t(lm) * ld]);
            }
    }
};

} // namespace KETMAP_ISA
