"""Spherical expansion of the neighbour density."""
