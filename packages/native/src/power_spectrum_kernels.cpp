// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "outer.hpp"
#include "power_spectrum_design.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::SpectrumKernels<T> &spectrum_kernels() {
    static const ketmap::SpectrumKernels<T> table{spectrum_values<T>, spectrum_of_pairs<T>,  spectrum_vjp<T>,
                                                  spectrum_jvp<T>,    spectrum_positions<T>, spectrum_sums<T>,
                                                  spectrum_design<T>, expand_outer<T>};
    return table;
}
template const ketmap::SpectrumKernels<float> &spectrum_kernels<float>();
template const ketmap::SpectrumKernels<double> &spectrum_kernels<double>();
} // namespace KETMAP_ISA
