// Half pairs to full pairs, sorted by (centre, channel, neighbour atom, shift).
#pragma once
#include <algorithm>
#include <cstdint>
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

// A full pair before its data are copied: its neighbour in the high half, and in the low half its origin: twice the
// half pair, plus one if that one is turned round. Sorting these numbers sorts by neighbour.
using Entry = uint64_t;
inline Entry entry(int32_t neighbor, int64_t origin) { return uint64_t(uint32_t(neighbor)) << 32 | uint64_t(origin); }
inline int32_t neighbor_of(Entry e) { return int32_t(e >> 32); }
inline int64_t origin_of(Entry e) { return int64_t(e & 0xffffffffu); }
constexpr int64_t largest_list = int64_t(1) << 31; // half pairs whose two ends 32 bits can number

// Calls visit(segment, entry) for both ends of half pairs [begin, end), where that end is wanted.
template <class T, class Visit>
void visit_ends(const HalfPairs<T> &half, const Places &places, int64_t begin, int64_t end, const Visit &visit) {
    for (int64_t p = begin; p < end; p++) {
        const int32_t i = half.first[p], j = half.second[p];
        const int64_t forward = places.segment(i, j), backward = places.segment(j, i);
        if (forward >= 0) visit(forward, entry(j, 2 * p));
        if (backward >= 0) visit(backward, entry(i, 2 * p + 1));
    }
}

// Entries of each segment, not yet sorted: starts [segment + 1], entries [pair]. Each part of the list is counted, then
// written, by itself; `parallel(n, f)` calls f(part) for all parts.
template <class T, class Parallel> std::vector<Entry>
distribute(const HalfPairs<T> &half, const Places &places, int64_t *starts, int n_parts, const Parallel &parallel) {
    const int64_t n = places.n_segments;
    std::vector<uint32_t> next(n_parts * n, 0); // [part, segment]: count, then place of the next entry
    auto part_of = [&](int part, const auto &visit) {
        visit_ends(half, places, half.size * part / n_parts, half.size * (part + 1) / n_parts, visit);
    };
    parallel(n_parts, [&](int part) { part_of(part, [&](int64_t segment, Entry) { next[part * n + segment]++; }); });
    int64_t total = 0;
    for (int64_t segment = 0; segment < n; segment++) {
        starts[segment] = total;
        for (int part = 0; part < n_parts; part++) {
            const uint32_t count = next[part * n + segment];
            next[part * n + segment] = uint32_t(total);
            total += count;
        }
    }
    starts[n] = total;
    std::vector<Entry> entries(total);
    parallel(n_parts, [&](int part) {
        part_of(part, [&](int64_t segment, Entry e) { entries[next[part * n + segment]++] = e; });
    });
    return entries;
}

template <class Less> void insertion_sort(Entry *begin, Entry *end, Less less) {
    for (Entry *e = begin; e < end; e++) {
        const Entry moving = *e;
        Entry *to = e;
        for (; to > begin && less(moving, to[-1]); to--) *to = to[-1];
        *to = moving;
    }
}

// Sorts the entries of segments [begin, end) and copies the data of their pairs; place[origin] is where each one went.
template <class T> void arrange(const HalfPairs<T> &half, const int64_t *starts, Entry *entries, int32_t *neighbors,
                                int32_t *shifts, T *vectors, uint32_t *place, int64_t begin, int64_t end) {
    auto shift = [&](Entry e, int k) {
        const int32_t s = half.shifts[3 * (origin_of(e) / 2) + k];
        return origin_of(e) & 1 ? -s : s;
    };
    auto by_shift = [&](Entry a, Entry b) { // among images of one neighbour
        for (int k = 0; k < 3; k++)
            if (shift(a, k) != shift(b, k)) return shift(a, k) < shift(b, k);
        return a < b;
    };
    for (int64_t segment = begin; segment < end; segment++) {
        Entry *first = entries + starts[segment], *last = entries + starts[segment + 1];
        if (last - first < 64) insertion_sort(first, last, [](Entry a, Entry b) { return a < b; });
        else std::sort(first, last);
        for (Entry *same = first; same < last;) {
            Entry *next = same + 1;
            while (next < last && neighbor_of(*next) == neighbor_of(*same)) next++;
            if (next - same > 1) std::sort(same, next, by_shift);
            same = next;
        }
        for (int64_t p = starts[segment]; p < starts[segment + 1]; p++) {
            const int64_t origin = origin_of(entries[p]);
            const T *v = half.vectors + 3 * (origin / 2);
            const int32_t *s = half.shifts + 3 * (origin / 2);
            const int sign = origin & 1 ? -1 : 1;
            neighbors[p] = neighbor_of(entries[p]);
            for (int k = 0; k < 3; k++) {
                shifts[3 * p + k] = sign * s[k];
                vectors[3 * p + k] = T(sign) * v[k];
            }
            place[origin] = uint32_t(p);
        }
    }
}

} // namespace ketmap
