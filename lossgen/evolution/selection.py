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
    distances = crowding(objectives, ranks)
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


def crowding(objectives: Objectives, ranks: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Crowding distance of each row (n, m) in its front: larger where the neighbours are further away.

    A column adds the distance between a row's two neighbours, as a part of the column's span; the rows at its ends get
    inf. A column that is constant, or whose span is not finite, says nothing and adds nothing. Of equal rows the first
    has their distance, and the others 0. A row that is alone gets inf.

    Args:
        ranks: fronts are the rows of one rank; None for one front of all.
    """
    if ranks is None:
        ranks = np.zeros(len(objectives), np.int64)
    # Sorted: ties in a column go by the columns before it. All fronts at once: one call of numpy costs more than a row.
    rows, first = np.unique(np.column_stack([ranks, objectives]), axis=0, return_index=True)
    begins = np.flatnonzero(np.diff(rows[:, 0], prepend=-1.0))
    sizes = np.diff(begins, append=len(rows))
    ends = begins + sizes - 1
    inner = np.ones(len(rows), bool)
    inner[begins] = inner[ends] = False
    inner = np.flatnonzero(inner)
    distances = np.zeros(len(rows))
    for column in rows.T[1:]:
        order = np.lexsort((column, rows[:, 0]))
        ordered = column[order]
        with np.errstate(invalid="ignore"):
            spans = ordered[ends] - ordered[begins]
            telling = np.isfinite(spans) & (spans > 0.0)
            of_row = np.repeat(np.where(telling, spans, np.inf), sizes)[inner]
            gaps = np.where(np.isfinite(of_row), ordered[inner + 1] - ordered[inner - 1], 0.0)
        distances[order[inner]] += gaps / of_row
        distances[order[begins[telling]]] = distances[order[ends[telling]]] = np.inf
    distances[begins[sizes == 1]] = np.inf
    result = np.zeros(len(objectives))
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
