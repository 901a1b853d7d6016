"""Intervals and tests against closed forms."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from lossgen.stats import mann_whitney, mean_interval, smallest_p, summarise


def test_summary_of_known_values() -> None:
    s = summarise([1.0, 2.0, 3.0, 6.0])
    assert (s.n, s.mean, s.median, s.best, s.worst) == (4, 3.0, 2.5, 1.0, 6.0)
    assert s.std == pytest.approx(np.sqrt(14 / 3))
    assert s.low < s.mean < s.high


def test_best_follows_the_direction() -> None:
    s = summarise([1.0, 2.0], minimise=False)
    assert (s.best, s.worst) == (2.0, 1.0)


def test_one_value_has_no_spread() -> None:
    s = summarise([5.0])
    assert (s.std, s.low, s.high) == (0.0, 5.0, 5.0)


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 0.0 <= high for low, high in (mean_interval(rng.normal(size=6)) for _ in range(2000))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_mann_whitney_is_exact_for_small_samples() -> None:
    a, b = [1.0, 2.0, 7.0], [3.0, 8.0, 9.0]
    pooled = sorted(a + b)

    def u(group: tuple[float, ...]) -> float:
        rest = [x for x in pooled if x not in group]
        return sum(x > y for x in group for y in rest)

    middle = 4.5
    observed = abs(u(tuple(a)) - middle)
    p = np.mean([abs(u(group) - middle) >= observed for group in combinations(pooled, 3)])
    assert mann_whitney(a, b) == pytest.approx(p)


def test_smallest_p_is_that_of_separated_samples() -> None:
    for n in (3, 5, 6):
        assert smallest_p(n, n) == pytest.approx(mann_whitney(list(range(n)), [100.0 + i for i in range(n)]))
        assert smallest_p(n, n) == pytest.approx(2 / comb(2 * n, n))
