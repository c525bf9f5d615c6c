// One system made ready to be searched: its atoms wrapped into the cell, and all their images that centres may reach.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "search_kernels.hpp"

namespace KETMAP_ISA {

struct Vec {
    double x[3];
    double operator[](int k) const { return x[k]; }
    double &operator[](int k) { return x[k]; }
};
inline double dot(const Vec &a, const Vec &b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline Vec cross(const Vec &a, const Vec &b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
inline Vec scaled(double s, const Vec &a) { return {s * a[0], s * a[1], s * a[2]}; }

// v = r_j - r_i + S h, and its square. Of a pair seen from its two ends these are the same bits, but for v's sign.
template <class T>
inline double pair_vector(const T *from, const T *to, const T *cell, const int32_t *shift, double *v) {
    for (int k = 0; k < 3; k++) {
        const double images =
            shift[0] * double(cell[k]) + shift[1] * double(cell[3 + k]) + shift[2] * double(cell[6 + k]);
        v[k] = (double(to[k]) - double(from[k])) + images;
    }
    return v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
}

// An image of a neighbour; its shift is that from a centre in the cell
struct Image {
    int32_t atom, shift[3];
};

// Images stand in the order of results: by channel, atom, shift. Distances are first estimated in float32, which is
// twice as fast; what lies within `doubt` of the cutoff is decided by the exact vector.
struct Images {
    static constexpr double most = 2147483647; // that are numbered by 32 bits

    std::vector<Image> images;
    std::vector<int64_t> channels;  // [channel + 1]: the first image of each
    std::vector<float> x, y, z;     // of the images, from `origin`
    std::vector<float> centers;     // [atom, 3]: the same of the atoms wrapped into the cell
    std::vector<int32_t> wraps;     // [atom, 3]: atom = wrapped atom + wrap · cell
    std::vector<int64_t> own;       // [atom]: its first image (half lists start there)
    double doubt = 0, low[3], high[3]; // what the centres occupy, wrapped
    std::string trouble; // why they cannot be searched

    template <class T>
    void build(const ketmap::Structures<T> &all, const ketmap::Wanted &wanted, int64_t system, double cutoff) {
        const int64_t first = all.starts[system], n = all.starts[system + 1] - first;
        const T *positions = all.positions + 3 * first;
        const bool *periodic = all.pbc + 3 * system;
        wrapped.resize(n), fractions.resize(n), wraps.resize(3 * n);
        largest = 0;
        for (int k = 0; k < 3; k++)
            for (int x = 0; x < 3; x++) cell[k][x] = periodic[k] ? double(all.cells[9 * system + 3 * k + x]) : 0.0;
        trouble.clear();
        invert(periodic);
        for (int64_t i = 0; i < n && trouble.empty(); i++)
            if (!wrap(positions, i, periodic))
                trouble = "atom " + std::to_string(i) + " of system " + std::to_string(system) +
                          " is not at a finite place within 10^9 cells of the origin";
        if (!trouble.empty()) return;
        bound(wanted, first, n);
        place(wanted, first, n, periodic, cutoff);
    }

  private:
    Vec cell[3], inverse[3]; // inverse[k] · cell[l] = 1 if k = l, else 0; of the periodic ones
    std::vector<Vec> wrapped, fractions;
    std::vector<int64_t> order;
    double least[3], greatest[3], largest = 0; // fractions of the centres; of all coordinates

    void invert(const bool *periodic) {
        int kept[3] = {0, 0, 0}, n = 0;
        for (int k = 0; k < 3; k++) {
            inverse[k] = {0, 0, 0};
            if (periodic[k]) kept[n++] = k;
        }
        const Vec &a = cell[kept[0]], &b = cell[kept[1]], &c = cell[kept[2]];
        if (n == 1) inverse[kept[0]] = scaled(1 / dot(a, a), a);
        if (n == 2) {
            const Vec normal = cross(a, b);
            inverse[kept[0]] = scaled(1 / dot(normal, normal), cross(b, normal));
            inverse[kept[1]] = scaled(1 / dot(normal, normal), cross(normal, a));
        }
        if (n == 3) {
            const double volume = dot(a, cross(b, c));
            inverse[0] = scaled(1 / volume, cross(b, c));
            inverse[1] = scaled(1 / volume, cross(c, a));
            inverse[2] = scaled(1 / volume, cross(a, b));
        }
    }

    // Into the cell, where it is periodic; whether there is such a place
    template <class T> bool wrap(const T *positions, int64_t i, const bool *periodic) {
        const Vec r{double(positions[3 * i]), double(positions[3 * i + 1]), double(positions[3 * i + 2])};
        Vec inside = r;
        for (int k = 0; k < 3; k++) {
            const double f = periodic[k] ? dot(inverse[k], r) : 0.0, whole = std::floor(f);
            if (!(std::abs(r[k]) < 1e300 && std::abs(whole) < 1e9)) return false;
            wraps[3 * i + k] = int32_t(whole);
            fractions[i][k] = f - whole;
            largest = std::max(largest, std::abs(r[k]));
            for (int x = 0; x < 3; x++) {
                inside[x] -= whole * cell[k][x];
                largest = std::max(largest, std::abs(whole * cell[k][x]));
            }
        }
        wrapped[i] = inside;
        return true;
    }

    // What the centres occupy, in space and in fractions of the cell
    void bound(const ketmap::Wanted &wanted, int64_t first, int64_t n) {
        for (int k = 0; k < 3; k++) {
            low[k] = least[k] = std::numeric_limits<double>::infinity();
            high[k] = greatest[k] = -low[k];
        }
        for (int64_t i = 0; i < n; i++)
            if (wanted.center(first + i) >= 0)
                for (int k = 0; k < 3; k++) {
                    low[k] = std::min(low[k], wrapped[i][k]), high[k] = std::max(high[k], wrapped[i][k]);
                    least[k] = std::min(least[k], fractions[i][k]);
                    greatest[k] = std::max(greatest[k], fractions[i][k]);
                }
    }

    // Atoms by channel
    void sort(const ketmap::Wanted &wanted, int64_t first, int64_t n) {
        channels.assign(wanted.n_channels + 1, 0);
        for (int64_t i = 0; i < n; i++)
            if (int c = wanted.channel_of(first + i); c >= 0) channels[c + 1]++;
        for (int c = 0; c < wanted.n_channels; c++) channels[c + 1] += channels[c];
        order.resize(channels[wanted.n_channels]);
        for (int64_t i = 0; i < n; i++)
            if (int c = wanted.channel_of(first + i); c >= 0) order[channels[c]++] = i;
    }

    void place(const ketmap::Wanted &wanted, int64_t first, int64_t n, const bool *periodic, double cutoff) {
        double span = 0, origin[3], reach[3], expected = double(n);
        for (int k = 0; k < 3; k++) {
            origin[k] = 0.5 * (low[k] + high[k]);
            span = std::max(span, 0.5 * (high[k] - low[k]) + cutoff);
            // a little more than needed: rounding must not lose anybody
            reach[k] = periodic[k] ? cutoff * std::sqrt(dot(inverse[k], inverse[k])) * (1 + 1e-7) + 1e-7 : 0.0;
            expected *= periodic[k] ? 2 * reach[k] + greatest[k] - least[k] : 1.0;
        }
        if (!(expected < most)) {
            trouble = "the cutoff reaches too many images of the cell: more than 2^31";
            return;
        }
        doubt = std::ldexp(span, -20) + std::ldexp(largest, -46);
        const double margin = cutoff + doubt;
        sort(wanted, first, n);
        images.clear(), x.clear(), y.clear(), z.clear();
        own.assign(n, 0), centers.resize(3 * n);
        for (int64_t i = 0; i < n; i++)
            for (int k = 0; k < 3; k++) centers[3 * i + k] = float(wrapped[i][k] - origin[k]);
        int64_t done = 0;
        for (int c = 0; c < wanted.n_channels; c++) {
            const int64_t last = channels[c]; // `sort` has moved them to the ends
            channels[c] = int64_t(images.size());
            for (; done < last; done++) {
                const int64_t i = order[done];
                int32_t from[3], to[3];
                for (int k = 0; k < 3; k++) {
                    from[k] = periodic[k] ? int32_t(std::ceil(least[k] - reach[k] - fractions[i][k])) : 0;
                    to[k] = periodic[k] ? int32_t(std::floor(greatest[k] + reach[k] - fractions[i][k])) : 0;
                }
                own[i] = int64_t(images.size());
                for (int32_t a = from[0]; a <= to[0]; a++)
                    for (int32_t b = from[1]; b <= to[1]; b++)
                        for (int32_t c = from[2]; c <= to[2]; c++) {
                            double r[3];
                            bool near = true;
                            for (int k = 0; k < 3; k++) {
                                r[k] = wrapped[i][k] + (a * cell[0][k] + b * cell[1][k] + c * cell[2][k]);
                                near &= r[k] > low[k] - margin && r[k] < high[k] + margin;
                            }
                            if (!near) continue;
                            const int32_t *w = wraps.data() + 3 * i;
                            images.push_back({int32_t(first + i), {a - w[0], b - w[1], c - w[2]}});
                            x.push_back(float(r[0] - origin[0]));
                            y.push_back(float(r[1] - origin[1]));
                            z.push_back(float(r[2] - origin[2]));
                        }
            }
        }
        channels[wanted.n_channels] = int64_t(images.size());
    }
};

} // namespace KETMAP_ISA
