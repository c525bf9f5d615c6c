"""The numerical kernels as torch operators, with their torch reference."""
