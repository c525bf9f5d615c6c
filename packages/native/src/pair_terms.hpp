// The term of every single pair of the density expansion, f R_l(r) Y_lm(u), and its derivative: no sum over neighbours.
#pragma once
#include "expansion.hpp"
#include "pair_terms_kernels.hpp"
#include "power_spectrum_products.hpp"

namespace KETMAP_ISA {

// Calls visit(hood, p) for the pairs within the cutoff, zero(pair) for the others; a few at once, so that what was
// computed for them stays in cache.
template <bool Gradient, class T, class Visit, class Zero>
void each_pair(const Expansion<T> &e, const T *vectors, int64_t begin, int64_t end, Visit visit, Zero zero) {
    Neighborhood<T> hood(e);
    constexpr int64_t at_once = 8 * lanes<T>;
    for (int64_t first = begin; first < end; first += at_once) {
        const int64_t starts[2] = {first, std::min(end, first + at_once)};
        hood.gather(starts, Gradient, [&](int64_t p, T *v) { std::memcpy(v, vectors + 3 * p, 3 * sizeof(T)); });
        hood.template functions<Gradient>();
        int64_t next = first;
        for (int p = 0; p < hood.n_pairs; p++) {
            for (; next < hood.pair[p]; next++) zero(next);
            visit(hood, p);
            next++;
        }
        for (; next < starts[1]; next++) zero(next);
    }
}

template <class T>
void pair_terms(const ketmap::RadialTable<T> &table, const T *vectors, T *terms, int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, 1);
    const int64_t size = int64_t(e.n_lm) * e.n_max;
    const bool whole = e.n_pad == e.n_max && aligned(terms) && size * sizeof(T) % vector_bytes == 0;
    buffer<T> scratch(e.channel_size());
    auto visit = [&](const Neighborhood<T> &hood, int p) {
        const T *Y = hood.harmonic(p);
        T *to = terms + hood.pair[p] * size, *c = whole ? to : scratch.data();
        for (int l = 0; l <= e.l_max; l++)
            for (int m = 0; m < 2 * l + 1; m++, Y += lanes<T>)
                for (int j = 0; j < e.n_pad; j += lanes<T>, c += lanes<T>) {
                    const vec_t<T> value = *Y * load<T>(hood.radial(p, l, j));
                    whole ? stream<T>(c, value) : store<T>(c, value);
                }
        if (!whole)
            for (int k = 0; k < e.n_lm; k++)
                std::memcpy(to + k * e.n_max, &scratch[k * e.n_pad], e.n_max * sizeof(T));
    };
    each_pair<false>(e, vectors, begin, end, visit,
                     [&](int64_t p) { std::memset(terms + p * size, 0, size * sizeof(T)); });
    drain();
}

template <class T> void pair_gradients(const ketmap::RadialTable<T> &table, const T *vectors, const T *left,
                                       const int64_t *starts, T *rows, int64_t begin, int64_t end) {
    const Expansion<T> e = expansion(table, 1);
    const int64_t size = 3 * int64_t(e.n_lm) * e.n_max;
    const bool whole = e.n_pad == e.n_max && aligned(rows) && size * sizeof(T) % vector_bytes == 0;
    buffer<T> jacobian(3 * e.channel_size());
    auto visit = [&](Neighborhood<T> &hood, int p) {
        const int64_t pair = hood.pair[p];
        if (starts[pair] == starts[pair + 1]) return;
        hood.jacobian(p, jacobian.data());
        for (int64_t row = starts[pair]; row < starts[pair + 1]; row++) {
            T *to = rows + row * size;
            const T factor = left[row];
            if (whole)
                for (int64_t k = 0; k < size; k += lanes<T>) stream<T>(to + k, factor * load<T>(&jacobian[k]));
            else
                for (int k = 0; k < 3 * e.n_lm; k++)
                    for (int n = 0; n < e.n_max; n++) to[k * e.n_max + n] = factor * jacobian[k * e.n_pad + n];
        }
    };
    each_pair<true>(e, vectors, begin, end, visit, [&](int64_t p) {
        std::memset(rows + starts[p] * size, 0, (starts[p + 1] - starts[p]) * size * sizeof(T));
    });
    drain();
}

} // namespace KETMAP_ISA
