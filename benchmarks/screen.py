"""How well does the screen know what will train? Trains a sample of what passes and of each kind that is rejected.

    python benchmarks/screen.py [--count 24] [--steps 600] [--out benchmarks/results/screen.json]

Losses are drawn at random from the space `ganetic` and trained on the embedded digits, one seed each, with the
baselines beside them. A loss "trains" when its Fréchet distance is at most three times that of the worst baseline.
About 5 minutes on 2 cores.
"""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import click
import joblib
import numpy as np

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.archive import found_name
from lossgen.evolution.config import BASELINES, RunConfig
from lossgen.evolution.discover import resolve, session_of
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.run import create_run, versions
from lossgen.evolution.session import Session
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import random_individual
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import GAP, Rejection, Screening, screen
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower_loss

PASSES = "passes the screen"
SMALL_GAP = f"right way, but settles less than {GAP:g} apart"
DRAWN = 60_000
FACTOR = 3.0


def kind_of(screening: Screening) -> str:
    """The screen's verdict, with a group of its own for losses that only lack the gap."""
    if screening.rejection is None:
        return PASSES
    if screening.rejection is Rejection.WRONG_WAY and "less than" in screening.detail:
        return SMALL_GAP
    return str(screening.rejection)


def draw(count: int) -> tuple[dict[str, list[Loss]], dict[str, int]]:
    """Up to `count` losses of each kind, no two with one fingerprint, and how often each kind was drawn."""
    space, rng = find_space("ganetic"), np.random.default_rng(0)
    groups: dict[str, list[Loss]] = defaultdict(list)
    drawn: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    for _ in range(DRAWN):
        loss = random_individual(space, rng).loss("Drawn")
        try:
            screening = screen([lower_loss(loss)])[0]
        except NotFiniteError:
            drawn[str(Rejection.NOT_FINITE)] += 1
            continue
        kind = kind_of(screening)
        drawn[kind] += 1
        mark = fingerprint(screening.curves) if screening.rejection is not Rejection.NOT_FINITE else loss.digest()
        if mark not in seen and len(groups[kind]) < count:
            seen.add(mark)
            groups[kind].append(loss.renamed(found_name(loss.digest())))
    return groups, drawn


def measure(session: Session, losses: list[Loss], steps: int) -> list[float]:
    """Fitness of each loss, infinite where its training failed."""
    entries = [Entry.of(loss) for loss in losses]
    outcomes = session.train("compare", entries, 1, steps)
    return [session.fitness(outcomes[entry.digest]) for entry in entries]


@click.command()
@click.option("--count", default=24, help="Losses a kind.")
@click.option("--steps", default=600, help="Steps of a training.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/screen.json"))
def main(count: int, steps: int, out: Path) -> None:
    """Train samples of every kind and print how many of them train."""
    groups, drawn = draw(count)
    config = resolve(RunConfig(kind="compare", steps=steps, options={"augment": "none"}))
    with tempfile.TemporaryDirectory() as folder, create_run(Path(folder) / "run", config) as run:
        with session_of(run, joblib.cpu_count(), Listener()) as session:
            baselines = [load_argument(name).loss for name in BASELINES]
            known = dict(zip(BASELINES, measure(session, baselines, steps), strict=True))
            found = {kind: measure(session, losses, steps) for kind, losses in groups.items()}
        protocol = run.archive.meta("protocol")
    rows = []
    enough = FACTOR * max(known.values())
    for kind in sorted(found, key=lambda k: -drawn[k]):
        values = np.array(found[kind])
        trains = int((values <= enough).sum())
        row = {"kind": kind, "drawn": drawn[kind], "trains": trains, "values": sorted(values.tolist())}
        rows.append(row)
        print(
            f"{kind:<42} {drawn[kind] / DRAWN:>6.1%} of all; {trains:>2} of {len(values):>2} train, "
            f"median {np.median(values):.3g}, best {values.min():.3g}"
        )
    print(f"trains: at most {enough:.3g}; " + ", ".join(f"{name} {value:.3g}" for name, value in known.items()))
    out.parent.mkdir(parents=True, exist_ok=True)
    result = {"schema": 1, "steps": steps, "enough": enough, "baselines": known, "kinds": rows}
    out.write_text(json.dumps({**result, "protocol": protocol, "versions": versions()}, indent=2) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
