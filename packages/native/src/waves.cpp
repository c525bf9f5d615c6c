// Fields of many systems, projected around their atoms by sums over wave vectors, and the derivatives, as operators.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "arguments.hpp"
#include "dispatch.hpp"
#include "waves_kernels.hpp"

KETMAP_DISPATCH(WaveKernels, wave_kernels)

namespace ketmap {
namespace {

constexpr int64_t superblock = int64_t(1) << 19; // numbers of phases and weights that are prepared at once
constexpr int64_t whole = int64_t(1) << 15;      // phases: systems with fewer are left to one thread each
constexpr int64_t largest_number_of_parts = 32;  // of the waves, whose forces are then added

// The systems, checked; `starts` [atoms, centres, waves][system + 1]
template <class T>
std::vector<Waves<T>> systems_of(const char *op, const Tensor &positions, const Tensor &channel, const Tensor &centers,
                                 const Tensor &k, const Tensor &weights, const Tensor &starts, int64_t n_channels) {
    const T *r = data<T>(op, "positions", positions, {-1, 3}), *waves = data<T>(op, "k", k, {-1, 3});
    const T *matrix = data<T>(op, "weights", weights, {k.size(0), -1, -1});
    int n_l = 1;
    while (n_l * n_l < weights.size(1)) n_l++;
    require(n_l * n_l == weights.size(1), op, "'weights' must be [wave, lm, n] with lm up to a whole degree");
    const int64_t sizes[3] = {positions.size(0), centers.size(0), k.size(0)};
    const int32_t *kind = indices<int32_t>(op, "channel", channel, {sizes[0]}, -1, n_channels);
    const int32_t *center = indices<int32_t>(op, "centers", centers, {sizes[1]}, 0, sizes[0]);
    const int64_t *start = data<int64_t>(op, "starts", starts, {3, -1}), n_systems = starts.size(1) - 1;
    require(n_systems >= 0, op, "'starts' must be [3, system + 1]");
    for (int i = 0; i < 3; i++) {
        const int64_t *row = start + i * (n_systems + 1);
        bool ascending = row[0] == 0 && row[n_systems] == sizes[i];
        for (int64_t s = 0; s < n_systems; s++) ascending &= row[s] <= row[s + 1];
        require(ascending, op, "'starts' must ascend from zero to the numbers of atoms, centres and waves");
    }
    const int64_t columns = weights.size(1) * weights.size(2);
    std::vector<Waves<T>> found;
    for (int64_t s = 0; s < n_systems; s++) {
        const int64_t *atom = start + s, *place = atom + n_systems + 1, *wave = place + n_systems + 1;
        for (int64_t i = place[0]; i < place[1]; i++)
            require(center[i] >= atom[0] && center[i] < atom[1], op, "'centers' must be atoms of their system");
        found.push_back({r + 3 * atom[0], waves + 3 * wave[0], matrix + columns * wave[0], kind + atom[0],
                         center + place[0], atom[0], atom[1] - atom[0], place[1] - place[0], wave[1] - wave[0],
                         int(n_channels), n_l, int(weights.size(2))});
    }
    return found;
}

// The columns of the weights in pairs of vectors, those of even l first
struct Columns {
    std::vector<int32_t> places; // [vector pair][lane]
    int n_even, n_pairs;
    template <class T> Columns(const Waves<T> &w, int width) {
        for (bool even : {true, false}) {
            for (int lm = 0; lm < w.n_l * w.n_l; lm++)
                for (int j = 0; w.even(lm) == even && j < w.n; j++) places.push_back(lm * w.n + j);
            while (places.size() % width) places.push_back(-1);
            (even ? n_even : n_pairs) = int(places.size() / width);
        }
    }
};

// f(begin, end) over 0 … n, in threads or by the one that asks
template <class F> void over(bool threads, int64_t n, int64_t grain, const F &f) {
    if (threads) parallel(n, grain, f);
    else f(0, n);
}

// c [centre][channel][lm][n] of one system; memory comes from torch, which aligns it
template <class T> void field(const Tensor &like, const Waves<T> &w, const Columns &columns, T *out, bool threads) {
    const auto &kernels = wave_kernels<T>();
    const int64_t width = 2 * kernels.lanes, tile = wave_tile * width * columns.n_pairs;
    const int64_t per_block = wave_block * (2 * (w.n_atoms + w.n_channels) + width * columns.n_pairs);
    constexpr int64_t per_panel = wave_panel / wave_block;
    const int64_t panels = std::max<int64_t>(1, superblock / (per_block * per_panel)), at_once = panels * per_panel;
    const int64_t n_blocks = std::min(w.blocks(), at_once), n_panels = (n_blocks + per_panel - 1) / per_panel;
    const Tensor products = torch::stable::new_zeros(like, {w.tiles() * tile}, scalar_type<T>),
                 phases = empty(like, {n_blocks * w.n_atoms * 2 * wave_block}, scalar_type<T>),
                 sums = empty(like, {n_blocks * w.n_channels * 2 * wave_block}, scalar_type<T>),
                 matrix = empty(like, {n_panels * columns.n_pairs * wave_panel * width}, scalar_type<T>);
    T *c = mutable_data<T>(products);
    for (int64_t first = 0; first < w.blocks(); first += at_once) {
        const PreparedWaves<T> prepared{first,
                                        std::min(w.blocks(), first + at_once),
                                        columns.places.data(),
                                        columns.n_even,
                                        columns.n_pairs,
                                        mutable_data<T>(phases),
                                        mutable_data<T>(sums),
                                        mutable_data<T>(matrix)};
        over(threads, prepared.end - first, 1, [&](int64_t begin, int64_t end) {
            kernels.prepare(w, prepared, first + begin, first + end);
        });
        over(threads, w.tiles(), 1,
             [&](int64_t begin, int64_t end) { kernels.multiply(w, prepared, c, begin, end); });
    }
    for (int64_t row = 0; row < w.rows(); row++, out += w.columns())
        for (int pair = 0; pair < columns.n_pairs; pair++) {
            const T *from = c + row / wave_tile * tile + (pair * wave_tile + row % wave_tile) * width;
            const int32_t *place = columns.places.data() + pair * width;
            for (int64_t j = 0; j < width; j++)
                if (place[j] >= 0) out[place[j]] = from[j];
        }
}

Tensor wave_field(Tensor positions, Tensor channel, Tensor centers, Tensor k, Tensor weights, Tensor starts,
                  int64_t n_channels) {
    return by_type(positions, "wave_field", [&](auto zero) {
        using T = decltype(zero);
        const auto systems =
            systems_of<T>("wave_field", positions, channel, centers, k, weights, starts, n_channels);
        Tensor c = empty(positions, {centers.size(0), n_channels, weights.size(1), weights.size(2)}, scalar_type<T>);
        T *out = mutable_data<T>(c);
        if (systems.empty()) return c;
        const Columns columns(systems[0], 2 * wave_kernels<T>().lanes);
        std::vector<T *> places;
        for (const auto &w : systems) {
            places.push_back(out);
            out += w.rows() * w.columns();
        }
        const auto small = [&](const Waves<T> &w) { return systems.size() > 1 && w.n_atoms * w.n_waves < whole; };
        parallel(systems.size(), 1, [&](int64_t begin, int64_t end) {
            for (int64_t s = begin; s < end; s++)
                if (small(systems[s])) field(positions, systems[s], columns, places[s], false);
        });
        for (size_t s = 0; s < systems.size(); s++)
            if (!small(systems[s])) field(positions, systems[s], columns, places[s], true);
        return c;
    });
}

std::tuple<Tensor, Tensor, Tensor> wave_field_vjp(Tensor grad, Tensor positions, Tensor channel, Tensor centers,
                                                  Tensor k, Tensor weights, Tensor starts, bool waves) {
    return by_type(positions, "wave_field_vjp", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "wave_field_vjp";
        const int64_t n_channels = grad.dim() == 4 ? grad.size(1) : 0;
        const auto systems = systems_of<T>(op, positions, channel, centers, k, weights, starts, n_channels);
        const T *g = data<T>(op, "grad", grad, {centers.size(0), n_channels, weights.size(1), weights.size(2)});
        Tensor to_positions = torch::stable::new_zeros(positions, {positions.size(0), 3}, scalar_type<T>);
        Tensor to_k = empty(k, {waves ? k.size(0) : 0, 3}, scalar_type<T>);
        Tensor to_weights =
            empty(k, {waves ? k.size(0) : 0, weights.size(1), weights.size(2)}, scalar_type<T>);
        struct Part { // some blocks of one system's waves
            const Waves<T> *waves;
            const T *grad;
            T *k, *weights;
            int64_t begin, end, place; // where its forces stand
        };
        std::vector<Part> parts;
        int64_t size = 0;
        T *k_here = mutable_data<T>(to_k), *weights_here = mutable_data<T>(to_weights);
        for (const auto &w : systems) {
            const int64_t n = std::min(w.blocks(), largest_number_of_parts);
            for (int64_t i = 0; i < n; i++, size += 3 * w.n_atoms)
                parts.push_back({&w, g, waves ? k_here : nullptr, waves ? weights_here : nullptr, i * w.blocks() / n,
                                 (i + 1) * w.blocks() / n, size});
            g += w.rows() * w.columns();
            if (!waves) continue;
            k_here += 3 * w.n_waves;
            weights_here += w.columns() * w.n_waves;
        }
        std::vector<T> forces(size, T(0));
        parallel(parts.size(), 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                const Part &p = parts[i];
                wave_kernels<T>().vjp(*p.waves, p.grad, forces.data() + p.place, p.k, p.weights, p.begin, p.end);
            }
        });
        T *out = mutable_data<T>(to_positions);
        for (const Part &p : parts) // in their order
            for (int64_t i = 0; i < 3 * p.waves->n_atoms; i++) out[3 * p.waves->first + i] += forces[p.place + i];
        return std::make_tuple(to_positions, to_k, to_weights);
    });
}

