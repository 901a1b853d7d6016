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
    return judge_all(value.reshape(len(losses), 3, -1), gradient.reshape(len(losses), 3, -1))


def settle(gradient: Array, grid: Array = GRID) -> float:
    """The score at which descent from score 0 ends on the grid, along one curve of gradients (n,).

    Args:
        gradient: d loss / d score at the grid's points.
        grid: (n,) evenly spaced scores with 0 in the middle.
    """
    return float(_settle_all(gradient[np.newaxis], grid)[0])


def _settle_all(gradient: Array, grid: Array) -> Array:
    """The same along many curves (N, n)."""
    middle = len(grid) // 2
    rest = AT_REST * np.max(np.abs(gradient), axis=1)
    down, up = gradient[:, middle] > rest, gradient[:, middle] < -rest
    way = np.where(down[:, np.newaxis], gradient[:, middle::-1], gradient[:, middle:])  # from 0 on, as descent goes
    here, there = way[:, :-1], way[:, 1:]
    at_rest = np.abs(there) <= rest[:, np.newaxis]
    ends = at_rest | ((there > 0.0) != (here > 0.0))  # the gradient changes sign in between: a minimum
    any_end, first, rows = ends.any(axis=1), np.argmax(ends, axis=1), np.arange(len(gradient))
    step = np.where(down, -1, 1)
    before, behind = here[rows, first], there[rows, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        minimum = grid[middle + step * first] + step * (grid[1] - grid[0]) * before / (before - behind)
    found = np.where(at_rest[rows, first], grid[middle + step * (first + 1)], minimum)
    return np.where(down | up, np.where(any_end, found, grid[middle + step * middle]), 0.0)


def judge(value: Array, gradient: Array) -> Screening:
    """What values and gradients at SCORES, each (3, 131) in the order of ROLES, say of a loss."""
    return judge_all(value[np.newaxis], gradient[np.newaxis])[0]


def judge_all(value: Array, gradient: Array) -> list[Screening]:
    """What values and gradients at SCORES, each (P, 3, 131), say of P losses."""
    n = len(GRID)
    sound = np.all((np.abs(value) < LARGEST) & (np.abs(gradient) < LARGEST), axis=(1, 2))  # False for NaN, too
    on_grid = np.where(sound[:, np.newaxis, np.newaxis], gradient[:, :, :n], 0.0)
    size = np.abs(on_grid)
    largest, near = size.max(axis=2).tolist(), size[:, :, CENTRE].max(axis=2).tolist()
    apart = np.abs(on_grid[:, 0] - on_grid[:, 1]).max(axis=1).tolist()
    settles = _settle_all(on_grid.reshape(-1, n), GRID).reshape(-1, 3).tolist()
    found = []
    for i in range(len(value)):
        curves = Curves(value[i, :, :n], gradient[i, :, :n])
        if sound[i]:
            real, fake, generator = settles[i]
            rejection, detail = _reason(largest[i], near[i], apart[i], settles[i])
            found.append(Screening(rejection, detail, curves, (real, fake, generator)))
        else:
            found.append(Screening(Rejection.NOT_FINITE, _not_finite(value[i], gradient[i]), curves, (0.0, 0.0, 0.0)))
    return found


def _not_finite(value: Array, gradient: Array) -> str:
    role, point = np.argwhere(~((np.abs(value) < LARGEST) & (np.abs(gradient) < LARGEST)))[0]
    found = f"value {value[role, point]:.3g} and gradient {gradient[role, point] + 0.0:.3g}"
    return f"{ROLES[role]} has {found} at score {SCORES[point]:g}"


def _reason(
    largest: list[float], near: list[float], apart: float, settles: list[float]
) -> tuple[Rejection | None, str]:
    real, fake, generator = settles
    scale = max(largest[0], largest[1])
    if scale > NO_GRADIENT and apart <= SAME_CURVE * scale:
        return Rejection.IGNORES_TARGET, "the same gradients for real and fake"
    for role, size in zip(ROLES, largest, strict=True):
        if size <= NO_GRADIENT * max(1.0, scale):
            return Rejection.FLAT, f"{role} has no gradient"
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
