"""Pictures of runs: samples, spread, progress."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossgen.evolution.archive import Archive
from lossgen.evolution.compare import Comparison
from lossgen.evolution.searched import searched
from lossgen.gan.contact_sheet import grid
from lossgen.report.canvas import COLOURS, new_figure, save
from lossgen.report.comparison import metric_of, ordered, row_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN, COLUMNS = 36, 6
IN_A_ROW = 5
"""Grids of samples side by side; more of them stand in further rows."""
WIDE = 20.0
"""Worst over best value from which on a linear axis would show the worst alone."""
GENERATIONS = "viridis_r"
"""Colours of generations, later ones darker."""
MANY = 2000
"""Points from which on those of a vector picture are pixels."""


def sample_grids(comparison: Comparison, path: Path, replicate: int = 0) -> bool:
    """Draw `sample_figure`; False where no samples were kept."""
    figure = sample_figure(comparison, replicate)
    if figure is None:
        return False
    save(figure, path)
    return True


def sample_figure(comparison: Comparison, replicate: int = 0) -> "Figure | None":
    """Samples of every loss's generator at the same seed, side by side; None where none were kept."""
    shown = []
    for result in ordered(comparison):
        outcome = result.outcomes[replicate] if len(result.outcomes) > replicate else None
        file = outcome.files.get("samples") if outcome else None
        if outcome is not None and file is not None and file.is_file():
            value = outcome.metrics.get(comparison.metric)
            shown.append((result, value, np.load(file, allow_pickle=False)["images"]))
    if not shown:
        return None
    columns = min(len(shown), IN_A_ROW)
    rows = -(-len(shown) // columns)
    titles = [f"{_broken(row_label(result), 28)}\n{_number(value)}" for result, value, _ in shown]
    lines = max(title.count("\n") for title in titles)
    figure = new_figure(max(2.4 * columns, 4.0), rows * (2.38 + 0.15 * lines) + 0.3)
    for place, (title, (_, _, images)) in enumerate(zip(titles, shown, strict=True), 1):
        axis = figure.add_subplot(rows, columns, place)
        axis.imshow(grid(images[:SHOWN], COLUMNS), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.suptitle(
        _broken(f"{comparison.metric} of each; samples at equal seeds (replicate {replicate})", 90), fontsize=9
    )
    return figure


def box_plot(comparison: Comparison, path: Path) -> None:
    """Draw `box_figure`."""
    save(box_figure(comparison), path)


def box_figure(comparison: Comparison) -> "Figure":
    """Spread over seeds, a box and its points a loss, the best on top; the triangle is the mean."""
    results = [result for result in ordered(comparison) if result.values]
    labels = [
        _broken(row_label(r), 34) + (f"\n{r.failed} of {len(r.outcomes)} failed" * bool(r.failed)) for r in results
    ]
    lines = sum(1 + label.count("\n") for label in labels)
    figure = new_figure(7.0, 1.1 + 0.22 * len(results) + 0.17 * lines)
    axis = figure.subplots()
    values = [list(result.values) for result in results]
    axis.boxplot(values, orientation="horizontal", tick_labels=labels, showmeans=True, showfliers=False, widths=0.6)
    for place, result in enumerate(results, 1):
        offsets = np.linspace(-0.18, 0.18, len(result.values)) if len(result.values) > 1 else np.zeros(1)
        axis.plot(result.values, place + offsets, "o", color=COLOURS[1], alpha=0.8, markersize=4, markeredgewidth=0)
    axis.invert_yaxis()
    least, most = min(map(min, values)), max(map(max, values))
    if least > 0 and most > WIDE * least:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel(metric_of(comparison))
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(axis="x", alpha=0.25)
    return figure


def _number(value: float | None) -> str:
    return f"{value:.4g}" if value is not None else "failed"


def _broken(text: str, width: int) -> str:
    """The text on as many lines as it takes."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=True))


def progress_curve(archive: Archive, objective: str, minimise: bool, path: Path) -> None:
    """Draw `progress_figure`."""
    save(progress_figure(_points(archive), objective, minimise), path)


def _points(archive: Archive) -> list[tuple[int, float | None]]:
    """Generation and value of what was trained the whole way, in order of proposal."""
    whole = {digest: found.value for digest, found in searched(archive).items() if found.whole}
    return [
        (row.generation, whole[row.digest])
        for row in archive.candidates()
        if row.fate == "trained" and row.digest in whole
    ]


def log_axis(axis: Any) -> None:
    """A logarithmic y axis whose numbers are written as people write them, on a part of a decade, too."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:.3g}" if high < 10 * low else "")
    axis.tick_params(axis="y", which="minor", labelsize=8)


def progress_figure(
    points: Sequence[tuple[int, float | None]],
    objective: str,
    minimise: bool,
    baseline: tuple[str, float] | None = None,
) -> "Figure":
    """Fitness of every candidate that was trained the whole way, in order of proposal, and the best so far.

    Args:
        baseline: a name and its value, to be drawn beside them.
    """
    from matplotlib.ticker import MaxNLocator

    values = np.array([np.nan if value is None else value for _, value in points], float)
    figure = new_figure(7, 3.8)
    axis = figure.subplots()
    at = np.arange(1, len(values) + 1)
    generations = np.array([generation for generation, _ in points])
    shown = axis.scatter(
        at, values, c=generations, cmap=GENERATIONS, s=16, alpha=0.8, linewidths=0, rasterized=len(at) > MANY
    )
    if np.isfinite(values).any():
        filled = np.where(np.isnan(values), np.inf if minimise else -np.inf, values)
        best = np.minimum.accumulate(filled) if minimise else np.maximum.accumulate(filled)
        axis.step(at[np.isfinite(best)], best[np.isfinite(best)], where="post", color="black", label="best so far")
        if baseline is not None:
            axis.axhline(baseline[1], color=COLOURS[1], linestyle="--", linewidth=1.2, label=baseline[0])
        axis.legend(fontsize=8)
        if minimise and np.nanmin(values) > 0:
            log_axis(axis)
    if len(set(generations.tolist())) > 1:
        figure.colorbar(shown, ax=axis, label="generation", ticks=MaxNLocator(integer=True))
    axis.set_xlabel("losses that were trained the whole way, in order of proposal")
    axis.set_ylabel(objective)
    axis.grid(alpha=0.25)
    return figure
