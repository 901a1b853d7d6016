"""At which steps a generator is judged, and what is made of it.

Snapshots of a GAN oscillate; one of them is a lottery ticket. So the last three checkpoints are judged and their
median is reported. They lie on a grid of absolute steps, spaced by a tenth to a quarter of the step, that knows
nothing of the budget: training to a and then on to b gets the very result of training straight to b.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Metrics: TypeAlias = Mapping[str, float]

JUDGED = 3  # checkpoints whose median is the result
# leading digit of the step from which a spacing holds -> spacing, both in units of the step's power of ten
_SPACING = ((5, 1.0), (2, 0.5), (1, 0.2))


def spacing(step: int) -> int:
    """Distance of the grid's points above `step`: 100 from 500, 200 from 1000, 500 from 2000, 1000 from 5000, …"""
    power: int = 10 ** (len(str(step)) - 1)
    share = next(share for first, share in _SPACING if step >= first * power)
    return max(1, round(share * power))


def _grid_below(limit: int) -> list[int]:
    """The last three grid points not above `limit`, ascending."""
    points: list[int] = []
    point = limit
    while point > 0 and len(points) < JUDGED:
        point -= point % spacing(point)
        points.append(point)
        point -= 1
    return points[::-1]


def due(budget: int) -> list[int]:
    """Steps to judge at on the way to `budget`, ascending: the last three grid points, and the budget itself.

    One more than `judged` needs, where the budget lies off the grid: a longer training may need it.
    """
    return sorted({*_grid_below(budget), budget})


def judged(budget: int) -> list[int]:
    """The steps whose median is the result at `budget`: the budget itself and the two grid points before it.

    A grid point that lies less than half a spacing before the budget is left out: it would be the same snapshot twice.
    """
    before = [step for step in _grid_below(budget - 1) if budget - step >= spacing(step) / 2]
    return [*before[-(JUDGED - 1) :], budget]


def median(curve: Mapping[int, Metrics], budget: int) -> dict[str, float]:
    """Median of each metric over the checkpoints of `budget` that the curve holds."""
    chosen: Sequence[Metrics] = [curve[step] for step in judged(budget) if step in curve]
    return {name: statistics.median(metrics[name] for metrics in chosen) for name in curve[budget]}
