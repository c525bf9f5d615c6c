"""What a representation sees, and how much of it is needed: completeness, selection, contraction."""

__version__ = "0.1.0"
__all__ = []