// 2π times the inverse of the rows h [d][3], transposed: k = m B
template <class T> void reciprocal(const T *h, int d, double B[3][3]) {
    double G[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, inverse[3][3]; // h hᵀ, and 1 in directions that are not there
    for (int a = 0; a < d; a++)
        for (int b = 0; b < d; b++) {
            G[a][b] = 0;
            for (int x = 0; x < 3; x++) G[a][b] += double(h[3 * a + x]) * double(h[3 * b + x]);
        }
    const auto minor = [&](int a, int b) {
        const int i = (a + 1) % 3, j = (a + 2) % 3, p = (b + 1) % 3, q = (b + 2) % 3;
        return G[i][p] * G[j][q] - G[i][q] * G[j][p];
    };
    const double det = G[0][0] * minor(0, 0) + G[0][1] * minor(0, 1) + G[0][2] * minor(0, 2);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) inverse[a][b] = minor(b, a) / det;
    for (int a = 0; a < d; a++)
        for (int x = 0; x < 3; x++) {
            B[a][x] = 0;
            for (int b = 0; b < d; b++) B[a][x] += 2 * M_PI * inverse[a][b] * double(h[3 * b + x]);
        }
}

// visit(m) for one of m and −m of 0 < |m B| < cutoff, in ascending order
template <class T, class Visit> void half_sphere(const T *h, int d, double cutoff, const Visit &visit) {
    double B[3][3] = {};
    int reach[3] = {0, 0, 0};
    reciprocal(h, d, B);
    for (int a = 0; a < d; a++)
        reach[a] = int(cutoff / (2 * M_PI) *
                       std::sqrt(double(h[3 * a]) * h[3 * a] + double(h[3 * a + 1]) * h[3 * a + 1] +
                                 double(h[3 * a + 2]) * h[3 * a + 2]));
    for (int i = 0; i <= reach[0]; i++)
        for (int j = i ? -reach[1] : 0; j <= reach[1]; j++)
            for (int l = i || j ? -reach[2] : 1; l <= reach[2]; l++) {
                double square = 0;
                for (int x = 0; x < 3; x++) {
                    const double k = i * B[0][x] + j * B[1][x] + l * B[2][x];
                    square += k * k;
                }
                if (square < cutoff * cutoff && (i || j || l)) visit(i, j, l);
            }
}

