"""Selection on Pareto rank over (fitness, size), both minimised: non-dominated sorting as in NSGA-II (Deb 2002)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Objectives = NDArray[np.float64]


def pareto_ranks(objectives: Objectives) -> NDArray[np.int64]:
    """Rank of each row of (n, m) objectives: 0 for those that no other dominates, 1 for the next front, …

    A row whose first objective is infinite (a training that failed) comes after all that have a fitness.
    """
    n = len(objectives)
    one, other = objectives[:, None, :], objectives[None, :, :]
    dominates = np.logical_and(np.all(one <= other, axis=2), np.any(one < other, axis=2))
    failed = ~np.isfinite(objectives[:, 0])
    dominates |= ~failed[:, None] & failed[None, :]
    ranks = np.full(n, -1, np.int64)
    rank = 0
    while (ranks < 0).any():
        open_ = ranks < 0
        front = open_ & ~dominates[open_].any(axis=0)
        ranks[front] = rank
        rank += 1
    return ranks


def survivors(objectives: Objectives, count: int) -> list[int]:
    """Indices of the `count` rows that stay: the best by fitness always (elitism), then by rank, then by fitness."""
    ranks = pareto_ranks(objectives)
    order = sorted(range(len(objectives)), key=lambda i: (ranks[i], objectives[i, 0], objectives[i, 1], i))
    elite = min(range(len(objectives)), key=lambda i: (objectives[i, 0], objectives[i, 1], i))
    order.remove(elite)
    return [elite, *order][:count]


def tournament(objectives: Objectives, rng: np.random.Generator, size: int = 2) -> int:
    """Index of the winner among `size` random rows: lower Pareto rank, then lower fitness."""
    ranks = pareto_ranks(objectives)
    drawn: Sequence[int] = [int(i) for i in rng.integers(len(objectives), size=size)]
    return min(drawn, key=lambda i: (ranks[i], objectives[i, 0], i))
