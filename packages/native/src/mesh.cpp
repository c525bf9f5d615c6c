// Points and periodic meshes as torch operators.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "arguments.hpp"
#include "dispatch.hpp"
#include "mesh_kernels.hpp"

KETMAP_DISPATCH(MeshKernels, mesh_kernels)

namespace ketmap {
namespace {

constexpr int64_t grain = 16; // points

// Splines at all points, and the order in which these are visited: neighbours share rows of the mesh
template <class T> struct Prepared {
    Mesh<T> mesh;
    std::vector<int32_t> first, by_plane;
    std::vector<int64_t> plane_starts;
    std::vector<T> weights, derivatives;

    Prepared(const char *op, const Tensor &places, int64_t n1, int64_t n2, int64_t n3, int64_t f, int64_t order)
        : mesh{{n1, n2, n3}, f, int(order), data<T>(op, "places", places, {-1, 3})} {
        require(order >= 3 && order <= largest_order, op, "'order' must be 3 … " + std::to_string(largest_order));
        require(std::min({n1, n2, n3}) >= order, op, "every side of the mesh must have at least 'order' knots");
        const int64_t n = places.size(0);
        bool finite = true;
        for (int64_t i = 0; i < 3 * n; i++) finite &= std::abs(mesh.places[i]) < T(1e15);
        require(finite, op, "'places' must be finite");
        first.resize(3 * n);
        weights.resize(3 * n * order);
        derivatives.resize(3 * n * order);
        parallel(n, 256, [&](int64_t begin, int64_t end) {
            mesh_kernels<T>().splines(mesh, first.data(), weights.data(), derivatives.data(), begin, end);
        });
        // points by their lowest line, those of one line in their order
        std::vector<int64_t> next(n1 * n2 + 1, 0);
        const auto line = [&](int64_t i) { return first[3 * i] * n2 + first[3 * i + 1]; };
        for (int64_t i = 0; i < n; i++) next[line(i) + 1]++;
        std::partial_sum(next.begin(), next.end(), next.begin());
        plane_starts.resize(n1 + 1);
        for (int64_t x = 0; x <= n1; x++) plane_starts[x] = next[x * n2];
        by_plane.resize(n);
        for (int64_t i = 0; i < n; i++) by_plane[next[line(i)]++] = int32_t(i);
    }
    Splines<T> splines() const {
        return {first.data(), weights.data(), derivatives.data(), by_plane.data(), plane_starts.data()};
    }
};

Tensor mesh_spread(Tensor values, Tensor places, int64_t n1, int64_t n2, int64_t n3, int64_t order) {
    return by_type(places, "mesh_spread", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "mesh_spread";
        const T *given = data<T>(op, "values", values, {places.size(0), -1});
        const Prepared<T> points(op, places, n1, n2, n3, values.size(1), order);
        Tensor mesh = empty(values, {n1, n2, n3, values.size(1)}, scalar_type<T>);
        T *out = mutable_data<T>(mesh);
        parallel(n1, 1, [&](int64_t begin, int64_t end) {
            mesh_kernels<T>().spread(points.mesh, points.splines(), given, out, begin, end);
        });
        return mesh;
    });
}

Tensor mesh_gather(Tensor mesh, Tensor places, int64_t order) {
    return by_type(places, "mesh_gather", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "mesh_gather";
        const T *given = data<T>(op, "mesh", mesh, {-1, -1, -1, -1});
        const Prepared<T> points(op, places, mesh.size(0), mesh.size(1), mesh.size(2), mesh.size(3), order);
        Tensor values = empty(places, {places.size(0), mesh.size(3)}, scalar_type<T>);
        T *out = mutable_data<T>(values);
        parallel(places.size(0), grain, [&](int64_t begin, int64_t end) {
            mesh_kernels<T>().gather(points.mesh, points.splines(), given, out, begin, end);
        });
        return values;
    });
}

Tensor mesh_slopes(Tensor grad, Tensor mesh, Tensor places, int64_t order) {
    return by_type(places, "mesh_slopes", [&](auto zero) {
        using T = decltype(zero);
        const char *op = "mesh_slopes";
        const T *given = data<T>(op, "mesh", mesh, {-1, -1, -1, -1});
        const T *factors = data<T>(op, "grad", grad, {places.size(0), mesh.size(3)});
        const Prepared<T> points(op, places, mesh.size(0), mesh.size(1), mesh.size(2), mesh.size(3), order);
        Tensor slopes = empty(places, {places.size(0), 3}, scalar_type<T>);
        T *out = mutable_data<T>(slopes);
        parallel(places.size(0), grain, [&](int64_t begin, int64_t end) {
            mesh_kernels<T>().slopes(points.mesh, points.splines(), given, factors, out, begin, end);
        });
        return slopes;
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("mesh_spread(Tensor values, Tensor places, int n1, int n2, int n3, int order) -> Tensor");
    m.def("mesh_gather(Tensor mesh, Tensor places, int order) -> Tensor");
    m.def("mesh_slopes(Tensor grad, Tensor mesh, Tensor places, int order) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("mesh_spread", TORCH_BOX(&ketmap::mesh_spread));
    m.impl("mesh_gather", TORCH_BOX(&ketmap::mesh_gather));
    m.impl("mesh_slopes", TORCH_BOX(&ketmap::mesh_slopes));
}
