"""Runs whose trainings run elsewhere: what was asked for and what was told, as the archive has it.

Nothing is replayed: the engine is restored from the archive, and all that follows is a function of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lossgen import settings
from lossgen.errors import InputError
from lossgen.evolution.archive import CandidateRow
from lossgen.evolution.compare import Contestant
from lossgen.evolution.config import DataConfig, RunConfig
from lossgen.evolution.discover import settled_space
from lossgen.evolution.engine import Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import Run
from lossgen.evolution.searched import STAGES
from lossgen.evolution.searched import objective_of as search_objective
from lossgen.evolution.space_reader import read_space
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.runner import Direction, Outcome

COLUMNS = ("loss", "file", "seed", "status")
"""Columns of the table before the metric's."""
FIRST_FRESH = 1000
"""The first seed of a verification: nothing was chosen on those from here on."""
ROUNDS, UNWRITTEN, VERIFICATIONS = "rounds", "unwritten", "verifications"
"""In the archive: number of asks, what the last one has chosen until it is written, and contestants by verification."""


@dataclass(frozen=True)
class Training:
    """A training of a loss that is asked for.

    Attributes:
        stage: "search", or "verify" on a fresh seed.
        digest: of the loss.
        seed: what the table calls it.
    """

    stage: Literal["search", "verify"]
    digest: str
    seed: int


