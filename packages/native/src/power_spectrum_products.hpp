// Small matrix products Σ_m left[m][n1] right[m][n2], the one thing that a power spectrum is made of.
#pragma once
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "simd.hpp"

namespace KETMAP_ISA {

// Store past the caches: for output that is larger than them and not read again.
template <class T> inline void stream(T *p, vec_t<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(v) == 64) return _mm512_stream_si512(reinterpret_cast<__m512i *>(p), (__m512i)v);
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(v) == 32) return _mm256_stream_si256(reinterpret_cast<__m256i *>(p), (__m256i)v);
#endif
#if defined(__SSE2__)
    if constexpr (sizeof(v) == 16) return _mm_stream_si128(reinterpret_cast<__m128i *>(p), (__m128i)v);
#endif
    store<T>(p, v);
}
// Streamed stores become visible to other threads.
inline void drain() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

// A factor of the product: [m][n padded], rows of all m of one l follow each other
template <class T> struct Factor {
    const T *left, *right;
};

enum class Write { cached, streamed, added };

// Rows of n1, lanes over n2. All operands [m][n_pad]; the terms are added up.
template <class T, int Rows, int Terms, Write How>
inline void contract_tile(int n_m, const Factor<T> *terms, int n_pad, T scale, T *out, int ld) {
    using V = vec_t<T>;
    V acc[Rows] = {};
    for (int m = 0; m < n_m; m++)
        for (int t = 0; t < Terms; t++) {
            const V right = load<T>(terms[t].right + int64_t(m) * n_pad);
            const T *left = terms[t].left + int64_t(m) * n_pad;
            for (int i = 0; i < Rows; i++) acc[i] += left[i] * right;
        }
    for (int i = 0; i < Rows; i++) {
        T *to = out + int64_t(i) * ld;
        if constexpr (How == Write::streamed) stream<T>(to, scale * acc[i]);
        else if constexpr (How == Write::added) store<T>(to, load<T>(to) + scale * acc[i]);
        else store<T>(to, scale * acc[i]);
    }
}

template <class T, int Rows, int Terms, Write How>
inline int contract_rows(int i, int n, int n_m, const Factor<T> *terms, int n_pad, T scale, T *out, int ld) {
    for (; i + Rows <= n; i += Rows)
        for (int j = 0; j < n_pad; j += lanes<T>) {
            Factor<T> here[Terms];
            for (int t = 0; t < Terms; t++) here[t] = {terms[t].left + i, terms[t].right + j};
            contract_tile<T, Rows, Terms, How>(n_m, here, n_pad, scale, out + int64_t(i) * ld + j, ld);
        }
    return i;
}

// out[n1][n2 padded] (=|+=) scale Σ_terms Σ_m left[m][n1] right[m][n2]
template <class T, int Terms, Write How>
inline void contract(int n, int n_m, const Factor<T> *terms, int n_pad, T scale, T *out, int ld) {
    int i = contract_rows<T, 8, Terms, How>(0, n, n_m, terms, n_pad, scale, out, ld);
    i = contract_rows<T, 4, Terms, How>(i, n, n_m, terms, n_pad, scale, out, ld);
    i = contract_rows<T, 2, Terms, How>(i, n, n_m, terms, n_pad, scale, out, ld);
    contract_rows<T, 1, Terms, How>(i, n, n_m, terms, n_pad, scale, out, ld);
}

// Copies [rows][n] to [rows][n_pad] with zeros, or back
template <class T> inline void pad(const T *from, int64_t rows, int n, int n_pad, T *to) {
    if (n == n_pad) {
        std::memcpy(to, from, rows * n * sizeof(T));
        return;
    }
    for (int64_t k = 0; k < rows; k++) {
        std::memcpy(to + k * n_pad, from + k * n, n * sizeof(T));
        for (int j = n; j < n_pad; j++) to[k * n_pad + j] = 0;
    }
}
template <class T> inline void unpad(const T *from, int64_t rows, int n, int n_pad, T *to) {
    if (n == n_pad) {
        std::memcpy(to, from, rows * n * sizeof(T));
        return;
    }
    for (int64_t k = 0; k < rows; k++) std::memcpy(to + k * n, from + k * n_pad, n * sizeof(T));
}

} // namespace KETMAP_ISA
