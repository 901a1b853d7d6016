"""What a page says of trainings side by side: table, box plot, values over steps, samples."""

import math
import re

from lossgen.evolution.compare import Comparison
from lossgen.evolution.run import Run
from lossgen.report.comparison import (
    LOSS,
    cells_of,
    edge_lines,
    ordered,
    other_cells,
    remarks,
    row_label,
    standing_lines,
    title_of,
)
from lossgen.report.figures import box_figure, sample_figure
from lossgen.report.html.blocks import Block, Picture, Section, Sheet, Words, drawn, pixels
from lossgen.report.html.charts import steps_figure
from lossgen.report.tables import numbers_of

MOST_CURVES = 7
"""Losses whose values over steps are in one figure."""
_PAIR = re.compile(r" \(?lr=([0-9.e-]+?)-([0-9.e+]+)\)?")


def compared(run: Run, comparison: Comparison) -> list[Section]:
    """Table, box plot and samples."""
    grid, search = run.config.grid, run.config.kind == "evolve"
    columns, rows = cells_of(comparison)
    best = next((place for place, result in enumerate(ordered(comparison)) if result.summary is not None), None)
    notes = [*standing_lines(comparison), *(edge_lines(comparison, grid) if search else remarks(comparison, grid))]
    if search:
        fresh = f"All were retrained on {run.config.verify_seeds} fresh seeds; the champion was named before."
        notes = [fresh, *notes]
    blocks: list[Block] = [Sheet(columns, rows, title_of(comparison), [columns.index(LOSS)], best), Words(notes)]
    point = "A point is a seed"
    if run.config.objective == "robust" and run.config.grid:
        point = f"A point is a round of {len(run.config.grid)} trainings, one a pair of learning rates, each of a seed"
    blocks += boxes(comparison, f"{point}; a box from quartile to quartile; the triangle is the mean.", "box")
    blocks += [*_over_steps(run, comparison), *_besides(run, comparison)]
    sections = [Section("Verification" if search else "Comparison", blocks)]
    samples = sample_figure(comparison)
    if samples is not None:
        names = ", ".join(row_label(result) for result in ordered(comparison))
        told = f"Generated images, a grid each by the generators of {names}"
        sections.append(Section("Samples", [pixels(samples, told, "The same seed for all; not chosen.")]))
    return sections


def boxes(comparison: Comparison, caption: str, name: str) -> list[Picture]:
    """The spread over seeds, where any training ended well."""
    having = [result for result in comparison.results if result.values]
    if not having:
        return []
    told = f"Box plot of {comparison.metric} over seeds: " + "; ".join(
        f"{row_label(result)}: {min(result.values):.4g} to {max(result.values):.4g}" for result in having
    )
    return [drawn(box_figure(comparison), told, caption, name)]


def _over_steps(run: Run, comparison: Comparison) -> list[Block]:
    """The objective over the steps of the trainings, where the runner has told of it."""
    objective, direction = next(iter(run.archive.meta("objectives", {}).items()), ("", "min"))
    stages = ("interim",) if run.archive.meta("interim", False) else ("verify", "compare")
    curves: dict[str, list[list[tuple[int, float]]]] = {result.label: [] for result in ordered(comparison)}
    labels = {(result.name, result.condition): result.label for result in comparison.results}
    for stage in stages:
        for key, name, outcome in run.archive.outcomes(stage):
            label = labels.get((name, key.condition)) or labels.get((name, ""))
            points = [(step, values[objective]) for step, values in outcome.curve if objective in values]
            if label is not None and len(points) > 1 and outcome.status == "ok":
                curves[label].append([point for point in points if math.isfinite(point[1])])
    shown_ = {label: trainings for label, trainings in list(curves.items())[:MOST_CURVES] if trainings}
    if not shown_:
        return []
    told = f"{objective} over the steps of the trainings of {', '.join(shown_)}"
    mixed = run.config.objective == "robust" and bool(run.config.grid)
    caption = "Median of all trainings of a loss, " + (
        "of all pairs of rates" if mixed else "and the middle half of them"
    )
    caption += "; on the images that fitness is read from, at the checkpoints that were looked at."
    return [drawn(steps_figure(shown_, objective, direction == "min", not mixed), told, caption, "steps")]


def _besides(run: Run, comparison: Comparison) -> list[Block]:
    """What else was measured; the results of each pair of learning rates in a table of their own."""
    columns, rows = other_cells(comparison)
    if not rows:
        return []
    numbers = numbers_of(run.archive.meta("protocol", {}))
    objective = next(iter(run.archive.meta("objectives", {})), "")
    pairs = [place for place, name in enumerate(columns) if " lr=" in name]
    others = [place for place in range(1, len(columns)) if place not in pairs]
    caption = f"What was measured besides, mean ± standard deviation. {numbers}"
    if objective in columns and comparison.metric != objective:
        caption += f" {objective} is on the validation images, what ends in “test” on those of the test split."
    found: list[Block] = []
    for places, said in ((others, caption), (pairs, "By learning rates (G generator, D discriminator).")):
        if places:
            heads = [columns[0], *(_PAIR.sub(r" G \1, D \2", columns[place]) for place in places)]
            found.append(Sheet(heads, [[row[0], *(row[place] for place in places)] for row in rows], said))
    return found
