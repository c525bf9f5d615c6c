// The neighbour search: images of a system in a grid, and around each centre those that are near, in their order.
#pragma once
#include <bit>

#include "images.hpp"
#include "simd.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace KETMAP_ISA {

// Bit k: lane k is negative
inline uint64_t negative(vec_t<float> v) {
#if defined(__AVX2__)
    return uint64_t(_mm256_movemask_ps(__m256(v)));
#elif defined(__x86_64__)
    return uint64_t(_mm_movemask_ps(__m128(v)));
#else
    uint64_t bits = 0;
    for (int k = 0; k < lanes<float>; k++) bits |= uint64_t(v[k] < 0) << k;
    return bits;
#endif
}

constexpr int word = 64; // points that are tested together: one bit for each

// Columns of points along z, whose bins stand one after the other; few points are one bin.
struct Grid {
    int n[3] = {1, 1, 1};
    float start[3], inverse[3], width[3];
    std::vector<int32_t> starts;   // [bin + 1]
    std::vector<uint32_t> numbers; // [point]: which image it is; one bin needs none
    buffer<float> x, y, z;         // [point], and room for a word more

    bool sorted() const { return n[0] * n[1] * n[2] == 1; } // whether points stand in the order of the images

    int bin(int k, float value) const { // grows with the value
        const float place = (value - start[k]) * inverse[k];
        return place > 0 ? std::min(int(std::min(place, 1e9f)), n[k] - 1) : 0;
    }

    void build(const Images &images, double cutoff) {
        constexpr int64_t few = 3072; // are faster tested than sorted
        const int64_t size = int64_t(images.images.size());
        x.resize(size + word), y.resize(size + word), z.resize(size + word);
        n[0] = n[1] = n[2] = 1;
        if (size <= few) {
            std::copy(images.x.begin(), images.x.end(), x.begin());
            std::copy(images.y.begin(), images.y.end(), y.begin());
            std::copy(images.z.begin(), images.z.end(), z.begin());
            starts.assign({0, int32_t(size)});
            return;
        }
        divide(images, cutoff, size);
        std::vector<int32_t> place(size);
        starts.assign(int64_t(n[0]) * n[1] * n[2] + 1, 0);
        for (int64_t p = 0; p < size; p++) {
            place[p] = (bin(0, images.x[p]) * n[1] + bin(1, images.y[p])) * n[2] + bin(2, images.z[p]);
            starts[place[p] + 1]++;
        }
        for (size_t b = 1; b < starts.size(); b++) starts[b] += starts[b - 1];
        std::vector<int32_t> next(starts.begin(), starts.end() - 1);
        numbers.resize(size);
        for (int64_t p = 0; p < size; p++) {
            const int32_t to = next[place[p]]++;
            numbers[to] = uint32_t(p);
            x[to] = images.x[p], y[to] = images.y[p], z[to] = images.z[p];
        }
    }

  private:
    // Columns of half the cutoff if they hold enough points within reach, or else of all of it; bins of a quarter in
    // z; but no more of them than points
    void divide(const Images &images, double cutoff, int64_t size) {
        const std::vector<float> *values[3] = {&images.x, &images.y, &images.z};
        constexpr double enough = 12;
        double extent[3], volume = 1;
        for (int k = 0; k < 3; k++) {
            const auto [least, greatest] = std::minmax_element(values[k]->begin(), values[k]->end());
            start[k] = *least, extent[k] = double(*greatest) - double(*least);
            volume *= std::max(extent[k], cutoff);
        }
        const double inside = double(size) / volume * 0.5 * cutoff * cutoff * cutoff; // of a column of half the cutoff
        const double wide = inside < enough ? cutoff : 0.5 * cutoff;
        double part[3] = {wide, wide, 0.25 * cutoff};
        auto count = [&](int k) { return std::max(1.0, std::ceil(extent[k] / part[k])); };
        while (count(0) * count(1) * count(2) > double(size))
            for (int k = 0; k < 3; k++) part[k] *= 1.25;
        for (int k = 0; k < 3; k++) {
            n[k] = int(count(k));
            width[k] = float(part[k]), inverse[k] = float(1 / part[k]);
        }
    }
};

