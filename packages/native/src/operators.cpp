// The density expansion, the grouping of pairs and the fused energy as torch operators.
#include <optional>
#include <tuple>

#include "arguments.hpp"
#include "dispatch.hpp"
#include "group.hpp"

KETMAP_DISPATCH(Kernels, kernels)

namespace ketmap {
namespace {

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> group(Tensor first, Tensor second, Tensor shifts, Tensor vectors,
                                                         Tensor rank, Tensor channel, int64_t n_centers,
                                                         int64_t n_channels) {
    return by_type(vectors, "group", [&](auto zero) {
        using T = decltype(zero);
        const int64_t half = first.size(0), atoms = rank.size(0), n_segments = n_centers * n_channels;
        const HalfPairs<T> pairs{indices<int32_t>("group", "first", first, {half}, 0, atoms),
                                 indices<int32_t>("group", "second", second, {half}, 0, atoms),
                                 data<int32_t>("group", "shifts", shifts, {half, 3}),
                                 data<T>("group", "vectors", vectors, {half, 3}), half};
        const Places places{indices<int32_t>("group", "rank", rank, {atoms}, -1, n_centers),
                            indices<int32_t>("group", "channel", channel, {atoms}, -1, n_channels), n_segments,
                            int(n_channels)};
        Tensor starts = empty(first, {n_segments + 1}, ScalarType::Long);
        require(half < largest_list, "group", "more than 2^31 pairs; split the structures into batches");
        const int parts = half < 10000 ? 1 : int(torch::stable::get_num_threads());
        auto entries = distribute(pairs, places, mutable_data<int64_t>(starts), parts, [](int n, const auto &f) {
            parallel(n, 1, [&](int64_t begin, int64_t end) {
                for (int64_t part = begin; part < end; part++) f(int(part));
            });
        });
        const int64_t n = int64_t(entries.size());
        Tensor neighbors = empty(first, {n}, ScalarType::Int), full_shifts = empty(first, {n, 3}, ScalarType::Int),
               full_vectors = empty(vectors, {n, 3}, scalar_type<T>), reverse = empty(first, {n}, ScalarType::Long);
        constexpr uint32_t nowhere = 0xffffffffu;
        std::vector<uint32_t> place(2 * half, nowhere);
        parallel(n_segments, 256, [&](int64_t begin, int64_t end) {
            arrange(pairs, mutable_data<int64_t>(starts), entries.data(), mutable_data<int32_t>(neighbors),
                    mutable_data<int32_t>(full_shifts), mutable_data<T>(full_vectors), place.data(), begin, end);
        });
        int64_t *back = mutable_data<int64_t>(reverse);
        parallel(n, 4096, [&](int64_t begin, int64_t end) {
            for (int64_t p = begin; p < end; p++) {
                const uint32_t q = place[origin_of(entries[p]) ^ 1];
                back[p] = q == nowhere ? -1 : int64_t(q);
            }
        });
        return std::make_tuple(starts, neighbors, full_shifts, full_vectors, reverse);
    });
}

std::string instruction_set_name() { return instruction_set(); }

Tensor expand(Tensor vectors, Tensor starts, Tensor own, Tensor table, double spacing, double cutoff, double width,
              double center_weight) {
    return by_type(vectors, "expand", [&](auto zero) {
        using T = decltype(zero);
        const int64_t centers = own.size(0);
        const auto pairs = pairs_of<T>("expand", vectors, starts, centers);
        const auto radial = radial_table<T>("expand", table, spacing, cutoff, width, pairs.n_channels);
        const int32_t *channel = indices<int32_t>("expand", "own", own, {centers}, -1, pairs.n_channels);
        Tensor c = empty(vectors, {centers, pairs.n_channels, radial.n_l * radial.n_l, radial.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(c);
        parallel(centers, 16, [&](int64_t begin, int64_t end) {
            kernels<T>().expand(radial, pairs, channel, center_weight, out, begin, end);
        });
        return c;
    });
}

Tensor expand_vjp(Tensor grad, Tensor vectors, Tensor starts, Tensor table, double spacing, double cutoff,
                  double width) {
    return by_type(vectors, "expand_vjp", [&](auto zero) {
        using T = decltype(zero);
        const int64_t centers = grad.size(0);
        const auto pairs = pairs_of<T>("expand_vjp", vectors, starts, centers);
        const auto radial = radial_table<T>("expand_vjp", table, spacing, cutoff, width, pairs.n_channels);
        const T *g =
            data<T>("expand_vjp", "grad", grad, {centers, pairs.n_channels, radial.n_l * radial.n_l, radial.n_max});
        Tensor result = empty(vectors, {vectors.size(0), 3}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        parallel(centers, 16,
                 [&](int64_t begin, int64_t end) { kernels<T>().expand_vjp(radial, pairs, g, out, begin, end); });
        return result;
    });
}

Tensor expand_jacobian(Tensor vectors, Tensor starts, Tensor own, Tensor table, double spacing, double cutoff,
                       double width) {
    return by_type(vectors, "expand_jacobian", [&](auto zero) {
        using T = decltype(zero);
        const int64_t centers = own.size(0);
        const auto pairs = pairs_of<T>("expand_jacobian", vectors, starts, centers);
        const auto radial = radial_table<T>("expand_jacobian", table, spacing, cutoff, width, pairs.n_channels);
        Tensor result = empty(vectors, {vectors.size(0), 3, radial.n_l * radial.n_l, radial.n_max}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        parallel(centers, 16,
                 [&](int64_t begin, int64_t end) { kernels<T>().expand_jacobian(radial, pairs, out, begin, end); });
        return result;
    });
}

std::tuple<Tensor, Tensor, Tensor, Tensor> soap_energy(Tensor positions, Tensor cells, Tensor system, Tensor rank,
                                                       Tensor centers, Tensor starts, Tensor neighbors, Tensor shifts,
                                                       Tensor reverse, Tensor own, Tensor table, double spacing,
                                                       double cutoff, double width, double center_weight, Tensor kind,
                                                       Tensor quadratic, bool diagonal,
                                                       std::optional<Tensor> mixing) {
    return by_type(positions, "soap_energy", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "soap_energy";
        const int64_t atoms = positions.size(0), n = centers.size(0), n_pairs = neighbors.size(0),
                      n_systems = cells.size(0);
        const auto radial = radial_table<T>(op, table, spacing, cutoff, width);
        const int64_t size = quadratic.dim() == 4 ? quadratic.size(2) : 0, n_channels = size / radial.n_max;
        require(n == atoms, op, "every atom must be a centre");
        Mixing<T> mix{nullptr, int(n_channels), int(n_channels)};
        if (mixing) mix = {data<T>(op, "mixing", *mixing, {-1, n_channels}), int(mixing->size(0)), int(n_channels)};
        const int64_t n_types = mix.n_types;
        require(table.dim() != 4 || radial.n_tables == n_types, op, "'table' must have an entry for every channel");
        const int64_t *pair_starts = segments(op, starts, n * n_types, n_pairs);
        const int64_t *back = indices<int64_t>(op, "reverse", reverse, {n_pairs}, 0, n_pairs);
        const int32_t *place = indices<int32_t>(op, "rank", rank, {atoms}, 0, n),
                      *system_of = indices<int32_t>(op, "system", system, {atoms}, 0, n_systems),
                      *center_atoms = indices<int32_t>(op, "centers", centers, {n}, 0, atoms);
        Tensor energies = empty(positions, {n}, scalar_type<T>), forces = empty(positions, {atoms, 3}, scalar_type<T>),
               virial = torch::stable::new_zeros(positions, {n_systems, 3, 3}, scalar_type<T>),
               features = diagonal ? empty(positions, {n, n_channels, radial.n_l, radial.n_max}, scalar_type<T>)
                                   : empty(positions, {0}, scalar_type<T>),
               pair_gradients = empty(positions, {n_pairs, 3}, scalar_type<T>),
               virials = empty(positions, {n, 9}, scalar_type<T>);
        const SoapEnergy<T> s{radial,
                              mix,
                              center_weight,
                              data<T>(op, "positions", positions, {atoms, 3}),
                              data<T>(op, "cells", cells, {n_systems, 3, 3}),
                              system_of,
                              center_atoms,
                              indices<int32_t>(op, "neighbors", neighbors, {n_pairs}, 0, atoms),
                              data<int32_t>(op, "shifts", shifts, {n_pairs, 3}),
                              indices<int32_t>(op, "own", own, {n}, -1, n_types),
                              indices<int32_t>(op, "kind", kind, {n}, 0, quadratic.size(0)),
                              pair_starts,
                              data<T>(op, "quadratic", quadratic, {-1, radial.n_l, size, size}),
                              mutable_data<T>(energies),
                              mutable_data<T>(virials),
                              mutable_data<T>(pair_gradients),
                              diagonal ? mutable_data<T>(features) : nullptr};
        parallel(n, 2 * energy_block, [&](int64_t begin, int64_t end) { kernels<T>().soap_energy(s, begin, end); });

        // each atom gathers its own force, in the order of its pairs
        T *force = mutable_data<T>(forces);
        const T *g = s.pair_gradients;
        parallel(atoms, 256, [&](int64_t begin, int64_t end) {
            for (int64_t atom = begin; atom < end; atom++) {
                const int64_t i = place[atom];
                T f[3] = {};
                for (int64_t p = pair_starts[i * n_types]; p < pair_starts[(i + 1) * n_types]; p++)
                    for (int k = 0; k < 3; k++) f[k] += g[3 * p + k] - g[3 * back[p] + k];
                for (int k = 0; k < 3; k++) force[3 * atom + k] = f[k];
            }
        });
        T *w = mutable_data<T>(virial);
        for (int64_t i = 0; i < n; i++)
            for (int k = 0; k < 9; k++) w[9 * system_of[center_atoms[i]] + k] += s.virials[9 * i + k];
        return std::make_tuple(energies, forces, virial, features);
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY(ketmap, m) {
    m.def("instruction_set() -> str");
    m.def("group(Tensor first, Tensor second, Tensor shifts, Tensor vectors, Tensor rank, Tensor channel, int "
          "n_centers, int n_channels) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
    m.def("expand(Tensor vectors, Tensor starts, Tensor own, Tensor table, float spacing, float cutoff, float width, "
          "float center_weight) -> Tensor");
    m.def("expand_vjp(Tensor grad, Tensor vectors, Tensor starts, Tensor table, float spacing, float cutoff, float "
          "width) -> Tensor");
    m.def("expand_jacobian(Tensor vectors, Tensor starts, Tensor own, Tensor table, float spacing, float cutoff, float "
          "width) -> Tensor");
    m.def(
        "soap_energy(Tensor positions, Tensor cells, Tensor system, Tensor rank, Tensor centers, Tensor starts, Tensor "
        "neighbors, Tensor shifts, Tensor reverse, Tensor own, Tensor table, float spacing, float cutoff, float width, "
        "float center_weight, Tensor kind, Tensor quadratic, bool diagonal, Tensor? mixing=None) -> (Tensor, Tensor, "
        "Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CompositeExplicitAutograd, m) {
    m.impl("instruction_set", TORCH_BOX(&ketmap::instruction_set_name));
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("group", TORCH_BOX(&ketmap::group));
    m.impl("expand", TORCH_BOX(&ketmap::expand));
    m.impl("expand_vjp", TORCH_BOX(&ketmap::expand_vjp));
    m.impl("expand_jacobian", TORCH_BOX(&ketmap::expand_jacobian));
    m.impl("soap_energy", TORCH_BOX(&ketmap::soap_energy));
}
