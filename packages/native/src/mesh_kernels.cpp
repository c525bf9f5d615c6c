// Compiled once per instruction set, with its flags and its namespace KETMAP_ISA.
#include "mesh.hpp"

namespace KETMAP_ISA {
template <class T> const ketmap::MeshKernels<T> &mesh_kernels() {
    static const ketmap::MeshKernels<T> table{mesh_splines<T>, mesh_spread<T>, mesh_gather<T>, mesh_slopes<T>};
    return table;
}
template const ketmap::MeshKernels<float> &mesh_kernels<float>();
template const ketmap::MeshKernels<double> &mesh_kernels<double>();
} // namespace KETMAP_ISA
