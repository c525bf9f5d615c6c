// Products coupled by Clebsch-Gordan coefficients, and their derivatives, as torch operators.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <tuple>
#include <vector>
#include "arguments.hpp"
#include "cg_product_kernels.hpp"
#include "dispatch.hpp"

KETMAP_DISPATCH(CgKernels, cg_kernels)

namespace ketmap {
namespace {

// The tables of ketmap_ops.cg_product.CgPaths, checked, and what kernels make of them
template <class T> struct CgPlan {
    std::map<std::pair<int64_t, int64_t>, CgColumns> columns; // by runs
    std::map<std::vector<int64_t>, CgProgram<T>> programs;    // by l1, l2 and (coupling, λ) of each path
    CgProduct<T> product;
    int64_t work = 0; // multiplications of one row, about
};

inline CgColumns columns_of(const int32_t *runs, int64_t first, int64_t last) {
    CgColumns made;
    int total = 0;
    for (int64_t r = first; r < last; r++)
        for (int done = 0; done < runs[3 * r + 2];) {
            const int at = total % cg_chunk, count = std::min(cg_chunk - at, runs[3 * r + 2] - done);
            if (at == 0) made.starts.push_back(int(made.segments.size()));
            made.segments.push_back({runs[3 * r], runs[3 * r + 1] + done, at, count});
            done += count;
            total += count;
        }
    made.starts.push_back(int(made.segments.size()));
    return made;
}

// `paths`: (first entry, last entry, λ) of each
template <class T>
CgProgram<T> program_of(int64_t l1, int64_t l2, const std::vector<std::array<int64_t, 3>> &paths,
                        const int32_t *entries, const T *weights) {
    struct Term {
        int product, row;
        T weight;
    };
    std::vector<Term> terms;
    int rows = 0;
    for (const auto &[first, last, l] : paths) {
        for (int64_t e = first; e < last; e++)
            terms.push_back({int(entries[3 * e] * (2 * l2 + 1) + entries[3 * e + 1]), rows + entries[3 * e + 2], weights[e]});
        rows += int(2 * l + 1);
    }
    CgProgram<T> made{int(2 * l1 + 1), int(2 * l2 + 1), rows, {}, {}, {0}, {}, {}, {0}, {}, {}};
    std::stable_sort(terms.begin(), terms.end(), [](auto &x, auto &y) { return x.product < y.product; });
    std::vector<int> place((2 * l1 + 1) * (2 * l2 + 1), -1); // of a pair (m1, m2) among those that are needed
    for (auto &term : terms) {
        if (place[term.product] < 0) {
            place[term.product] = int(made.m1.size());
            made.m1.push_back(int(term.product / (2 * l2 + 1)));
            made.m2.push_back(int(term.product % (2 * l2 + 1)));
            made.product_starts.push_back(made.product_starts.back());
        }
        term.product = place[term.product];
        made.product_starts.back()++;
        made.product_rows.push_back(term.row);
        made.product_weights.push_back(term.weight);
    }
    std::stable_sort(terms.begin(), terms.end(), [](auto &x, auto &y) { return x.row < y.row; });
    made.row_starts.resize(rows + 1);
    for (const auto &term : terms) {
        made.row_starts[term.row + 1]++;
        made.row_products.push_back(term.product);
        made.row_weights.push_back(term.weight);
    }
    for (int row = 0; row < rows; row++) made.row_starts[row + 1] += made.row_starts[row];
    return made;
}

template <class T>
std::unique_ptr<CgPlan<T>> plan_of(const char *op, const Tensor &a, const Tensor &b, const Tensor &factors,
                                   const Tensor &runs, const Tensor &paths, const Tensor &blocks, const Tensor &entries,
                                   const Tensor &weights, const Tensor &place, const Tensor &bases, int64_t size) {
    auto plan = std::make_unique<CgPlan<T>>();
    auto &p = plan->product;
    p.a = data<T>(op, "a", a, {-1, -1});
    p.b = data<T>(op, "b", b, {a.size(0), -1});
    p.size_1 = a.size(1);
    p.size_2 = b.size(1);
    p.end_2 = p.b + b.numel();
    p.n_groups = int(place.dim() == 2 ? place.size(1) : 0);
    const int64_t n_rows = a.size(0);
    p.place = indices<int64_t>(op, "place", place, {n_rows, -1}, -1, std::max<int64_t>(n_rows, 1));
    const int64_t *f = data<int64_t>(op, "factors", factors, {-1, 9}), *path = data<int64_t>(op, "paths", paths, {-1, 6}),
                  *block = data<int64_t>(op, "blocks", blocks, {-1, 3}),
                  *base = data<int64_t>(op, "bases", bases, {blocks.size(0) + 1});
    const int32_t *run = data<int32_t>(op, "runs", runs, {-1, 3}), *entry = data<int32_t>(op, "entries", entries, {-1, 3});
    const T *weight = data<T>(op, "weights", weights, {entries.size(0)});

    std::vector<int64_t> largest(p.n_groups, -1); // place that occurs
    for (int64_t i = 0; i < n_rows; i++)
        for (int g = 0; g < p.n_groups; g++) largest[g] = std::max(largest[g], p.place[i * p.n_groups + g]);
    for (int64_t k = 0; k < blocks.size(0); k++) {
        const auto [group, n_m, n] = std::tie(block[3 * k], block[3 * k + 1], block[3 * k + 2]);
        require(group >= 0 && group < p.n_groups, op, "'place' must have a column for the group of every block");
        require(base[k] >= 0 && base[k + 1] >= base[k] + (largest[group] + 1) * n_m * n && base[k + 1] <= size, op,
                "'bases' must leave room for the rows of every block");
    }
    int64_t next = 0;
    for (int64_t k = 0; k < factors.size(0); k++, f += 9) {
        const int64_t l1 = f[2], l2 = f[5], first = f[6], last = f[7], n = f[8];
        require(l1 >= 0 && l2 >= 0 && first >= 0 && first <= last && last <= runs.size(0) && n < (int64_t(1) << 31), op,
                "'factors' must name runs, and l from 0");
        int64_t q1 = 0, q2 = 0, total = 0;
        for (int64_t r = first; r < last; r++) {
            require(run[3 * r] >= 0 && run[3 * r + 1] >= 0 && run[3 * r + 2] > 0, op, "'runs' must be columns and counts");
            q1 = std::max<int64_t>(q1, run[3 * r] + 1);
            q2 = std::max<int64_t>(q2, run[3 * r + 1] + int64_t(run[3 * r + 2]));
            total += run[3 * r + 2];
        }
        require(total == n, op, "the size of a factor must be that of its runs");
        require(f[0] >= 0 && f[1] >= 0 && f[0] + 2 * l1 * f[1] + q1 <= p.size_1 && f[3] >= 0 && f[4] >= 0 &&
                    f[3] + 2 * l2 * f[4] + q2 <= p.size_2,
                op, "'factors' must lie within the rows of 'a' and 'b'");
        CgFactor<T> made{f[0], f[1], f[3], f[4], int(n), nullptr, nullptr, {}};
        std::vector<int64_t> key{l1, l2};
        std::vector<std::array<int64_t, 3>> mine;
        for (; next < paths.size(0) && path[6 * next] == k; next++) {
            const int64_t *t = path + 6 * next, l = t[3], index = t[4], column = t[5];
            require(t[1] >= 0 && t[1] <= t[2] && t[2] <= entries.size(0) && index >= 0 && index < blocks.size(0), op,
                    "'paths' must name entries and blocks");
            const int64_t *home = block + 3 * index;
            require(home[1] == 2 * l + 1 && column >= 0 && column + n <= home[2], op,
                    "'paths' must lie within their blocks");
            made.targets.push_back(
                {int(home[0]), int(home[1]), int(index), base[index], column, home[1] * home[2], home[2]});
            mine.push_back({t[1], t[2], l});
            key.insert(key.end(), {t[1], t[2], l});
            plan->work += n * (t[2] - t[1]);
        }
        if (mine.empty() || n == 0) continue;
        auto program = plan->programs.find(key);
        if (program == plan->programs.end()) {
            for (const auto &[begin, end, l] : mine)
                for (int64_t e = begin; e < end; e++)
                    require(entry[3 * e] >= 0 && entry[3 * e] <= 2 * l1 && entry[3 * e + 1] >= 0 &&
                                entry[3 * e + 1] <= 2 * l2 && entry[3 * e + 2] >= 0 && entry[3 * e + 2] <= 2 * l,
                            op, "'entries' must be components of their l1, l2 and λ");
            program = plan->programs.emplace(key, program_of<T>(l1, l2, mine, entry, weight)).first;
        }
        auto found = plan->columns.find({first, last});
        if (found == plan->columns.end()) found = plan->columns.emplace(std::pair{first, last}, columns_of(run, first, last)).first;
        made.program = &program->second;
        made.columns = &found->second;
        plan->work += n * made.program->products();
        p.factors.push_back(std::move(made));
    }
    require(next == paths.size(0), op, "'paths' must ascend by factor");
    return plan;
}

// Rows that are worth a thread of their own
template <class T> int64_t grain(const CgPlan<T> &plan) { return std::max<int64_t>(1, 40000 / (plan.work + 1)); }

Tensor cg_product(Tensor a, Tensor b, Tensor factors, Tensor runs, Tensor paths, Tensor blocks, Tensor entries,
                  Tensor weights, Tensor place, Tensor bases, int64_t size) {
    return by_type(a, "cg_product", [&](auto zero) {
        using T = decltype(zero);
        const auto plan =
            plan_of<T>("cg_product", a, b, factors, runs, paths, blocks, entries, weights, place, bases, size);
        Tensor result = empty(a, {size}, scalar_type<T>);
        T *out = mutable_data<T>(result);
        const bool streamed = size * sizeof(T) > (int64_t(1) << 23); // more than caches hold
        parallel(a.size(0), grain(*plan), [&](int64_t begin, int64_t end) {
            cg_kernels<T>().product(plan->product, streamed, out, begin, end);
        });
        return result;
    });
}

std::tuple<Tensor, Tensor> cg_product_vjp(std::vector<Tensor> grads, Tensor a, Tensor b, Tensor factors, Tensor runs,
                                          Tensor paths, Tensor blocks, Tensor entries, Tensor weights, Tensor place,
                                          Tensor bases) {
    return by_type(a, "cg_product_vjp", [&](auto zero) {
        using T = decltype(zero);
        int64_t size = 0;
        for (const Tensor &grad : grads) size += grad.numel();
        const auto plan = plan_of<T>("cg_product_vjp", a, b, factors, runs, paths, blocks, entries, weights, place,
                                     bases, size);
        require(int64_t(grads.size()) == blocks.size(0), "cg_product_vjp", "'grads' must have an entry for every block");
        const int64_t *base = static_cast<const int64_t *>(bases.const_data_ptr());
        std::vector<const T *> g;
        for (const Tensor &grad : grads) {
            require(grad.numel() == base[g.size() + 1] - base[g.size()], "cg_product_vjp",
                    "'grads' must have the sizes of the blocks");
            g.push_back(data<T>("cg_product_vjp", "grads", grad, {-1}));
        }
        Tensor to_a = empty(a, {a.size(0), a.size(1)}, scalar_type<T>), to_b = empty(b, {b.size(0), b.size(1)}, scalar_type<T>);
        T *out_a = mutable_data<T>(to_a), *out_b = mutable_data<T>(to_b);
        parallel(a.size(0), grain(*plan), [&](int64_t begin, int64_t end) {
            cg_kernels<T>().vjp(plan->product, g.data(), out_a, out_b, begin, end);
        });
        return std::make_tuple(to_a, to_b);
    });
}

} // namespace
} // namespace ketmap

STABLE_TORCH_LIBRARY_FRAGMENT(ketmap, m) {
    m.def("cg_product(Tensor a, Tensor b, Tensor factors, Tensor runs, Tensor paths, Tensor blocks, Tensor entries, "
          "Tensor weights, Tensor place, Tensor bases, int size) -> Tensor");
    m.def("cg_product_vjp(Tensor[] grads, Tensor a, Tensor b, Tensor factors, Tensor runs, Tensor paths, Tensor blocks, "
          "Tensor entries, Tensor weights, Tensor place, Tensor bases) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(ketmap, CPU, m) {
    m.impl("cg_product", TORCH_BOX(&ketmap::cg_product));
    m.impl("cg_product_vjp", TORCH_BOX(&ketmap::cg_product_vjp));
}
