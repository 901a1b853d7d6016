"""What the engine hands out, and what it makes of the results."""

import math
import numbers
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossgen.errors import InputError
from lossgen.evolution.entry import Entry
from lossgen.evolution.space import Derivation
from lossgen.language.loss import Loss
from lossgen.language.printer import formula

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Candidate:
    """A loss that the engine wants trained.

    Attributes:
        generation, number: its place.
        derivation: in the space.
        entry: its loss and module.
        origin: how it was made: "seed", "fresh", or the variation's name.
        parents: digests.
    """

    generation: int
    number: int
    derivation: Derivation
    entry: Entry
    origin: str
    parents: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.entry.loss.name

    @property
    def loss(self) -> Loss:
        return self.entry.loss

    @property
    def size(self) -> int:
        """Nodes."""
        return self.loss.size

    @property
    def source(self) -> str:
        """Text of the emitted module."""
        return self.entry.source

    @property
    def digest(self) -> str:
        return self.entry.digest

    @property
    def place(self) -> str:
        """Generation and number, as reasons in the record name it."""
        return f"{self.generation}.{self.number}"

    def criterion(self) -> "nn.Module":
        """The live module of `source`, on the CPU."""
        from lossgen.codegen.load import load_source

        return load_source(self.source)

    def __repr__(self) -> str:
        return f"<Candidate {self.name}: {formula(self.loss)}; generation {self.generation}, {self.origin}>"


def deviation(values: Sequence[float]) -> float:
    """Standard deviation, 0 for one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class Individual:
    """A candidate that was trained.

    Attributes:
        candidate: what was trained.
        fitness: mean over its seeds, or what else the search makes of them, to be minimised; infinite where a training
            failed.
        spread: standard deviation over its seeds, 0 for one, and where the search does not ask for it.
        short: rungs of a race that it was not trained at.
    """

    candidate: Candidate
    fitness: float
    spread: float
    short: int = 0

    @property
    def entry(self) -> Entry:
        return self.candidate.entry

    @property
    def derivation(self) -> Derivation:
        return self.candidate.derivation

    @classmethod
    def of(
        cls,
        candidate: Candidate,
        values: Sequence[float],
        fitness: Callable[[Sequence[float]], float] = statistics.fmean,
        spread: Callable[[Sequence[float]], float] = deviation,
        short: int = 0,
    ) -> "Individual":
        """From its values, one a seed; without any, or with one that is not finite, its training failed."""
        if not values or not all(map(math.isfinite, values)):
            return cls(candidate, math.inf, 0.0, short)
        return cls(candidate, fitness(values), spread(values), short)


def told_values(candidate: Candidate, value: object) -> list[float] | None:
    """What `Engine.tell` was told of a candidate: a number a seed, or None for one that was not trained.

    Arrays and tensors of one number are numbers; truth values are none.

    Raises:
        InputError: it is something else.
    """
    if value is None:
        return None
    several = isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1
    found = [each.item() if getattr(each, "ndim", 1) == 0 else each for each in (value if several else [value])]  # type: ignore[attr-defined]
    if not found or any(isinstance(each, bool) or not isinstance(each, numbers.Real) for each in found):
        raise InputError(
            f"tell: {candidate.name}: {' '.join(repr(value).split()):.60} is no result; give a number to be minimised "
            "or a list of them (one a seed), nan for a training that failed, None for a candidate that was not trained"
        )
    return [float(each) for each in found]
