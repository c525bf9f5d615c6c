// The widest instruction set that this machine has (or that KETMAP_ISA names).
#pragma once
#include <cstdlib>
#include <stdexcept>
#include <string>

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

} // namespace ketmap

// Declares ketmap::name<T>(): the Table<T> of this machine. Every instruction set defines its own name<T>() in
// kernels.cpp or the like. To stand outside namespaces.
#define KETMAP_DECLARE(isa, Table, name)                                                                               \
    namespace isa {                                                                                                    \
    template <class T> const ketmap::Table<T> &name();                                                                 \
    }
#ifdef KETMAP_X86
#define KETMAP_DISPATCH(Table, name)                                                                                   \
    KETMAP_DECLARE(generic, Table, name)                                                                               \
    KETMAP_DECLARE(avx2, Table, name)                                                                                  \
    KETMAP_DECLARE(avx512, Table, name)                                                                                \
    namespace ketmap {                                                                                                 \
    template <class T> const Table<T> &name() {                                                                        \
        if (instruction_set() == "avx512") return avx512::name<T>();                                                   \
        if (instruction_set() == "avx2") return avx2::name<T>();                                                       \
        return generic::name<T>();                                                                                     \
    }                                                                                                                  \
    }
#else
#define KETMAP_DISPATCH(Table, name)                                                                                   \
    KETMAP_DECLARE(generic, Table, name)                                                                               \
    namespace ketmap {                                                                                                 \
    template <class T> const Table<T> &name() { return generic::name<T>(); }                                           \
    }
#endif
