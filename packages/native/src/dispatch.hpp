// The widest instruction set that this machine has (or that KETMAP_ISA names).
#pragma once
#include <cstdlib>
#include <stdexcept>
#include <string>
#include "kernels.hpp"

#define KETMAP_DECLARE(isa) namespace isa { template <class T> const ketmap::Kernels<T> &kernels(); }
KETMAP_DECLARE(generic)
#ifdef KETMAP_X86
KETMAP_DECLARE(avx2)
KETMAP_DECLARE(avx512)
#endif
#undef KETMAP_DECLARE

namespace ketmap {

inline const std::string &instruction_set() {
    static const std::string chosen = [] {
        std::string best = "generic";
#ifdef KETMAP_X86
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = "avx2";
        if (best == "avx2" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
            best = "avx512";
#endif
        const char *wanted = std::getenv("KETMAP_ISA");
        if (!wanted || best == wanted) return best;
        const std::string name = wanted;
        if (name == "generic" || (name == "avx2" && best == "avx512")) return name;
        throw std::runtime_error("KETMAP_ISA is '" + name + "', but this machine serves generic up to " + best);
    }();
    return chosen;
}

template <class T> const Kernels<T> &kernels() {
#ifdef KETMAP_X86
    if (instruction_set() == "avx512") return avx512::kernels<T>();
    if (instruction_set() == "avx2") return avx2::kernels<T>();
#endif
    return generic::kernels<T>();
}

} // namespace ketmap
