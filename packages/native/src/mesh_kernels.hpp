// What each instruction set provides for periodic meshes: functions over ranges, without threads of their own.
#pragma once
#include <cstdint>

namespace ketmap {

// A periodic mesh of rows of f values, [x, y, z, f], and points among its knots, each with B-splines of the same order
template <class T> struct Mesh {
    int64_t shape[3]; // each at least the order
    int64_t f;
    int order;
    const T *places; // [point, 3], in units of the spacing
};

constexpr int largest_order = 10;

// The splines at all points: first[point, 3] is the lowest knot, in the mesh
template <class T> struct Splines {
    const int32_t *first;           // [point, 3]
    const T *weights, *derivatives; // [point, 3, order]
    const int32_t *by_plane;        // points, ordered by their lowest plane
    const int64_t *plane_starts;    // of each plane's points among these, [shape[0] + 1]
};

template <class T> struct MeshKernels {
    void (*splines)(const Mesh<T> &, int32_t *first, T *weights, T *derivatives, int64_t begin, int64_t end);
    // sums over the points that reach them, planes begin … end of the mesh
    void (*spread)(const Mesh<T> &, const Splines<T> &, const T *values, T *mesh, int64_t begin, int64_t end);
    // rows of the points by_plane[begin] … by_plane[end - 1]
    void (*gather)(const Mesh<T> &, const Splines<T> &, const T *mesh, T *values, int64_t begin, int64_t end);
    void (*slopes)(const Mesh<T> &, const Splines<T> &, const T *mesh, const T *grad, T *slopes, int64_t begin,
                   int64_t end);
};

} // namespace ketmap
