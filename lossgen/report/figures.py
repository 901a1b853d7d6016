"""Pictures of losses and of runs, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.archive import Archive
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.hall_of_fame import search_fitness
from lossgen.gan.sampling import grid
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import lower_loss
from lossgen.report.tables import ordered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e", "#6a4c93", "#5f7367", "#9a8c98")
SHOWN, COLUMNS = 36, 6


def loss_curves(losses: Sequence[Loss], path: Path) -> None:
    """Value and score-gradient of each role over the probability, a line a loss.

    The horizontal axis is logistic, so that p near 0 and near 1, where losses differ most, can be read. Values are
    drawn from their least, gradients as they are, both clipped to what the losses do in the middle.
    """
    scores = np.linspace(-8.0, 8.0, 513)
    figure = _figure(11, 6.2)
    axes = figure.subplots(2, 3, sharex=True)
    curves = {
        loss.name: values_and_gradients([lower_loss(loss).roles[role] for role in ROLES], scores) for loss in losses
    }
    for column, role in enumerate(ROLES):
        for row, what in enumerate(("value above its least", "gradient by the score")):
            axis = axes[row, column]
            shown = []
            for colour, (name, pair) in zip(COLOURS, curves.items(), strict=False):
                curve = pair[row][column]
                curve = curve - curve.min(where=np.isfinite(curve), initial=np.inf) if row == 0 else curve
                shown.append(curve)
                axis.plot(scores, curve, color=colour, label=name, linewidth=2.2 if name == losses[0].name else 1.5)
            seen = np.concatenate([curve[np.isfinite(curve) & (np.abs(scores) <= 4.0)] for curve in shown])
            low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
            margin = 0.08 * (high - low or 1.0)
            axis.set_ylim(max(low, -6.0) - margin, min(high, 6.0) + margin)
            if row == 0:
                axis.set_title(role)
            else:
                axis.axhline(0.0, color="0.6", linewidth=0.8)
                ticks = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
                axis.set_xticks([np.log(p / (1 - p)) for p in ticks], [f"{p:g}" for p in ticks], fontsize=8)
                axis.set_xlabel("p = sigmoid(score)")
            if column == 0:
                axis.set_ylabel(what)
            axis.grid(alpha=0.25)
    axes[0, 0].legend(fontsize=8)
    _save(figure, path)


def beside_known(loss: Loss) -> list[Loss]:
    """The loss with the two it is drawn beside, BCE and GANetic."""
    known = [load_argument(name).loss for name in ("bce", "ganetic")]
    return [loss, *(other for other in known if other.digest() != loss.digest())]


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
    figure = _figure(2.6 * len(shown), 3.1)
    axes = np.atleast_1d(figure.subplots(1, len(shown)))
    for axis, (result, value, images) in zip(axes, shown, strict=True):
        axis.imshow(grid(images[:SHOWN], COLUMNS), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        number = f"{value:.4g}" if value is not None else "failed"
        axis.set_title(f"{_label(result)}\n{comparison.metric} {number}", fontsize=9)
        axis.axis("off")
    figure.suptitle(f"Samples at equal seeds (replicate {replicate})", fontsize=10)
    _save(figure, path)
    return True


def box_plot(comparison: Comparison, path: Path) -> None:
    """Spread over seeds, a box and its points a loss."""
    results = [result for result in ordered(comparison) if result.values]
    figure = _figure(max(5.0, 1.3 * len(results)), 4.0)
    axis = figure.subplots()
    axis.boxplot([list(r.values) for r in results], tick_labels=[_label(r) for r in results], showmeans=True)
    for place, result in enumerate(results, 1):
        offsets = np.linspace(-0.12, 0.12, len(result.values)) if len(result.values) > 1 else np.zeros(1)
        axis.plot(place + offsets, result.values, "o", color=COLOURS[1], alpha=0.6, markersize=4)
    axis.set_ylabel(comparison.metric)
    axis.tick_params(axis="x", rotation=20)
    axis.grid(axis="y", alpha=0.25)
    _save(figure, path)


def _label(result: Result) -> str:
    return f"{result.name} ({result.part})" if result.part in ("champion", "runner-up") else result.name


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
    figure = _figure(7, 3.8)
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
    _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=130)
    except ValueError as error:
        raise InputError(f"picture {path}: {str(error).splitlines()[0]}") from None
