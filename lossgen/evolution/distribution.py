"""How constants of a search space are drawn, and which can be."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DISTRIBUTIONS: Mapping[str, int | None] = {"lognormal": 2, "normal": 2, "uniform": 2, "choice": None}
"""Distributions of constants, and how many numbers each takes; any number of them, where it is None."""
DIGITS = 4
"""Of a sampled constant: what a person would write, and enough for a search."""


@dataclass(frozen=True)
class Distribution:
    """How a constant is drawn."""

    name: str
    parameters: tuple[float, ...]

    @property
    def sensible(self) -> bool:
        """Whether it can be drawn from, and gives finite numbers."""
        p = self.parameters
        if self.name == "choice":
            return bool(p)
        if self.name == "uniform":
            return -1e300 <= p[0] <= p[1] <= 1e300
        return 0.0 <= p[1] <= 50.0 and abs(p[0]) <= 300.0

    def holds(self, value: float) -> bool:
        """Whether a constant is in the support: listed, within the bounds of uniform, positive for lognormal.

        How probable it is, and how many digits it has, does not matter.
        """
        if self.name == "choice":
            return value in self.parameters
        low, high = self._bounds
        return low <= value <= high

    @property
    def scale(self) -> float:
        """How far its constants are apart: the standard deviation of normal and uniform; of lognormal that of its
        logarithm, no more than 1, times the median; of listed values 0."""
        if self.name == "choice":
            return 0.0
        first, second = self.parameters
        if self.name == "uniform":
            return (second - first) / math.sqrt(12.0)
        return second if self.name == "normal" else math.exp(first) * min(second, 1.0)

    def sample(self, rng: np.random.Generator) -> float:
        if self.name == "choice":
            return float(rng.choice(self.parameters))
        return self.nearest(float(getattr(rng, self.name)(*self.parameters)))

    def nearest(self, value: float) -> float:
        """The value with DIGITS digits, or the nearest bound of the support where that is outside."""
        low, high = self._bounds
        return min(max(float(f"{value:.{DIGITS}g}"), low), high)

    @property
    def _bounds(self) -> tuple[float, float]:
        """The least and largest number of a continuous one's support."""
        if self.name == "uniform":
            return self.parameters[0], self.parameters[1]
        return math.ulp(0.0) if self.name == "lognormal" else -sys.float_info.max, sys.float_info.max

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{p:g}' for p in self.parameters)})"
