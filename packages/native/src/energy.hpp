// E_i = Σ_l Σ_m c_lm^T Q_l c_lm and its gradient, fused with the expansion: a few centres of one kind at a time, so
// that everything between positions and pair gradients stays in the cache and the harmonics and radial functions serve
// both ways.
#pragma once
#include <algorithm>
#include <deque>
#include "mixing.hpp"

namespace KETMAP_ISA {

// X[row][k'] = Σ_k C[row][k] Q[k][k'] in register tiles of Count × Vectors; C·X is added to energies[row][lane]
template <class T, int Count, int Vectors>
void quadratic_tile(const T *C, const T *Q, T *X, int size, int column, T *energies) {
    vec_t<T> sum[Count][Vectors] = {};
    for (int k = 0; k < size; k++) {
        vec_t<T> q[Vectors];
        unrolled<Vectors>([&](auto v) { q[v] = load<T>(Q + int64_t(k) * size + column + v * lanes<T>); });
        unrolled<Count>([&](auto i) {
            const vec_t<T> c = broadcast<T>(C[i * size + k]);
            unrolled<Vectors>([&](auto v) { sum[i][v] += c * q[v]; });
        });
    }
    unrolled<Count>([&](auto i) {
        vec_t<T> energy = load<T>(energies + i * lanes<T>);
        unrolled<Vectors>([&](auto v) {
            energy += sum[i][v] * load<T>(C + i * size + column + v * lanes<T>);
            store<T>(X + i * size + column + v * lanes<T>, sum[i][v]);
        });
        store<T>(energies + i * lanes<T>, energy);
    });
}
template <class T, int Vectors>
int quadratic_columns(int column, int n_rows, const T *C, const T *Q, T *X, int size, T *energies) {
    for (; column + Vectors * lanes<T> <= size; column += Vectors * lanes<T>) {
        int i = 0;
        for (; i + 6 <= n_rows; i += 6)
            quadratic_tile<T, 6, Vectors>(C + i * size, Q, X + i * size, size, column, energies + i * lanes<T>);
        for (; i < n_rows; i++)
            quadratic_tile<T, 1, Vectors>(C + i * size, Q, X + i * size, size, column, energies + i * lanes<T>);
    }
    return column;
}
template <class T> void quadratic_product(int n_rows, const T *C, const T *Q, T *X, int size, T *energies) {
    int column = 0;
    if (registers == 32) column = quadratic_columns<T, 4>(column, n_rows, C, Q, X, size, energies);
    column = quadratic_columns<T, 2>(column, n_rows, C, Q, X, size, energies);
    quadratic_columns<T, 1>(column, n_rows, C, Q, X, size, energies);
}

template <class T> struct EnergyKernel {
    static constexpr int block_size = ketmap::energy_block;
    const ketmap::SoapEnergy<T> &s;
    Expansion<T> e;
    int size;                            // channel * padded n
    SelfDensity<T> self;
    buffer<T> quadratic, energies;       // energies: [l][centre of the block][m][lane]
    buffer<T> C, X;                      // [l][centre of the block][m][channel][n padded]
    std::deque<Neighborhood<T>> hoods;
    Mixer<T> mixer;

    explicit EnergyKernel(const ketmap::SoapEnergy<T> &s)
        : s(s), e(expansion(s.radial, s.mixing.n_types)), size(s.mixing.n_channels * e.n_pad),
          self(self_density(e, s.center_weight)), energies(size_t(block_size) * e.n_lm * lanes<T>),
          C(size_t(block_size) * e.n_lm * size), X(C.size()), mixer(s.mixing, e) {
        for (int g = 0; g < block_size; g++) hoods.emplace_back(e);
    }

    template <class U> Rows<U> rows(U *c, int g, int channel) const {
        return {c + g * size + channel * e.n_pad, 2 * g * size, int64_t(block_size) * size, size};
    }
    T *degree(buffer<T> &c, int l, int g = 0) const { return &c[size_t(block_size * l * l + g * (2 * l + 1)) * size]; }

    // The quadratic form of one kind and l, padded in n like everything else
    const T *form(int kind, int l) {
        const int n_channels = s.mixing.n_channels, n = n_channels * e.n_max;
        const T *Q = s.quadratic + (int64_t(kind) * (e.l_max + 1) + l) * n * n;
        if (e.n_pad == e.n_max && aligned(Q)) return Q;
        quadratic.assign(size_t(size) * size, 0);
        for (int i = 0; i < n; i++)
            for (int a = 0; a < n_channels; a++)
                std::memcpy(&quadratic[size_t(i / e.n_max * e.n_pad + i % e.n_max) * size + a * e.n_pad],
                            Q + int64_t(i) * n + a * e.n_max, e.n_max * sizeof(T));
        return quadratic.data();
    }

    void expand(int64_t i, int g) {
        const int atom = s.centers[i];
        const T *ri = s.positions + 3 * int64_t(atom), *cell = s.cells + 9 * int64_t(s.system[atom]);
        hoods[g].gather(s.starts + i * s.mixing.n_types, true, [&](int64_t p, T *v) {
            const T *rj = s.positions + 3 * int64_t(s.neighbors[p]);
            const T shift[3] = {T(s.shifts[3 * p]), T(s.shifts[3 * p + 1]), T(s.shifts[3 * p + 2])};
            for (int k = 0; k < 3; k++)
                v[k] = rj[k] - ri[k] + (shift[0] * cell[k] + shift[1] * cell[3 + k] + shift[2] * cell[6 + k]);
        });
        hoods[g].template functions<true>();
        if (s.mixing.weights) {
            mixer.expand(hoods[g]);
            return mixer.mix(rows(C.data(), g, 0), e.n_pad, s.own[i], s.own[i] < 0 ? nullptr : self.of(s.own[i]));
        }
        for (int a = 0; a < s.mixing.n_channels; a++) hoods[g].coefficients(a, rows(C.data(), g, a));
        if (s.own[i] >= 0)
            for (int n = 0; n < e.n_pad; n++) C[g * size + s.own[i] * e.n_pad + n] += self.of(s.own[i])[n];
    }

    // centres [begin, end) are of one kind and at most block_size of them
    void block(int64_t begin, int64_t end) {
        const int count = int(end - begin);
        for (int g = 0; g < count; g++) expand(begin + g, g);
        std::fill(energies.begin(), energies.end(), T(0));
        for (int l = 0; l <= e.l_max; l++) {
            quadratic_product<T>(count * (2 * l + 1), degree(C, l), form(s.kind[begin], l), degree(X, l), size,
                                 &energies[block_size * l * l * lanes<T>]);
        }
        for (int g = 0; g < count; g++) {
            vec_t<T> energy{};
            for (int l = 0; l <= e.l_max; l++)
                for (int m = 0; m < 2 * l + 1; m++)
                    energy += load<T>(&energies[(block_size * l * l + g * (2 * l + 1) + m) * lanes<T>]);
            s.energies[begin + g] = sum<T>(energy);
            if (s.diagonal) diagonal(begin + g, g);
            pull_back(begin + g, g);
        }
    }

    void diagonal(int64_t i, int g) {
        for (int l = 0; l <= e.l_max; l++)
            for (int a = 0; a < s.mixing.n_channels; a++)
                for (int n = 0; n < e.n_max; n++) {
                    const T *c = degree(C, l, g) + a * e.n_pad + n;
                    T square = 0;
                    for (int m = 0; m < 2 * l + 1; m++) square += c[m * size] * c[m * size];
                    s.diagonal[((i * s.mixing.n_channels + a) * (e.l_max + 1) + l) * e.n_max + n] =
                        square / std::sqrt(T(2 * l + 1));
                }
    }

    void pull_back(int64_t i, int g) {
        const int n_types = s.mixing.n_types;
        const int64_t *starts = s.starts + i * n_types;
        std::memset(s.pair_gradients + 3 * starts[0], 0, 3 * (starts[n_types] - starts[0]) * sizeof(T));
        Neighborhood<T> &hood = hoods[g];
        T virial[9] = {};
        for (int a = 0; a < n_types; a++) {
            if (hood.begin[a] == hood.begin[a + 1]) continue;
            hood.prepare(s.mixing.weights ? mixer.unmix(a, rows<const T>(X.data(), g, 0), e.n_pad)
                                          : rows<const T>(X.data(), g, a));
            hood.pull_back_channel(a, [&](int p, const T *half) {
                const T gradient[3] = {2 * half[0], 2 * half[1], 2 * half[2]}; // of c^T Q c: 2 Q c
                std::memcpy(s.pair_gradients + 3 * hood.pair[p], gradient, sizeof(gradient));
                const T v[3] = {hood.r[p] * hood.x[p], hood.r[p] * hood.y[p], hood.r[p] * hood.z[p]};
                for (int k = 0; k < 9; k++) virial[k] += v[k / 3] * gradient[k % 3];
            });
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
