// The density expansion with neighbour types mixed into channels, and its derivatives, as torch operators.
#include <vector>

#include "arguments.hpp"
#include "dispatch.hpp"
#include "mixing_kernels.hpp"

KETMAP_DISPATCH(MixingKernels, mixing_kernels)

namespace ketmap {
namespace {

template <class T> Mixing<T> mixing_of(const char *op, const Tensor &mixing) {
    const T *weights = data<T>(op, "mixing", mixing, {-1, -1});
    return {weights, int(mixing.size(0)), int(mixing.size(1))};
}

// The pairs, grouped by centre and by the rows of `mixing`
template <class T>
Pairs<T> pairs_by_type(const char *op, const Tensor &vectors, const Tensor &starts, int64_t centers, int n_types) {
    const T *values = data<T>(op, "vectors", vectors, {-1, 3});
    return {values, segments(op, starts, centers * n_types, vectors.size(0)), n_types};
}

Tensor expand_mixed(Tensor vectors, Tensor starts, Tensor own, Tensor mixing, Tensor table, double spacing,
                    double cutoff, double width, double center_weight) {
    return by_type(vectors, "expand_mixed", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "expand_mixed";
        const int64_t centers = own.size(0);
        const auto mix = mixing_of<T>(op, mixing);
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width, mix.n_types);
        const auto pairs = pairs_by_type<T>(op, vectors, starts, centers, mix.n_types);
        const int32_t *type = indices<int32_t>(op, "own", own, {centers}, -1, mix.n_types);
        Tensor c = empty(vectors, {centers, mix.n_channels, radial.n_l * radial.n_l, radial.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(c);
        parallel(centers, 16, [&](int64_t begin, int64_t end) {
            mixing_kernels<T>().expand(radial, pairs, mix, type, center_weight, out, begin, end);
        });
        return c;
    });
}

Tensor expand_mixed_vjp(Tensor grad, Tensor vectors, Tensor starts, Tensor mixing, Tensor table, double spacing,
                        double cutoff, double width) {
    return by_type(vectors, "expand_mixed_vjp", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "expand_mixed_vjp";
        const int64_t centers = grad.size(0);
        const auto mix = mixing_of<T>(op, mixing);
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width, mix.n_types);
        const auto pairs = pairs_by_type<T>(op, vectors, starts, centers, mix.n_types);
        const T *g = data<T>(op, "grad", grad, {centers, mix.n_channels, radial.n_l * radial.n_l, radial.n_max});
        Tensor result = empty(vectors, {vectors.size(0), 3}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        parallel(centers, 16, [&](int64_t begin, int64_t end) {
            mixing_kernels<T>().vjp(radial, pairs, mix, g, out, begin, end);
        });
        return result;
    });
}

Tensor mixing_vjp(Tensor grad, Tensor vectors, Tensor starts, Tensor own, Tensor mixing, Tensor table, double spacing,
                  double cutoff, double width, double center_weight) {
    return by_type(vectors, "mixing_vjp", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "mixing_vjp";
        const int64_t centers = grad.size(0);
        const auto mix = mixing_of<T>(op, mixing);
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width, mix.n_types);
        const auto pairs = pairs_by_type<T>(op, vectors, starts, centers, mix.n_types);
        const int32_t *type = indices<int32_t>(op, "own", own, {centers}, -1, mix.n_types);
        const T *g = data<T>(op, "grad", grad, {centers, mix.n_channels, radial.n_l * radial.n_l, radial.n_max});
        const int64_t size = int64_t(mix.n_types) * mix.n_channels;
        std::vector<T> parts(centers * size); // summed in the order of the centres
        parallel(centers, 16, [&](int64_t begin, int64_t end) {
            mixing_kernels<T>().weights_vjp(radial, pairs, mix, type, center_weight, g, parts.data(), begin, end);
        });
        Tensor result = torch::stable::new_zeros(mixing, {mix.n_types, mix.n_channels}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        for (int64_t i = 0; i < centers; i++)
            for (int64_t k = 0; k < size; k++) out[k] += parts[i * size + k];
        return result;
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("expand_mixed(Tensor vectors, Tensor starts, Tensor own, Tensor mixing, Tensor table, float spacing, float "
          "cutoff, float width, float center_weight) -> Tensor");
    m.def("expand_mixed_vjp(Tensor grad, Tensor vectors, Tensor starts, Tensor mixing, Tensor table, float spacing, "
          "float cutoff, float width) -> Tensor");
    m.def("mixing_vjp(Tensor grad, Tensor vectors, Tensor starts, Tensor own, Tensor mixing, Tensor table, float "
          "spacing, float cutoff, float width, float center_weight) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("expand_mixed", TORCH_BOX(&ketmap::expand_mixed));
    m.impl("expand_mixed_vjp", TORCH_BOX(&ketmap::expand_mixed_vjp));
    m.impl("mixing_vjp", TORCH_BOX(&ketmap::mixing_vjp));
}
