// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "waves.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::WaveKernels<T> &wave_kernels() {
    static const ketmap::WaveKernels<T> table{lanes<T>, prepare_waves<T>, multiply_waves<T>, vjp_waves<T>};
    return table;
}
template const ketmap::WaveKernels<float> &wave_kernels<float>();
template const ketmap::WaveKernels<double> &wave_kernels<double>();
} // namespace KETMAP_ISA
