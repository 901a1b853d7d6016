"""Values, and values with score-gradients, of a population of expressions at many points."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossgen.kernel.program import Population, encode
from lossgen.language.expression import Expression

Array = NDArray[np.float64]


def values(expressions: Sequence[Expression] | Population, scores: ArrayLike, targets: ArrayLike = 0.0) -> Array:
    """Values of P lowered expressions at n points, float64 (P, n).

    Args:
        expressions: lowered expressions, or their encoded population.
        scores: (n,) raw discriminator outputs.
        targets: (n,) or one number: y_real.
    """
    from lossgen.kernel import _dispatch

    population, scores, targets = _prepare(expressions, scores, targets)
    out = np.empty((len(population), len(scores)))
    _dispatch.values(population.codes, population.constants, population.offsets, population.stack, scores, targets, out)
    return out


def values_and_gradients(
    expressions: Sequence[Expression] | Population, scores: ArrayLike, targets: ArrayLike = 0.0
) -> tuple[Array, Array]:
    """Values and derivatives with respect to the score (forward mode), each float64 (P, n)."""
    from lossgen.kernel import _dispatch

    population, scores, targets = _prepare(expressions, scores, targets)
    out = np.empty((len(population), len(scores)))
    gradient = np.empty_like(out)
    _dispatch.values_and_gradients(
        population.codes, population.constants, population.offsets, population.stack, scores, targets, out, gradient
    )
    return out, gradient


def _prepare(
    expressions: Sequence[Expression] | Population, scores: ArrayLike, targets: ArrayLike
) -> tuple[Population, Array, Array]:
    population = expressions if isinstance(expressions, Population) else encode(expressions)
    at = np.array(scores, np.float64)  # copies: to Numba a read-only or strided array has a type of its own to compile
    return population, at, np.array(np.broadcast_to(np.asarray(targets, np.float64), at.shape), order="C")
