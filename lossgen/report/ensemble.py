"""An ensemble of GANs: the front, the pick, its members, and what classifiers learn from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossgen.files import without_nan, write_text
from lossgen.gan.ensembles.downstream import ARMS, ArmRates
from lossgen.gan.ensembles.overlap import Alone, Worth
from lossgen.gan.ensembles.selection import front, hypervolume, pick
from lossgen.report.canvas import COLOURS, new_figure, save
from lossgen.report.documents import aligned, markdown_table, plain
from lossgen.stats import holm, mean_interval, paired

CHOSEN, BASELINES = ARMS[3], (ARMS[0], ARMS[1], ARMS[2], ARMS[4])
JUDGED = "balanced accuracy"
FEWEST = 10


@dataclass(frozen=True)
class EnsembleReport:
    """What is said of a selection.

    Attributes:
        names: of the models of the pool.
        found: the ensembles that were looked at.
        alone: each model by itself.
        described: pool, embedding and selection, in sentences.
        tested: what classifiers get right, by arm; None where they were not asked.
        positive: name of the positive class.
    """

    names: Sequence[str]
    found: Sequence[Worth]
    alone: Sequence[Alone]
    described: Sequence[str]
    tested: Mapping[str, Sequence[ArmRates]] | None = None
    positive: str = ""

    @property
    def pick(self) -> Worth:
        return pick(self.found)

    def lines(self) -> list[str]:
        """All of it for a terminal."""
        chosen, best = self.pick, int(np.argmax([each.intra_d for each in self.alone]))
        lines = [
            *self.described,
            f"Looked at {len(set(self.found))} ensembles; the front has {len(front(self.found))}, hypervolume "
            f"{hypervolume(self.found):.3f}.",
            f"Chosen: {', '.join(self.names[i] for i in chosen.models)}: intra_d {chosen.intra_d:.3f} (fidelity: "
            f"higher is better), inter_d {chosen.inter_d:.3f} (redundancy: lower is better).",
            f"Best single model: {self.names[best]}, intra_d {self.alone[best].intra_d:.3f}.",
        ]
        if self.tested is not None:
            lines += ["", *aligned(*self.table()), "", *self.notes()]
        return lines

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows: mean ± standard deviation over the repetitions."""
        assert self.tested is not None
        columns = ["trained on", *self.tested[CHOSEN][0].summary()]
        rows = []
        for arm, each in self.tested.items():
            values = [result.summary() for result in each]
            cells = [[value[name] for value in values] for name in columns[1:]]
            rows.append([arm, *(f"{np.mean(cell):.3f} ± {np.std(cell, ddof=1):.3f}" for cell in cells)])
        return columns, rows

    def notes(self) -> list[str]:
        """What the table says, and does not."""
        assert self.tested is not None
        ours = [result.summary()[JUDGED] for result in self.tested[CHOSEN]]
        others = {arm: [result.summary()[JUDGED] for result in self.tested[arm]] for arm in BASELINES}
        corrected = holm([paired(ours, values) for values in others.values()])
        said = []
        for (arm, values), p in zip(others.items(), corrected):
            low, high = mean_interval(np.array(ours) - np.array(values))
            apart = float(np.mean(ours) - np.mean(values))
            shown = "" if p < 0.05 else ", which is not shown to be a difference"
            said.append(f"{apart:+.3f} ({low:+.3f} to {high:+.3f}, p = {p:.2g}) against {arm}{shown}")
        return [
            f"{len(ours)} repetitions, on real test images; positive is {self.positive}. The chosen ensemble's "
            f"{JUDGED}: {'; '.join(said)}.",
            "Repetitions differ in the classifier's seed, and not in GANs or split: intervals cover no more than that.",
            *(["Fewer than 10 repetitions are too few to be reported."] * (len(ours) < FEWEST)),
        ]  # fmt: skip

    def alone_table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows: each model by itself, the best first."""
        order = sorted(range(len(self.names)), key=lambda i: -self.alone[i].intra_d)
        members = self.pick.models
        rows = [
            [
                self.names[i] + " (chosen)" * (i in members),
                *(f"{v:.3f}" for v in (self.alone[i].density, self.alone[i].coverage, self.alone[i].intra_d)),
            ]
            for i in order
        ]
        return ["model", "density", "coverage", "intra_d"], rows

    def front_table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows."""
        rows = [
            [", ".join(self.names[i] for i in worth.models), f"{worth.intra_d:.3f}", f"{worth.inter_d:.3f}"]
            for worth in front(self.found)
        ]
        return ["models", "intra_d", "inter_d"], rows

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        tested = self.tested or {}
        return {
            "schema": 1, "models": list(self.names), "alone": [vars(each) for each in self.alone],
            "described": list(self.described),
            "looked_at": len(set(self.found)), "hypervolume": hypervolume(self.found),
            "front": [vars(worth) for worth in front(self.found)], "pick": vars(self.pick), "positive": self.positive,
            "tested": {arm: [each.summary() for each in results] for arm, results in tested.items()},
        }  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """Numbers, a page, and the picture of the front; their paths."""
        numbers, page, picture = (folder / name for name in ("ensemble.json", "ensemble.md", "front.png"))
        write_text(numbers, json.dumps(without_nan(self.as_json()), indent=2, ensure_ascii=False) + "\n")
        lines = ["# An ensemble of GANs", ""]
        for line in self.lines()[: len(self.described) + 3]:
            lines += [plain(line), ""]
        lines += ["## The front", "", *markdown_table(*self.front_table()), "", f"![The front]({picture.name})", ""]
        lines += ["## Each model by itself", "", *markdown_table(*self.alone_table()), ""]
        if self.tested is not None:
            lines += ["## What classifiers learn from it", "", *markdown_table(*self.table()), ""]
            for line in self.notes():
                lines += [plain(line), ""]
        write_text(page, "\n".join(lines))
        return [page, numbers, self.draw(picture)]

    def draw(self, path: Path) -> Path:
        """All ensembles, the front, and the pick."""
        figure = new_figure(5.2, 4.2)
        axes = figure.add_subplot()
        axes.scatter(
            [w.inter_d for w in self.found], [w.intra_d for w in self.found], s=6, color="0.75", label="looked at"
        )
        kept = front(self.found)
        axes.plot(
            [w.inter_d for w in kept], [w.intra_d for w in kept], "o-", color=COLOURS[1], markersize=4, label="front"
        )
        axes.plot(self.pick.inter_d, self.pick.intra_d, "*", color=COLOURS[0], markersize=13, label="chosen")
        axes.axhline(
            max(each.intra_d for each in self.alone), color="0.5", linestyle=":", linewidth=1, label="best single model"
        )
        axes.set(xlabel="inter_d: redundancy (lower is better)", ylabel="intra_d: fidelity (higher is better)")
        axes.legend(fontsize=8, frameon=False)
        save(figure, path)
        return path
