// Real spherical harmonics as homogeneous polynomials in (x, y, z), for a vector of pairs at once.
//
// Y_lm = F_l|m| Q_l^|m|(z, r²) · { s_|m| (m < 0), 1/√2 (m = 0), c_m (m > 0) },  c_m + i s_m = (x + iy)^m
// F_lm = sqrt((2l+1)/(2π) · (l-m)!/(l+m)!), no Condon-Shortley phase: l = 1 is (y, z, x).
// Q by upward recursion in l; derivatives: ∂z Q_l^m = (l+m) Q_{l-1}^m,  ∂x Q_l^m = -x Q_{l-1}^{m+1}
// (Bigi, Fraux, Browning, Ceriotti, J. Chem. Phys. 159, 064802 (2023), without the sign of Q).
#pragma once
#include <vector>
#include "simd.hpp"

namespace KETMAP_ISA {

constexpr int l_limit = 24; // highest degree served

template <class T> struct Harmonics {
    int l_max;
    std::vector<T> prefactor; // [l(l+1)/2 + m]

    explicit Harmonics(int l_max) : l_max(l_max), prefactor((l_max + 1) * (l_max + 2) / 2) {
        for (int l = 0; l <= l_max; l++) {
            double f = (2 * l + 1) / (2 * M_PI);
            for (int m = 0; m <= l; m++) {
                if (m > 0) f /= double(l + m) * double(l - m + 1);
                prefactor[l * (l + 1) / 2 + m] = T(m == 0 ? std::sqrt(f / 2) : std::sqrt(f));
            }
        }
    }

    // values [lm] and, if Gradient, ∂x, ∂y, ∂z [lm]; consecutive lm are `stride` numbers apart
    template <bool Gradient>
    void compute(vec_t<T> x, vec_t<T> y, vec_t<T> z, T *Y, T *X_, T *Y_, T *Z_, int stride) const {
        using V = vec_t<T>;
        V q[(l_limit + 1) * (l_limit + 2) / 2 + 1], c[l_limit + 1], s[l_limit + 1];
        auto at = [](int l, int m) { return l * (l + 1) / 2 + m; };
        const V r2 = x * x + y * y + z * z;
        c[0] = broadcast<T>(1);
        s[0] = broadcast<T>(0);
        q[0] = broadcast<T>(1);
        for (int l = 1; l <= l_max; l++) {
            c[l] = x * c[l - 1] - y * s[l - 1];
            s[l] = x * s[l - 1] + y * c[l - 1];
            q[at(l, l)] = T(2 * l - 1) * q[at(l - 1, l - 1)];
            q[at(l, l - 1)] = T(2 * l - 1) * z * q[at(l - 1, l - 1)];
            for (int m = 0; m <= l - 2; m++)
                q[at(l, m)] = (T(2 * l - 1) * z * q[at(l - 1, m)] - T(l + m - 1) * r2 * q[at(l - 2, m)]) * T(1.0 / (l - m));
        }
        for (int l = 0; l <= l_max; l++) {
            const int middle = (l * l + l) * stride;
            for (int m = 0; m <= l; m++) {
                const T f = prefactor[at(l, m)];
                const V fq = f * q[at(l, m)];
                store<T>(Y + middle + m * stride, fq * c[m]);
                if (m > 0) store<T>(Y + middle - m * stride, fq * s[m]);
                if constexpr (Gradient) {
                    const V fz = l > m ? f * T(l + m) * q[at(l - 1, m)] : V{};
                    const V fr = l > m + 1 ? -f * q[at(l - 1, m + 1)] : V{};
                    const V fm = f * T(m) * q[at(l, m)];
                    const V cm = m > 0 ? c[m - 1] : V{}, sm = m > 0 ? s[m - 1] : V{};
                    store<T>(X_ + middle + m * stride, x * fr * c[m] + fm * cm);
                    store<T>(Y_ + middle + m * stride, y * fr * c[m] - fm * sm);
                    store<T>(Z_ + middle + m * stride, fz * c[m]);
                    if (m > 0) {
                        store<T>(X_ + middle - m * stride, x * fr * s[m] + fm * sm);
                        store<T>(Y_ + middle - m * stride, y * fr * s[m] + fm * cm);
                        store<T>(Z_ + middle - m * stride, fz * s[m]);
                    }
                }
            }
        }
    }
};

} // namespace KETMAP_ISA
