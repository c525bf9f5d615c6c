// The neighbour search as torch operators: half lists, and neighbours grouped by (centre, channel).
#include <algorithm>
#include <tuple>

#include "arguments.hpp"
#include "dispatch.hpp"
#include "search_kernels.hpp"

KETMAP_DISPATCH(SearchKernels, search_kernels)

namespace ketmap {
namespace {

constexpr int64_t worth_a_thread = 32; // centres

template <class T> Structures<T> structures(const char *op, const Tensor &positions, const Tensor &cells,
                                            const Tensor &pbc, const Tensor &systems) {
    const int64_t atoms = positions.size(0), n = cells.size(0);
    require(atoms < int64_t(1) << 31, op, "more than 2^31 atoms");
    return {data<T>(op, "positions", positions, {atoms, 3}), data<T>(op, "cells", cells, {n, 3, 3}),
            data<bool>(op, "pbc", pbc, {n, 3}), segments(op, systems, n, atoms), n};
}

// As many parts of the atoms as there are threads, with equally many centres
std::vector<Share> shares(const Wanted &wanted, int64_t atoms, int64_t centers) {
    const int64_t threads = int64_t(torch::stable::get_num_threads());
    const int64_t n = std::max<int64_t>(1, std::min<int64_t>(threads, centers / worth_a_thread));
    std::vector<Share> parts(n);
    int64_t atom = 0, passed = 0;
    for (int64_t part = 0; part < n; part++) {
        parts[part].begin = atom;
        const int64_t before = passed;
        for (; atom < atoms && passed < centers * (part + 1) / n; atom++) passed += wanted.center(atom) >= 0;
        parts[part].end = atom, parts[part].centers = passed - before;
    }
    return parts;
}

void for_each(int64_t n, const std::function<void(int64_t)> &f) {
    parallel(n, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; k++) f(k);
    });
}

// Searches; counts become starts [centre * channel + 1]
template <class T> std::vector<Share> found(const char *op, const Structures<T> &all, const Wanted &wanted,
                                            int64_t atoms, int64_t centers, double cutoff, int64_t *starts) {
    require(cutoff > 0 && cutoff < 1e30, op, "the cutoff must be a positive number");
    auto parts = shares(wanted, atoms, centers);
    search_kernels<T>().find(all, wanted, cutoff, parts, starts + 1, for_each);
    for (const Share &part : parts) require(part.trouble.empty(), op, part.trouble);
    for (int64_t k = 0; k < centers * wanted.n_channels; k++) starts[k + 1] += starts[k];
    return parts;
}

