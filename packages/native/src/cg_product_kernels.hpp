// What each instruction set provides for coupled products: functions over ranges of rows, without threads of their own.
#pragma once
#include <cstdint>
#include <vector>

namespace ketmap {

// Pairs of columns are handled this many at a time.
constexpr int cg_chunk = 16;

// `count` pairs of columns (q1, q2 + k), from place `at` of their chunk
struct CgSegment {
    int q1, q2, at, count;
};

// Pairs of columns of a factor, cut into chunks
struct CgColumns {
    std::vector<CgSegment> segments;
    std::vector<int> starts; // [chunk + 1]: first segment
};

// Arithmetic of one (l1, l2) and the λ that are wanted of it: products of components, and the sums of these. Rows are
// the components M of all these λ.
template <class T> struct CgProgram {
    int n_m1, n_m2, n_rows;
    std::vector<int> m1, m2;                         // [product]
    std::vector<int> row_starts, row_products;       // [row + 1], [term]: products of a row
    std::vector<T> row_weights;                      // [term]
    std::vector<int> product_starts, product_rows;   // [product + 1], [term]: rows of a product
    std::vector<T> product_weights;                  // [term]
    int64_t products() const { return int64_t(m1.size()); }
};

// Where the rows of one λ go: (value of place) · stride + M · n_properties after `column` of a block, which begins at
// `base` where all blocks are in one array
struct CgTarget {
    int group, n_m, block;
    int64_t base, column, stride, n_properties;
};

template <class T> struct CgFactor {
    int64_t offset_1, stride_1, offset_2, stride_2;
    int size;
    const CgColumns *columns;
    const CgProgram<T> *program;
    std::vector<CgTarget> targets; // one for each λ
};

template <class T> struct CgProduct {
    const T *a, *b; // [row, element]
    int64_t size_1, size_2;
    const T *end_2; // of the memory of b
    const int64_t *place; // [row, group]
    int n_groups;
    std::vector<CgFactor<T>> factors;
};

template <class T> struct CgKernels {
    void (*product)(const CgProduct<T> &, bool streamed, T *out, int64_t begin, int64_t end);
    void (*vjp)(const CgProduct<T> &, const T *const *grads, T *grad_a, T *grad_b, int64_t begin, int64_t end);
};

} // namespace ketmap
