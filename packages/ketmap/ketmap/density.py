"""What stands at every neighbour, under featomic's names."""

from ketmap_density import Gaussian

__all__ = ["Gaussian"]
