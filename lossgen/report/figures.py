"""Pictures of runs: samples, spread, progress."""

from pathlib import Path

import numpy as np

from lossgen.evolution.archive import Archive
from lossgen.evolution.compare import Comparison
from lossgen.evolution.hall_of_fame import search_fitness
from lossgen.gan.sampling import grid
from lossgen.report.canvas import COLOURS, new_figure, save
from lossgen.report.tables import ordered, row_label

SHOWN, COLUMNS = 36, 6


def sample_grids(comparison: Comparison, path: Path, replicate: int = 0) -> bool:
    """Samples of every loss's generator at the same seed, side by side. False where none were kept."""
    shown = []
    for result in ordered(comparison):
        outcome = result.outcomes[replicate] if len(result.outcomes) > replicate else None
        file = outcome.files.get("samples") if outcome else None
        if outcome is not None and file is not None and file.is_file():
            value = outcome.metrics.get(comparison.metric)
            shown.append((result, value, np.load(file, allow_pickle=False)["images"]))
    if not shown:
        return False
    figure = new_figure(2.6 * len(shown), 3.1)
    axes = np.atleast_1d(figure.subplots(1, len(shown)))
    for axis, (result, value, images) in zip(axes, shown, strict=True):
        axis.imshow(grid(images[:SHOWN], COLUMNS), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        number = f"{value:.4g}" if value is not None else "failed"
        axis.set_title(f"{row_label(result)}\n{comparison.metric} {number}", fontsize=9)
        axis.axis("off")
    figure.suptitle(f"Samples at equal seeds (replicate {replicate})", fontsize=10)
    save(figure, path)
    return True


def box_plot(comparison: Comparison, path: Path) -> None:
    """Spread over seeds, a box and its points a loss."""
    results = [result for result in ordered(comparison) if result.values]
    figure = new_figure(max(5.0, 1.3 * len(results)), 4.0)
    axis = figure.subplots()
    axis.boxplot([list(r.values) for r in results], tick_labels=[row_label(r) for r in results], showmeans=True)
    for place, result in enumerate(results, 1):
        offsets = np.linspace(-0.12, 0.12, len(result.values)) if len(result.values) > 1 else np.zeros(1)
        axis.plot(place + offsets, result.values, "o", color=COLOURS[1], alpha=0.6, markersize=4)
    axis.set_ylabel(comparison.metric)
    axis.tick_params(axis="x", rotation=20)
    axis.grid(axis="y", alpha=0.25)
    save(figure, path)


def progress_curve(archive: Archive, objective: str, minimise: bool, path: Path) -> None:
    """Fitness of every trained candidate (mean over replicates) in order of proposal, and the best so far."""
    fitness = search_fitness(archive, objective)
    trained = {key.digest for key, _, _ in archive.outcomes("search")}
    points = [
        (row.generation, fitness[row.digest][0] if row.digest in fitness else None)
        for row in archive.candidates()
        if row.fate == "trained" and row.digest in trained
    ]
    values = np.array([np.nan if value is None else value for _, value in points], float)
    figure = new_figure(7, 3.8)
    axis = figure.subplots()
    at = np.arange(1, len(values) + 1)
    generations = np.array([generation for generation, _ in points])
    for generation in sorted(set(generations.tolist())):
        of = generations == generation
        axis.plot(at[of], values[of], "o", markersize=4, color=COLOURS[generation % len(COLOURS)], alpha=0.7)
    if np.isfinite(values).any():
        filled = np.where(np.isnan(values), np.inf if minimise else -np.inf, values)
        best = np.minimum.accumulate(filled) if minimise else np.maximum.accumulate(filled)
        axis.step(at[np.isfinite(best)], best[np.isfinite(best)], where="post", color="0.2", label="best so far")
        axis.legend(fontsize=8)
        if minimise and np.nanmin(values) > 0:
            axis.set_yscale("log")
    axis.set_xlabel("candidate, in order of proposal (a colour a generation)")
    axis.set_ylabel(objective)
    axis.grid(alpha=0.25)
    save(figure, path)
