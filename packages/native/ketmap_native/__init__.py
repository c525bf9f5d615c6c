"""The kernels of ketmap for CPU, in C++20 with SIMD: a library of torch operators, loaded by :mod:`ketmap_ops`.

``library`` is its path; C++ engines that run exported models load the same file.
"""

from pathlib import Path

library = Path(__file__).with_name("libketmap_native.so")

__all__ = ["library"]
