// What each instruction set provides for sums over wave vectors: functions over ranges, without threads of their own.
#pragma once
#include <cstdint>

namespace ketmap {

constexpr int wave_block = 16;  // waves whose phases stand side by side; behind the last one zeros
constexpr int wave_panel = 128; // waves that are multiplied at once
constexpr int wave_tile = 6;    // rows (centre, channel) that are multiplied at once

// One system: what is summed over its waves k is Σ_j∈a cos k·r_ij (even l), or sin (odd l), times weights[k]
template <class T> struct Waves {
    const T *positions, *k, *weights; // [atom][3], [wave][3], [wave][lm][n]
    const int32_t *channel, *centers; // [atom], [centre]: atoms counted from `first`
    int64_t first, n_atoms, n_centers, n_waves;
    int n_channels, n_l, n;

    int columns() const { return n_l * n_l * n; }
    int64_t rows() const { return n_centers * n_channels; }
    int64_t tiles() const { return (rows() + wave_tile - 1) / wave_tile; }
    int64_t blocks() const { return (n_waves + wave_block - 1) / wave_block; }
    bool even(int lm) const { // whether l is
        int l = 0;
        while ((l + 1) * (l + 1) <= lm) l++;
        return l % 2 == 0;
    }
};

// Some blocks of waves, prepared for all rows
template <class T> struct PreparedWaves {
    int64_t begin, end;    // blocks
    const int32_t *column; // [vector pair][lane]: of the weights, even l first; −1: none
    int n_even, n_pairs;   // of vectors of columns
    T *phases;             // [block][atom][cos, sin][wave]
    T *sums;               // [block][channel][cos, sin][wave]
    T *matrix;             // [panel][vector pair][wave][lane of two vectors]
};

template <class T> struct WaveKernels {
    int lanes;
    void (*prepare)(const Waves<T> &, const PreparedWaves<T> &, int64_t begin, int64_t end); // blocks
    // adds to c [tile][vector pair][row][lane]
    void (*multiply)(const Waves<T> &, const PreparedWaves<T> &, T *c, int64_t begin, int64_t end); // tiles
    // adds to grad_positions, writes what blocks of waves have in grad_k and grad_weights (null: not wanted)
    void (*vjp)(const Waves<T> &, const T *grad, T *grad_positions, T *grad_k, T *grad_weights, int64_t begin,
                int64_t end);
};

} // namespace ketmap
