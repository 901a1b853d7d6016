"""sympy: the bridge to it, and simplification that is accepted only when the kernel agrees."""
