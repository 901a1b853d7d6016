"""A pool of losses that were trained once at every rung, for replays of races: writes benchmarks/results/pool.json.

    python benchmarks/pool.py [--losses 300] [--workers 2] [--run runs/pool] [--out benchmarks/results/pool.json]

The losses are those that a search with `--objective robust` and without racing asks for: a generation of random ones,
then five that are bred from the best. Each is trained on the digits with that objective's four pairs of learning rates,
one seed a pair, and looked at on every rung; to the last rung also with fresh seeds, for a verified quality, and with
the pair that a training has by default on as many seeds, as the other objectives look at it. A loss is trained no
further than the middle rung where both its mean over the pairs and its distance with the default's pair are more than
`CUT` times the best one's: of the losses that people wrote, the worst was at 1.7 times the best one's there.

Hours of computing; a run that was stopped goes on.
"""

import json
import math
from pathlib import Path
from typing import Any

import click

from lossgen.codegen.load import load_argument
from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.batch import Job, Keep
from lossgen.evolution.config import BASELINES, RunConfig
from lossgen.evolution.discover import resolve, session_of
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.run import create_run, open_run, versions
from lossgen.evolution.search import engine_of
from lossgen.evolution.session import Session
from lossgen.language.printer import print_loss
from lossgen.report.live import PlainView, console_for
from lossgen.runner import Outcome

RUNGS = (125, 250, 500)
GENERATION = 50
CUT = 1.8
GRID = ((1e-3, 1e-3), (3e-3, 3e-3), (3e-3, 1e-3), (1e-3, 3e-4))
PAIRS = len(GRID)
"""Replicates 0 to 3 are those of a search, one a pair; 4 to 7 are the fresh ones."""
TUNED = 1
"""The number of the default's pair."""


class Trained:
    """The trainings of entries, from rung to rung."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.objective = session.aim

    def train(self, entries: list[Entry], steps: int, replicates: range, after: int, keep: Keep) -> None:
        """Train these replicates of every entry."""
        self.session.train_jobs(
            "search", [Job(self.objective.under(e, r), r, after) for r in replicates for e in entries], steps, keep
        )

    def train_tuned(self, entries: list[Entry], steps: int) -> None:
        """Train every entry with the default's pair on the search's seeds, from the start."""
        jobs = [Job(self.objective.under(e, TUNED), r) for r in range(PAIRS) for e in entries]
        self.session.train_jobs("search", jobs, steps, "nothing")

    def outcomes(self, entry: Entry, steps: int, replicates: range, tuned: bool = False) -> list[Outcome]:
        """Of these replicates, those that were trained."""
        archive, found = self.session.run.archive, []
        for r in replicates:
            condition = self.objective.condition(TUNED if tuned else r)
            found.append(archive.outcome(OutcomeKey("search", entry.digest, r, steps, condition)))
        return [outcome for outcome in found if outcome is not None]

    def values(self, entry: Entry, steps: int) -> list[float]:
        """Of the search's replicates, to be minimised."""
        return self.objective.values(self.outcomes(entry, steps, range(PAIRS)))


Best = tuple[float, float]
"""Of the middle rung so far: the mean over pairs, and the distance with the default's pair; both as logarithms."""


def train_generation(trained: Trained, entries: list[Entry], best: Best) -> tuple[list[list[float]], list[int], Best]:
    """Values of each at its last rung, how many rungs it fell short, and the best of the middle rung so far."""
    first, middle, top = RUNGS
    trained.train(entries, first, range(PAIRS), 0, "state")
    trained.train(entries, middle, range(PAIRS), first, "state")
    reached = [(trained.objective.fitness(each), each[TUNED]) for each in (trained.values(e, middle) for e in entries)]
    best = min([best[0], *(mean for mean, _ in reached)]), min([best[1], *(tuned for _, tuned in reached)])
    good = [
        entry
        for entry, found in zip(entries, reached, strict=True)
        if any(value <= least + math.log(CUT) for value, least in zip(found, best, strict=True))
    ]
    trained.train(good, top, range(PAIRS), middle, "nothing")
    trained.train(good, top, range(PAIRS, 2 * PAIRS), 0, "nothing")
    trained.train_tuned(good, top)
    values = [trained.values(entry, top if entry in good else middle) for entry in entries]
    return values, [int(entry not in good) for entry in entries], best


def row(trained: Trained, entry: Entry, **more: Any) -> dict[str, Any]:
    """A loss of the pool: its distances by rung and replicate, and by seed with the default's pair; None where one
    failed."""
    metric = trained.objective.metric

    def read(outcomes: list[Outcome]) -> list[float | None]:
        return [float(f"{o.metrics[metric]:.4g}") if o.status == "ok" else None for o in outcomes]

    values = {str(steps): read(trained.outcomes(entry, steps, range(2 * PAIRS))) for steps in RUNGS}
    tuned = read(trained.outcomes(entry, RUNGS[-1], range(PAIRS), tuned=True))
    return {"loss": print_loss(entry.loss), **more, "values": values, "tuned": tuned}


@click.command()
@click.option("--losses", default=300, help="How many.")
@click.option("--workers", default=2, help="Worker processes.")
@click.option("--run", "folder", type=click.Path(path_type=Path), default=Path("runs/pool"), help="Run folder.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/pool.json"))
def main(losses: int, workers: int, folder: Path, out: Path) -> None:
    """Train the pool, or go on with it, and write it down."""
    config = RunConfig(
        kind="evolve", objective="robust", grid=list(GRID), steps=RUNGS[-1], population=GENERATION, max_trainings=10**6
    )
    opened = open_run(folder) if (folder / "run.toml").exists() else create_run(folder, resolve(config))
    listener: Listener = PlainView(console_for())
    with opened as run, session_of(run, workers, listener) as session:
        trained, engine = Trained(session), engine_of(session)
        best: Best = math.inf, math.inf
        rows: list[dict[str, Any]] = []
        while len(rows) < losses:
            candidates = engine.ask(min(GENERATION, losses - len(rows)))
            entries = [candidate.entry for candidate in candidates]
            values, short, best = train_generation(trained, entries, best)
            engine.tell(candidates, values, short=short)
            rows += [row(trained, c.entry, generation=c.generation, origin=c.origin) for c in candidates]
        baselines = [Entry.of(load_argument(name).loss) for name in BASELINES]
        train_generation(trained, baselines, (math.inf, math.inf))
        known = [row(trained, entry) for entry in baselines]
        protocol = run.archive.meta("protocol")
    result = {
        "schema": 1, "rungs": RUNGS, "pairs": [list(pair) for pair in GRID], "cut": CUT,
        "metric": trained.objective.metric,
        "baselines": known, "losses": rows, "setting": protocol["setting"], "versions": versions(),
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = json.dumps(result).replace('{"loss"', '\n{"loss"')
    out.write_text(lines + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