// Sorts numbers by ticking them off in a list of all, with a list of its words that are not empty.
class Ticks {
    std::vector<uint64_t> words, full;

  public:
    void resize(int64_t n) {
        words.assign(n / word + 1, 0);
        full.assign(words.size() / word + 1, 0);
    }
    void add(uint32_t number) {
        words[number / word] |= uint64_t(1) << number % word;
        full[number / word / word] |= uint64_t(1) << number / word % word;
    }
    // Writes all numbers, ascending, and forgets them
    uint32_t *take(uint32_t *out) {
        for (size_t f = 0; f < full.size(); f++) {
            for (uint64_t some = full[f]; some; some &= some - 1) {
                const uint32_t w = uint32_t(f * word) + std::countr_zero(some);
                for (uint64_t bits = words[w]; bits; bits &= bits - 1) *out++ = w * word + std::countr_zero(bits);
                words[w] = 0;
            }
            full[f] = 0;
        }
        return out;
    }
};

inline bool on_one_side(const int32_t *s) { // of S and -S, one
    const int64_t sum = int64_t(s[0]) + s[1] + s[2];
    return sum > 0 || (sum == 0 && (s[2] > 0 || (s[2] == 0 && s[1] > 0)));
}

// One system, ready for the search around its atoms.
template <class T> class Space {
    const ketmap::Structures<T> *all;
    const ketmap::Wanted *wanted;
    int64_t begin;
    double cutoff;
    const T *cell;
    Images images;
    Grid grid;

  public:
    // What a thread needs for itself
    struct Scratch {
        Ticks ticks;
        std::vector<uint32_t> near;
    };

    int64_t system = -1;

    const std::string &build(const ketmap::Structures<T> &structures, const ketmap::Wanted &who, int64_t which,
                             double within) {
        all = &structures, wanted = &who, cutoff = within, system = which;
        begin = all->starts[system], cell = all->cells + 9 * system;
        images.build(*all, who, system, cutoff);
        if (images.trouble.empty()) grid.build(images, cutoff);
        return images.trouble;
    }

    void prepare(Scratch &scratch) const {
        if (!grid.sorted()) scratch.ticks.resize(int64_t(images.images.size()));
        scratch.near.resize(std::max(scratch.near.size(), images.images.size()));
    }

    // Appends the neighbours of an atom in the order of results and counts those of each channel
    void around(int64_t atom, Scratch &scratch, std::vector<ketmap::Hit> &hits, int64_t *counts) const {
        const int64_t local = atom - begin;
        const int32_t *wrap = images.wraps.data() + 3 * local;
        const float *c = images.centers.data() + 3 * local;
        const int64_t first = wanted->half ? images.own[local] : 0;
        uint32_t *near = scratch.near.data(), *end = near;
        const Test test(*this, atom, wrap, c);
        if (grid.sorted()) {
            const int64_t size = int64_t(images.images.size());
            for (int64_t p = first; p < size; p += word)
                for (uint64_t bits = test(p, std::min<int64_t>(word, size - p)); bits; bits &= bits - 1)
                    *end++ = uint32_t(p + std::countr_zero(bits));
        } else {
            columns(c, test.reach, [&](int64_t from, int64_t to) {
                for (int64_t p = from; p < to; p += word)
                    for (uint64_t bits = test(p, std::min<int64_t>(word, to - p)); bits; bits &= bits - 1) {
                        const uint32_t number = grid.numbers[p + std::countr_zero(bits)];
                        if (number >= first) scratch.ticks.add(number);
                    }
            });
            end = scratch.ticks.take(near);
        }
        end = without_itself(atom, wrap, near, end);
        const size_t before = hits.size();
        hits.resize(before + (end - near));
        ketmap::Hit *out = hits.data() + before;
        for (const uint32_t *number = near; number < end; number++, out++) {
            const Image &image = images.images[*number];
            out->neighbor = image.atom;
            for (int k = 0; k < 3; k++) out->shift[k] = image.shift[k] + wrap[k];
        }
        const uint32_t *done = near;
        for (int channel = 0; channel < wanted->n_channels; channel++) {
            const uint32_t *next =
                std::lower_bound(done, const_cast<const uint32_t *>(end), images.channels[channel + 1]);
            counts[channel] = next - done;
            done = next;
        }
    }

  private:
    // Which of a word of points are near
    struct Test {
        const Space &space;
        int64_t atom;
        const int32_t *wrap;
        vec_t<float> x, y, z, outer, inner;
        float reach;

        Test(const Space &space, int64_t atom, const int32_t *wrap, const float *c)
            : space(space), atom(atom), wrap(wrap), x(broadcast(c[0])), y(broadcast(c[1])), z(broadcast(c[2])) {
            const double doubt = space.images.doubt, most = space.cutoff + doubt, least = space.cutoff - doubt;
            outer = broadcast(float(most * most));
            inner = broadcast(least > 0 ? float(least * least) : 0.0f);
            reach = float(most * (1 + 1e-6));
        }

        uint64_t operator()(int64_t p, int64_t size) const {
            constexpr int width = lanes<float>;
            uint64_t maybe = 0, sure = 0;
            for (int k = 0; k < size; k += width) {
                const auto dx = load(space.grid.x.data() + p + k) - x, dy = load(space.grid.y.data() + p + k) - y,
                           dz = load(space.grid.z.data() + p + k) - z;
                const auto square = dx * dx + dy * dy + dz * dz;
                maybe |= negative(square - outer) << k;
                sure |= negative(square - inner) << k;
            }
            if (size < word) maybe &= (uint64_t(1) << size) - 1;
            for (uint64_t doubtful = maybe & ~sure; doubtful; doubtful &= doubtful - 1) {
                const int k = std::countr_zero(doubtful);
                if (!space.exactly(atom, wrap, space.number(p + k))) maybe &= ~(uint64_t(1) << k);
            }
            return maybe;
        }
    };

    uint32_t number(int64_t p) const { return grid.sorted() ? uint32_t(p) : grid.numbers[p]; }

    bool exactly(int64_t atom, const int32_t *wrap, uint32_t number) const {
        const Image &image = images.images[number];
        const int32_t shift[3] = {image.shift[0] + wrap[0], image.shift[1] + wrap[1], image.shift[2] + wrap[2]};
        double v[3];
        const T *from = all->positions + 3 * atom, *to = all->positions + 3 * image.atom;
        return pair_vector(from, to, cell, shift, v) < cutoff * cutoff;
    }

    // visit(from, to) for the points of columns of bins that come nearer than `reach`
    template <class Visit> void columns(const float *c, float reach, const Visit &visit) const {
        const int a0 = grid.bin(0, c[0] - reach), a1 = grid.bin(0, c[0] + reach), b0 = grid.bin(1, c[1] - reach),
                  b1 = grid.bin(1, c[1] + reach);
        auto gap = [&](int k, int bin) { // from the centre to the bin, a little less
            const float left = grid.start[k] + bin * grid.width[k], right = left + grid.width[k];
            const float edge = (1e-3f + 1e-6f * grid.n[k]) * grid.width[k];
            // the first and last bins hold what rounding puts outside, too
            return std::max({0.0f, bin == 0 ? 0.0f : left - c[k] - edge,
                             bin == grid.n[k] - 1 ? 0.0f : c[k] - right - edge});
        };
        for (int a = a0; a <= a1; a++) {
            const float dx = gap(0, a);
            for (int b = b0; b <= b1; b++) {
                const float dy = gap(1, b), rest = reach * reach - dx * dx - dy * dy;
                if (rest < 0) continue;
                const float height = std::sqrt(rest);
                const int32_t *bins = grid.starts.data() + (int64_t(a) * grid.n[1] + b) * grid.n[2];
                visit(bins[grid.bin(2, c[2] - height)], bins[grid.bin(2, c[2] + height) + 1]);
            }
        }
    }

    // An atom is not its own neighbour; of half lists, only its images on one side are.
    uint32_t *without_itself(int64_t atom, const int32_t *wrap, uint32_t *near, uint32_t *end) const {
        uint32_t *begin = std::lower_bound(near, end, uint32_t(images.own[atom - this->begin]));
        uint32_t *to = begin, *same = begin;
        for (; same < end && images.images[*same].atom == atom; same++) {
            const int32_t *s = images.images[*same].shift;
            const int32_t shift[3] = {s[0] + wrap[0], s[1] + wrap[1], s[2] + wrap[2]};
            const bool itself = shift[0] == 0 && shift[1] == 0 && shift[2] == 0;
            if (!itself && (!wanted->half || on_one_side(shift))) *to++ = *same;
        }
        return to == same ? end : std::copy(same, end, to);
    }
};

