// What each instruction set provides for the neighbour search: all that is done around the centres of a batch.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ketmap {

template <class T> struct Structures {
    const T *positions, *cells; // [atom, 3], [system, 3, 3]
    const bool *pbc;            // [system, 3]
    const int64_t *starts;      // [system + 1]
    int64_t n_systems;
};

// Around whom to search, and for whom
struct Wanted {
    const int32_t *rank, *channel; // [atom], -1: it is no centre, no neighbour. Null: all are, in one channel
    int n_channels;
    bool half; // of a pair and its mirror image one: the second atom comes later, or is an image on one side
    int64_t center(int64_t atom) const { return rank ? rank[atom] : atom; }
    int channel_of(int64_t atom) const { return channel ? channel[atom] : 0; }
};

struct Hit {
    int32_t neighbor, shift[3];
};

// What one thread found around the atoms [begin, end), in their order
struct Share {
    int64_t begin, end, centers;
    std::vector<Hit> hits;
    std::string trouble; // why there is no result
};

// calls f(0) … f(n - 1), in any order, by several threads
using ForEach = std::function<void(int64_t n, const std::function<void(int64_t)> &f)>;

template <class T> struct SearchKernels {
    // fills the hits of the shares and counts [centre, channel]
    void (*find)(const Structures<T> &, const Wanted &, double cutoff, std::vector<Share> &, int64_t *counts,
                 const ForEach &);
    // copies what a share found to its place; starts [centre * channel + 1]
    void (*place)(const Structures<T> &, const Wanted &, const Share &, const int64_t *starts, int32_t *first,
                  int32_t *neighbors, int32_t *shifts, T *vectors);
};

} // namespace ketmap
