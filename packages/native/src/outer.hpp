// Derivatives of the density coefficients by the strain, or the cell: sums over pairs of left ⊗ ∂c/∂(pair vector).
#pragma once
#include "expansion.hpp"
#include "power_spectrum_products.hpp"

namespace KETMAP_ISA {

template <class T> void expand_outer(const ketmap::RadialTable<T> &table, const ketmap::Pairs<T> &pairs, const T *left,
                                     T *output, int64_t begin, int64_t end) {
    const auto e = expansion(table, pairs.n_channels);
    Neighborhood<T> hood(e);
    const int block = e.channel_size();
    std::vector<T> jacobian(3 * block), sum(9 * block);
    const int64_t size = 9 * int64_t(e.n_lm) * e.n_max;
    for (int64_t i = begin; i < end; i++) {
        hood.gather(pairs.starts + i * e.n_channels, true,
                    [&](int64_t p, T *v) { std::memcpy(v, pairs.vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<true>();
        for (int a = 0; a < e.n_channels; a++) {
            std::fill(sum.begin(), sum.end(), T(0));
            for (int p = hood.begin[a]; p < hood.begin[a + 1]; p++) {
                hood.jacobian(p, jacobian.data());
                const T *x = left + 3 * hood.pair[p];
                for (int k = 0; k < 3 * block; k += lanes<T>) { // all of [xyz, lm, n] for each of the three rows
                    const auto slope = load<T>(&jacobian[k]);
                    for (int row = 0; row < 3; row++) {
                        T *to = &sum[row * 3 * block + k];
                        store<T>(to, load<T>(to) + x[row] * slope);
                    }
                }
            }
            unpad(sum.data(), 9 * int64_t(e.n_lm), e.n_max, e.n_pad, output + (i * e.n_channels + a) * size);
        }
    }
}

} // namespace KETMAP_ISA