template <class T>
void find_neighbors(const ketmap::Structures<T> &all, const ketmap::Wanted &wanted, double cutoff,
                    std::vector<ketmap::Share> &shares, int64_t *counts, const ketmap::ForEach &for_each) {
    auto system_of = [&](int64_t atom) {
        return std::upper_bound(all.starts, all.starts + all.n_systems + 1, atom) - all.starts - 1;
    };
    // systems that several threads work on are made ready once
    std::vector<int64_t> split;
    for (const auto &share : shares)
        if (share.begin < share.end && all.starts[system_of(share.begin)] < share.begin)
            if (const int64_t system = system_of(share.begin); split.empty() || split.back() != system)
                split.push_back(system);
    std::vector<Space<T>> shared(split.size());
    std::vector<std::string> trouble(split.size());
    for_each(int64_t(split.size()), [&](int64_t s) { trouble[s] = shared[s].build(all, wanted, split[s], cutoff); });
    for (const std::string &what : trouble)
        if (!what.empty()) {
            shares[0].trouble = what;
            return;
        }

    for_each(int64_t(shares.size()), [&](int64_t which) {
        ketmap::Share &share = shares[which];
        Space<T> single;
        typename Space<T>::Scratch scratch;
        const Space<T> *space = nullptr;
        int64_t end = share.begin, done = 0; // of the system at hand; centres that are done
        for (int64_t atom = share.begin; atom < share.end; atom++) {
            const int64_t center = wanted.center(atom);
            if (center < 0) continue;
            if (atom >= end) {
                const int64_t system = system_of(atom);
                end = all.starts[system + 1];
                const auto found = std::find(split.begin(), split.end(), system);
                if (found == split.end()) share.trouble = single.build(all, wanted, system, cutoff);
                space = found == split.end() ? &single : &shared[found - split.begin()];
                if (!share.trouble.empty()) return;
                space->prepare(scratch);
            }
            space->around(atom, scratch, share.hits, counts + center * wanted.n_channels);
            // room for all, by what was found so far: growing step by step touches twice as much fresh memory
            if (++done >= 16 && std::has_single_bit(uint64_t(done)))
                share.hits.reserve(size_t(1.1 * double(share.hits.size()) / double(done) * double(share.centers)));
        }
    });
}

