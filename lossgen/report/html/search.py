"""What a page says of a search: its champion with the lineage, and the way there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import networkx as nx

from lossgen.codegen.load import read_emitted
from lossgen.errors import InputError
from lossgen.evolution.audit import audit_of
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.hall_of_fame import HallRow, hall_of
from lossgen.evolution.lineage import CHAMPION, ancestry, find_loss, in_order, lineage
from lossgen.evolution.racing import FORETOLD
from lossgen.evolution.run import Run
from lossgen.evolution.searched import searched
from lossgen.language.loss import Loss
from lossgen.language.mathml import loss_mathml
from lossgen.language.parser import parse_loss
from lossgen.report.figures import progress_figure
from lossgen.report.html.blocks import Block, Code, Picture, Section, Sheet, Words, drawn
from lossgen.report.html.charts import front_figure, waterfall_figure
from lossgen.report.html.losses import curves_of, loss_card
from lossgen.report.lineage import SHORT, story, value_text
from lossgen.report.lineage_picture import lineage_figure
from lossgen.report.live import waterfall_text
from lossgen.report.tables import audit_lines, rank_text

SHOWN_LINEAGE = 40
"""Losses of a lineage that a picture of it has at most."""


def champion_part(run: Run, comparison: Comparison) -> list[Section]:
    """Formula, card, source, curves and lineage."""
    champion = next(iter(comparison.of("champion")), None)
    if champion is None:
        return []
    loss = parse_loss(champion.loss)
    blocks: list[Block] = [loss_card(loss, "named by the search, verified on fresh seeds", _written(run, champion))]
    baselines = [parse_loss(result.loss) for result in comparison.of("baseline")]
    blocks += curves_of([loss, *baselines])
    sections = [Section("Champion", blocks)]
    try:
        graph = lineage(run.archive)
        digest = find_loss(run.archive, graph, CHAMPION)
    except InputError as error:
        return [*sections, Section("Lineage", [Words([str(error)])])]
    above = ancestry(graph, digest)
    told = list(story(run.archive, above, digest))
    if len(above) <= SHOWN_LINEAGE:
        caption = f"{len(above)} losses, from those that were drawn anew to the champion."
        picture = drawn(lineage_figure(above, digest), " ".join(" ".join(told).split()), caption, "lineage")
        lines: list[Block] = [Picture(picture.drawing, picture.told, caption, paper=True)]
    else:
        lines = [Words([f"The champion comes from {len(above)} losses, too many for a picture here."])]
    words = Code("What changed from loss to loss", "\n".join(told), folded=len(told) > SHOWN_LINEAGE, aligned=True)
    return [*sections, Section("Lineage", [*lines, _ancestors(above), words])]


def _ancestors(graph: "nx.DiGraph[str]") -> Sheet:
    """The losses of a lineage, whole."""
    columns = ["loss", "generation", "made by", graph.graph["objective"], "formula"]
    rows, formulas = [], {}
    for place, digest in enumerate(in_order(graph)):
        node = graph.nodes[digest]
        rows.append([digest[:SHORT], str(node["generation"]), node["origin"], value_text(node), node["formula"]])
        formulas[place, len(columns) - 1] = _formulas_of(parse_loss(node["loss"]))
    return Sheet(columns, rows, "From the oldest on.", [0, 2, 4], len(rows) - 1, formulas)


def _written(run: Run, champion: Result) -> str:
    """The text of the champion's module, where it is where it was written; "" else."""
    file = run.archive.meta("champion_file")
    if not file:
        return ""
    try:
        source = Path(file).read_text(encoding="utf-8")
        same = read_emitted(source, file).digest() == parse_loss(champion.loss).digest()
    except (OSError, UnicodeDecodeError, InputError):
        return ""
    return source if same else ""


class Known:
    """What the search of a run came to.

    Attributes:
        points: generation, size and value of what went the whole way, in order of proposal; None for a failure.
        hall: the best of each size.
    """

    def __init__(self, run: Run) -> None:
        archive = run.archive
        self.objective, direction = next(iter(archive.meta("objectives", {"fitness": "min"}).items()))
        self.minimise = direction == "min"
        whole = {digest: found.value for digest, found in searched(archive).items() if found.whole}
        self.points = [
            (row.generation, row.size, whole[row.digest])
            for row in archive.candidates()
            if row.fate == "trained" and row.digest in whole
        ]
        self.hall: list[HallRow] = hall_of(archive)

    @property
    def best(self) -> HallRow:
        return [row for row in self.hall if row.front][-1]


