"""Polish: the constants of one derivation tuned by CMA-ES (Hansen & Ostermeier 2001; package `cma`), ask and tell."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossgen.evolution.distribution import Distribution
from lossgen.evolution.space import CONST, Derivation, Space
from lossgen.evolution.variation import Path, distribution_of, parts, replaced

SIGMA = 0.3
"""Standard deviation of the first generation, as a part of the standard deviation of the space's constants."""
ATTEMPTS = 100
"""Draws in a row that round to constants which have been asked for, after which there is nothing left to tune."""


@dataclass(frozen=True)
class _Coordinate:
    """One constant on an axis where its distribution has a standard deviation of 1.

    Attributes:
        path: where the constant stands.
        node: the constant.
        start: the coordinate of the value that it begins with.
        decode: from a coordinate, any number, to a value in the support, rounded as the space's constants are.
    """

    path: Path
    node: Derivation
    start: float
    decode: Callable[[float], float]


class Polish:
    """CMA-ES over the constants of a derivation; its structure stays.

        polish = Polish(space, champion, np.random.default_rng(0), budget=24)
        while not polish.done:
            children = polish.ask()
            polish.tell([fitness(child) for child in children])

    Constants of `choice` stay as they are, and so do those whose distribution has no width. The others stay in their
    supports; where a support excludes 0, the coordinate is the logarithm. What is asked for depends on `rng` and the
    values told alone: NumPy's global generator is not touched.

    Args:
        space: of the derivation.
        derivation: to begin with; it is not asked for again.
        rng: source of all that is random.
        budget: derivations to ask for in all.

    Attributes:
        constants: how many can be tuned; with none there is nothing to do.
    """

    def __init__(self, space: Space, derivation: Derivation, rng: np.random.Generator, budget: int) -> None:
        self._derivation = derivation
        self._coordinates = _coordinates(space, derivation)
        self._left = budget
        self._asked: list[np.ndarray] = []
        start = [coordinate.start for coordinate in self._coordinates]
        self._seen = {tuple(coordinate.node.value for coordinate in self._coordinates)}
        self._strategy = _strategy(start, rng) if start and budget > 0 else None
        self.constants = len(start)

    @property
    def left(self) -> int:
        """Derivations that may still be asked for."""
        return self._left

    @property
    def done(self) -> bool:
        """Whether the budget is spent, or there is nothing left to try."""
        return not self._asked and (self._strategy is None or self._left < 1)

    def ask(self) -> list[Derivation]:
        """The next generation: derivations that differ from each other and from all before; none where it is done.

        Raises:
            ValueError: the values of the last generation have not been told.
        """
        if self._asked:
            raise ValueError("ask: tell the values of the last generation first")
        if self._strategy is None:
            return []
        wanted, misses = min(self._strategy.popsize, self._left), 0
        children: list[Derivation] = []
        while len(children) < wanted and misses < ATTEMPTS:
            (point,) = self._strategy.ask(number=1)
            values = self._values(point)
            if values in self._seen:
                misses += 1
                continue
            misses = 0
            self._seen.add(values)
            self._asked.append(point)
            child = self._derivation
            for coordinate, value in zip(self._coordinates, values, strict=True):
                child = replaced(child, coordinate.path, replace(coordinate.node, value=value))
            children.append(child)
        self._left = self._left - len(children) if children else 0
        return children

    def tell(self, values: Sequence[float]) -> None:
        """Say how the last generation did.

        Args:
            values: to be minimised, in the order of `ask`; inf for those that failed.

        Raises:
            ValueError: not as many values as were asked for, or a NaN among them.
        """
        if len(values) != len(self._asked) or any(math.isnan(value) for value in values):
            raise ValueError(f"tell: {len(self._asked)} values expected, each a number or inf; got {list(values)}")
        points, self._asked = self._asked, []
        if self._strategy is None or len(points) < self._strategy.popsize:
            return  # the last generation of a budget, cut short: nothing follows from it
        finite = [value for value in values if math.isfinite(value)]
        if not finite:
            self._strategy.sigma *= 0.5  # closer to where a training has succeeded
            return
        worst = max(finite)  # the strategy goes by ranks alone
        worse = math.nextafter(worst, math.inf)
        self._strategy.tell(points, [value if math.isfinite(value) else worse for value in values])

    def _values(self, point: Sequence[float] | np.ndarray) -> tuple[float, ...]:
        """Constants at a point; coordinates beyond those of the constants mean nothing."""
        return tuple(coordinate.decode(float(x)) for coordinate, x in zip(self._coordinates, point))


def _strategy(start: Sequence[float], rng: np.random.Generator) -> Any:
    """A strategy that writes and prints nothing, and draws from `rng` alone."""
    import cma  # slow, since it imports matplotlib

    padding = [0.0] * (2 - len(start))  # cma has no, or no sound, optimisation in one dimension
    options = {
        "randn": lambda *shape: rng.standard_normal(shape),
        "seed": math.nan,  # else it seeds NumPy's global generator
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
    }
    return cma.CMAEvolutionStrategy([*start, *padding], SIGMA, options)


def _coordinates(space: Space, derivation: Derivation) -> list[_Coordinate]:
    found = []
    for path, node in parts(derivation):
        if node.alias == CONST:
            drawn = distribution_of(space, node)
            if drawn.scale > 0.0 and drawn.holds(node.value):
                found.append(_Coordinate(path, node, *_axis(drawn, node.value)))
    return found


def _axis(drawn: Distribution, value: float) -> tuple[float, Callable[[float], float]]:
    """The coordinate of a constant's value, and how values come from coordinates."""
    first, second = drawn.parameters
    if drawn.name == "normal":
        return 0.0, lambda x: drawn.nearest(value + second * x)
    if drawn.name == "lognormal":
        return 0.0, lambda x: drawn.nearest(value * _exp(second * x))
    sign, wide = math.copysign(1.0, first), math.sqrt(12.0)
    if first * second > 0.0 and math.log(second / first) != 0.0:
        low, high = math.log(abs(first)), math.log(abs(second))
        at = wide * (math.log(abs(value)) - low) / (high - low)
        return at, lambda x: drawn.nearest(sign * _exp(low + (high - low) * _fold(x / wide)))
    at = wide * (value - first) / (second - first)
    return at, lambda x: drawn.nearest(first + (second - first) * _fold(x / wide))


def _exp(x: float) -> float:
    """e to the x, inf where that overflows."""
    return math.exp(x) if x < 709.0 else math.inf


def _fold(x: float) -> float:
    """A number in [0, 1]: beyond the ends the line is folded back, as a mirror would."""
    return 1.0 - abs(1.0 - x % 2.0)
