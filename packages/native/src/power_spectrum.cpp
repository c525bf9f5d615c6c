// The power spectrum and its derivatives as torch operators.
#include <vector>
#include "arguments.hpp"
#include "dispatch.hpp"
#include "power_spectrum_kernels.hpp"

KETMAP_DISPATCH(SpectrumKernels, spectrum_kernels)

namespace ketmap {
namespace {

int exact_root(int64_t square) {
    int root = 0;
    while (int64_t(root) * root < square) root++;
    return root;
}

template <class T> Spectrum<T> spectrum_of(const char *op, const Tensor &c, const int64_t *place) {
    const T *values = data<T>(op, "c", c, {-1, -1, -1, -1});
    const int n_l = exact_root(c.size(2));
    require(int64_t(n_l) * n_l == c.size(2), op, "'c' must be [centre, channel, lm, n] with (l_max + 1)² entries lm");
    return {values, int(c.size(1)), n_l, int(c.size(3)), place};
}
template <class T> Spectrum<T> spectrum_of(const char *op, const Tensor &c, const Tensor &place) {
    auto s = spectrum_of<T>(op, c, nullptr);
    s.place = data<int64_t>(op, "place", place, {c.size(0), s.pairs()});
    return s;
}

template <class T> RadialTable<T> radial_of(const char *op, const Spectrum<T> &s, const Tensor &table, double spacing,
                                            double cutoff, double width) {
    const auto radial = radial_table<T>(op, table, spacing, cutoff, width, s.n_channels);
    require(radial.n_l == s.n_l && radial.n_max == s.n_max, op, "'c' and 'table' must have the same l and n");
    return radial;
}

template <class T> Pairs<T> pairs_around(const char *op, const Tensor &c, const Tensor &vectors, const Tensor &starts) {
    const auto pairs = pairs_of<T>(op, vectors, starts, c.size(0));
    require(c.size(0) == 0 || pairs.n_channels == c.size(1), op,
            "'c' and 'starts' must have the same centres and channels");
    return pairs;
}

Tensor power_spectrum(Tensor c, Tensor place, int64_t n_rows) {
    return by_type(c, "power_spectrum", [&](auto zero) {
        using T = decltype(zero);
        const auto s = spectrum_of<T>("power_spectrum", c, place);
        Tensor p = empty(c, {n_rows, s.n_l, s.n_max, s.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(p);
        parallel(c.size(0), 16, [&](int64_t begin, int64_t end) { spectrum_kernels<T>().values(s, out, begin, end); });
        return p;
    });
}

Tensor power_spectrum_of_pairs(Tensor vectors, Tensor starts, Tensor own, Tensor table, double spacing, double cutoff,
                               double width, double center_weight, Tensor place, int64_t n_rows) {
    return by_type(vectors, "power_spectrum_of_pairs", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "power_spectrum_of_pairs";
        const int64_t centers = own.size(0), n_channels = channels(starts, centers);
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width, n_channels);
        const auto pairs = pairs_of<T>(op, vectors, starts, centers);
        Spectrum<T> s{nullptr, int(n_channels), radial.n_l, radial.n_max, nullptr};
        s.place = data<int64_t>(op, "place", place, {centers, s.pairs()});
        const int32_t *channel = indices<int32_t>(op, "own", own, {centers}, -1, n_channels);
        Tensor p = empty(vectors, {n_rows, s.n_l, s.n_max, s.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(p);
        parallel(centers, 8, [&](int64_t begin, int64_t end) {
            spectrum_kernels<T>().of_pairs(s, radial, pairs, channel, center_weight, out, begin, end);
        });
        return p;
    });
}

Tensor power_spectrum_vjp(Tensor grad, Tensor c, Tensor place) {
    return by_type(c, "power_spectrum_vjp", [&](auto zero) {
        using T = decltype(zero);
        const auto s = spectrum_of<T>("power_spectrum_vjp", c, place);
        const T *g = data<T>("power_spectrum_vjp", "grad", grad, {-1, s.n_l, s.n_max, s.n_max});
        Tensor result = empty(c, {c.size(0), s.n_channels, int64_t(s.n_l) * s.n_l, s.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        parallel(c.size(0), 16, [&](int64_t begin, int64_t end) { spectrum_kernels<T>().vjp(s, g, out, begin, end); });
        return result;
    });
}

Tensor power_spectrum_jvp(Tensor dc, Tensor c, Tensor place, int64_t n_rows) {
    return by_type(c, "power_spectrum_jvp", [&](auto zero) {
        using T = decltype(zero);
        const auto s = spectrum_of<T>("power_spectrum_jvp", c, place);
        const T *d =
            data<T>("power_spectrum_jvp", "dc", dc, {c.size(0), s.n_channels, -1, int64_t(s.n_l) * s.n_l, s.n_max});
        const int n_x = int(dc.size(2));
        Tensor result = empty(c, {n_rows, n_x, s.n_l, s.n_max, s.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        parallel(c.size(0), 2,
                 [&](int64_t begin, int64_t end) { spectrum_kernels<T>().jvp(s, d, n_x, out, begin, end); });
        return result;
    });
}

Tensor power_spectrum_positions(Tensor c, Tensor vectors, Tensor starts, Tensor neighbors, Tensor centers, Tensor table,
                                double spacing, double cutoff, double width, Tensor place, Tensor row_starts) {
    return by_type(c, "power_spectrum_positions", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "power_spectrum_positions";
        const auto s = spectrum_of<T>(op, c, place);
        const PositionRows<T> g{
            radial_of<T>(op, s, table, spacing, cutoff, width), pairs_around<T>(op, c, vectors, starts),
            data<int32_t>(op, "neighbors", neighbors, {vectors.size(0)}),
            data<int32_t>(op, "centers", centers, {c.size(0)}), data<int64_t>(op, "row_starts", row_starts, {-1})};
        Tensor rows = empty(c, {g.row_starts[row_starts.size(0) - 1], 3, s.n_l, s.n_max, s.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(rows);
        parallel(c.size(0), 1,
                 [&](int64_t begin, int64_t end) { spectrum_kernels<T>().positions(s, g, out, begin, end); });
        return rows;
    });
}

Tensor power_spectrum_sums(Tensor dc, Tensor c, Tensor segments) {
    return by_type(c, "power_spectrum_sums", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "power_spectrum_sums";
        const auto s = spectrum_of<T>(op, c, nullptr);
        const T *d = data<T>(op, "dc", dc, {c.size(0), s.n_channels, -1, int64_t(s.n_l) * s.n_l, s.n_max});
        const int64_t *starts = data<int64_t>(op, "segments", segments, {-1}), n_segments = segments.size(0) - 1;
        require(n_segments >= 0 && starts[0] >= 0 && starts[n_segments] <= c.size(0), op,
                "'segments' must cut the centre axis");
        const int n_x = int(dc.size(2));
        Tensor sums = empty(c, {n_segments, n_x, packed_size(s.n_channels, s.n_l, s.n_max)}, scalar_type<T>);
        T *out = mutable_data<T>(sums);
        parallel(n_segments * s.pairs(), 1,
                 [&](int64_t begin, int64_t end) { spectrum_kernels<T>().sums(s, d, n_x, starts, out, begin, end); });
        return sums;
    });
}

Tensor power_spectrum_design(Tensor c, Tensor vectors, Tensor starts, Tensor neighbors, Tensor centers, Tensor own,
                             Tensor table, double spacing, double cutoff, double width) {
    return by_type(c, "power_spectrum_design", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "power_spectrum_design";
        const auto s = spectrum_of<T>(op, c, nullptr);
        const int64_t atoms = c.size(0), n_pairs = vectors.size(0);
        const int32_t *center_atoms = data<int32_t>(op, "centers", centers, {atoms}),
                      *others = data<int32_t>(op, "neighbors", neighbors, {n_pairs}),
                      *kinds = data<int32_t>(op, "own", own, {atoms});
        std::vector<int32_t> center_of(atoms, -1), places(n_pairs);
        for (int64_t i = 0; i < atoms; i++) {
            require(center_atoms[i] >= 0 && center_atoms[i] < atoms && kinds[i] >= 0 && kinds[i] < s.n_channels, op,
                    "every atom must be a centre, of one of the types");
            center_of[center_atoms[i]] = int32_t(i);
        }
        for (int64_t p = 0; p < n_pairs; p++) places[p] = center_of[others[p]];
        const Design<T> g{radial_of<T>(op, s, table, spacing, cutoff, width), pairs_around<T>(op, c, vectors, starts),
                          places.data(), center_atoms, kinds};
        Tensor rows = empty(c, {atoms, 3, s.n_channels * packed_size(s.n_channels, s.n_l, s.n_max)}, scalar_type<T>);
        T *out = mutable_data<T>(rows);
        parallel(atoms, 1, [&](int64_t begin, int64_t end) { spectrum_kernels<T>().design(s, g, out, begin, end); });
        return rows;
    });
}

Tensor expand_outer(Tensor left, Tensor vectors, Tensor starts, Tensor own, Tensor table, double spacing, double cutoff,
                    double width) {
    return by_type(vectors, "expand_outer", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "expand_outer";
        const int64_t centers = own.size(0), n_channels = channels(starts, centers);
        const T *rows = data<T>(op, "left", left, {vectors.size(0), 3});
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width, n_channels);
        const auto pairs = pairs_of<T>(op, vectors, starts, centers);
        Tensor result =
            empty(vectors, {centers, n_channels, 3, 3, int64_t(radial.n_l) * radial.n_l, radial.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        parallel(centers, 2, [&](int64_t begin, int64_t end) {
            spectrum_kernels<T>().outer(radial, pairs, rows, out, begin, end);
        });
        return result;
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("power_spectrum(Tensor c, Tensor place, int n_rows) -> Tensor");
    m.def("power_spectrum_of_pairs(Tensor vectors, Tensor starts, Tensor own, Tensor table, float spacing, float "
          "cutoff, float width, float center_weight, Tensor place, int n_rows) -> Tensor");
    m.def("power_spectrum_vjp(Tensor grad, Tensor c, Tensor place) -> Tensor");
    m.def("power_spectrum_jvp(Tensor dc, Tensor c, Tensor place, int n_rows) -> Tensor");
    m.def("power_spectrum_positions(Tensor c, Tensor vectors, Tensor starts, Tensor neighbors, Tensor centers, Tensor "
          "table, float spacing, float cutoff, float width, Tensor place, Tensor row_starts) -> Tensor");
    m.def("expand_outer(Tensor left, Tensor vectors, Tensor starts, Tensor own, Tensor table, float spacing, float "
          "cutoff, float width) -> Tensor");
    m.def("power_spectrum_sums(Tensor dc, Tensor c, Tensor segments) -> Tensor");
    m.def("power_spectrum_design(Tensor c, Tensor vectors, Tensor starts, Tensor neighbors, Tensor centers, Tensor "
          "own, Tensor table, float spacing, float cutoff, float width) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("power_spectrum", TORCH_BOX(&ketmap::power_spectrum));
    m.impl("power_spectrum_of_pairs", TORCH_BOX(&ketmap::power_spectrum_of_pairs));
    m.impl("power_spectrum_vjp", TORCH_BOX(&ketmap::power_spectrum_vjp));
    m.impl("power_spectrum_jvp", TORCH_BOX(&ketmap::power_spectrum_jvp));
    m.impl("power_spectrum_positions", TORCH_BOX(&ketmap::power_spectrum_positions));
    m.impl("expand_outer", TORCH_BOX(&ketmap::expand_outer));
    m.impl("power_spectrum_sums", TORCH_BOX(&ketmap::power_spectrum_sums));
    m.impl("power_spectrum_design", TORCH_BOX(&ketmap::power_spectrum_design));
}
