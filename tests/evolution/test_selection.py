"""Pareto ranks, crowding, survivors, tournaments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.evolution.selection import crowding, pareto_ranks, select, tournament

FITNESS, OTHER = st.sampled_from([1.0, 2.0, 3.5, 9.0, np.inf]), st.integers(0, 5).map(float)
POINTS = st.integers(0, 3).flatmap(
    lambda others: st.lists(st.tuples(FITNESS, *[OTHER] * others), min_size=1, max_size=25)
).map(lambda rows: np.array(rows, float))  # fmt: skip
FRONTS = st.lists(st.tuples(OTHER, OTHER, OTHER), min_size=1, max_size=12).map(lambda rows: np.array(rows, float))


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    failed = np.isinf(a[0]), np.isinf(b[0])
    return bool((a <= b).all() and (a < b).any()) or failed == (False, True)


@given(POINTS)
def test_ranks_are_those_of_the_definition(points: np.ndarray) -> None:
    ranks = pareto_ranks(points)
    for i, point in enumerate(points):
        above = [ranks[j] for j, other in enumerate(points) if dominates(other, point)]
        assert ranks[i] == (max(above) + 1 if above else 0)


@given(POINTS, st.integers(0, 25))
def test_survivors_are_the_fittest_then_by_rank_then_by_crowding(points: np.ndarray, count: int) -> None:
    kept = select(points, count)
    assert len(kept) == len(set(kept)) == min(count, len(points))
    if not kept:
        return
    assert tuple(points[kept[0]]) == min(map(tuple, points))
    ranks = pareto_ranks(points)
    distances = {i: d for r in set(ranks) for i, d in zip(np.flatnonzero(ranks == r), crowding(points[ranks == r]))}
    places = [(ranks[i], -distances[i], i) for i in kept[1:]]
    assert places == sorted(places)
    dropped = set(range(len(points))) - set(kept)
    assert all((ranks[i], -distances[i], i) > place for i in dropped for place in places[-1:])


@given(POINTS)
def test_a_column_that_says_nothing_changes_nothing(points: np.ndarray) -> None:
    constant = np.insert(points, 1, 0.25, axis=1)  # as the spread of candidates that were trained once each
    assert pareto_ranks(constant).tolist() == pareto_ranks(points).tolist()
    assert crowding(constant).tolist() == crowding(points).tolist()
    assert select(constant, len(points)) == select(points, len(points))


def test_crowding_is_debs_on_a_front_of_five() -> None:
    front = np.array([[0.0, 10.0], [10.0, 0.0], [1.0, 6.0], [2.0, 5.0], [6.0, 1.0]])
    expected = [np.inf, np.inf, 2 / 10 + 5 / 10, 5 / 10 + 5 / 10, 8 / 10 + 5 / 10]
    assert crowding(front) == pytest.approx(expected)


@given(FRONTS, st.randoms(use_true_random=False))
def test_crowding_belongs_to_the_points_and_not_to_their_order(front: np.ndarray, random: object) -> None:
    order = list(range(len(front)))
    random.shuffle(order)  # type: ignore[attr-defined]
    unique = np.unique(front, axis=0)
    expected = dict(zip(map(tuple, unique), crowding(unique)))
    seen: set[tuple[float, ...]] = set()
    for point, distance in zip(front[order], crowding(front[order])):
        assert distance == (0.0 if tuple(point) in seen else expected[tuple(point)])
        seen.add(tuple(point))
    assert crowding(unique * [2.0, 0.5, 8.0] + [1.0, 0.0, 3.0]) == pytest.approx(crowding(unique))


def test_ends_are_kept_for_good_and_of_equal_ones_one() -> None:
    assert crowding(np.array([[1.0, 2.0]])) == [np.inf]
    assert crowding(np.array([[1.0, 2.0], [2.0, 1.0]])).tolist() == [np.inf, np.inf]
    assert crowding(np.array([[1.0, 2.0]] * 3)).tolist() == [np.inf, 0.0, 0.0]
    assert crowding(np.array([[1.0, np.inf], [2.0, 1.0], [3.0, 0.5]])).tolist() == [np.inf, 1.0, np.inf]


def test_nan_is_refused() -> None:
    for refuse in (pareto_ranks, lambda points: select(points, 1)):
        with pytest.raises(ValueError, match="NaN in row 1"):
            refuse(np.array([[1.0, 2.0], [1.0, np.nan]]))


def test_nothing_is_selected_from_nothing() -> None:
    assert select(np.empty((0, 3)), 4) == []


def test_a_tournament_prefers_the_first_places() -> None:
    rng = np.random.default_rng(0)
    wins = np.bincount([tournament(4, rng) for _ in range(4000)], minlength=4) / 4000
    assert wins == pytest.approx([7 / 16, 5 / 16, 3 / 16, 1 / 16], abs=0.03)
    assert {tournament(3, rng, size=1) for _ in range(50)} == {0, 1, 2}
