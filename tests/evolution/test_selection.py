"""Pareto ranks, survivors, tournaments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.evolution.selection import pareto_ranks, survivors, tournament

POINTS = st.lists(
    st.tuples(st.sampled_from([1.0, 2.0, 3.5, 9.0, np.inf]), st.integers(1, 6).map(float)), min_size=1, max_size=25
).map(lambda rows: np.array(rows, float))


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    failed = np.isinf(a[0]), np.isinf(b[0])
    return bool((a <= b).all() and (a < b).any()) or failed == (False, True)


@given(POINTS)
def test_ranks_are_those_of_the_definition(points: np.ndarray) -> None:
    ranks = pareto_ranks(points)
    for i, point in enumerate(points):
        above = [ranks[j] for j, other in enumerate(points) if dominates(other, point)]
        assert ranks[i] == (max(above) + 1 if above else 0)


@given(POINTS, st.integers(1, 25))
def test_the_fittest_always_survives_and_none_twice(points: np.ndarray, count: int) -> None:
    kept = survivors(points, count)
    assert len(kept) == len(set(kept)) == min(count, len(points))
    assert points[kept[0], 0] == points[:, 0].min()


@given(POINTS)
def test_no_survivor_is_dominated_by_one_that_was_dropped(points: np.ndarray) -> None:
    kept = survivors(points, max(1, len(points) // 2))
    dropped = set(range(len(points))) - set(kept)
    assert not any(dominates(points[i], points[j]) for i in dropped for j in kept[1:])


def test_a_tournament_prefers_the_lower_rank() -> None:
    points = np.array([[1.0, 1.0], [2.0, 2.0]])
    rng = np.random.default_rng(0)
    wins = [tournament(points, rng, size=2) for _ in range(400)]
    assert np.mean(np.array(wins) == 0) == pytest.approx(0.75, abs=0.06)
