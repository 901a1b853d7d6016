"""What the engine hands out, and what it makes of the results."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossgen.evolution.entry import Entry
from lossgen.evolution.space import Derivation
from lossgen.language.loss import Loss

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
    def source(self) -> str:
        """Text of the emitted module."""
        return self.entry.source

    @property
    def digest(self) -> str:
        return self.entry.digest

    def criterion(self) -> "nn.Module":
        """The live module of `source`, on the CPU."""
        from lossgen.codegen.load import load_source

        return load_source(self.source)


@dataclass(frozen=True)
class Individual:
    """A candidate that was trained.

    Attributes:
        candidate: what was trained.
        fitness: mean over its seeds, to be minimised; infinite where a training failed.
        spread: standard deviation over its seeds, 0 for one.
    """

    candidate: Candidate
    fitness: float
    spread: float

    @property
    def entry(self) -> Entry:
        return self.candidate.entry

    @property
    def derivation(self) -> Derivation:
        return self.candidate.derivation


def found_name(loss: Loss) -> str:
    """Name of a loss that was found: the beginning of its digest."""
    return f"Evolved_{loss.digest()[:8]}"
