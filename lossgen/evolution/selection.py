"""Selection by non-dominated sorting and crowding (NSGA-II: Deb, Pratap, Agarwal & Meyarivan 2002).

Objectives are (n, m) arrays, a row a candidate, all columns to be minimised, the fitness first; in a search (fitness,
spread over seeds, size), the spread constant but of an objective that asks for it. A fitness of inf is a training that
failed.
"""

import operator
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError

Objectives = NDArray[np.float64]
Select = Callable[[Objectives, int], list[int]]
"""From (n, m) objectives, the indices of as many rows that stay, or of all; the most preferred first."""


def select(objectives: Objectives, count: int) -> list[int]:
    """Indices of the `count` rows that stay, the most preferred first.

    The fittest comes first, whatever its crowding; then those of lower rank, within a rank the less crowded.

    Raises:
        ValueError: an objective is NaN.
    """
    if not len(objectives):
        return []
    ranks = pareto_ranks(objectives)
    distances = np.zeros(len(objectives))
    for rank in range(ranks.max() + 1):
        front = np.flatnonzero(ranks == rank)
        distances[front] = crowding(objectives[front])
    order = sorted(range(len(objectives)), key=lambda i: (ranks[i], -distances[i], i))
    fittest = int(np.lexsort(objectives.T[::-1])[0])  # by fitness, then by the columns after it, then by index
    order.remove(fittest)
    return [fittest, *order][:count]


def pareto_ranks(objectives: Objectives) -> NDArray[np.int64]:
    """Rank of each row: 0 for those that no other dominates, 1 for the next front, …

    A row whose first objective is inf comes after all that have a fitness.

    Raises:
        ValueError: an objective is NaN.
    """
    n = len(objectives)
    if np.isnan(objectives).any():
        raise ValueError(f"objectives: NaN in row {int(np.isnan(objectives).any(axis=1).argmax())}")
    no_worse, better = np.ones((n, n), bool), np.zeros((n, n), bool)
    for column in objectives.T:
        no_worse &= column[:, None] <= column[None, :]
        better |= column[:, None] < column[None, :]
    failed = np.isposinf(objectives[:, 0])
    dominates = (no_worse & better) | (~failed[:, None] & failed[None, :])
    above = dominates.sum(axis=0)  # how many rows, of those without a rank, dominate each
    ranks = np.full(n, -1, np.int64)
    rank = 0
    while (ranks < 0).any():
        front = (ranks < 0) & (above == 0)
        ranks[front] = rank
        above -= dominates[front].sum(axis=0)
        rank += 1
    return ranks


def crowding(front: Objectives) -> NDArray[np.float64]:
    """Crowding distance of each row of one front (n, m): larger where the neighbours are further away.

    A column adds the distance between a row's two neighbours, as a part of the column's span; the rows at its ends get
    inf. A column that is constant, or whose span is not finite, says nothing and adds nothing. Of equal rows the first
    has their distance, and the others 0.
    """
    rows, first = np.unique(front, axis=0, return_index=True)  # sorted: ties in a column go by the columns before it
    distances = np.zeros(len(rows))
    for column in rows.T:
        with np.errstate(invalid="ignore"):
            span = np.ptp(column)
        if not (np.isfinite(span) and span > 0.0):
            continue
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        distances[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
        distances[order[[0, -1]]] = np.inf
    if len(rows) == 1:
        distances[:] = np.inf
    result = np.zeros(len(front))
    result[first] = distances
    return result


def tournament(count: int, rng: np.random.Generator, size: int = 2) -> int:
    """The most preferred of `size` positions drawn, with replacement, from `count` that are in order of preference."""
    return int(rng.integers(count, size=size).min())


def checked_rows(chosen: Sequence[int], rows: int, count: int) -> list[int]:
    """What a selection has chosen of so many rows, if it is one.

    Raises:
        InputError: it is not.
    """
    wanted = min(count, rows)
    try:
        found = [operator.index(i) for i in chosen]
    except TypeError:
        found = []
    if len(found) != wanted or len(set(found)) != wanted or min(found) < 0 or max(found) >= rows:
        raise InputError(
            f"select: gave {' '.join(repr(chosen).split()):.60}; give {wanted} different indices, of 0 to {rows - 1}"
        )
    return found
