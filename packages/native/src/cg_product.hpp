// Σ_m1m2 C a[m1][q1] b[m2][q2], a row at a time: columns q of a chunk lie in vectors, coefficients are sparse in m.
#pragma once
#include <algorithm>
#include "cg_product_kernels.hpp"
#include "power_spectrum_products.hpp"

namespace KETMAP_ISA {

using ketmap::cg_chunk;

// Scratch of one thread
template <class T> struct CgScratch {
    static constexpr int spare = lanes<T>; // whole vectors are written beyond what is used
    buffer<T> left, right, products, rows, zeros, slope_1, slope_2;
    std::vector<T *> to;
    std::vector<const T *> from;

    explicit CgScratch(const ketmap::CgProduct<T> &p) {
        int64_t m1 = 1, m2 = 1, products_ = 1, rows_ = 1;
        for (const auto &f : p.factors) {
            m1 = std::max<int64_t>(m1, f.program->n_m1);
            m2 = std::max<int64_t>(m2, f.program->n_m2);
            products_ = std::max(products_, f.program->products());
            rows_ = std::max<int64_t>(rows_, f.program->n_rows);
        }
        for (auto [memory, n] : {std::pair{&left, m1}, {&slope_1, m1}, {&right, m2}, {&slope_2, m2},
                                 {&products, products_}, {&rows, rows_}, {&zeros, int64_t(1)}})
            memory->assign(n * cg_chunk + spare, T(0));
        to.resize(rows_);
        from.resize(rows_);
    }
};

// Columns of one chunk as they meet: left[m1][q] = a[m1][q1(q)], right[m2][q] = b[m2][q2(q)]
template <class T>
inline void spread(const ketmap::CgFactor<T> &f, const T *a, const T *b, const T *end, const ketmap::CgSegment *segment,
                   const ketmap::CgSegment *last, CgScratch<T> &s) {
    for (int m = 0; m < f.program->n_m1; m++)
        for (auto at = segment; at < last; at++) {
            const auto value = broadcast<T>(a[f.offset_1 + m * f.stride_1 + at->q1]);
            T *to = &s.left[m * cg_chunk + at->at];
            for (int k = 0; k < at->count; k += lanes<T>) store<T>(to + k, value);
        }
    for (int m = 0; m < f.program->n_m2; m++)
        for (auto at = segment; at < last; at++) {
            const T *from = b + f.offset_2 + m * f.stride_2 + at->q2;
            T *to = &s.right[m * cg_chunk + at->at];
            if (from + round_up(at->count, lanes<T>) <= end)
                for (int k = 0; k < at->count; k += lanes<T>) store<T>(to + k, load<T>(from + k));
            else std::copy(from, from + at->count, to);
        }
}

template <class T, int N, class F> inline void sum_terms(int begin, int end, const F &source, const int *index,
                                                         const T *weights, vec_t<T> (&sum)[N]) {
    unrolled<N>([&](auto v) { sum[v] = vec_t<T>{}; });
    for (int k = begin; k < end; k++) {
        const T *from = source(index[k]);
        const T weight = weights[k];
        unrolled<N>([&](auto v) { sum[v] += weight * load<T>(from + v * lanes<T>); });
    }
}

template <class T, int N> inline void multiply(const ketmap::CgProgram<T> &program, CgScratch<T> &s) {
    for (int64_t k = 0; k < program.products(); k++) {
        const T *left = &s.left[program.m1[k] * cg_chunk], *right = &s.right[program.m2[k] * cg_chunk];
        T *to = &s.products[k * cg_chunk];
        unrolled<N>([&](auto v) {
            store<T>(to + v * lanes<T>, load<T>(left + v * lanes<T>) * load<T>(right + v * lanes<T>));
        });
    }
}

template <class T, int N>
inline void couple_chunk(const ketmap::CgProgram<T> &program, int count, bool streamed, CgScratch<T> &s) {
    multiply<T, N>(program, s);
    vec_t<T> sum[N];
    alignas(64) T tail[N * lanes<T>];
    for (int row = 0; row < program.n_rows; row++) {
        T *to = s.to[row];
        if (!to) continue;
        sum_terms<T, N>(
            program.row_starts[row], program.row_starts[row + 1], [&](int k) { return &s.products[k * cg_chunk]; },
            program.row_products.data(), program.row_weights.data(), sum);
        if (count == N * lanes<T>) {
            if (streamed && aligned(to)) unrolled<N>([&](auto v) { stream<T>(to + v * lanes<T>, sum[v]); });
            else unrolled<N>([&](auto v) { store<T>(to + v * lanes<T>, sum[v]); });
        } else {
            unrolled<N>([&](auto v) { store<T>(tail + v * lanes<T>, sum[v]); });
            std::copy(tail, tail + count, to);
        }
    }
}

// slope_1[m1] = Σ_m2 H b[m2], slope_2[m2] = Σ_m1 H a[m1] with H[m1m2] = Σ_rows C grad
template <class T, int N> inline void slope_chunk(const ketmap::CgProgram<T> &program, CgScratch<T> &s) {
    std::fill_n(s.slope_1.data(), program.n_m1 * cg_chunk, T(0));
    std::fill_n(s.slope_2.data(), program.n_m2 * cg_chunk, T(0));
    vec_t<T> sum[N];
    for (int64_t k = 0; k < program.products(); k++) {
        sum_terms<T, N>(
            program.product_starts[k], program.product_starts[k + 1], [&](int row) { return s.from[row]; },
            program.product_rows.data(), program.product_weights.data(), sum);
        const int at_1 = program.m1[k] * cg_chunk, at_2 = program.m2[k] * cg_chunk;
        unrolled<N>([&](auto v) {
            constexpr int q = v * lanes<T>;
            T *one = &s.slope_1[at_1 + q], *two = &s.slope_2[at_2 + q];
            store<T>(one, load<T>(one) + sum[v] * load<T>(&s.right[at_2 + q]));
            store<T>(two, load<T>(two) + sum[v] * load<T>(&s.left[at_1 + q]));
        });
    }
}

// f(constant) with the number of vectors that hold `count` columns
template <class T, class F> inline void by_vectors(int count, const F &f) {
    constexpr int all = cg_chunk / lanes<T>;
    if constexpr (all >= 8)
        if (count <= all / 4 * lanes<T>) return f(std::integral_constant<int, all / 4>{});
    if constexpr (all >= 2)
        if (count <= all / 2 * lanes<T>) return f(std::integral_constant<int, all / 2>{});
    f(std::integral_constant<int, all>{});
}

template <class T>
void cg_product(const ketmap::CgProduct<T> &p, bool streamed, T *out, int64_t begin, int64_t end) {
    CgScratch<T> s(p);
    for (int64_t i = begin; i < end; i++) {
        const int64_t *place = p.place + i * p.n_groups;
        for (const auto &f : p.factors) {
            bool wanted = false;
            int row = 0;
            for (const auto &t : f.targets)
                for (int m = 0; m < t.n_m; m++) {
                    const int64_t at = place[t.group];
                    s.to[row++] = at < 0 ? nullptr : out + t.base + t.column + at * t.stride + m * t.n_properties;
                    wanted |= at >= 0;
                }
            if (!wanted) continue;
            const auto &columns = *f.columns;
            for (int chunk = 0; chunk * cg_chunk < f.size; chunk++) {
                const auto *segments = columns.segments.data();
                spread(f, p.a + i * p.size_1, p.b + i * p.size_2, p.end_2, segments + columns.starts[chunk],
                       segments + columns.starts[chunk + 1], s);
                const int count = std::min(cg_chunk, f.size - chunk * cg_chunk);
                by_vectors<T>(count,
                              [&](auto n) { couple_chunk<T, decltype(n)::value>(*f.program, count, streamed, s); });
                for (int r = 0; r < row; r++)
                    if (s.to[r]) s.to[r] += count;
            }
        }
    }
    if (streamed) drain();
}

template <class T>
void cg_product_vjp(const ketmap::CgProduct<T> &p, const T *const *grads, T *grad_a, T *grad_b, int64_t begin,
                    int64_t end) {
    CgScratch<T> s(p);
    std::vector<const T *> source(s.from.size());
    for (int64_t i = begin; i < end; i++) {
        const int64_t *place = p.place + i * p.n_groups;
        T *to_a = grad_a + i * p.size_1, *to_b = grad_b + i * p.size_2;
        std::fill_n(to_a, p.size_1, T(0));
        std::fill_n(to_b, p.size_2, T(0));
        for (const auto &f : p.factors) {
            bool wanted = false;
            int n_rows = 0;
            for (const auto &t : f.targets)
                for (int m = 0; m < t.n_m; m++) {
                    const int64_t at = place[t.group];
                    source[n_rows++] =
                        at < 0 ? nullptr : grads[t.block] + t.column + at * t.stride + m * t.n_properties;
                    wanted |= at >= 0;
                }
            if (!wanted) continue;
            const auto &columns = *f.columns;
            for (int chunk = 0; chunk * cg_chunk < f.size; chunk++) {
                const auto *first = columns.segments.data() + columns.starts[chunk],
                           *last = columns.segments.data() + columns.starts[chunk + 1];
                spread(f, p.a + i * p.size_1, p.b + i * p.size_2, p.end_2, first, last, s);
                const int count = std::min(cg_chunk, f.size - chunk * cg_chunk);
                for (int r = 0; r < n_rows; r++) {
                    s.from[r] = s.zeros.data();
                    if (!source[r]) continue;
                    // copied: rows are far apart, often by powers of two, and would drive each other out of the cache
                    T *near = &s.rows[r * cg_chunk];
                    const T *far = source[r] + chunk * cg_chunk;
                    std::fill(std::copy(far, far + count, near), near + cg_chunk, T(0));
                    s.from[r] = near;
                }
                by_vectors<T>(count, [&](auto n) { slope_chunk<T, decltype(n)::value>(*f.program, s); });
                for (auto at = first; at < last; at++) {
                    for (int m = 0; m < f.program->n_m1; m++) {
                        T sum = 0;
                        for (int k = 0; k < at->count; k++) sum += s.slope_1[m * cg_chunk + at->at + k];
                        to_a[f.offset_1 + m * f.stride_1 + at->q1] += sum;
                    }
                    for (int m = 0; m < f.program->n_m2; m++) {
                        T *to = to_b + f.offset_2 + m * f.stride_2 + at->q2;
                        for (int k = 0; k < at->count; k++) to[k] += s.slope_2[m * cg_chunk + at->at + k];
                    }
                }
            }
        }
    }
}

} // namespace KETMAP_ISA
