"""Checks that need no training: what cannot train is rejected, with its reason.

A loss acts on a GAN through its score-gradients alone, so they are all that is looked at, on a grid of scores.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.program import encode
from lossgen.language.loss import ROLES
from lossgen.language.lower import LoweredLoss

GRID = np.linspace(-8.0, 8.0, 129)
"""Scores at which losses are judged; 0 is the middle one. y_pred runs from 3e-4 to 1 - 3e-4."""

FAR = np.array([-30.0, 30.0])
"""Scores at which a loss need only be finite."""

SCORES = np.concatenate([GRID, FAR])
"""All scores at which the screen evaluates a loss."""

CENTRE = np.abs(GRID) <= 1.0
STEEP = 1e3
"""A gradient this many times the largest near score 0, anywhere on the grid, is an explosion."""
LARGEST = 1e12
"""Largest magnitude of a value or gradient: beyond, float32 training has no digits left."""
GAP = 0.1
"""Real, and the generator's aim, must settle this much above fake in y_pred. Of 24 random losses that settle the right
way, but closer together, none trained; of 24 that pass the screen 8 did (benchmarks/screen.py)."""
NO_GRADIENT = 1e-9
SAME_CURVE = 1e-6
AT_REST = 1e-6
"""Gradient, relative to its largest on the grid, below which descent has come to rest."""

Array = NDArray[np.float64]


class Rejection(StrEnum):
    """Why a loss is not worth training."""

    NOT_FINITE = "not finite"
    IGNORES_TARGET = "ignores the target"
    FLAT = "flat"
    WRONG_WAY = "settles the wrong way"
    EXPLODES = "explodes"
    DUPLICATE = "duplicate"
    ILL_CONDITIONED = "ill-conditioned"
    """Passes here, in float64, but its module does not compute in float32 what was judged: `codegen.verify` says so."""


@dataclass(frozen=True)
class Curves:
    """Value and score-gradient of each role on the grid, in the order of ROLES; each (3, 129)."""

    value: Array
    gradient: Array


@dataclass(frozen=True)
class Screening:
    """What the screen found.

    Attributes:
        rejection: None for a loss that may be trained.
        detail: one phrase about the rejection, with the role and the numbers.
        curves: on the grid; not to be used where the rejection is NOT_FINITE.
        settles: the score at which descent from 0 ends, a role.
    """

    rejection: Rejection | None
    detail: str
    curves: Curves
    settles: tuple[float, float, float]


def screen(losses: Sequence[LoweredLoss]) -> list[Screening]:
    """Judge lowered losses, all in one call of the kernel; those with batch terms where the means are 0."""
    if not losses:
        return []
    population = encode([loss.roles[role] for loss in (each.at_means() for each in losses) for role in ROLES])
    value, gradient = values_and_gradients(population, SCORES)
    return [judge(value[i : i + 3], gradient[i : i + 3]) for i in range(0, 3 * len(losses), 3)]


def settle(gradient: Array, grid: Array = GRID) -> float:
    """The score at which descent from score 0 ends on the grid, along one curve of gradients (n,).

    Args:
        gradient: d loss / d score at the grid's points.
        grid: (n,) evenly spaced scores with 0 in the middle.
    """
    rest = AT_REST * float(np.max(np.abs(gradient)))
    at = len(grid) // 2
    down = gradient[at] > rest
    if not down and not gradient[at] < -rest:
        return 0.0
    step = -1 if down else 1
    while 0 < at < len(grid) - 1:
        here, there = float(gradient[at]), float(gradient[at + step])
        if abs(there) <= rest:
            return float(grid[at + step])
        if (there > 0.0) != (here > 0.0):  # the gradient changes sign in between: a minimum
            return float(grid[at] + step * (grid[1] - grid[0]) * here / (here - there))
        at += step
    return float(grid[at])


def judge(value: Array, gradient: Array) -> Screening:
    """What values and gradients at SCORES, each (3, 131) in the order of ROLES, say of a loss."""
    n = len(GRID)
    curves = Curves(value[:, :n], gradient[:, :n])
    if not (np.all(np.abs(value) < LARGEST) and np.all(np.abs(gradient) < LARGEST)):  # False for NaN, too
        bad = ~((np.abs(value) < LARGEST) & (np.abs(gradient) < LARGEST))
        role, point = np.argwhere(bad)[0]
        at = SCORES[point]
        found = f"value {value[role, point]:.3g} and gradient {gradient[role, point]:.3g}"
        return Screening(Rejection.NOT_FINITE, f"{ROLES[role]} has {found} at score {at:g}", curves, (0.0, 0.0, 0.0))
    largest = np.max(np.abs(curves.gradient), axis=1)
    settles = (settle(curves.gradient[0]), settle(curves.gradient[1]), settle(curves.gradient[2]))
    rejection, detail = _reason(curves.gradient, largest, settles)
    return Screening(rejection, detail, curves, settles)


def _reason(gradient: Array, largest: Array, settles: tuple[float, float, float]) -> tuple[Rejection | None, str]:
    real, fake, generator = settles
    scale = float(max(largest[0], largest[1]))
    if scale > NO_GRADIENT and np.max(np.abs(gradient[0] - gradient[1])) <= SAME_CURVE * scale:
        return Rejection.IGNORES_TARGET, "the same gradients for real and fake"
    for role, size in zip(ROLES, largest, strict=True):
        if size <= NO_GRADIENT * max(1.0, scale):
            return Rejection.FLAT, f"{role} has no gradient"
    near = np.max(np.abs(gradient[:, CENTRE]), axis=1)
    for role, size, centre in zip(ROLES, largest, near, strict=True):
        if size > STEEP * centre:
            return Rejection.EXPLODES, f"{role}: gradient {size:.3g} on the grid, {centre:.3g} near score 0"
    for name, at in (("real", real), ("the generator", generator)):
        if _probability(at) - _probability(fake) < GAP:
            where = f"{name} settles at p = {_probability(at):.3g}, fake at {_probability(fake):.3g}"
            return Rejection.WRONG_WAY, where if at <= fake else f"{where}, less than {GAP:g} above"
    return None, ""


def _probability(score: float) -> float:
    return 1.0 / (1.0 + math.exp(-score))
