// Terms of single pairs as torch operators.
#include "arguments.hpp"
#include "dispatch.hpp"
#include "pair_terms_kernels.hpp"

KETMAP_DISPATCH(PairTermKernels, pair_term_kernels)

namespace ketmap {
namespace {

constexpr int64_t grain = 64; // pairs: at least this many are worth a thread

Tensor pair_terms(Tensor vectors, Tensor table, double spacing, double cutoff, double width) {
    return by_type(vectors, "pair_terms", [&](auto zero) {
        using T = decltype(zero);
        const auto radial = radial_table<T>("pair_terms", table, spacing, cutoff, width, 1);
        const T *v = data<T>("pair_terms", "vectors", vectors, {-1, 3});
        Tensor terms = empty(vectors, {vectors.size(0), radial.n_l * radial.n_l, radial.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(terms);
        parallel(vectors.size(0), grain,
                 [&](int64_t begin, int64_t end) { pair_term_kernels<T>().terms(radial, v, out, begin, end); });
        return terms;
    });
}

Tensor pair_gradients(Tensor left, Tensor vectors, Tensor starts, Tensor table, double spacing, double cutoff,
                      double width) {
    return by_type(vectors, "pair_gradients", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "pair_gradients";
        const int64_t n_pairs = vectors.size(0), n_rows = left.size(0);
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width, 1);
        const T *v = data<T>(op, "vectors", vectors, {n_pairs, 3}), *factors = data<T>(op, "left", left, {n_rows});
        const int64_t *first = segments(op, starts, n_pairs, n_rows);
        Tensor rows = empty(vectors, {n_rows, 3, radial.n_l * radial.n_l, radial.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(rows);
        parallel(n_pairs, grain, [&](int64_t begin, int64_t end) {
            pair_term_kernels<T>().gradients(radial, v, factors, first, out, begin, end);
        });
        return rows;
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("pair_terms(Tensor vectors, Tensor table, float spacing, float cutoff, float width) -> Tensor");
    m.def("pair_gradients(Tensor left, Tensor vectors, Tensor starts, Tensor table, float spacing, float cutoff, float "
          "width) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("pair_terms", TORCH_BOX(&ketmap::pair_terms));
    m.impl("pair_gradients", TORCH_BOX(&ketmap::pair_gradients));
}
