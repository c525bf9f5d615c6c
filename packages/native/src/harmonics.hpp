// Real spherical harmonics as homogeneous polynomials in (x, y, z), for a vector of pairs at once.
//
// Y_lm = Q_l|m|(z, r²) · { s_|m| (m < 0), 1 (m = 0), c_m (m > 0) },  c_m + i s_m = (x + iy)^m
// with normalised associated Legendre polynomials Q r^(l-m), by upward recursion in l for every m
// (Bigi, Fraux, Browning, Ceriotti, J. Chem. Phys. 159, 064802 (2023)); no Condon-Shortley phase: l = 1 is (y, z, x).
#pragma once
#include <vector>
#include "simd.hpp"

namespace KETMAP_ISA {

// Values of a vector of pairs: [lm][lane]; its own block in an array of blocks, so that m is a constant distance away.
template <class T> struct Harmonics {
    int l_max, n_lm;
    std::vector<T> recursion; // in the order of use: of m, (diagonal, then (a, b) of l = m+1 …)

    explicit Harmonics(int l_max) : l_max(l_max), n_lm((l_max + 1) * (l_max + 1)) {
        for (int m = 0; m <= l_max; m++) {
            double diagonal = m == 0 ? 1 / (4 * M_PI) : 1 / (2 * M_PI); // Q_mm² = (2m+1)!!/(2m)!! of this
            for (int k = 1; k <= m; k++) diagonal *= (2 * k + 1.0) / (2 * k);
            recursion.push_back(T(std::sqrt(diagonal)));
            for (int l = m + 1; l <= l_max; l++) {
                const double square = (2 * l + 1.0) / double(l * l - m * m);
                const double before = l == m + 1 ? 0 : ((l - 1.0) * (l - 1.0) - m * m) / (2 * l - 3.0);
                recursion.push_back(T(std::sqrt(square * (2 * l - 1.0))));
                recursion.push_back(T(-std::sqrt(square * before)));
            }
        }
    }

    void compute(vec_t<T> x, vec_t<T> y, vec_t<T> z, T *Y) const {
        using V = vec_t<T>;
        const T *next = recursion.data();
        const int last_l = l_max; // a copy: stores to Y may not change it
        const V r2 = x * x + y * y + z * z;
        V c = broadcast<T>(1), s{};
        for (int m = 0; m <= last_l; m++) {
            V last{}, q = broadcast<T>(*next++);
            for (int l = m;;) {
                T *middle = Y + (l * l + l) * lanes<T>;
                if (m > 0) store<T>(middle - m * lanes<T>, q * s);
                store<T>(middle + m * lanes<T>, q * c);
                if (++l > last_l) break;
                const V higher = next[0] * z * q + next[1] * r2 * last;
                next += 2;
                last = q;
                q = higher;
            }
            const V turned = x * c - y * s;
            s = x * s + y * c;
            c = turned;
        }
    }
};

// Derivatives of solid harmonics are solid harmonics of one degree less: ∂_k Y_lm = Σ_m' D^k_{m m'} Y_{l-1,m'}
// (from (∂x ± i∂y), ∂z of r^l Y_lm: Varshalovich, Moskalev, Khersonskii, section 5.8.3). At most two m have a given m'.
template <class T> struct Ladder {
    struct Rung {
        int row[2];  // l + m, of degree l
        T weight[2]; // zero: nothing
    };
    std::vector<Rung> rungs; // [m' of degree 0, 1 … l_max - 1][x, y, z]

    explicit Ladder(int l_max) {
        for (int l = 1; l <= l_max; l++) {
            rungs.insert(rungs.end(), 3 * (2 * l - 1), Rung{{0, 0}, {0, 0}});
            for (int m = 0; m <= l; m++) {
                const double f = (2 * l + 1.0) / (2 * l - 1.0), half = m == 0 ? std::sqrt(0.5) : 0.5;
                const double up = half * std::sqrt(f * (l - m) * (l - m - 1));
                const double down = half * std::sqrt(f * (l + m) * (l + m - 1)) * (m == 1 ? std::sqrt(2.0) : 1);
                const double same = std::sqrt(f * (l * l - m * m));
                add(l, m, 0, m + 1, -up);
                add(l, m, 1, -m - 1, -up);
                add(l, m, 2, m, same);
                if (m == 0) continue;
                add(l, m, 0, m - 1, down);
                add(l, -m, 1, m - 1, down);
                add(l, -m, 0, -m - 1, -up);
                add(l, -m, 1, m + 1, up);
                add(l, -m, 2, -m, same);
                if (m == 1) continue;
                add(l, m, 1, 1 - m, -down);
                add(l, -m, 0, 1 - m, down);
            }
        }
    }

    void add(int l, int m, int k, int lower, double weight) {
        if (lower <= -l || lower >= l) return;
        Rung &rung = rungs[3 * (l * l - l + lower) + k]; // (l-1)² + (l-1) + m'
        const int free = rung.weight[0] != 0;
        rung.row[free] = l + m;
        rung.weight[free] = T(weight);
    }
};

} // namespace KETMAP_ISA
