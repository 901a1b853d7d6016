"""What several searches have found, and what that has in common.

    python benchmarks/discovered.py RUN... [--best 5] [--shortlist FOLDER] [--losses 10] [--out FILE]

RUN are folders of `lossgen evolve`, searched on the same data with the same settings and different seeds. Written down
are each champion with its verified quality beside that of the baseline that is hardest to beat, the forms
(subexpressions, constants left open) that recur in the best losses of different runs, beside how many of all trained
losses have them, and where the best settle, how steep they are and where they saturate, beside the same of all.

With --shortlist, the best losses of all runs that lie far apart are written to FOLDER as `.loss` files: the first is
the best by the search, each next one the farthest from those before it, of the losses within `NEAR` times the best.
Seconds.
"""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from lossgen.codegen.card import card
from lossgen.evolution.archive import found_name
from lossgen.evolution.run import open_run, versions
from lossgen.evolution.searched import ranking
from lossgen.files import write_text
from lossgen.kernel.fingerprint import normalised
from lossgen.kernel.screen import screen
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula, print_loss, to_text

NEAR = 1.25
"""A loss is good if its value in the search is at most this many times the best one's."""
OPEN = Expression("constant", name="c")


@dataclass(frozen=True)
class Found:
    """A loss that a search has trained the whole way, without failure.

    Attributes:
        run: number of the run.
        seed: of the run.
        value: its fitness in the metric's units, to be minimised.
    """

    run: int
    seed: int
    loss: Loss
    value: float


def losses_of(folder: Path, number: int) -> tuple[list[Found], dict[str, Any]]:
    """All losses of a run, the best first; and what its verification came to."""
    with open_run(folder, locked=False) as run:
        ranked = ranking(run.archive)
        result, seed = run.archive.meta("result"), run.config.seed
    if not result:
        raise click.ClickException(f"{folder}: has not verified anything yet; let it finish (--resume)")
    losses = [
        Found(number, seed, parse_loss(row.loss).renamed(found_name(row.digest)), each.value)
        for row, each in ranked
        if each.value is not None
    ]
    verdict = result["verdict"]
    champion = next((row for row in result["results"] if row["part"] == "champion"), None)
    if verdict is None or champion is None:
        raise click.ClickException(f"{folder}: no loss of it has been held against a baseline")
    baseline = next(row for row in result["results"] if row["name"] == verdict["baseline"])
    record = {
        "seed": seed, "losses": len(losses), "champion": champion["loss"], "verified": champion["mean"],
        "sd": champion["std"], "baseline": baseline["name"], "mean_of_baseline": baseline["mean"],
        **{name: verdict[name] for name in ("ratio", "finding", "p")},
    }  # fmt: skip
    return losses, record


def shapes(loss: Loss) -> set[str]:
    """Subexpressions with two nodes or more, constants left open."""

    def opened(node: Expression) -> Expression:
        return OPEN if node.is_constant else node

    return {
        to_text(node.map(opened).canonical())
        for expression in loss.expressions()
        for node in expression.walk()
        if node.size > 1
    }


def recurring(best: Sequence[Found], everything: Sequence[Found]) -> list[dict[str, Any]]:
    """Shapes that the best losses of two runs or more have, those of most runs first."""
    runs: dict[str, set[int]] = {}
    for found in best:
        for shape in shapes(found.loss):
            runs.setdefault(shape, set()).add(found.run)
    common = {shape for shape, of in runs.items() if len(of) > 1}
    have: Counter[str] = Counter(shape for found in everything for shape in shapes(found.loss) & common)
    rows = [
        {
            "shape": shape, "runs": len(runs[shape]),
            "of_the_best": sum(shape in shapes(found.loss) for found in best) / len(best),
            "of_all": have[shape] / len(everything),
        }
        for shape in common
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["runs"], row["of_all"] - row["of_the_best"], row["shape"]))


