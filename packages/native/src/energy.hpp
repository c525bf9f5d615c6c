// E_i = Σ_l Σ_m c_lm^T Q_l c_lm and its gradient, fused with the expansion: a few centres of one kind at a time, so that
// everything between positions and pair gradients stays in the cache and the harmonics and radial functions serve both ways.
#pragma once
#include <algorithm>
#include "expansion.hpp"

namespace KETMAP_ISA {

// X[row][k'] = Σ_k C[row][k] Q[k][k'] for all rows, in register tiles of Rows × Vectors
template <class T, int Rows, int Vectors> void product_tile(const T *C, const T *Q, T *X, int size) {
    using V = vec_t<T>;
    V acc[Rows][Vectors] = {};
    for (int k = 0; k < size; k++) {
        V q[Vectors];
        for (int v = 0; v < Vectors; v++) q[v] = load<T>(Q + int64_t(k) * size + v * lanes<T>);
        for (int i = 0; i < Rows; i++)
            for (int v = 0; v < Vectors; v++) acc[i][v] += C[int64_t(i) * size + k] * q[v];
    }
    for (int i = 0; i < Rows; i++)
        for (int v = 0; v < Vectors; v++) store<T>(X + int64_t(i) * size + v * lanes<T>, acc[i][v]);
}
template <class T, int Vectors> void product_columns(int rows, const T *C, const T *Q, T *X, int size) {
    constexpr int tall = vector_bytes == 64 ? 6 : 3; // accumulators that the registers hold
    int i = 0;
    for (; i + tall <= rows; i += tall) product_tile<T, tall, Vectors>(C + int64_t(i) * size, Q, X + int64_t(i) * size, size);
    for (; i < rows; i++) product_tile<T, 1, Vectors>(C + int64_t(i) * size, Q, X + int64_t(i) * size, size);
}
template <class T> void product(int rows, const T *C, const T *Q, T *X, int size) {
    int j = 0;
    for (; j + 4 * lanes<T> <= size; j += 4 * lanes<T>) product_columns<T, 4>(rows, C, Q + j, X + j, size);
    for (; j < size; j += lanes<T>) product_columns<T, 1>(rows, C, Q + j, X + j, size);
}

template <class T> struct EnergyKernel {
    using V = vec_t<T>;
    const ketmap::SoapEnergy<T> &s;
    Expansion<T> e;
    std::vector<T> self, quadratic, c, C, X;
    std::vector<Neighborhood<T>> hoods;
    int size; // channel * padded n

    explicit EnergyKernel(const ketmap::SoapEnergy<T> &s)
        : s(s), e(expansion(s.radial, s.n_channels)), self(self_density(e, s.center_weight)), size(s.n_channels * e.n_pad) {
        for (int i = 0; i < ketmap::energy_block; i++) hoods.emplace_back(e);
        c.resize(size_t(ketmap::energy_block) * e.size());
        C.resize(size_t(ketmap::energy_block) * (2 * e.l_max + 1) * size);
        X.resize(C.size());
    }

    // The quadratic form of one kind and l, padded in n like everything else
    const T *form(int kind, int l) {
        const int n = s.n_channels * e.n_max;
        const T *Q = s.quadratic + (int64_t(kind) * (e.l_max + 1) + l) * n * n;
        if (e.n_pad == e.n_max) return Q;
        quadratic.assign(size_t(size) * size, 0);
        for (int i = 0; i < n; i++)
            for (int a = 0; a < s.n_channels; a++)
                std::memcpy(&quadratic[size_t(i / e.n_max * e.n_pad + i % e.n_max) * size + a * e.n_pad],
                            Q + int64_t(i) * n + a * e.n_max, e.n_max * sizeof(T));
        return quadratic.data();
    }

    void expand(int64_t i, Neighborhood<T> &hood, T *ci) {
        const int atom = s.centers[i];
        const T *ri = s.positions + 3 * int64_t(atom), *cell = s.cells + 9 * int64_t(s.system[atom]);
        hood.gather(s.starts + i * s.n_channels, true, [&](int64_t p, T *v) {
            const T *rj = s.positions + 3 * int64_t(s.neighbors[p]);
            const int32_t *shift = s.shifts + 3 * p;
            for (int k = 0; k < 3; k++) v[k] = rj[k] - ri[k];
            if (shift[0] | shift[1] | shift[2])
                for (int k = 0; k < 3; k++) v[k] += T(shift[0]) * cell[k] + T(shift[1]) * cell[3 + k] + T(shift[2]) * cell[6 + k];
        });
        hood.template functions<true>();
        hood.coefficients(ci);
        if (s.own[i] >= 0)
            for (int n = 0; n < e.n_pad; n++) ci[s.own[i] * e.channel_size() + n] += self[n];
    }

    // centres [begin, end) are of one kind and at most energy_block of them
    void block(int64_t begin, int64_t end) {
        const int count = int(end - begin);
        for (int g = 0; g < count; g++) expand(begin + g, hoods[g], &c[size_t(g) * e.size()]);
        T energy[ketmap::energy_block] = {};
        for (int l = 0; l <= e.l_max; l++) {
            const int rows = 2 * l + 1;
            for (int g = 0; g < count; g++) // [centre, m, channel n] of this l
                for (int a = 0; a < s.n_channels; a++)
                    for (int m = 0; m < rows; m++)
                        std::memcpy(&C[(size_t(g) * rows + m) * size + a * e.n_pad],
                                    &c[size_t(g) * e.size() + a * e.channel_size() + (l * l + m) * e.n_pad], e.n_pad * sizeof(T));
            product<T>(count * rows, C.data(), form(s.kind[begin], l), X.data(), size);
            for (int g = 0; g < count; g++) {
                V sum_v{};
                for (int64_t k = int64_t(g) * rows * size; k < int64_t(g + 1) * rows * size; k += lanes<T>)
                    sum_v += load<T>(&C[k]) * load<T>(&X[k]);
                energy[g] += sum<T>(sum_v);
                if (s.diagonal) diagonal(begin + g, l, &C[size_t(g) * rows * size]);
                for (int a = 0; a < s.n_channels; a++) // the gradient 2X takes the place of c
                    for (int m = 0; m < rows; m++)
                        for (int j = 0; j < e.n_pad; j += lanes<T>)
                            store<T>(&c[size_t(g) * e.size() + a * e.channel_size() + (l * l + m) * e.n_pad + j],
                                     T(2) * load<T>(&X[(size_t(g) * rows + m) * size + a * e.n_pad + j]));
            }
        }
        for (int g = 0; g < count; g++) {
            s.energies[begin + g] = energy[g];
            pull_back(begin + g, hoods[g], &c[size_t(g) * e.size()]);
        }
    }

    void diagonal(int64_t i, int l, const T *Ci) {
        const T factor = T(1 / std::sqrt(2 * l + 1.0));
        for (int a = 0; a < s.n_channels; a++)
            for (int n = 0; n < e.n_max; n++) {
                T square = 0;
                for (int m = 0; m < 2 * l + 1; m++) square += Ci[m * size + a * e.n_pad + n] * Ci[m * size + a * e.n_pad + n];
                s.diagonal[((i * s.n_channels + a) * (e.l_max + 1) + l) * e.n_max + n] = factor * square;
            }
    }

    void pull_back(int64_t i, const Neighborhood<T> &hood, const T *G) {
        const int64_t *starts = s.starts + i * s.n_channels;
        std::memset(s.pair_gradients + 3 * starts[0], 0, 3 * (starts[s.n_channels] - starts[0]) * sizeof(T));
        T virial[9] = {};
        for (int a = 0; a < s.n_channels; a++)
            for (int p = hood.begin[a]; p < hood.begin[a + 1]; p++) {
                T g[3];
                hood.pull_back(p, G + a * e.channel_size(), g);
                std::memcpy(s.pair_gradients + 3 * hood.pair[p], g, sizeof(g));
                const T v[3] = {hood.r[p] * hood.x[p], hood.r[p] * hood.y[p], hood.r[p] * hood.z[p]};
                for (int k = 0; k < 9; k++) virial[k] += v[k / 3] * g[k % 3];
            }
        std::memcpy(s.virials + 9 * i, virial, sizeof(virial));
    }
};

template <class T> void soap_energy(const ketmap::SoapEnergy<T> &s, int64_t begin, int64_t end) {
    EnergyKernel<T> kernel(s);
    for (int64_t i = begin; i < end;) {
        int64_t stop = i + 1;
        while (stop < std::min<int64_t>(end, i + ketmap::energy_block) && s.kind[stop] == s.kind[i]) stop++;
        kernel.block(i, stop);
        i = stop;
    }
}

} // namespace KETMAP_ISA
