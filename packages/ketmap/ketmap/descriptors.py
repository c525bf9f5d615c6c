"""The other branches of the tree: the names of ``ketmap_descriptors``."""

from ketmap_descriptors import *  # noqa: F403
