"""The long-range field expanded around every atom."""

__version__ = "0.1.0"
__all__ = []
