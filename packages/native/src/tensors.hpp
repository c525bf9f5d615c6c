// Checked access to the tensors that torch hands over, and the threads of torch's own pool.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace ketmap {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <class T> constexpr ScalarType scalar_type = ScalarType::Double;
template <> inline constexpr ScalarType scalar_type<float> = ScalarType::Float;
template <> inline constexpr ScalarType scalar_type<bool> = ScalarType::Bool;
template <> inline constexpr ScalarType scalar_type<int32_t> = ScalarType::Int;
template <> inline constexpr ScalarType scalar_type<int64_t> = ScalarType::Long;

inline void require(bool condition, const char *op, const std::string &message) {
    if (!condition) throw std::runtime_error(std::string("ketmap::") + op + ": " + message);
}

// The data of a contiguous tensor of the given type and shape (-1: any)
template <class T>
const T *data(const char *op, const char *name, const Tensor &t, std::initializer_list<int64_t> shape) {
    bool fits = t.scalar_type() == scalar_type<T> && t.is_contiguous() && t.dim() == int64_t(shape.size());
    int d = 0;
    if (fits)
        for (int64_t n : shape) {
            fits = fits && (n < 0 || t.size(d) == n);
            d++;
        }
    if (!fits) {
        std::string expected, got;
        for (int64_t n : shape) expected += (n < 0 ? "any" : std::to_string(n)) + std::string(", ");
        for (int64_t k = 0; k < t.dim(); k++) got += std::to_string(t.size(k)) + ", ";
        require(false, op,
                std::string("'") + name + "' must be a contiguous tensor of shape [" + expected +
                    "] and of the type of the other arguments; got shape [" + got + "]");
    }
    return static_cast<const T *>(t.const_data_ptr());
}

// Data whose values are all in [lower, upper): they say where to read and write
template <class T> const T *indices(const char *op, const char *name, const Tensor &t,
                                    std::initializer_list<int64_t> shape, int64_t lower, int64_t upper) {
    const T *values = data<T>(op, name, t, shape);
    T smallest = T(lower), largest = T(lower);
    for (int64_t k = 0; k < t.numel(); k++) {
        smallest = values[k] < smallest ? values[k] : smallest;
        largest = values[k] > largest ? values[k] : largest;
    }
    require(t.numel() == 0 || (smallest >= lower && largest < upper), op,
            std::string("'") + name + "' must be in [" + std::to_string(lower) + ", " + std::to_string(upper) +
                "); got " + std::to_string(smallest < lower ? smallest : largest));
    return values;
}

inline int64_t element_bytes(ScalarType type) { return type == ScalarType::Double || type == ScalarType::Long ? 8 : 4; }

template <class T> T *mutable_data(const Tensor &t) { return static_cast<T *>(t.mutable_data_ptr()); }

// Large results ask for huge pages: writing fresh memory in pages of 4 kB costs more than computing it.
inline Tensor empty(const Tensor &like, std::initializer_list<int64_t> shape, ScalarType type) {
    Tensor t = torch::stable::new_empty(like, {shape.begin(), shape.size()}, type);
#ifdef __linux__
    constexpr uintptr_t huge = uintptr_t(1) << 21;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(t.data_ptr()), end = begin + t.numel() * element_bytes(type);
    const uintptr_t first = (begin + huge - 1) / huge * huge, last = end / huge * huge;
    if (last > first) madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);
#endif
    return t;
}

template <class F> void parallel(int64_t n, int64_t grain, const F &f) {
    if (n > 0) torch::stable::parallel_for(0, n, grain, f);
}

} // namespace ketmap
