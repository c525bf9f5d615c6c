// Sine and cosine of a vector: Cody and Waite's reduction to [−π/4, π/4], then polynomials, to about one unit in the
// last place for angles up to 10⁶ (float64) or 10⁴ (float32). Constants: fdlibm's and Cephes'.
#pragma once
#include "simd.hpp"

namespace KETMAP_ISA {

template <class T> struct Trigonometry;
template <> struct Trigonometry<double> {
    typedef int64_t integers __attribute__((vector_size(sizeof(vec_t<double>)), may_alias));
    static constexpr int sign_bit = 63;
    static constexpr double shift = 0x1.8p52; // added to a number, it leaves the nearest integer in the lowest bits
    static constexpr double quarter[3] = {1.57079632673412561417e+00, 6.07710050630396597660e-11,
                                          2.02226624879595063154e-21}; // π/2; products with the first two are exact
    static constexpr double sine[6] = {-1.66666666666666324348e-01, 8.33333333332248946124e-03,
                                       -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                                       -2.50507602534068634195e-08, 1.58969099521155010221e-10};
    static constexpr double cosine[6] = {4.16666666666666019037e-02,  -1.38888888888741095749e-03,
                                         2.48015872894767294178e-05,  -2.75573143513906633035e-07,
                                         2.08757232129817482790e-09,  -1.13596475577881948265e-11};
    static constexpr int terms = 6;
};
template <> struct Trigonometry<float> {
    typedef int32_t integers __attribute__((vector_size(sizeof(vec_t<float>)), may_alias));
    static constexpr int sign_bit = 31;
    static constexpr float shift = 0x1.8p23f;
    static constexpr float quarter[3] = {1.5703125f, 4.837512969970703125e-4f, 7.54978995489188216e-8f};
    static constexpr float sine[3] = {-1.6666654611e-1f, 8.3321608736e-3f, -1.9515295891e-4f};
    static constexpr float cosine[3] = {4.166664568298827e-2f, -1.388731625493765e-3f, 2.443315711809948e-5f};
    static constexpr int terms = 3;
};

template <class T> [[gnu::always_inline]] inline void sincos(vec_t<T> x, vec_t<T> &sine, vec_t<T> &cosine) {
    using C = Trigonometry<T>;
    using V = vec_t<T>;
    using I = typename C::integers;
    const V shifted = x * T(2 / M_PI) + C::shift;
    const I quadrant = reinterpret_cast<const I &>(shifted);
    const V n = shifted - C::shift;
    const V r = ((x - n * C::quarter[0]) - n * C::quarter[1]) - n * C::quarter[2], z = r * r;
    V s = broadcast<T>(C::sine[C::terms - 1]), c = broadcast<T>(C::cosine[C::terms - 1]);
    unrolled<C::terms - 1>([&](auto down) {
        s = s * z + C::sine[C::terms - 2 - down];
        c = c * z + C::cosine[C::terms - 2 - down];
    });
    s = r + r * z * s;
    c = 1 - (T(0.5) * z - z * z * c);
    const I first = reinterpret_cast<const I &>(s), second = reinterpret_cast<const I &>(c);
    const I swapped = (first ^ second) & -(quadrant & 1); // where the quadrant is odd
    const I sines = (first ^ swapped) ^ ((quadrant & 2) << (C::sign_bit - 1));
    const I cosines = (second ^ swapped) ^ (((quadrant + 1) & 2) << (C::sign_bit - 1));
    sine = reinterpret_cast<const V &>(sines);
    cosine = reinterpret_cast<const V &>(cosines);
}

} // namespace KETMAP_ISA
