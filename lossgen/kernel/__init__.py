"""Numba: whole populations of expressions to numbers."""
