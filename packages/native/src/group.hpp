// Half pairs to full pairs, sorted by (centre, channel, neighbour atom, shift).
#pragma once
#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

namespace ketmap {

template <class T> struct HalfPairs {
    const int32_t *first, *second, *shifts; // [half], [half], [half, 3]
    const T *vectors;                       // [half, 3]
    int64_t size;
};

struct Places {
    const int32_t *rank, *channel; // [atom]
    int64_t n_segments;
    int n_channels;
    int64_t segment(int32_t center, int32_t neighbor) const {
        return rank[center] < 0 || channel[neighbor] < 0 ? -1 : int64_t(rank[center]) * n_channels + channel[neighbor];
    }
};

// A full pair before its data are copied: the neighbour and twice the half pair, plus one if that one is turned round.
struct Entry {
    int32_t neighbor;
    int64_t origin;
};

// Stable count of the pairs of each segment, then their entries in place: starts [segment + 1], entries [pair]
template <class T> std::vector<Entry> distribute(const HalfPairs<T> &half, const Places &places, int64_t *starts) {
    std::fill(starts, starts + places.n_segments + 1, 0);
    for (int64_t p = 0; p < half.size; p++) {
        const int64_t forward = places.segment(half.first[p], half.second[p]);
        const int64_t backward = places.segment(half.second[p], half.first[p]);
        if (forward >= 0) starts[forward + 1]++;
        if (backward >= 0) starts[backward + 1]++;
    }
    for (int64_t k = 0; k < places.n_segments; k++) starts[k + 1] += starts[k];
    std::vector<Entry> entries(starts[places.n_segments]);
    std::vector<int64_t> next(starts, starts + places.n_segments);
    for (int64_t p = 0; p < half.size; p++) {
        const int64_t forward = places.segment(half.first[p], half.second[p]);
        const int64_t backward = places.segment(half.second[p], half.first[p]);
        if (forward >= 0) entries[next[forward]++] = {half.second[p], 2 * p};
        if (backward >= 0) entries[next[backward]++] = {half.first[p], 2 * p + 1};
    }
    return entries;
}

// Sorts the entries of segments [begin, end) and copies the data of their pairs; place[origin] is where each one went.
template <class T>
void arrange(const HalfPairs<T> &half, const int64_t *starts, Entry *entries, int32_t *neighbors, int32_t *shifts,
             T *vectors, int64_t *place, int64_t begin, int64_t end) {
    auto shift = [&](const Entry &e, int k) { return e.origin & 1 ? -half.shifts[3 * (e.origin / 2) + k] : half.shifts[3 * (e.origin / 2) + k]; };
    for (int64_t segment = begin; segment < end; segment++) {
        std::sort(entries + starts[segment], entries + starts[segment + 1], [&](const Entry &a, const Entry &b) {
            if (a.neighbor != b.neighbor) return a.neighbor < b.neighbor;
            return std::make_tuple(shift(a, 0), shift(a, 1), shift(a, 2)) < std::make_tuple(shift(b, 0), shift(b, 1), shift(b, 2));
        });
        for (int64_t p = starts[segment]; p < starts[segment + 1]; p++) {
            const Entry &e = entries[p];
            const T *v = half.vectors + 3 * (e.origin / 2);
            neighbors[p] = e.neighbor;
            for (int k = 0; k < 3; k++) {
                shifts[3 * p + k] = shift(e, k);
                vectors[3 * p + k] = e.origin & 1 ? -v[k] : v[k];
            }
            place[e.origin] = p;
        }
    }
}

} // namespace ketmap
