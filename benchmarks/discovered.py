"""What several searches have found, and what that has in common.

    python benchmarks/discovered.py RUN... [--champions FOLDER] [--shortlist FOLDER] [--compared RUN] [--out FILE]

RUN are folders of `lossgen evolve`, searched on the same data with the same settings and different seeds. Written down
are the champion of each, the forms (subexpressions, constants left open) that recur in the best losses of different
runs, beside how many of all trained losses have them, and where the best settle, how steep they are and where they
saturate, beside the same of all.

With --champions the best loss of each run, simplified, is written as a `.loss` file, to be compared with others on
fresh seeds, all champions at once:

    lossgen compare FOLDER/*.loss bce lsgan hinge ganetic --objective robust --steps 2000 --out RUN

With --compared RUN, that comparison, each champion's verified quality stands beside that of the known loss that is
hardest to beat there. With --shortlist, the best losses of all runs that lie far apart are written to a folder: the
first is the best by the search, each next one the farthest from those before it, of the losses within `NEAR` times the
best; a champion that --compared has shown not to be is left out. Seconds, and a minute for what is simplified.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from lossgen.algebra.rounding import round_constants
from lossgen.algebra.simplify import simplify
from lossgen.api import Run
from lossgen.codegen.card import card
from lossgen.evolution.archive import FOUND, found_name
from lossgen.evolution.ladder import Trial, beside_baselines
from lossgen.evolution.racing import FORETOLD
from lossgen.evolution.run import open_run, versions
from lossgen.evolution.searched import ranking
from lossgen.files import without_nan, write_text
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
        data: that it was found on.
        value: its fitness in the metric's units, to be minimised.
    """

    run: int
    seed: int
    data: str
    loss: Loss
    value: float


def losses_of(folder: Path, number: int) -> tuple[list[Found], dict[str, Any]]:
    """All losses of a run, the best first; and what the search came to."""
    with open_run(folder, locked=False) as run:
        ranked = ranking(run.archive)
        config, fates = run.config, run.archive.waterfall()
        foretold = run.archive.meta(FORETOLD, [])
    losses = [
        Found(number, config.seed, config.data.name, parse_loss(row.loss).renamed(found_name(row.digest)), each.value)
        for row, each in ranked
        if each.value is not None
    ]
    if not losses:
        raise click.ClickException(f"{folder}: no loss of it has been trained the whole way")
    record = {
        "seed": config.seed, "steps": config.steps, "generations": config.generations, "trained": fates["trained"],
        "whole": len(losses), "searched": formula(losses[0].loss), "value": losses[0].value, "foretold": foretold,
    }  # fmt: skip
    return losses, record


def simple(found: Found) -> Loss:
    """The form that is handed over, which names the form that was searched."""
    form = round_constants(simplify(found.loss))
    note = f"Found by lossgen evolve on {found.data}, seed {found.seed}.\nSearched as: {formula(found.loss)}"
    return form.renamed(found_name(form.digest()), note)


def verified(champions: Sequence[str], run: Run) -> Trial:
    """Each champion beside the hardest of the known losses of a comparison, with Holm's correction over champions."""
    comparison = run.comparison
    names = [result.name for result in comparison.results] if comparison else []
    missing = ", ".join(name for name in champions if name not in names)
    if comparison is None or missing:
        raise click.ClickException(f"{run.path}: has not compared {missing or 'anything'}")
    known = [name for name in names if not name.startswith(FOUND)]
    return beside_baselines(comparison, champions, known)


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


def written(chosen: Sequence[Loss], folder: Path) -> Iterator[Path]:
    """Write losses as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for loss in chosen:
        path = folder / f"{loss.name.lower()}.loss"
        note = "".join(f"# {line}\n" for line in loss.note.splitlines())
        write_text(path, f"{note}{print_loss(loss)}\n")
        yield path


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--best", "count", default=5, help="How many losses of each run count as its best.")
@click.option("--champions", type=click.Path(path_type=Path), help="Folder for the best loss of each run.")
@click.option("--compared", type=click.Path(path_type=Path, exists=True), help="A comparison of these champions.")
@click.option("--shortlist", type=click.Path(path_type=Path), help="Folder for a shortlist.")
@click.option("--losses", default=10, help="How many are on it.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/discovered.json"))
def main(
    runs: tuple[Path, ...],
    count: int,
    champions: Path | None,
    compared: Path | None,
    shortlist: Path | None,
    losses: int,
    out: Path,
) -> None:
    """Read the runs, compare what they have found, print and keep it."""
    found, records = [], []
    for number, folder in enumerate(runs):
        of_run, record = losses_of(folder, number)
        found.append(of_run)
        records.append(record)
    best = [each for of_run in found for each in of_run[:count]]
    everything = [each for of_run in found for each in of_run]
    forms = [simple(of_run[0]) for of_run in found] if champions or compared else []
    for path in written(forms, champions) if champions else ():
        print(f"wrote {path}")
    trial = verified([form.name for form in forms], Run(compared)) if compared else None
    for record, form in zip(records, forms):
        record |= {"champion": form.name, "loss": formula(form)}
        if trial:
            record["verified"] = {**vars(trial.found[form.name]), "metric": trial.comparison.metric}
            record["verified"]["steps"] = trial.comparison.steps
    for record in records:
        print(f"seed {record['seed']}: {record['value']:.4g} in the search: {record.get('loss', record['searched'])}")
        if trial:
            print(f"    {trial.found[record['champion']].sentence(trial.comparison.metric)}")
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
        means = [mean for beside in trial.found.values() if (mean := beside.mean) is not None] if trial else []
        fell = {
            of_run[0].loss.digest()
            for of_run, form in zip(found, forms)
            if trial and (trial.found[form.name].mean or math.inf) > NEAR * min(means)
        }
        standing = [each for each in everything if each.loss.digest() not in fell]
        chosen = apart(sorted(standing, key=lambda each: each.value), losses)
        for path in written([simple(each) for each in chosen], shortlist):
            print(f"wrote {path}")
    write_text(out, json.dumps(without_nan(result), indent=1, allow_nan=False) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
