"""What representations see: the names of ``ketmap_analysis``."""

from ketmap_analysis import *  # noqa: F403
