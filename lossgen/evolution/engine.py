"""The search: propose, screen, train, select; then name a champion.

Every random stream is `SeedSequence(seed, spawn_key=(generation, number, purpose))`, so a candidate depends on where it
stands and on the outcomes before it, never on workers, time or an interruption.
"""

import dataclasses
import itertools
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossgen.evolution.archive import CandidateRow
from lossgen.evolution.selection import survivors, tournament
from lossgen.evolution.session import Entry, Session
from lossgen.evolution.space import Derivation, Space
from lossgen.evolution.variation import random_individual, vary
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import Rejection, Screening, screen
from lossgen.language.loss import Loss
from lossgen.language.lower import LoweredLoss, NotFiniteError, lower_loss
from lossgen.language.printer import print_loss

BATCH = 256
MOST_PROPOSALS = 100_000
FRESH_RATE = 0.1
PROPOSE = 0

Proposal = tuple[Derivation, str, tuple[str, ...]]
"""A derivation, how it was made, and the digests of its parents."""
Judged = tuple[Loss, Screening | str]
"""A loss, and what the screen says of it, or why it cannot be screened."""


@dataclass(frozen=True)
class Individual:
    """A candidate that was trained.

    Attributes:
        derivation: in the space.
        entry: its loss and module.
        fitness: to be minimised, infinite where a training failed.
    """

    derivation: Derivation
    entry: Entry
    fitness: float


@dataclass(frozen=True)
class _Seen:
    """Places of the first candidate with a text, and of the first that was trained with a fingerprint."""

    digests: ChainMap[str, str]
    fingerprints: ChainMap[str, str]


def found_name(loss: Loss) -> str:
    """Name of a loss that was found: the beginning of its digest."""
    return f"Evolved_{loss.digest()[:8]}"