template <class T>
void place_neighbors(const ketmap::Structures<T> &all, const ketmap::Wanted &wanted, const ketmap::Share &share,
                     const int64_t *starts, int32_t *first, int32_t *neighbors, int32_t *shifts, T *vectors) {
    const ketmap::Hit *hit = share.hits.data();
    int64_t system = -1, end = 0;
    for (int64_t atom = share.begin; atom < share.end; atom++) {
        const int64_t center = wanted.center(atom);
        if (center < 0) continue;
        if (atom >= end) {
            system = std::upper_bound(all.starts, all.starts + all.n_systems + 1, atom) - all.starts - 1;
            end = all.starts[system + 1];
        }
        const T *cell = all.cells + 9 * system, *from = all.positions + 3 * atom;
        const int64_t stop = starts[(center + 1) * wanted.n_channels];
        for (int64_t p = starts[center * wanted.n_channels]; p < stop; p++, hit++) {
            double v[3];
            pair_vector(from, all.positions + 3 * hit->neighbor, cell, hit->shift, v);
            if (first) first[p] = int32_t(atom);
            neighbors[p] = hit->neighbor;
            for (int k = 0; k < 3; k++) {
                shifts[3 * p + k] = hit->shift[k];
                vectors[3 * p + k] = T(v[k]);
            }
        }
    }
}

} // namespace KETMAP_ISA
