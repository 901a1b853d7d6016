"""Intervals and tests. Ground floor: knows numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Summary:
    """Of one loss's results over seeds.

    Attributes:
        n: number of results.
        mean, std, median: std with n - 1; 0.0 for a single result.
        best, worst: in the sense of the metric's direction.
        low, high: 95 % bootstrap interval of the mean (percentile).
    """

    n: int
    mean: float
    std: float
    median: float
    best: float
    worst: float
    low: float
    high: float


def summarise(values: Sequence[float], minimise: bool = True) -> Summary:
    """Summary of at least one finite value. The bootstrap is seeded: the same values give the same interval."""
    x = np.asarray(values, float)
    low, high = bootstrap_mean(x)
    best, worst = (x.min(), x.max()) if minimise else (x.max(), x.min())
    std = float(x.std(ddof=1)) if len(x) > 1 else 0.0
    return Summary(len(x), float(x.mean()), std, float(np.median(x)), float(best), float(worst), low, high)


def bootstrap_mean(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of the mean."""
    x = np.asarray(values, float)
    rng = np.random.default_rng(0)
    means = x[rng.integers(len(x), size=(RESAMPLES, len(x)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p-value of the Mann–Whitney U test (exact for small samples without ties)."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(a, b, alternative="two-sided").pvalue)


def smallest_p(n: int, m: int) -> float:
    """The smallest two-sided p-value that n against m results can reach."""
    from math import comb

    return min(1.0, 2.0 / comb(n + m, n))
