"""hall_of_fame.csv: the best loss of each size found so far, as PySR keeps it; readable while the run goes on."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive
from lossgen.files import write_text
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula
from lossgen.runner import Direction, Outcome

STAGES = ("search", "polish")
"""Stages whose losses compete."""


@dataclass(frozen=True)
class HallRow:
    """The best loss of a size.

    Attributes:
        size: nodes.
        value: mean of the objective over seeds.
        spread: standard deviation over seeds; None for one seed.
        seeds: number of trainings.
        front: whether it is better than the best of every smaller size.
        generation: when it was proposed.
        name: of the loss.
        loss: on one line.
        digest: of the loss.
    """

    size: int
    value: float
    spread: float | None
    seeds: int
    front: bool
    generation: int
    name: str
    loss: str
    digest: str

    def __repr__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        return f"<HallRow size {self.size}: {self.value:.6g}{spread}, {self.name}: {self.loss}>"


class Ranked(Protocol):
    """What is asked of a loss; a `Candidate` knows it."""

    @property
    def generation(self) -> int: ...
    @property
    def loss(self) -> Loss: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True)
class _Stored:
    """A loss as the archive has it."""

    generation: int
    loss: Loss
    digest: str


@dataclass(frozen=True)
class _Entry:
    """A loss with its trainings so far.

    Attributes:
        place: of those of one size the least is the best.
    """

    place: tuple[float, str]
    values: tuple[float, ...]
    candidate: Ranked


class HallOfFame:
    """The best loss of each size. To add one, and to write the file, takes no longer the more have been added.

    Args:
        path: the file.
        objective: name of the fitness.
        direction: "min" or "max".
    """

    def __init__(self, path: Path, objective: str, direction: Direction) -> None:
        self.path = path
        self.objective = objective
        self.direction = direction
        self._sizes: dict[int, dict[str, _Entry]] = {}
        self._best: dict[int, _Entry] = {}

    def add(self, candidate: Ranked, outcomes: Sequence[Outcome]) -> None:
        """Add a loss with all outcomes it has so far, in place of what was known of it; a failure rules it out."""
        size, digest = candidate.loss.size, candidate.digest
        found = self._sizes.setdefault(size, {})
        found.pop(digest, None)
        if outcomes and all(outcome.status == "ok" for outcome in outcomes):
            values = tuple(outcome.metrics[self.objective] for outcome in outcomes)
            mean = statistics.fmean(values)
            if math.isfinite(mean):
                found[digest] = _Entry((mean if self.direction == "min" else -mean, digest), values, candidate)
        best = self._best.get(size)
        if best is None or best.candidate.digest != digest:
            among = [entry for entry in (best, found.get(digest)) if entry is not None]
        else:
            among = list(found.values())  # the best was trained once more: another may be better now
        if among:
            self._best[size] = min(among, key=lambda entry: entry.place)
        else:
            self._best.pop(size, None)

    def rows(self) -> list[HallRow]:
        """A row a size, the smallest first."""
        rows: list[HallRow] = []
        least = math.inf
        for size, entry in sorted(self._best.items()):
            place, values = entry.place[0], entry.values
            candidate = entry.candidate
            rows.append(
                HallRow(
                    size,
                    statistics.fmean(values),
                    statistics.stdev(values) if len(values) > 1 else None,
                    len(values),
                    place < least,
                    candidate.generation,
                    candidate.loss.name,
                    formula(candidate.loss),
                    candidate.digest,
                )
            )
            least = min(least, place)
        return rows

    def write(self) -> None:
        """Write the file, whole or not at all.

        Raises:
            InputError: it cannot be written.
        """
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["size", self.objective, "spread", "seeds", "front", "generation", "name", "loss"])
        for row in self.rows():
            spread = "" if row.spread is None else repr(row.spread)
            front = "yes" if row.front else "no"
            table.writerow([row.size, repr(row.value), spread, row.seeds, front, row.generation, row.name, row.loss])
        try:
            write_text(self.path, out.getvalue(), soon_again=True)
        except InputError as error:
            raise InputError(f"{error}; free space or fix permissions, then --resume") from None


def hall_of(archive: Archive) -> list[HallRow]:
    """The rows of hall_of_fame.csv, from the archive of a run."""
    objective, direction = next(iter(archive.meta("objectives", {"fitness": "min"}).items()))
    hall = HallOfFame(archive.path.with_name("hall_of_fame.csv"), objective, direction)
    outcomes: dict[str, list[Outcome]] = {}
    for key, _, outcome in (found for stage in STAGES for found in archive.outcomes(stage)):
        outcomes.setdefault(key.digest, []).append(outcome)
    for row in archive.candidates():
        if row.fate in ("trained", "untrained") and row.digest in outcomes:
            hall.add(_Stored(row.generation, parse_loss(row.loss), row.digest), outcomes[row.digest])
    return hall.rows()


def search_fitness(archive: Archive, objective: str) -> dict[str, tuple[float, int]]:
    """Mean of the objective and number of seeds, by digest, in search and polish; without losses of which a training
    failed."""
    values: dict[str, list[float]] = {}
    failed: set[str] = set()
    for key, _, outcome in (found for stage in STAGES for found in archive.outcomes(stage)):
        if outcome.status == "ok":
            values.setdefault(key.digest, []).append(outcome.metrics[objective])
        else:
            failed.add(key.digest)
    return {digest: (sum(v) / len(v), len(v)) for digest, v in values.items() if digest not in failed}