// The place of each pair as seen from its neighbour, -1 if it is not there. Neighbours stand in the order of atoms in
// each segment, and centres are visited in the same order: the next one of a segment is the one that looks. Images of
// one neighbour stand in the order of shifts, which is the opposite one from the other side.
template <class T> void reverse_of(const Structures<T> &all, const Wanted &wanted, const Share &share,
                                   const int64_t *starts, const int32_t *neighbors, int64_t *reverse) {
    const int n_channels = wanted.n_channels;
    std::vector<int64_t> next; // [atom of the system, channel]: what was not passed yet of that segment
    int64_t begin = 0, end = 0;
    for (int64_t atom = share.begin; atom < share.end; atom++) {
        if (atom >= end) { // its system
            const int64_t *after = std::upper_bound(all.starts, all.starts + all.n_systems + 1, atom);
            begin = after[-1], end = *after;
            next.assign((end - begin) * n_channels, -1);
        }
        const int64_t center = wanted.center(atom);
        if (center < 0) continue;
        const int channel = wanted.channel_of(atom);
        const int64_t last = starts[(center + 1) * n_channels];
        for (int64_t p = starts[center * n_channels], stop; p < last; p = stop) {
            const int32_t neighbor = neighbors[p];
            for (stop = p + 1; stop < last && neighbors[stop] == neighbor;) stop++;
            const int64_t other = wanted.center(neighbor);
            if (other < 0 || channel < 0) {
                std::fill(reverse + p, reverse + stop, int64_t(-1));
                continue;
            }
            int64_t &q = next[(neighbor - begin) * n_channels + channel];
            const int64_t segment = other * n_channels + channel;
            if (q < 0) q = starts[segment];
            if (q < starts[segment + 1] && neighbors[q] < atom) // those before that are no centres, or of another share
                q = std::lower_bound(neighbors + q, neighbors + starts[segment + 1], int32_t(atom)) - neighbors;
            for (int64_t k = 0; k < stop - p; k++) reverse[p + k] = q + (stop - p - 1 - k);
            q += stop - p;
        }
    }
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> neighbors(Tensor positions, Tensor cells, Tensor pbc, Tensor systems,
                                                             Tensor rank, Tensor channel, int64_t n_centers,
                                                             int64_t n_channels, double cutoff, bool with_reverse) {
    return by_type(positions, "neighbors", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "neighbors";
        const int64_t atoms = positions.size(0);
        const auto all = structures<T>(op, positions, cells, pbc, systems);
        const Wanted wanted{indices<int32_t>(op, "rank", rank, {atoms}, -1, n_centers),
                            indices<int32_t>(op, "channel", channel, {atoms}, -1, n_channels), int(n_channels), false};
        std::vector<char> seen(n_centers, 0);
        for (int64_t atom = 0; atom < atoms; atom++)
            if (wanted.rank[atom] >= 0) require(!seen[wanted.rank[atom]]++, op, "'rank' must not repeat");
        Tensor starts = torch::stable::new_zeros(rank, {n_centers * n_channels + 1}, ScalarType::Long);
        int64_t *first = mutable_data<int64_t>(starts);
        const auto parts = found(op, all, wanted, atoms, n_centers, cutoff, first);
        const int64_t n = first[n_centers * n_channels];
        Tensor atoms_found = empty(rank, {n}, ScalarType::Int), shifts = empty(rank, {n, 3}, ScalarType::Int),
               vectors = empty(positions, {n, 3}, scalar_type<T>),
               reverse = empty(rank, {with_reverse ? n : 0}, ScalarType::Long);
        int32_t *neighbor = mutable_data<int32_t>(atoms_found), *shift = mutable_data<int32_t>(shifts);
        T *vector = mutable_data<T>(vectors);
        for_each(int64_t(parts.size()), [&](int64_t part) {
            search_kernels<T>().place(all, wanted, parts[part], first, nullptr, neighbor, shift, vector);
        });
        if (with_reverse)
            for_each(int64_t(parts.size()), [&](int64_t part) {
                reverse_of(all, wanted, parts[part], first, neighbor, mutable_data<int64_t>(reverse));
            });
        return std::make_tuple(starts, atoms_found, shifts, vectors, reverse);
    });
}

std::tuple<Tensor, Tensor, Tensor, Tensor> half_pairs(Tensor positions, Tensor cells, Tensor pbc, Tensor systems,
                                                      double cutoff) {
    return by_type(positions, "half_pairs", [&](auto zero) {
        using T = decltype(zero);
        const int64_t atoms = positions.size(0);
        const auto all = structures<T>("half_pairs", positions, cells, pbc, systems);
        const Wanted wanted{nullptr, nullptr, 1, true};
        std::vector<int64_t> starts(atoms + 1, 0);
        const auto parts = found("half_pairs", all, wanted, atoms, atoms, cutoff, starts.data());
        const int64_t n = starts[atoms];
        Tensor first = empty(positions, {n}, ScalarType::Int), second = empty(positions, {n}, ScalarType::Int),
               shifts = empty(positions, {n, 3}, ScalarType::Int), vectors = empty(positions, {n, 3}, scalar_type<T>);
        int32_t *from = mutable_data<int32_t>(first), *to = mutable_data<int32_t>(second),
                *shift = mutable_data<int32_t>(shifts);
        T *vector = mutable_data<T>(vectors);
        for_each(int64_t(parts.size()), [&](int64_t part) {
            search_kernels<T>().place(all, wanted, parts[part], starts.data(), from, to, shift, vector);
        });
        return std::make_tuple(first, second, shifts, vectors);
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("neighbors(Tensor positions, Tensor cells, Tensor pbc, Tensor systems, Tensor rank, Tensor channel, int "
          "n_centers, int n_channels, float cutoff, bool with_reverse) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
    m.def("half_pairs(Tensor positions, Tensor cells, Tensor pbc, Tensor systems, float cutoff) -> (Tensor, Tensor, "
          "Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("neighbors", TORCH_BOX(&ketmap::neighbors));
    m.impl("half_pairs", TORCH_BOX(&ketmap::half_pairs));
}
