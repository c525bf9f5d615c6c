// The SIMD vector of the instruction set that this file is compiled for: GCC/clang vector extensions, so the same
// source becomes SSE2, AVX2, AVX-512 or NEON.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

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
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int registers = 32;
#else
constexpr int registers = 16;
#endif

template <class T> struct simd;
template <> struct simd<double> {
    static constexpr int width = vector_bytes / 8;
    typedef double vec __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
};
template <> struct simd<float> { // no more than eight lanes: n = 8 is the most used and fills them
    static constexpr int width = vector_bytes == 64 ? 8 : vector_bytes / 4;
    typedef float vec __attribute__((vector_size(width * 4), aligned(4), may_alias));
};
template <class T> using vec_t = typename simd<T>::vec;
template <class T> constexpr int lanes = simd<T>::width;

template <class T> inline vec_t<T> load(const T *p) { return *reinterpret_cast<const vec_t<T> *>(p); }
template <class T> inline void store(T *p, vec_t<T> v) { *reinterpret_cast<vec_t<T> *>(p) = v; }
template <class T> inline vec_t<T> broadcast(T x) { return x - vec_t<T>{}; } // not x + 0, which is no copy of -0

// Holds a loaded vector in a register: compilers otherwise fold the load into each use, and loads are what limits then.
template <class V> inline void hold(V &v) {
#if defined(__x86_64__)
    asm("" : "+v"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
}
// Σ of the lanes, by halves
template <class V> inline auto sum_lanes(V v) {
    using T = std::remove_cvref_t<decltype(v[0])>;
    if constexpr (sizeof(V) == 2 * sizeof(T)) {
        return T(v[0] + v[1]);
    } else {
        typedef T half __attribute__((vector_size(sizeof(V) / 2), aligned(sizeof(T)), may_alias));
        half low, high;
        std::memcpy(&low, &v, sizeof(half));
        std::memcpy(&high, reinterpret_cast<const char *>(&v) + sizeof(half), sizeof(half));
        return sum_lanes(half(low + high));
    }
}
template <class T> inline T sum(vec_t<T> v) { return sum_lanes(v); }

// f(0), f(1) … f(N - 1) with constants: arrays that they index stay in registers
template <int N, class F> [[gnu::always_inline]] inline void unrolled(const F &f) {
    [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
        (f(std::integral_constant<int, I>{}), ...);
    }(std::make_integer_sequence<int, N>{});
}

// Memory for vectors: a load that straddles two cache lines costs twice. Not set to zero unless a value is given.
template <class T> struct Aligned {
    using value_type = T;
    Aligned() = default;
    template <class U> Aligned(const Aligned<U> &) {}
    T *allocate(size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(64))); }
    template <class U> void construct(U *p) { ::new (static_cast<void *>(p)) U; }
    template <class U, class V> void construct(U *p, const V &value) { ::new (static_cast<void *>(p)) U(value); }
    void deallocate(T *p, size_t) { ::operator delete(p, std::align_val_t(64)); }
    bool operator==(const Aligned &) const { return true; }
};
template <class T> using buffer = std::vector<T, Aligned<T>>;
inline bool aligned(const void *p) { return reinterpret_cast<uintptr_t>(p) % vector_bytes == 0; }

inline int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

} // namespace KETMAP_ISA
