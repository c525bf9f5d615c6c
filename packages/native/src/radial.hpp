// Radial functions from a table of uniform quintic B-splines, times the cutoff function.
#pragma once
#include <vector>
#include "simd.hpp"

namespace KETMAP_ISA {

// The six pieces of the cardinal quintic B-spline at t in [0, 1) and their derivatives: 120 B_k = Σ_p pieces[k][p] t^p
template <class T> [[gnu::always_inline]] inline void bspline(vec_t<T> t, vec_t<T> *value, vec_t<T> *slope) {
    constexpr T pieces[6][6] = {{1, -5, 10, -10, 5, -1},    {26, -50, 20, 20, -20, 5}, {66, 0, -60, 0, 30, -10},
                                {26, 50, 20, -20, -20, 10}, {1, 5, 10, 10, 5, -5},     {0, 0, 0, 0, 0, 1}};
    unrolled<6>([&](auto k) {
        value[k] = broadcast<T>(pieces[k][5] / 120);
        slope[k] = broadcast<T>(pieces[k][5] / 24);
        unrolled<5>([&](auto down) {
            constexpr int p = 4 - down;
            value[k] = value[k] * t + pieces[k][p] / 120;
            if constexpr (p > 0) slope[k] = slope[k] * t + pieces[k][p] * p / 120;
        });
    });
}

// 1 below radius - width, half a cosine from there to the radius; a step where the width is zero. For r < radius.
template <class T> struct CutoffFunction {
    T radius, width;
    void compute(vec_t<T> r, vec_t<T> &f, vec_t<T> &df) const {
        using V = vec_t<T>;
        const T steepness = width > 0 ? 1 / width : 0;
        V part = (r - (radius - width)) * steepness;
        part = part > 0 ? part : V{};
        const V angle = T(M_PI) * (part - T(0.5)), a2 = angle * angle; // in [-π/2, π/2], where the series end at 1e-18
        V sine{}, cosine{};
        unrolled<11>([&](auto down) {
            constexpr int k = 2 * (11 - down);
            const V s = a2 * T(-1.0 / (k * (k + 1))), c = a2 * T(-1.0 / ((k - 1) * k));
            sine = sine * s + s;
            cosine = cosine * c + c;
        });
        f = T(0.5) - T(0.5) * angle * (1 + sine);
        df = T(-0.5 * M_PI) * steepness * (1 + cosine);
    }
};

template <class T> struct Radial {
    const T *table = nullptr; // [row, l, n padded to the SIMD width]
    int64_t step = 0;         // from the table of one channel to the next; 0: they share one
    int rows = 0, n_l = 0, n_pad = 0;
    T inverse_spacing = 0;
    std::vector<T> shares; // [vector of a row]: 1/l, 1; for l = 0: 1, 0
    int size() const { return n_l * n_pad; }

    // What a vector of pairs needs: weights of six rows each, of the value and of its derivative
    struct Weights {
        T value[6][lanes<T>], slope[6][lanes<T>];
        int first[lanes<T>];
    };
    void weights(vec_t<T> r, vec_t<T> f, vec_t<T> df, Weights &out) const {
        using V = vec_t<T>;
        const V scaled = r * inverse_spacing;
        V t, w[6], d[6];
        for (int k = 0; k < lanes<T>; k++) {
            out.first[k] = int(scaled[k]) < rows - 6 ? int(scaled[k]) : rows - 6;
            t[k] = T(out.first[k]);
        }
        bspline<T>(scaled - t, w, d);
        for (int k = 0; k < 6; k++) {
            store<T>(out.value[k], w[k] * f);
            store<T>(out.slope[k], d[k] * inverse_spacing * f + w[k] * df);
        }
    }

    // Of one pair of `channel`, vector by vector of [l][n]: f R_l(r), and if Slope, after it K_l = (f R_l)'/l - f R_l/r (for l = 0
    // the derivative itself)
    template <bool Slope> void compute(const Weights &weights, int lane, int channel, T inverse_r, T *R) const {
        using V = vec_t<T>;
        const int row_size = size(); // copies of the members: stores to R may not change them
        const T *row = table + channel * step + int64_t(weights.first[lane]) * row_size, *share = shares.data();
        V w[6], d[6];
        unrolled<6>([&](auto k) {
            w[k] = broadcast<T>(weights.value[k][lane]);
            if constexpr (Slope) d[k] = broadcast<T>(weights.slope[k][lane]);
        });
        for (int j = 0; j < row_size; j += lanes<T>, share += 2, R += (Slope ? 2 : 1) * lanes<T>) {
            V c = load<T>(row + j), v = w[0] * c, g{};
            if constexpr (Slope) g = d[0] * c;
            unrolled<5>([&](auto before) {
                constexpr int k = before + 1;
                c = load<T>(row + k * row_size + j);
                v += w[k] * c;
                if constexpr (Slope) g += d[k] * c;
            });
            store<T>(R, v);
            if constexpr (Slope) store<T>(R + lanes<T>, g * share[0] - v * (inverse_r * share[1]));
        }
    }
};

} // namespace KETMAP_ISA
