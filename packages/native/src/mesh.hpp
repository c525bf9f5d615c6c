// Cardinal B-splines between points and the rows of a periodic mesh: what points add to the mesh, and what they see of it.
#pragma once
#include <algorithm>

#include "mesh_kernels.hpp"
#include "simd.hpp"

namespace KETMAP_ISA {

// M_order(t + order - 1 - j), j = 0 … order - 1, and derivatives, 0 ≤ t < 1: by recurrence in the order
template <class T> void cardinal_splines(T t, int order, T *w, T *d) {
    w[0] = 1 - t;
    w[1] = t;
    for (int p = 3; p <= order; p++) {
        if (p == order) { // M_p' (x) = M_{p-1}(x) - M_{p-1}(x - 1)
            d[0] = -w[0];
            for (int j = 1; j < p - 1; j++) d[j] = w[j - 1] - w[j];
            d[p - 1] = w[p - 2];
        }
        const T scale = T(1) / (p - 1);
        w[p - 1] = scale * t * w[p - 2];
        for (int j = p - 2; j > 0; j--) w[j] = scale * ((t + p - 1 - j) * w[j - 1] + (1 - t + j) * w[j]);
        w[0] *= scale * (1 - t);
    }
}

template <class T> void mesh_splines(const ketmap::Mesh<T> &mesh, int32_t *first, T *weights, T *derivatives,
                                     int64_t begin, int64_t end) {
    for (int64_t i = 3 * begin; i < 3 * end; i++) {
        const int64_t n = mesh.shape[i % 3];
        const T whole = std::floor(mesh.places[i]);
        const int64_t knot = (int64_t(whole) - mesh.order + 1) % n;
        first[i] = int32_t(knot < 0 ? knot + n : knot);
        cardinal_splines(mesh.places[i] - whole, mesh.order, weights + i * mesh.order, derivatives + i * mesh.order);
    }
}

template <class T> inline int64_t wrapped(const ketmap::Mesh<T> &mesh, const int32_t *first, int axis, int i) {
    const int64_t knot = first[axis] + i;
    return knot >= mesh.shape[axis] ? knot - mesh.shape[axis] : knot;
}

// Calls visit(row of the mesh, i, j, k) for the rows of plane `i` that a point touches
template <class T, class Row, class Visit>
inline void plane_rows(const ketmap::Mesh<T> &mesh, const int32_t *first, int i, Row *origin, const Visit &visit) {
    const int64_t step = mesh.f, line_step = mesh.shape[2] * step;
    Row *plane = origin + wrapped(mesh, first, 0, i) * mesh.shape[1] * line_step;
    int64_t along[ketmap::largest_order];
    for (int k = 0; k < mesh.order; k++) along[k] = wrapped(mesh, first, 2, k) * step;
    for (int j = 0; j < mesh.order; j++) {
        Row *line = plane + wrapped(mesh, first, 1, j) * line_step;
        for (int k = 0; k < mesh.order; k++) visit(line + along[k], j, k);
    }
}
template <class T, class Row, class Visit>
inline void rows(const ketmap::Mesh<T> &mesh, const int32_t *first, Row *origin, const Visit &visit) {
    for (int i = 0; i < mesh.order; i++)
        plane_rows(mesh, first, i, origin, [&](Row *row, int j, int k) { visit(row, i, j, k); });
}

// Products of the splines of one point at all knots that it touches
template <class T> struct Products {
    T w[ketmap::largest_order * ketmap::largest_order * ketmap::largest_order];

    void fill(int order, const T *x, const T *y, const T *z, int begin, int end) {
        T *to = w;
        for (int i = begin; i < end; i++)
            for (int j = 0; j < order; j++) {
                const T xy = x[i] * y[j];
                for (int k = 0; k < order; k++) *to++ = xy * z[k];
            }
    }
};

template <class T> void mesh_spread(const ketmap::Mesh<T> &mesh, const ketmap::Splines<T> &splines, const T *values,
                                    T *out, int64_t begin, int64_t end) {
    const int64_t f = mesh.f, size = mesh.shape[1] * mesh.shape[2] * f;
    const int order = mesh.order;
    Products<T> products;
    for (int64_t x = begin; x < end; x++) {
        std::fill(out + x * size, out + (x + 1) * size, T(0));
        for (int i = order - 1; i >= 0; i--) { // points whose i-th plane this is
            const int64_t lowest = x >= i ? x - i : x - i + mesh.shape[0];
            for (int64_t p = splines.plane_starts[lowest]; p < splines.plane_starts[lowest + 1]; p++) {
                const int64_t point = splines.by_plane[p];
                const T *w = splines.weights + 3 * point * order, *v = values + point * f, *next = products.w;
                products.fill(order, w, w + order, w + 2 * order, i, i + 1);
                plane_rows(mesh, splines.first + 3 * point, i, out, [&](T *row, int, int) {
                    const T weight = *next++;
                    int64_t q = 0;
                    for (; q + lanes<T> <= f; q += lanes<T>) store<T>(row + q, load<T>(row + q) + weight * load<T>(v + q));
                    for (; q < f; q++) row[q] += weight * v[q];
                });
            }
        }
    }
}

// values of Vectors vectors from the first one on: Σ weight · row
template <int Vectors, class T> void gather_tile(const ketmap::Mesh<T> &mesh, const int32_t *first, const T *weights,
                                                 const T *from, T *to) {
    vec_t<T> sums[Vectors] = {};
    rows(mesh, first, from, [&](const T *row, int, int, int) {
        const T weight = *weights++;
        unrolled<Vectors>([&](auto v) { sums[v] += weight * load<T>(row + v * lanes<T>); });
    });
    unrolled<Vectors>([&](auto v) { store<T>(to + v * lanes<T>, sums[v]); });
}

template <class T> void mesh_gather(const ketmap::Mesh<T> &mesh, const ketmap::Splines<T> &splines, const T *from,
                                    T *values, int64_t begin, int64_t end) {
    Products<T> products;
    const int order = mesh.order;
    for (int64_t p = begin; p < end; p++) {
        const int64_t point = splines.by_plane[p];
        const int32_t *first = splines.first + 3 * point;
        const T *w = splines.weights + 3 * point * order;
        products.fill(order, w, w + order, w + 2 * order, 0, order);
        T *to = values + point * mesh.f;
        int64_t q = 0;
        for (; q + 8 * lanes<T> <= mesh.f; q += 8 * lanes<T>) gather_tile<8>(mesh, first, products.w, from + q, to + q);
        for (; q + 2 * lanes<T> <= mesh.f; q += 2 * lanes<T>) gather_tile<2>(mesh, first, products.w, from + q, to + q);
        for (; q + lanes<T> <= mesh.f; q += lanes<T>) gather_tile<1>(mesh, first, products.w, from + q, to + q);
        for (; q < mesh.f; q++) {
            T sum = 0;
            const T *weight = products.w;
            rows(mesh, first, from + q, [&](const T *row, int, int, int) { sum += *weight++ * *row; });
            to[q] = sum;
        }
    }
}

// Σ_f grad[point, f] ∂values[point, f]/∂place
template <class T> void mesh_slopes(const ketmap::Mesh<T> &mesh, const ketmap::Splines<T> &splines, const T *from,
                                    const T *grad, T *slopes, int64_t begin, int64_t end) {
    const int64_t f = mesh.f;
    const int order = mesh.order;
    for (int64_t p = begin; p < end; p++) {
        const int64_t point = splines.by_plane[p];
        const T *w = splines.weights + 3 * point * order, *d = splines.derivatives + 3 * point * order;
        const T *g = grad + point * f;
        T sums[3] = {};
        rows(mesh, splines.first + 3 * point, from, [&](const T *row, int i, int j, int k) {
            vec_t<T> products{};
            int64_t q = 0;
            for (; q + lanes<T> <= f; q += lanes<T>) products += load<T>(row + q) * load<T>(g + q);
            T product = sum<T>(products);
            for (; q < f; q++) product += row[q] * g[q];
            sums[0] += product * d[i] * w[order + j] * w[2 * order + k];
            sums[1] += product * w[i] * d[order + j] * w[2 * order + k];
            sums[2] += product * w[i] * w[order + j] * d[2 * order + k];
        });
        std::copy(sums, sums + 3, slopes + 3 * point);
    }
}

} // namespace KETMAP_ISA