def known_of(run: Run) -> Known | None:
    """None before the first proposal."""
    return Known(run) if run.archive.candidates() else None


def search_part(run: Run, known: Known, comparison: Comparison | None) -> list[Section]:
    """The way to what was found: waterfall, rungs, progress, Pareto front, hall of fame."""
    archive = run.archive
    waterfall = archive.waterfall()
    what = waterfall_text(waterfall)
    blocks: list[Block] = [drawn(waterfall_figure(waterfall), what, f"{what}.", "waterfall")]
    foretold = _foretold(archive.meta(FORETOLD, []))
    blocks += [foretold] if foretold else []
    blocks.append(Words(audit_lines(audit_of(archive))))
    sections = [Section("From proposals to losses", blocks)]
    values = [(generation, value) for generation, _, value in known.points]
    good = [(generation, size, value) for generation, size, value in known.points if value is not None]
    if good:
        best = known.best
        figure = progress_figure(values, known.objective, known.minimise, _bar(known, comparison))
        told = f"{known.objective} of {len(values)} losses in order of proposal; the best is {best.value:.4g}"
        front = [(row.size, row.value) for row in known.hall if row.front]
        said = ", ".join(f"{value:.4g} with {size} nodes" for size, value in front)
        ends = front_figure(good, front, known.objective, known.minimise)
        pictures: list[Block] = [
            drawn(
                figure,
                told,
                "By few trainings, on the images that fitness is read from; later generations are darker, "
                "and the polish comes after the last.",
                "progress",
            ),
            drawn(ends, f"Value over size; on the front: {said}", "The front: better than all smaller ones.", "front"),
        ]
        sections.append(Section("Progress", pictures))
        sections.append(Section("Hall of fame", _hall(known)))
    return sections


def _bar(known: Known, comparison: Comparison | None) -> tuple[str, float] | None:
    """The best baseline's mean of the search's own objective, where it was verified."""
    means = {}
    for result in comparison.of("baseline") if comparison else []:
        values = [o.metrics[known.objective] for o in result.outcomes if known.objective in o.metrics]
        if values:
            means[result.name] = fmean(values)
    if not means:
        return None
    best = min(means, key=lambda name: means[name] if known.minimise else -means[name])
    return f"{best}, its mean in the verification", means[best]


def _hall(known: Known) -> list[Block]:
    """The best of each size, and those of the front with their source."""
    columns = ["size", known.objective, "spread", "trainings", "front", "generation", "loss", "formula"]
    rows, formulas = [], {}
    for place, row in enumerate(known.hall):
        loss = parse_loss(row.loss)
        spread = "–" if row.spread is None else f"{row.spread:.2g}"
        front = "yes" if row.front else "no"
        generation = str(row.generation)
        rows.append([
            str(row.size), f"{row.value:.4g}", spread, str(row.trainings), front, generation, row.name, row.loss
        ])  # fmt: skip
        formulas[place, len(columns) - 1] = _formulas_of(loss)
    caption = (
        "The best loss of each size in the search, by its few trainings: not verified. Spread: standard deviation over "
        "these, which in a robust search have other learning rates each."
    )
    blocks: list[Block] = [Sheet(columns, rows, caption, [4, 6, 7], formulas=formulas)]
    for row in (row for row in known.hall if row.front):
        part = f"{row.size} nodes, {known.objective} {row.value:.4g} in the search, generation {row.generation}"
        blocks.append(loss_card(parse_loss(row.loss).renamed(row.name), part))
    return blocks


def _formulas_of(loss: Loss) -> str:
    """MathML of a loss, for a cell of a table."""
    return "".join(each.replace(' display="block"', "") for each in loss_mathml(loss))


def _foretold(foretold: Sequence[Mapping[str, Any]]) -> Sheet | None:
    """How rungs foretell the next one."""
    if not foretold:
        return None
    rows = [
        [
            each["rung"], each["next"], rank_text(each["of_control"]), str(each["control"]),
            rank_text(each["of_promoted"]), str(each["promoted"]), "yes" if each["dropped"] is not None else "no",
        ]
        for each in foretold
    ]  # fmt: skip
    columns = ["rung", "foretells", "drawn at random", "losses", "promoted", "losses", "left out"]
    caption = "Rank correlations between rungs (steps x replicates), with 95 % intervals."
    return Sheet(columns, rows, caption, [0, 1, 6])