class Engine:
    """Generational genetic programming with (μ + λ) selection on (fitness, size)."""

    def __init__(self, session: Session, space: Space, seed_losses: Sequence[Loss] = ()) -> None:
        self.session = session
        self.space = space
        self.seeds = [space.derive(loss) for loss in seed_losses]
        self.population: list[Individual] = []
        self.trained: list[Individual] = []
        self._seen = _Seen(ChainMap(), ChainMap())
        self._faults = {
            row.digest: row.reason if row.fate == "rejected" else ""
            for row in session.run.archive.candidates()
            if row.fate in ("trained", "untrained") or row.reason.startswith(f"{Rejection.ILL_CONDITIONED}:")
        }
        """What the workers found against modules that passed the screen, by digest; "" for nothing."""

    def run(self, generations: int | None, steps: int, reserve: int) -> None:
        """Search.

        Args:
            generations: None to go on until the time is up.
            reserve: trainings of the verification, which time is left for.
        """
        config, archive = self.session.run.config, self.session.run.archive
        for generation in itertools.count() if generations is None else range(generations):
            accepted = self._propose(generation, config.population)
            self.session.listener.proposed(generation, generations, archive.waterfall())
            entries = [entry for _, entry in accepted]
            outcomes = self.session.train("search", entries, config.seeds, steps, reserve=reserve)
            fresh = [
                Individual(derivation, entry, self.session.fitness(outcomes[entry.digest]))
                for derivation, entry in accepted
                if len(outcomes[entry.digest]) == config.seeds
            ]
            self.trained += fresh
            self._select([*self.population, *fresh], config.population)
            if len(fresh) < len(accepted):
                self._mark_untrained(generation, {entry.digest for entry in entries} - {i.entry.digest for i in fresh})
                self.session.listener.note("the time for the search is up")
                return
            if len(accepted) < config.population:
                self.session.listener.note(
                    f"no more new losses in the space {self.space.name} after {MOST_PROPOSALS} proposals"
                )
                return

    def ranking(self) -> list[Individual]:
        """Those with a finite fitness, best first."""
        finite = [individual for individual in self.trained if np.isfinite(individual.fitness)]
        return sorted(finite, key=lambda i: (i.fitness, i.entry.loss.size, i.entry.digest))

    def _select(self, candidates: list[Individual], count: int) -> None:
        if candidates:
            objectives = _objectives(candidates)
            self.population = [candidates[i] for i in survivors(objectives, count)]

    def _propose(self, generation: int, wanted: int) -> list[tuple[Derivation, Entry]]:
        """Draw proposals until `wanted` of them are new and pass the screen, and their modules the workers' check."""
        accepted: list[tuple[Derivation, Entry]] = []
        number = 0
        while len(accepted) < wanted and number < MOST_PROPOSALS:
            batch = [self._draw(generation, number + i) for i in range(BATCH)]
            judged = self._judge([derivation for derivation, _, _ in batch])
            rows, admitted = self._admit_soundly(generation, number, judged, batch, wanted - len(accepted))
            accepted += [(batch[row.number - number][0], admitted[row.digest]) for row in rows if row.fate == "trained"]
            self.session.run.archive.add_candidates(rows)
            number += BATCH
        return accepted

    def _draw(self, generation: int, number: int) -> Proposal:
        if generation == 0 and number < len(self.seeds):
            return self.seeds[number], "seed", ()
        sequence = np.random.SeedSequence(self.session.run.config.seed, spawn_key=(generation, number, PROPOSE))
        rng = np.random.default_rng(sequence)
        if not self.population or rng.random() < FRESH_RATE:
            return random_individual(self.space, rng), "fresh", ()
        objectives = _objectives(self.population)
        a, b = (self.population[tournament(objectives, rng)] for _ in range(2))
        child, how = vary(self.space, a.derivation, b.derivation, rng)
        parents = {"crossover": (a.entry.digest, b.entry.digest), "fresh": ()}.get(how, (a.entry.digest,))
        return child, how, parents

    def _judge(self, derivations: Sequence[Derivation]) -> list[Judged]:
        """Each derivation's loss with its screening, or with the reason why it has none."""
        losses = [derivation.loss("Candidate") for derivation in derivations]
        lowered: list[LoweredLoss | str] = []
        for loss in losses:
            try:
                lowered.append(lower_loss(loss))
            except NotFiniteError as error:
                lowered.append(f"{Rejection.NOT_FINITE}: {error}")
        screened = iter(screen([form for form in lowered if isinstance(form, LoweredLoss)]))
        judged: list[Screening | str] = [form if isinstance(form, str) else next(screened) for form in lowered]
        return list(zip(losses, judged, strict=True))

    def _admit_soundly(
        self, generation: int, first: int, judged: Sequence[Judged], batch: Sequence[Proposal], wanted: int
    ) -> tuple[list[CandidateRow], dict[str, Entry]]:
        """Rows of a batch, up to the last of `wanted` candidates that are to be trained, and entries by digest.

        A module that nobody has checked is taken for sound at first. The workers then check all such at once, and the
        batch is gone through again, since places that were thought taken are free; until no unchecked one is left.
        """
        entries: dict[str, Entry] = {}
        while True:
            seen = _Seen(self._seen.digests.new_child(), self._seen.fingerprints.new_child())
            rows: list[CandidateRow] = []
            missing = wanted
            for i, found in enumerate(judged):
                if not missing:
                    break
                row, loss = self._admit(generation, first + i, found, batch[i], seen)
                rows.append(row)
                if row.fate == "trained":
                    missing -= 1
                    entries[row.digest] = entries.get(row.digest) or Entry.of(loss)
            unchecked = [entry for digest, entry in entries.items() if digest not in self._faults]
            if not unchecked:
                self._seen.digests.update(seen.digests.maps[0])
                self._seen.fingerprints.update(seen.fingerprints.maps[0])
                return rows, entries
            for digest, outcome in self.session.check(unchecked).items():
                is_fault = outcome.reason.startswith(f"{Rejection.ILL_CONDITIONED}:")
                self._faults[digest] = outcome.reason if is_fault else ""  # anything else its training will tell

    def _admit(
        self, generation: int, number: int, judged: Judged, proposal: Proposal, seen: "_Seen"
    ) -> tuple[CandidateRow, Loss]:
        loss, screening = judged
        _, origin, parents = proposal
        loss = loss.renamed(found_name(loss))
        digest, mark, fate, reason = loss.digest(), "", "trained", ""
        if digest in seen.digests:
            fate, reason = "duplicate", f"same text as {seen.digests[digest]}"
        elif isinstance(screening, str):
            fate, reason = "rejected", screening
        elif screening.rejection is not None:
            fate, reason = "rejected", f"{screening.rejection}: {screening.detail}"
        else:
            mark = fingerprint(screening.curves, self.session.ready.scale_free)
            if mark in seen.fingerprints:
                fate, reason = "duplicate", f"same gradients as {seen.fingerprints[mark]}"
            elif self._faults.get(digest):
                fate, reason = "rejected", self._faults[digest]
        place = f"{generation}.{number}"
        seen.digests.setdefault(digest, place)
        if fate == "trained":  # not one that float32 does not follow: another with its gradients may be better made
            seen.fingerprints.setdefault(mark, place)
        row = CandidateRow(generation, number, print_loss(loss), loss.size, digest, mark, fate, reason, origin, parents)
        return row, loss

    def _mark_untrained(self, generation: int, digests: set[str]) -> None:
        rows = [
            dataclasses.replace(row, fate="untrained", reason="the time was up")
            for row in self.session.run.archive.candidates()
            if row.generation == generation and row.digest in digests and row.fate == "trained"
        ]
        self.session.run.archive.add_candidates(rows)


def _objectives(individuals: Sequence[Individual]) -> "np.ndarray":
    return np.array([[i.fitness, i.entry.loss.size] for i in individuals], float)
