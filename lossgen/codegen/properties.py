"""What the curves of a loss say of it: where it saturates, whether it is convex, proper, and held by which dtypes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHARE = 0.01
"""A loss saturates where its gradient is below this share of that at score 0, where training begins."""
NO_SLOPE = 1e-9
"""A gradient at score 0 below this part of the largest counts as 0; the largest is the measure then."""
BOUNDED = 0.999
"""Descent that ends at a y_pred between this and its complement has found an optimum."""
NARROW = 0.5
"""A stretch of scores shorter than this is the surroundings of an optimum, not saturation."""
CONVEX_NOISE = 1e-9
ODDS = np.linspace(0.05, 0.95, 19)
"""Shares q of real images for which the best answer is sought."""
PROPER = 2e-3
"""How far, in y_pred, the best answer may be from q: some ten steps of the grid."""
UNIQUE = 2e-2
RISK_NOISE = 1e-12
LARGEST = {
    "float64": 1.7976931348623157e308,
    "float32": 3.4028234663852886e38,
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
}
"""The largest number of each dtype."""


@dataclass(frozen=True)
class Properness:
    """Whether a discriminator that minimises the loss answers with the odds.

    Attributes:
        kind: "strictly" where p = q alone minimises q·L(1, p) + (1 - q)·L(0, p) for every q of ODDS, "weakly" where
            other p do as well, else "no".
        q: where the minimiser is farthest from q.
        p: that minimiser.
    """

    kind: Literal["strictly", "weakly", "no"]
    q: float
    p: float


def saturation(gradient: Array, grid: Array) -> list[tuple[float, float]]:
    """Stretches of scores where the gradient (n,) is below SHARE of that at score 0; all of it where there is none.

    Where that at score 0, the middle of the grid, is 0, they are those below SHARE of the largest.
    """
    size = np.abs(gradient)
    start, largest = size[len(grid) // 2], size.max()
    whole = start if start > NO_SLOPE * largest else largest
    low = size < SHARE * whole if largest > 0.0 else np.full(len(grid), True)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    stretches = [(float(grid[first]), float(grid[after - 1])) for first, after in edges.reshape(-1, 2)]
    return [(lo, hi) for lo, hi in stretches if hi - lo >= NARROW]


def is_endless(score: float, gradient: Array, grid: Array) -> bool:
    """Whether descent along the gradient (n,), said to end at `score`, goes on to the end of the grid.

    A gradient that has become small, but still points there, ends the descent on paper only.
    """
    if not 1.0 / (1.0 + np.exp(-abs(score))) > BOUNDED:  # or it is not a number
        return False
    beyond = gradient[grid >= score] if score > 0.0 else -gradient[grid <= score]
    return bool(np.all(beyond < 0.0))


def is_convex(gradient: Array) -> bool:
    """Whether the gradient (n,) never falls from one score to the next, but for rounding."""
    return bool(np.all(np.diff(gradient) >= -CONVEX_NOISE * np.abs(gradient).max()))


@np.errstate(over="ignore", invalid="ignore")  # what overflows is the screen's to say
def properness(real: Array, fake: Array, grid: Array) -> Properness:
    """Compare the minimiser of the discriminator's loss with the share of real images, for each of ODDS.

    Args:
        real, fake: values (n,) of L(1, ·) and L(0, ·).
        grid: (n,) scores.
    """
    answers = 1.0 / (1.0 + np.exp(-grid))
    noise = RISK_NOISE * (np.abs(real).max() + np.abs(fake).max())
    worst, unique = (0.0, 0.5, 0.5), True
    for q in ODDS[::-1]:  # of two equally bad ones the larger q is named
        risk = q * real + (1.0 - q) * fake
        best = answers[risk <= risk.min() + noise]
        distance = np.abs(best - q)
        nearest = int(np.argmin(distance))
        if distance[nearest] > worst[0] + 1e-6:
            worst = (float(distance[nearest]), float(q), float(best[nearest]))
        unique &= bool(distance.max() <= UNIQUE)
    if worst[0] > PROPER:
        return Properness("no", *worst[1:])
    return Properness("strictly" if unique else "weakly", *worst[1:])


def held_by(*curves: Array) -> dict[str, bool]:
    """By dtype, whether it holds every number of the curves."""
    largest = max(float(np.abs(curve).max()) for curve in curves)  # NaN is not below anything
    return {dtype: largest <= limit for dtype, limit in LARGEST.items()}
