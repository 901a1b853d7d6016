"""Intervals and tests against closed forms."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen import stats
from lossgen.stats import (
    bootstrap_interval,
    expected_coverage,
    holm,
    mann_whitney,
    mean_interval,
    mean_rank_correlation,
    rank_correlation,
    smallest_p,
    summarise,
    variance_components,
)


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


def test_the_bootstrap_follows_the_skew_and_is_the_same_each_time() -> None:
    x = np.random.default_rng(0).lognormal(0, 1, 25)
    low, high = bootstrap_interval(x)
    assert bootstrap_interval(list(x)) == (low, high)
    assert low < x.mean() < high
    assert high - x.mean() > x.mean() - low
    student = mean_interval(x)
    assert (high - low) == pytest.approx(student[1] - student[0], rel=0.4)
    assert bootstrap_interval(-x) == pytest.approx((-high, -low), rel=0.02)
    assert bootstrap_interval([3.0] * 8) == (3.0, 3.0)


def test_a_bootstrap_takes_eight() -> None:
    assert summarise(list(range(7))).bootstrap is None
    assert summarise(list(range(8))).bootstrap == bootstrap_interval(list(range(8)))


def test_holm_is_that_of_its_definition() -> None:
    assert holm([]) == []
    assert holm([0.03]) == [0.03]
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.01, 0.02, 0.9]) == pytest.approx([0.03, 0.04, 0.9])
    assert holm([0.6, 0.6]) == [1.0, 1.0]
    p = np.random.default_rng(0).uniform(0, 0.1, 9)
    rejected = 0  # step down: the k-th smallest is compared with α / (m - k)
    for k, value in enumerate(sorted(p)):
        if value > 0.05 / (len(p) - k):
            break
        rejected += 1
    assert sum(value <= 0.05 for value in holm(list(p))) == rejected > 0


@pytest.mark.parametrize(("n", "covers"), [(8, 0.87), (25, 0.93)])
def test_the_bootstrap_covers_the_mean_about_as_often_as_it_says(
    n: int, covers: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "RESAMPLES", 999)
    rng = np.random.default_rng(0)
    covered = [low <= 0.0 <= high for low, high in (bootstrap_interval(rng.normal(size=n)) for _ in range(400))]
    assert np.mean(covered) == pytest.approx(covers, abs=0.035)


def test_variance_components_are_found_again() -> None:
    """Losses that are 2 apart (standard deviation), and seeds that are 0.5 apart."""
    rng = np.random.default_rng(0)
    groups = rng.normal(0, 2, (4000, 1)) + rng.normal(0, 0.5, (4000, 3))
    between, within = variance_components(groups)
    assert between == pytest.approx(4, rel=0.1) and within == pytest.approx(0.25, rel=0.1)


def test_variance_components_by_hand() -> None:
    between, within = variance_components([[1, 3], [5, 7], [6, 8]])
    assert within == 2 and between == pytest.approx((14 - 2) / 2)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=12))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    from scipy.stats import spearmanr

    x, y = zip(*pairs, strict=True)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    else:
        assert np.isnan(rank_correlation(x, y))


def test_rank_correlation_takes_infinities() -> None:
    assert rank_correlation([1, 2, np.inf], [0, 5, 9]) == pytest.approx(1)


def test_the_interval_of_a_rank_correlation_covers_it() -> None:
    """Of 30 items: at least 85 of 100 intervals cover the true rank correlation, and none is all of [-1, 1]."""
    rng = np.random.default_rng(1)
    covered, true = 0, 0.582  # of normal values with a correlation of 0.6: 6 / pi * asin(0.6 / 2)
    for _ in range(100):
        x = rng.normal(size=30)
        _, low, high = mean_rank_correlation([(x, 0.75 * x + rng.normal(size=30))])
        covered += low <= true <= high
        assert high - low < 1.2
    assert covered >= 85


def test_the_mean_of_rank_correlations() -> None:
    x = np.arange(8.0)
    value, low, high = mean_rank_correlation([(x, x), (x, x), (x, -x), (x, x)])
    assert (value, low, high) == (0.5, 0.5, 0.5)
    assert np.isnan(mean_rank_correlation([(x, np.zeros(8))])[0])


@pytest.mark.parametrize(("real", "fake", "k"), [(60, 60, 5), (200, 20, 5), (40, 200, 2)])
def test_expected_coverage_is_what_comes_out(real: int, fake: int, k: int) -> None:
    """The mean of 300 draws of one distribution in one dimension, by distances between all pairs."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        x, y = rng.normal(size=real), rng.normal(size=fake)
        radius = np.sort(np.abs(x[:, None] - x), axis=1)[:, k]
        found.append(float((np.abs(x[:, None] - y).min(1) < radius).mean()))
    spread = np.std(found) / np.sqrt(len(found))
    assert expected_coverage(real, fake, k) == pytest.approx(np.mean(found), abs=4 * spread)
