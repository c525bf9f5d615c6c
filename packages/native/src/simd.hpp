// The SIMD vector of the instruction set that this file is compiled for: GCC/clang vector extensions, so the same
// source becomes SSE2, AVX2, AVX-512 or NEON.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#ifndef KETMAP_ISA
#error "KETMAP_ISA names the namespace of this instruction set"
#endif

namespace KETMAP_ISA {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T> struct simd;
template <> struct simd<double> {
    static constexpr int width = vector_bytes / 8;
    typedef double vec __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
};
template <> struct simd<float> {
    static constexpr int width = vector_bytes / 4;
    typedef float vec __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
};
template <class T> using vec_t = typename simd<T>::vec;
template <class T> constexpr int lanes = simd<T>::width;

template <class T> inline vec_t<T> load(const T *p) { return *reinterpret_cast<const vec_t<T> *>(p); }
template <class T> inline void store(T *p, vec_t<T> v) { *reinterpret_cast<vec_t<T> *>(p) = v; }
template <class T> inline vec_t<T> broadcast(T x) { return vec_t<T>{} + x; }
// Fixed order of the additions: the same bits whoever calls.
template <class T> inline T sum(vec_t<T> v) {
    T s = 0;
    for (int k = 0; k < lanes<T>; k++) s += v[k];
    return s;
}
inline int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

} // namespace KETMAP_ISA