@dataclass(frozen=True)
class State:
    """What was asked for in a run, and what is known of it.

    Attributes:
        trainings: all that were asked for, or made by the run itself, in order.
        outcomes: of those that are known.
        entries: losses by stage and digest.
    """

    trainings: Sequence[Training]
    outcomes: Mapping[Training, Outcome]
    entries: Mapping[tuple[str, str], Entry]

    @property
    def open(self) -> list[Training]:
        return [training for training in self.trainings if training not in self.outcomes]

    def label(self, training: Training) -> str:
        """What the table calls a loss: its name; its digest where another has the name."""
        name = self.entries[training.stage, training.digest].loss.name
        return name if len(self._named[name]) == 1 else training.digest

    @cached_property
    def _named(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for (_, digest), entry in self.entries.items():
            found.setdefault(entry.loss.name, set()).add(digest)
        return found


def ask_config(
    space: str,
    seed: int,
    metric: str,
    seeds: int,
    seed_losses: Sequence[str],
    scale_free: bool,
    verify_seeds: int = settings.VERIFY_SEEDS,
) -> RunConfig:
    """The configuration of a new run.

    Args:
        metric: name of what is told; minimised, unless :max stands behind it.
        seeds: trainings of each loss.
        seed_losses: LOSS arguments.

    Raises:
        InputError: a name that cannot head a column, no such space, or a loss outside it.
    """
    name, colon, direction = metric.rpartition(":")
    if not colon or direction not in ("min", "max"):
        name, direction = metric, "min"
    name = " ".join(name.split())
    if not name or not name.isprintable() or name.casefold() in COLUMNS:
        raise InputError(f"--metric {metric}: give the name of a column, other than {', '.join(COLUMNS)}")
    return RunConfig(
        kind="ask",
        runner="",
        data=DataConfig(name=""),
        options={"metric": name, "direction": direction, "scale_free": scale_free},
        seed=seed,
        seeds=seeds,
        verify_seeds=verify_seeds,
        **settled_space(space, seed_losses),
    )


def objective_of(run: Run) -> tuple[str, Direction]:
    """The metric that is told, and its direction."""
    if run.config.kind == "ask":
        return run.config.options["metric"], run.config.options["direction"]
    name, direction = next(iter(run.archive.meta("objectives").items()))
    return name, direction


def scale_free(run: Run) -> bool:
    """Whether the run takes losses that differ by a factor for one; where it has not kept that, as its fingerprints
    show."""
    if run.config.kind == "ask":
        return bool(run.config.options["scale_free"])
    known = run.archive.meta("scale_free")
    if known is not None:
        return bool(known)
    row = next((row for row in run.archive.candidates() if row.fate == "trained"), None)
    return row is None or row.fingerprint == fingerprint(screen([lower_loss(parse_loss(row.loss))])[0].curves)


def check_run(run: Run) -> None:
    """Raise InputError unless the run is one of `ask`, or a finished search."""
    config, archive = run.config, run.archive
    if config.kind == "ask" and archive.meta("objectives") is None:
        name, direction = objective_of(run)
        archive.set_meta("objectives", {name: direction})
    if config.kind in ("compare", "calibrate"):
        which = f"run {run.path}: is of `lossgen {config.kind}`"
        raise InputError(f"{which}; ask goes on with searches, or begins a new run")
    if config.kind == "evolve":
        if not (archive.meta("finished", False) or archive.meta(ROUNDS)):
            raise InputError(f"run {run.path}: is not finished; first: lossgen evolve --resume {run.path}")
        if config.objective != "quality" or config.races:
            how = f"was a search of the objective {config.objective}" + ", with a race" * config.races
            raise InputError(
                f"run {run.path}: {how}, which ask cannot go on with; search with --objective quality for it"
            )
        if config.select or config.vary:
            raise InputError(f"run {run.path}: has a selection or variation of its own, which stands in no file of it")


def state_of(run: Run) -> State:
    """What was asked for, and told, so far."""
    outcomes: dict[Training, Outcome] = {}
    for stage in STAGES:
        for key, _, outcome in run.archive.outcomes(stage):
            outcomes.setdefault(Training("search", key.digest, key.replicate), outcome)
    for key, _, outcome in run.archive.outcomes("verify"):
        if key.replicate >= FIRST_FRESH:
            outcomes[Training("verify", key.digest, key.replicate)] = outcome
    entries: dict[tuple[str, str], Entry] = {}
    trainings: dict[Training, None] = {}
    for row in run.archive.candidates():
        if row.fate == "trained":
            entries["search", row.digest] = Entry.unwritten(parse_loss(row.loss))
            trainings.update((Training("search", row.digest, seed), None) for seed in range(run.config.seeds))
    for record in run.archive.meta(VERIFICATIONS, []):
        for contestant in contestants_of(record):
            entries["verify", contestant.entry.digest] = contestant.entry
            trainings.update((training, None) for training in fresh(contestant, record["seeds"]))
    return State(list(trainings), outcomes, entries)


def fresh(contestant: Contestant, seeds: int) -> list[Training]:
    """The trainings of a loss that is verified."""
    return [Training("verify", contestant.entry.digest, FIRST_FRESH + i) for i in range(seeds)]


def record_of(contestants: Sequence[Contestant], seeds: int) -> dict[str, Any]:
    """A verification as the archive keeps it."""
    kept = [
        {"part": c.part, "given": c.given, "loss": print_loss(c.entry.loss), "note": c.entry.loss.note}
        for c in contestants
    ]
    return {"seeds": seeds, "contestants": kept}


def contestants_of(record: Mapping[str, Any]) -> list[Contestant]:
    """Those of a verification."""
    found = []
    for each in record["contestants"]:
        loss = parse_loss(each["loss"])
        found.append(Contestant(Entry.unwritten(loss.renamed(loss.name, each["note"])), each["part"], each["given"]))
    return found


def engine_of(run: Run, record: Callable[[list[CandidateRow]], None] = lambda rows: None) -> Engine:
    """The engine at the end of what the archive holds. A loss counts as trained when all its seeds have been told."""
    config = run.config
    engine = Engine(
        read_space(config.space_text, config.space, config.space),
        config.population,
        config.seed,
        [parse_loss(text) for text in config.seed_losses],
        scale_free=scale_free(run),
        record=record,
    )
    engine.restore(run.archive.candidates(), _values(run))
    return engine


def _values(run: Run) -> dict[str, list[float]]:
    objective = search_objective(run.archive)
    outcomes = state_of(run).outcomes
    found: dict[str, list[float]] = {}
    for digest in dict.fromkeys(training.digest for training in outcomes if training.stage == "search"):
        each = [outcomes.get(Training("search", digest, seed)) for seed in range(run.config.seeds)]
        there = [outcome for outcome in each if outcome is not None]
        if len(there) == len(each):
            found[digest] = objective.values(there)
    return found