std::tuple<Tensor, Tensor> lattice_points(Tensor cells, double cutoff) {
    return by_type(cells, "lattice_points", [&](auto zero) {
        using T = decltype(zero);
        const int64_t d = cells.dim() == 3 ? cells.size(1) : 0, n_systems = cells.size(0);
        const T *h = data<T>("lattice_points", "cells", cells, {-1, d, 3});
        require(d >= 1 && d <= 3, "lattice_points", "'cells' must be [system, 1 to 3 rows, 3]");
        Tensor starts = empty(cells, {n_systems + 1}, ScalarType::Long);
        int64_t *first = mutable_data<int64_t>(starts);
        std::vector<T> found;
        first[0] = 0;
        for (int64_t s = 0; s < n_systems; s++) {
            half_sphere(h + 3 * d * s, int(d), cutoff, [&](int i, int j, int l) {
                const int m[3] = {i, j, l};
                for (int a = 0; a < d; a++) found.push_back(T(m[a]));
            });
            first[s + 1] = int64_t(found.size()) / d;
        }
        Tensor points = empty(cells, {first[n_systems], d}, scalar_type<T>);
        std::copy(found.begin(), found.end(), mutable_data<T>(points));
        return std::make_tuple(points, starts);
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("wave_field(Tensor positions, Tensor channel, Tensor centers, Tensor k, Tensor weights, Tensor starts, int "
          "n_channels) -> Tensor");
    m.def("lattice_points(Tensor cells, float cutoff) -> (Tensor, Tensor)");
    m.def("wave_field_vjp(Tensor grad, Tensor positions, Tensor channel, Tensor centers, Tensor k, Tensor weights, "
          "Tensor starts, bool waves) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("wave_field", TORCH_BOX(&ketmap::wave_field));
    m.impl("lattice_points", TORCH_BOX(&ketmap::lattice_points));
    m.impl("wave_field_vjp", TORCH_BOX(&ketmap::wave_field_vjp));
}