def traits(losses: Sequence[Found]) -> dict[str, list[float]]:
    """Lower quartile, median and upper quartile of what the cards say."""
    table: dict[str, list[float]] = {}
    for found in losses:
        known = card(found.loss)
        slopes = known.slopes
        values = {
            "real settles at p": known.settles["real"], "fake settles at p": known.settles["fake"], "gap": known.gap,
            "slope at p = 0.5, fake over real": -_ratio(slopes["fake"][1], slopes["real"][1]),
            "slope of the generator, p = 0.01 over 0.5": _ratio(slopes["generator"][0], slopes["generator"][1]),
            "slope of the generator, p = 0.99 over 0.5": _ratio(slopes["generator"][2], slopes["generator"][1]),
            "scores where the generator saturates": sum(high - low for low, high in known.saturates["generator"]),
        }  # fmt: skip
        for name, value in values.items():
            table.setdefault(name, []).append(value)
    return {name: np.nanpercentile(values, [25, 50, 75]).tolist() for name, values in table.items()}


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.nan


def apart(losses: Sequence[Found], count: int) -> list[Found]:
    """The best of good losses, the best first, and those farthest from the ones before them, by gradient curves."""
    good = [found for found in losses if found.value <= NEAR * losses[0].value]
    curves = [each.curves for each in screen([lower_loss(found.loss) for found in good])]
    places = np.array([normalised(each, scale_free=True) for each in curves])
    chosen = [0]
    while len(chosen) < min(count, len(good)):
        distances = np.min([np.linalg.norm(places - places[i], axis=1) for i in chosen], axis=0)
        farthest = int(distances.argmax())
        if distances[farthest] == 0.0:
            break
        chosen.append(farthest)
    return [good[i] for i in chosen]


def written(chosen: Sequence[Found], folder: Path) -> Iterator[Path]:
    """Write the losses as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for found in chosen:
        path = folder / f"{found.loss.name.lower()}.loss"
        write_text(path, f"# Found by lossgen evolve, seed {found.seed}.\n{print_loss(found.loss)}\n")
        yield path


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--best", "count", default=5, help="How many losses of each run count as its best.")
@click.option("--shortlist", type=click.Path(path_type=Path), help="Folder for a shortlist.")
@click.option("--losses", default=10, help="How many are on it.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/discovered.json"))
def main(runs: tuple[Path, ...], count: int, shortlist: Path | None, losses: int, out: Path) -> None:
    """Read the runs, compare what they have found, print and keep it."""
    found, records = [], []
    for number, folder in enumerate(runs):
        of_run, record = losses_of(folder, number)
        found.append(of_run)
        records.append(record)
    best = [each for of_run in found for each in of_run[:count]]
    everything = [each for of_run in found for each in of_run]
    for record in records:
        said = "failed on all seeds"
        if record["ratio"] is not None:
            said = f"{record['verified']:.3g} ± {record['sd']:.2g}, {record['ratio']:.2f} × {record['baseline']}"
            said += f" ({record['finding']}, p = {record['p']:.2g})"
        print(f"seed {record['seed']}: {record['champion']}: {said}")
    ratios = [record["ratio"] for record in records if record["ratio"] is not None]
    if ratios:
        middle = statistics.median(ratios)
        print(f"over the baseline that is hardest to beat: {min(ratios):.2f} to {max(ratios):.2f}, median {middle:.2f}")
    rows = recurring(best, everything)
    for row in rows[:20]:
        parts = f"{row['of_the_best']:.0%} of the best, {row['of_all']:.0%} of all"
        print(f"{row['shape']:<40} in {row['runs']} runs, {parts}")
    facts = {"best": traits(best), "all": traits(everything)}
    for name, values in facts["best"].items():
        said = [f"{low:.2f} – {median:.2f} – {high:.2f}" for low, median, high in (values, facts["all"][name])]
        print(f"{name:<44}{said[0]:>26} (all: {said[1]})")
    kept = [{"seed": each.seed, "value": each.value, "loss": formula(each.loss)} for each in best]
    result = {
        "schema": 1, "runs": records, "best": kept, "shapes": rows, "traits": facts, "versions": versions(),
    }  # fmt: skip
    if shortlist:
        for path in written(apart(sorted(everything, key=lambda each: each.value), losses), shortlist):
            print(f"wrote {path}")
    write_text(out, json.dumps(result, indent=1) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
