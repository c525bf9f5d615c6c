// Sums over wave vectors: phases of all atoms for a block of waves, structure factors S_a = Σ_j∈a u_j of u = exp(ik·r),
// and what a centre i sees of them, conj(u_i) S_a = Σ_j∈a (cos k·r_ij + i sin k·r_ij), times a matrix of weights.
#pragma once
#include <algorithm>
#include "sincos.hpp"
#include "waves_kernels.hpp"

namespace KETMAP_ISA {

using ketmap::wave_block;
using ketmap::wave_panel;
using ketmap::wave_tile;

template <class T> constexpr int block_vectors = wave_block / lanes<T>;

// The waves of one block, [x, y, z][wave], zeros behind the last
template <class T> struct WaveBlock {
    T k[3][wave_block] = {};
    int64_t first;
    int n;
    WaveBlock(const ketmap::Waves<T> &w, int64_t block)
        : first(block * wave_block), n(int(std::min<int64_t>(wave_block, w.n_waves - first))) {
        for (int i = 0; i < n; i++)
            for (int x = 0; x < 3; x++) k[x][i] = w.k[3 * (first + i) + x];
    }
};

// u of all atoms [atom][cos, sin][wave], and S [channel][cos, sin][wave]
template <class T>
void phases_of(const ketmap::Waves<T> &w, const WaveBlock<T> &block, T *phases, T *sums) {
    std::fill(sums, sums + 2 * wave_block * w.n_channels, T(0));
    for (int64_t atom = 0; atom < w.n_atoms; atom++, phases += 2 * wave_block) {
        const T *r = w.positions + 3 * atom;
        const int channel = w.channel[atom];
        T *sum = sums + 2 * wave_block * channel;
        for (int v = 0; v < wave_block; v += lanes<T>) {
            const vec_t<T> angle = load<T>(block.k[0] + v) * r[0] + load<T>(block.k[1] + v) * r[1] +
                                   load<T>(block.k[2] + v) * r[2];
            vec_t<T> s, c;
            sincos<T>(angle, s, c);
            store<T>(phases + v, c);
            store<T>(phases + wave_block + v, s);
            if (channel < 0) continue;
            store<T>(sum + v, load<T>(sum + v) + c);
            store<T>(sum + wave_block + v, load<T>(sum + wave_block + v) + s);
        }
    }
}

// conj(u) S: cos and sin of one row
template <class T> inline void product(const T *u, const T *S, T *cosine, T *sine) {
    for (int v = 0; v < wave_block; v += lanes<T>) {
        const vec_t<T> c = load<T>(u + v), s = load<T>(u + wave_block + v);
        const vec_t<T> C = load<T>(S + v), D = load<T>(S + wave_block + v);
        store<T>(cosine + v, c * C + s * D);
        store<T>(sine + v, c * D - s * C);
    }
}

template <class T>
void prepare_waves(const ketmap::Waves<T> &w, const ketmap::PreparedWaves<T> &to, int64_t begin, int64_t end) {
    constexpr int width = 2 * lanes<T>, per_panel = wave_panel / wave_block;
    const int64_t columns = w.columns();
    for (int64_t b = begin; b < end; b++) {
        const WaveBlock<T> block(w, b);
        const int64_t place = b - to.begin;
        phases_of(w, block, to.phases + place * w.n_atoms * 2 * wave_block,
                  to.sums + place * w.n_channels * 2 * wave_block);
        T *panel = to.matrix + place / per_panel * to.n_pairs * wave_panel * width;
        for (int pair = 0; pair < to.n_pairs; pair++) {
            T *row = panel + (pair * wave_panel + place % per_panel * wave_block) * width;
            const int32_t *column = to.column + pair * width;
            const T *weights = w.weights + block.first * columns;
            for (int i = 0; i < block.n; i++, row += width, weights += columns)
                if (column[0] + width - 1 == column[width - 1]) // they ascend, so these are neighbours
                    std::memcpy(row, weights + column[0], width * sizeof(T));
                else
                    for (int j = 0; j < width; j++) row[j] = column[j] >= 0 ? weights[column[j]] : T(0);
            std::fill(row, row + (wave_block - block.n) * width, T(0));
        }
    }
}

// c[row][2 vectors] += Σ_k a[row][k] b[k][2 vectors]
template <class T> inline void multiply_tile(const T *a, const T *b, T *c, int n) {
    constexpr int L = lanes<T>;
    vec_t<T> sum[wave_tile][2];
    unrolled<wave_tile>([&](auto row) {
        sum[row][0] = load<T>(c + 2 * row * L);
        sum[row][1] = load<T>(c + (2 * row + 1) * L);
    });
    for (int k = 0; k < n; k++, b += 2 * L) {
        const vec_t<T> first = load<T>(b), second = load<T>(b + L);
        unrolled<wave_tile>([&](auto row) {
            const vec_t<T> x = broadcast<T>(a[row * wave_panel + k]);
            sum[row][0] += x * first;
            sum[row][1] += x * second;
        });
    }
    unrolled<wave_tile>([&](auto row) {
        store<T>(c + 2 * row * L, sum[row][0]);
        store<T>(c + (2 * row + 1) * L, sum[row][1]);
    });
}

template <class T> void multiply_waves(const ketmap::Waves<T> &w, const ketmap::PreparedWaves<T> &from, T *c,
                                       int64_t begin, int64_t end) {
    constexpr int width = 2 * lanes<T>, per_panel = wave_panel / wave_block;
    constexpr int64_t at_once = 8, part = int64_t(wave_tile) * wave_panel; // tiles whose products stay in cache
    buffer<T> products(2 * at_once * part, T(0));                          // [cos, sin][tile][row][wave]
    T *cosine = products.data(), *sine = cosine + at_once * part;
    for (int64_t first = begin; first < end; first += at_once) {
        const int64_t last = std::min(end, first + at_once);
        const int64_t row = first * wave_tile, n_rows = std::min(w.rows(), last * wave_tile) - row;
        for (int64_t start = from.begin; start < from.end; start += per_panel) {
            const int n_blocks = int(std::min<int64_t>(per_panel, from.end - start));
            for (int64_t i = 0; i < n_rows; i++) {
                const int64_t center = w.centers[(row + i) / w.n_channels] - w.first;
                const int64_t channel = (row + i) % w.n_channels;
                for (int b = 0; b < n_blocks; b++) {
                    const int64_t block = start - from.begin + b, place = i * wave_panel + b * wave_block;
                    product(from.phases + (block * w.n_atoms + center) * 2 * wave_block,
                            from.sums + (block * w.n_channels + channel) * 2 * wave_block, cosine + place,
                            sine + place);
                }
            }
            const T *matrix =
                from.matrix + (start - from.begin) / per_panel * from.n_pairs * wave_panel * width;
            for (int pair = 0; pair < from.n_pairs; pair++, matrix += wave_panel * width)
                for (int64_t tile = first; tile < last; tile++)
                    multiply_tile<T>((pair < from.n_even ? cosine : sine) + (tile - first) * part, matrix,
                                     c + (tile * from.n_pairs + pair) * wave_tile * width, n_blocks * wave_block);
        }
    }
}

// to[r][wave] += Σ_i left[i · step + r · row_step] right[i · stride + wave] for Rows of r
template <class T, int Rows>
inline void accumulate(const T *left, int64_t step, int64_t row_step, const T *right, int64_t stride, int64_t n, T *to) {
    constexpr int n_vectors = block_vectors<T>;
    vec_t<T> sum[Rows][n_vectors];
    unrolled<Rows * n_vectors>([&](auto i) { sum[i / n_vectors][i % n_vectors] = load<T>(to + i * lanes<T>); });
    for (int64_t i = 0; i < n; i++, left += step, right += stride)
        unrolled<n_vectors>([&](auto v) {
            const vec_t<T> x = load<T>(right + v * lanes<T>);
            unrolled<Rows>([&](auto r) { sum[r][v] += left[r * row_step] * x; });
        });
    unrolled<Rows * n_vectors>([&](auto i) { store<T>(to + i * lanes<T>, sum[i / n_vectors][i % n_vectors]); });
}

// The same for any number of rows
template <class T> void accumulate_all(int64_t n_rows, const T *left, int64_t step, int64_t row_step, const T *right,
                                       int64_t stride, int64_t n, T *to) {
    constexpr int rows = std::max(1, 12 / block_vectors<T>); // what the registers hold
    int64_t r = 0;
    for (; r + rows <= n_rows; r += rows)
        accumulate<T, rows>(left + r * row_step, step, row_step, right, stride, n, to + r * wave_block);
    for (; r < n_rows; r++)
        accumulate<T, 1>(left + r * row_step, step, row_step, right, stride, n, to + r * wave_block);
}

// With z = g_cos − i g_sin, g the gradient pulled back through the weights, and T_a = Σ_i z_ia conj(u_i):
// ∂/∂(k·r_j) = Im(conj(u_j) Σ_a z_ja S_a) − Im(u_j T_a(j)).
template <class T> void vjp_waves(const ketmap::Waves<T> &w, const T *grad, T *grad_positions, T *grad_k,
                                  T *grad_weights, int64_t begin, int64_t end) {
    constexpr int B = wave_block, L = lanes<T>;
    const int64_t columns = w.columns(), panel = std::max(1, 64 / std::max(1, w.n_channels)); // centres at once
    buffer<T> phases(w.n_atoms * 2 * B), sums(w.n_channels * 2 * B), seen(w.n_channels * 2 * B), slopes(w.n_atoms * B);
    buffer<T> matrix(columns * B), pulled(columns * B);              // weights and their gradient, [column][wave]
    buffer<T> z(2 * panel * w.n_channels * B), products(z.size()); // [cos, sin][row][wave]
    const int64_t half = panel * w.n_channels * B;
    for (int64_t b = begin; b < end; b++) {
        const WaveBlock<T> block(w, b);
        phases_of(w, block, phases.data(), sums.data());
        std::fill(seen.begin(), seen.end(), T(0));
        std::fill(slopes.begin(), slopes.end(), T(0));
        std::fill(pulled.begin(), pulled.end(), T(0));
        for (int64_t column = 0; column < columns; column++)
            for (int i = 0; i < B; i++)
                matrix[column * B + i] = i < block.n ? w.weights[(block.first + i) * columns + column] : T(0);

        for (int64_t first = 0; first < w.n_centers; first += panel) {
            const int64_t last = std::min(w.n_centers, first + panel), n_rows = (last - first) * w.n_channels;
            const T *g = grad + first * w.n_channels * columns;
            std::fill(z.begin(), z.end(), T(0));
            for (int l = 0; l < w.n_l; l++) {
                const int64_t column = int64_t(l) * l * w.n, n = (2 * l + 1) * w.n;
                accumulate_all<T>(n_rows, g + column, 1, columns, &matrix[column * B], B, n,
                                  z.data() + (l % 2 ? half : 0));
            }
            for (int64_t i = first; i < last; i++) {
                const int64_t atom = w.centers[i] - w.first;
                const T *u = &phases[atom * 2 * B];
                for (int v = 0; v < B; v += L) {
                    const vec_t<T> c = load<T>(u + v), s = load<T>(u + B + v);
                    vec_t<T> real{}, imaginary{}; // Σ_a z_ia S_a
                    for (int a = 0; a < w.n_channels; a++) {
                        const int64_t row = ((i - first) * w.n_channels + a) * B + v;
                        const vec_t<T> gc = load<T>(&z[row]), gs = load<T>(&z[half + row]);
                        const T *S = &sums[a * 2 * B + v];
                        T *to = &seen[a * 2 * B + v];
                        real += gc * load<T>(S) + gs * load<T>(S + B);
                        imaginary += gc * load<T>(S + B) - gs * load<T>(S);
                        store<T>(to, load<T>(to) + (gc * c - gs * s));
                        store<T>(to + B, load<T>(to + B) - (gc * s + gs * c));
                    }
                    T *slope = &slopes[atom * B + v];
                    store<T>(slope, load<T>(slope) + (c * imaginary - s * real));
                }
                if (grad_weights)
                    for (int a = 0; a < w.n_channels; a++) {
                        const int64_t row = ((i - first) * w.n_channels + a) * B;
                        product(u, &sums[a * 2 * B], &products[row], &products[half + row]);
                    }
            }
            if (grad_weights)
                for (int l = 0; l < w.n_l; l++) {
                    const int64_t column = int64_t(l) * l * w.n, n = (2 * l + 1) * w.n;
                    accumulate_all<T>(n, g + column, columns, 1, products.data() + (l % 2 ? half : 0), B, n_rows,
                                      &pulled[column * B]);
                }
        }

        vec_t<T> along[3][block_vectors<T>] = {}; // Σ_j slope r_j
        for (int64_t atom = 0; atom < w.n_atoms; atom++) {
            const T *u = &phases[atom * 2 * B], *r = w.positions + 3 * atom;
            const int channel = w.channel[atom];
            vec_t<T> force[3] = {};
            unrolled<block_vectors<T>>([&](auto part) {
                constexpr int v = part * L;
                vec_t<T> slope = load<T>(&slopes[atom * B + v]);
                if (channel >= 0) {
                    const T *t = &seen[channel * 2 * B + v];
                    slope -= load<T>(u + v) * load<T>(t + B) + load<T>(u + B + v) * load<T>(t);
                }
                for (int x = 0; x < 3; x++) {
                    force[x] += slope * load<T>(block.k[x] + v);
                    along[x][part] += slope * r[x];
                }
            });
            for (int x = 0; x < 3; x++) grad_positions[3 * atom + x] += sum<T>(force[x]);
        }
        if (grad_k)
            for (int i = 0; i < block.n; i++)
                for (int x = 0; x < 3; x++) grad_k[3 * (block.first + i) + x] = along[x][i / L][i % L];
        if (grad_weights)
            for (int i = 0; i < block.n; i++)
                for (int64_t column = 0; column < columns; column++)
                    grad_weights[(block.first + i) * columns + column] = pulled[column * B + i];
    }
}

} // namespace KETMAP_ISA
