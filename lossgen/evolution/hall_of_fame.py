"""hall_of_fame.csv: the best loss of each size found so far, as PySR keeps it; readable while the run goes on."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive
from lossgen.evolution.objective import Objective
from lossgen.evolution.searched import objective_of, searched
from lossgen.files import write_text
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula
from lossgen.runner import Outcome


@dataclass(frozen=True)
class HallRow:
    """The best loss of a size.

    Attributes:
        size: nodes.
        value: the fitness, in the metric's units.
        spread: standard deviation of the metric over its trainings; None for one.
        trainings: how many: one a seed, or of a robust search one a pair of learning rates.
        front: whether it is better than the best of every smaller size.
        generation: when it was proposed.
        name: of the loss.
        loss: on one line.
        digest: of the loss.
    """

    size: int
    value: float
    spread: float | None
    trainings: int
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
    def size(self) -> int: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True)
class _Stored:
    """A loss as the archive has it."""

    generation: int
    text: str
    size: int
    digest: str

    @cached_property
    def loss(self) -> Loss:
        return parse_loss(self.text)


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
        objective: makes the fitness of outcomes.
    """

    def __init__(self, path: Path, objective: Objective) -> None:
        self.path = path
        self.objective = objective
        self._sizes: dict[int, dict[str, _Entry]] = {}
        self._best: dict[int, _Entry] = {}

    def add(self, candidate: Ranked, outcomes: Sequence[Outcome]) -> None:
        """Add a loss with all outcomes it has so far, in place of what was known of it; a failure rules it out."""
        size, digest = candidate.size, candidate.digest
        found = self._sizes.setdefault(size, {})
        found.pop(digest, None)
        if outcomes and all(outcome.status == "ok" for outcome in outcomes):
            values = tuple(outcome.metrics[self.objective.metric] for outcome in outcomes)
            fitness = self.objective.fitness(self.objective.values(outcomes))
            if math.isfinite(fitness):
                found[digest] = _Entry((fitness, digest), values, candidate)
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
                    self.objective.shown(place),
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
        table.writerow(["size", self.objective.metric, "spread", "trainings", "front", "generation", "name", "loss"])
        for row in self.rows():
            spread = "" if row.spread is None else repr(row.spread)
            front = "yes" if row.front else "no"
            table.writerow(
                [row.size, repr(row.value), spread, row.trainings, front, row.generation, row.name, row.loss]
            )
        try:
            write_text(self.path, out.getvalue(), soon_again=True)
        except InputError as error:
            raise InputError(f"{error}; free space or fix permissions, then --resume") from None


def hall_of(archive: Archive) -> list[HallRow]:
    """The rows of hall_of_fame.csv, from the archive of a run."""
    hall = HallOfFame(archive.path.with_name("hall_of_fame.csv"), objective_of(archive))
    known = searched(archive)
    for row in archive.candidates():
        found = known.get(row.digest)
        if row.fate in ("trained", "untrained") and found is not None and found.whole:
            hall.add(_Stored(row.generation, row.loss, row.size, row.digest), found.outcomes)
    return hall.rows()
