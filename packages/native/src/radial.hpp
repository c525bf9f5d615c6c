// Radial functions from a table of uniform quintic B-splines, times the cutoff function.
#pragma once
#include "simd.hpp"

namespace KETMAP_ISA {

// The six pieces of the cardinal quintic B-spline at t in [0, 1), and their derivatives.
template <class T> inline void bspline(T t, T *w, T *d) {
    const T u = 1 - t;
    const T t2 = t * t, u2 = u * u, s = T(1.0 / 120), s5 = T(1.0 / 24);
    w[0] = s * u2 * u2 * u;
    w[1] = s * (26 + t * (-50 + t * (20 + t * (20 + t * (-20 + 5 * t)))));
    w[2] = s * (66 + t2 * (-60 + t2 * (30 - 10 * t)));
    w[3] = s * (66 + u2 * (-60 + u2 * (30 - 10 * u)));
    w[4] = s * (26 + u * (-50 + u * (20 + u * (20 + u * (-20 + 5 * u)))));
    w[5] = s * t2 * t2 * t;
    d[0] = -s5 * u2 * u2;
    d[1] = s5 * (-10 + t * (8 + t * (12 + t * (-16 + 5 * t))));
    d[2] = s5 * t * (-24 + t2 * (24 - 10 * t));
    d[3] = -s5 * u * (-24 + u2 * (24 - 10 * u));
    d[4] = -s5 * (-10 + u * (8 + u * (12 + u * (-16 + 5 * u))));
    d[5] = s5 * t2 * t2;
}

template <class T> struct Radial {
    const T *table; // [row, l, n padded to the SIMD width]
    int rows, size; // size = (l_max + 1) * padded n
    T inverse_spacing;

    // values[k] = f R_k(r); derivatives[k] = d/dr (f R_k), with f the cutoff function and df its derivative
    template <bool Derivative> void compute(T r, T f, T df, T *values, T *derivatives) const {
        using V = vec_t<T>;
        const T scaled = r * inverse_spacing;
        int i = int(scaled);
        if (i > rows - 6) i = rows - 6;
        T w[6], d[6];
        bspline<T>(scaled - T(i), w, d);
        const T *row = table + int64_t(i) * size;
        V wv[6], dv[6];
        for (int k = 0; k < 6; k++) {
            wv[k] = broadcast<T>(w[k] * f);
            if constexpr (Derivative) dv[k] = broadcast<T>(d[k] * inverse_spacing * f + w[k] * df);
        }
        for (int j = 0; j < size; j += lanes<T>) {
            V v{}, g{};
            for (int k = 0; k < 6; k++) {
                const V c = load<T>(row + k * size + j);
                v += wv[k] * c;
                if constexpr (Derivative) g += dv[k] * c;
            }
            store<T>(values + j, v);
            if constexpr (Derivative) store<T>(derivatives + j, g);
        }
    }
};

// 1 below cutoff - width, half a cosine from there to the cutoff, 0 beyond; a step where the width is zero.
template <class T> struct CutoffFunction {
    T radius, width;
    void compute(T r, T &f, T &df) const {
        f = r < radius ? 1 : 0;
        df = 0;
        if (width > 0 && r > radius - width && r < radius) {
            const double s = M_PI * (double(r) - radius + width) / width;
            f = T(0.5 * (1 + std::cos(s)));
            df = T(-0.5 * M_PI * std::sin(s) / width);
        }
    }
};

} // namespace KETMAP_ISA
