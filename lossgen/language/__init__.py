"""The loss language: text to expressions and back. Knows nothing of search, Numba or training."""
