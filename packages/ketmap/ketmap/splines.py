"""Bases and densities of any form, under featomic's names."""

from ketmap_density import SoapSpliner
from ketmap_lode import LodeSpliner

__all__ = ["LodeSpliner", "SoapSpliner"]
