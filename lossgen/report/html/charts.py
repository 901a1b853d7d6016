"""Figures that a page has and a run's folder has not: the waterfall, and the front over generations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossgen.report.canvas import COLOURS, new_figure
from lossgen.report.figures import GENERATIONS, MANY, log_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LATER = {"duplicate": "duplicates", "untrained": "left untrained", "cache": "from the cache"}
Curve = Sequence[tuple[int, float]]
KEPT = ("trained", "cache", "verified")


def waterfall_figure(waterfall: Mapping[str, int]) -> "Figure":
    """What became of the proposals: a bar each, those that were trained in colour."""
    rows = [(_called(fate), count, fate in KEPT) for fate, count in waterfall.items()]
    figure = new_figure(7.0, 0.6 + 0.27 * len(rows))
    axis = figure.subplots()
    axis.barh(
        range(len(rows)), [count for _, count, _ in rows],
        color=[COLOURS[2] if kept else COLOURS[6] if place else COLOURS[1] for place, (_, _, kept) in enumerate(rows)],
    )  # fmt: skip
    for place, (_, count, _) in enumerate(rows):
        axis.text(count, place, f" {count}", va="center", fontsize=8)
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.12 * max(count for _, count, _ in rows))
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.set_xticks([])
    return figure


def _called(fate: str) -> str:
    if fate in ("proposed", *KEPT):
        return fate
    return LATER.get(fate, f"rejected: {fate}")


def front_figure(
    points: Sequence[tuple[int, int, float]], front: Sequence[tuple[int, float]], objective: str, minimise: bool
) -> "Figure":
    """Value over size, later generations darker, and the front of the best of each size.

    Args:
        points: generation, size and value of what was trained the whole way.
        front: size and value of those that are better than the best of every smaller size.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(7.0, 3.8)
    axis = figure.subplots()
    generations, sizes, values = (np.array(column, float) for column in zip(*points, strict=True))
    shown = axis.scatter(
        sizes, values, c=generations, cmap=GENERATIONS, s=14, alpha=0.75, linewidths=0, rasterized=len(points) > MANY
    )
    axis.step(
        [size for size, _ in front],
        [value for _, value in front],
        where="post",
        marker="D",
        markersize=3.5,
        color=COLOURS[0],
        label="front",
    )
    if minimise and values.min() > 0:
        log_axis(axis)
    axis.set_xlabel("size (nodes)")
    axis.set_ylabel(objective)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.25)
    if len(set(generations.tolist())) > 1:
        figure.colorbar(shown, ax=axis, label="generation", ticks=MaxNLocator(integer=True))
    return figure


def steps_figure(curves: Mapping[str, Sequence[Curve]], metric: str, minimise: bool, spread: bool) -> "Figure":
    """A metric over the steps of trainings: the median of each loss.

    Args:
        curves: of each loss, a training each, (step, value) at its checkpoints.
        spread: whether to draw where the middle half of its trainings lies, too.
    """
    figure = new_figure(7.0, 4.0)
    axis = figure.subplots()
    least = np.inf
    for place, (name, trainings) in enumerate(curves.items()):
        by_step: dict[int, list[float]] = {}
        for training in trainings:
            for step, value in training:
                by_step.setdefault(step, []).append(value)
        steps = sorted(by_step)
        low, middle, high = np.array([np.quantile(by_step[step], (0.25, 0.5, 0.75)) for step in steps]).T
        colour = COLOURS[place % len(COLOURS)]
        axis.plot(steps, middle, "o-", markersize=2.5, linewidth=2.0 if not place else 1.3, color=colour, label=name)
        if spread:
            axis.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        least = min(least, float(low.min()))
    if minimise and least > 0:
        log_axis(axis)
    axis.set_xlabel("steps (generator updates)")
    axis.set_ylabel(metric)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.grid(alpha=0.25)
    return figure
