"""Structures in, neighbour pairs, the exchange contract, files."""
