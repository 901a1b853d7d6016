"""The engine: asks for losses to be trained, is told how they did, and breeds from that.

It trains nothing and writes nothing. Every random stream is `SeedSequence(seed, spawn_key=(generation, number,
purpose))`, so a candidate depends on where it stands and on the results before it, never on workers, time or an
interruption: to resume a search is to ask and tell again what was told before; or, of a steady one, to reopen it.
"""

import bisect
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np

from lossgen.errors import InputError
from lossgen.evolution.admission import Admission, Check, Proposal, check_here
from lossgen.evolution.archive import CandidateRow, found_name
from lossgen.evolution.candidate import Candidate, Individual, deviation, told_values
from lossgen.evolution.entry import Entry
from lossgen.evolution.selection import Select, checked_rows, select, tournament
from lossgen.evolution.space import Derivation, Space
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import Vary, checked_child, random_individual, vary
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.settings import POPULATION

BATCH, FEWEST_PROPOSALS = 64, 8
"""Proposals that are judged at once, and how many of them for each candidate that is wanted."""
MOST_PROPOSALS = 100_000
"""A generation that is not full after so many proposals stays as it is: the space holds no more."""
FRESH_RATE = 0.1
PROPOSE = 0

Record = Callable[[list[CandidateRow]], None]


class Engine:
    """Generational genetic programming as ask and tell, with (μ + λ) selection, for a training loop of one's own.

        engine = Engine("ganetic", population=8)
        for _ in range(10):
            candidates = engine.ask()
            engine.tell(candidates, [train(candidate.criterion()) for candidate in candidates])
        print(engine.ranking()[0].entry.source)

    `train` gives a number to be minimised, nan or inf where it failed, or such a number for each of several seeds. A
    candidate has passed the screen, differs in its gradients from all before it, and its module has been compared with
    what was screened. What comes first in the end is the best of its search: `lossgen.compare` tests it on fresh seeds.

    Args:
        space: a space, its name, or the path of its file.
        population: candidates a generation, and how many survive it.
        seed: of all that the engine draws.
        seed_losses: proposed before all others, by as many generations as it takes; inside the space.
        scale_free: whether a positive factor on a loss changes nothing in training (`Runner.scale_free`).
        select: who survives; see `selection.select`.
        vary: how a child comes from its parents; see `variation.vary`.
        check: says what is wrong with modules before they are trained; see `check_here`.
        faults: what it has said before, by digest.
        record: is given the rows of all proposals as they are made, and again where their fate changes.
        max_candidates: proposals to draw in all; None for no limit.
        fitness, spread: of a candidate's values, one a seed, to be minimised; their mean and standard deviation.
        steady: whether `ask` may be called while candidates are open, and each `tell` selects anew: (μ + 1) selection.
            A generation is then as many candidates, one after another, as the population has.

    Attributes:
        generation: number of the next generation; where it is steady, of the one that candidates are now drawn for.
        population: survivors, the most preferred first.
        trained: all that results were told of.
        proposed: number of proposals so far.
        accepted: number of candidates that were asked for.

    Raises:
        InputError: no such space, or a seed loss is outside it.
    """

    def __init__(
        self,
        space: Space | str = "ganetic",
        population: int = POPULATION,
        seed: int = 0,
        seed_losses: Sequence[Loss] = (),
        *,
        scale_free: bool = True,
        select: Select = select,
        vary: Vary = vary,
        check: Check = check_here,
        faults: Mapping[str, str] | None = None,
        record: Record = lambda rows: None,
        max_candidates: int | None = None,
        fitness: Callable[[Sequence[float]], float] = fmean,
        spread: Callable[[Sequence[float]], float] = deviation,
        steady: bool = False,
    ) -> None:
        if population < 1:
            raise InputError(f"population {population}: give at least 1")
        self.space = find_space(space) if isinstance(space, str) else space
        self.size = population
        self.seed = seed
        self.seeds = [self.space.derive(loss) for loss in seed_losses]  # those that are still to be proposed
        self.admission = Admission(scale_free, check, faults or {})
        self.select = select
        self.vary = vary
        self.record = record
        self.max_candidates = max_candidates
        self.fitness = fitness
        self.spread = spread
        self.steady = steady
        self.generation = self.proposed = 0
        self.population: list[Individual] = []
        self.trained: list[Individual] = []
        self._waiting: dict[str, tuple[Candidate, CandidateRow]] = {}
        self._told: list[Individual] = []  # of the generation that is open
        self._fitness: dict[str, float] = {}  # by place
        self._best: Individual | None = None
        self._fallen: dict[str, Individual] = {}  # of a steady engine, who may yet come further in a race
        self._number = self._accepted = 0  # proposals and candidates of the generation that is being drawn
        self.accepted = 0

    @property
    def exhausted(self) -> bool:
        """Whether the limit of proposals is reached."""
        return self.max_candidates is not None and self.proposed >= self.max_candidates

    def ask(self, count: int | None = None) -> list[Candidate]:
        """The next generation: losses that are new, pass the screen, and whose modules are sound.

        Args:
            count: how many; None for the population's size, and where it is steady for one.

        Returns:
            Fewer where the space or the limit of proposals is exhausted.

        Raises:
            InputError: results of the last generation have not been told.
        """
        if self.steady:
            return self._ask_steadily(1 if count is None else count)
        self._refuse_waiting()
        accepted = self._breed(self.size if count is None else count)
        self._next_generation()
        return accepted

    def _ask_steadily(self, count: int) -> list[Candidate]:
        accepted: list[Candidate] = []
        while len(accepted) < count:
            wanted = min(count - len(accepted), self.size - self._accepted)
            found = self._breed(wanted)
            accepted += found
            if len(found) < wanted:
                break
            if self._accepted == self.size:
                self._next_generation()
        return accepted

    def _next_generation(self) -> None:
        self.generation += 1
        self._number = self._accepted = 0

    def _breed(self, wanted: int) -> list[Candidate]:
        """So many candidates more of the generation that is being drawn; fewer where there are no more."""
        accepted: list[Candidate] = []
        while len(accepted) < wanted and self._number < MOST_PROPOSALS and not self.exhausted:
            first = self._number
            left = min(BATCH, FEWEST_PROPOSALS * wanted)
            left = left if self.max_candidates is None else min(left, self.max_candidates - self.proposed)
            proposals: list[Proposal] = [(derivation, "seed", ()) for derivation in self.seeds[:left]]
            proposals += [self._draw(self.generation, first + i) for i in range(len(proposals), left)]
            rows, admitted = self.admission.admit(self.generation, first, proposals, wanted - len(accepted))
            accepted += self._accept(rows, proposals, admitted, first)
            del self.seeds[: len(rows)]
            self._number += len(rows)
        self._accepted += len(accepted)
        self.accepted += len(accepted)
        return accepted

    def offer(self, derivations: Sequence[Derivation], origin: str, parent: str) -> list[Candidate | float]:
        """A generation of given derivations: a candidate where one is to be trained, else the fitness that is known
        of it: that of the loss which it duplicates, infinite where it is rejected.

        Duplicates of a candidate of the same call are given as that very candidate: it is to be told of once.
        """
        self._refuse_waiting()
        if self._number:
            self._next_generation()
        proposals: list[Proposal] = [(derivation, origin, (parent,)) for derivation in derivations]
        rows, admitted = self.admission.admit(self.generation, 0, proposals, len(proposals))
        accepted = {candidate.place: candidate for candidate in self._accept(rows, proposals, admitted, 0)}
        self._next_generation()
        places = [self.admission.place(row) for row in rows]
        return [accepted.get(place) or self._fitness.get(place, math.inf) for place in places]

    def tell(
        self,
        candidates: Sequence[Candidate],
        values: Sequence[float | Sequence[float] | None],
        why: str = "not trained",
        short: Sequence[int] | None = None,
    ) -> None:
        """Say how candidates of the last generation did; once all of them are told, the survivors are selected.

        A steady engine selects at once. It may be told again of a candidate that had fallen short, and has come further
        since.

        Args:
            candidates: of the last `ask`, in any order; those that are left out stay open, to be told later.
            values: to be minimised, one a candidate or one a seed of it; not finite for a training that failed, None
                for a candidate that was not trained and will not be.
            why: what the record says of those that were not trained.
            short: how many rungs of a race each fell short of its end; None where all went the whole way. Who came
                further is preferred, whatever the values.

        Raises:
            InputError: as many values as candidates are asked for, values that are numbers, and candidates that were
                asked for; or a `select` of one's own gives something else than rows. Nothing is kept then.
        """
        if isinstance(candidates, Candidate) or not hasattr(values, "__len__"):
            raise InputError("tell: give a list of candidates, and a list of their results")
        if len(candidates) != len(values):
            raise InputError(f"tell: {len(candidates)} candidates and {len(values)} values; give one a candidate")
        digests = [candidate.digest for candidate in candidates]
        known = self._waiting.keys() | self._fallen.keys() if self._fallen else self._waiting.keys()
        wrong = [c.name for c in candidates if c.digest not in known or digests.count(c.digest) > 1]
        if wrong:
            raise InputError(f"tell: {wrong[0]}: not among the candidates of the last ask, or told twice")
        told = {c.digest: told_values(c, value) for c, value in zip(candidates, values, strict=True)}
        fell = dict(zip(digests, short or [0] * len(digests), strict=True))
        fresh = [
            Individual.of(c, told[c.digest] or (), self.fitness, self.spread, fell[c.digest])
            for c in candidates
            if told[c.digest] is not None
        ]
        untrained = [self._waiting[digest][1] for digest, value in told.items() if value is None]
        everything = sorted([*self._told, *fresh], key=lambda i: i.candidate.number)  # whatever the order of telling
        closed = self.steady or len(told) == len(self._waiting)
        survivors = self._selected(everything) if closed else self.population
        if untrained:
            self.record([dataclasses.replace(row, fate="untrained", reason=why) for row in untrained])
        for digest in told:
            self._waiting.pop(digest, None)
            self._fallen.pop(digest, None)
        if self.steady:
            self._fallen |= {i.candidate.digest: i for i in fresh if i.short}
        self._keep(fresh)
        self._told = [] if closed else everything
        self.population = survivors

    def restore(self, rows: Sequence[CandidateRow], values: Mapping[str, Sequence[float]]) -> None:
        """Go on where an archive ends, without asking and telling again what stands in it.

        What follows is a function of the arguments alone. An engine that was asked and told all that knows the same;
        its survivors may be others, since those of a generation never compete with the ones that fell before them.

        Args:
            rows: all proposals, in their order.
            values: as for `tell`, by digest; a candidate that has none was not trained, or is being trained.

        Raises:
            InputError: the engine has been asked before, or a loss that was trained is outside its space.
        """
        if self.generation:
            raise InputError("restore: comes before the first ask; make a new engine")
        self.admission.restore(rows)
        del self.seeds[: sum(row.origin == "seed" for row in rows)]
        found = []
        for row in rows:
            if row.fate == "trained" and row.digest in values:
                loss = parse_loss(row.loss)
                derivation, entry = self.space.derive(loss), Entry.unwritten(loss)
                candidate = Candidate(row.generation, row.number, derivation, entry, row.origin, row.parents)
                found.append(Individual.of(candidate, values[row.digest], self.fitness, self.spread))
        self._keep(found)
        self.population = self._selected(found)
        self.proposed = len(rows)
        self.generation = max((row.generation + 1 for row in rows), default=0)

    def reopen(self, rows: Sequence[CandidateRow]) -> list[Candidate]:
        """Go on where an archive ends: its proposals are known, and its candidates are open, to be told of once more.

        Of a steady engine, which is told in the order in which it was told before, and then knows the same.

        Args:
            rows: all proposals of the search, in their order.

        Raises:
            InputError: the engine has been asked before, or a loss is outside its space.
        """
        if self.generation or self._number:
            raise InputError("reopen: comes before the first ask; make a new engine")
        self.admission.restore(rows)
        del self.seeds[: sum(row.origin == "seed" for row in rows)]
        found = []
        for row in rows:
            if row.generation > self.generation:
                self._next_generation()
            self._number = row.number + 1
            if row.fate in ("trained", "untrained"):
                loss = parse_loss(row.loss).renamed(found_name(row.digest))
                derivation, entry = self.space.derive(loss), Entry.unwritten(loss)
                candidate = Candidate(row.generation, row.number, derivation, entry, row.origin, row.parents)
                self._waiting[row.digest] = candidate, dataclasses.replace(row, fate="trained", reason="")
                self._accepted += 1
                self.accepted += 1
                found.append(candidate)
        if self._accepted == self.size:
            self._next_generation()
        self.record([row for _, row in self._waiting.values()])
        self.proposed = len(rows)
        return found

    def _keep(self, fresh: Sequence[Individual]) -> None:
        """Add what was trained, in its place; what is told of for the second time replaces what was known of it."""
        for individual in fresh:
            # What fell short in a race has no fitness to be compared with.
            self._fitness[individual.candidate.place] = math.inf if individual.short else individual.fitness
            at = bisect.bisect_left(self.trained, _place(individual), key=_place)
            if at == len(self.trained) or _place(self.trained[at]) != _place(individual):
                self.trained.insert(at, individual)
            else:
                before, self.trained[at] = self.trained[at], individual
                if before is self._best:
                    self._best = next(iter(self.ranking()), None)
            if math.isfinite(individual.fitness) and (self._best is None or _rank(individual) < _rank(self._best)):
                self._best = individual

    def _selected(self, fresh: Sequence[Individual]) -> list[Individual]:
        """Who survives of the population and those."""
        again = {i.candidate.digest for i in fresh}
        competitors = [*(i for i in self.population if i.candidate.digest not in again), *fresh]
        survivors: list[Individual] = []
        for short in sorted({i.short for i in competitors}):
            these = [i for i in competitors if i.short == short]
            objectives = np.array([[i.fitness, i.spread, i.entry.loss.size] for i in these], float)
            room = self.size - len(survivors)
            if room:
                chosen = self.select(objectives, room)
                survivors += [these[i] for i in checked_rows(chosen, len(these), room)]
        return survivors

    def ranking(self) -> list[Individual]:
        """Those with a finite fitness, best first, who came further in a race before the others; empty where there is
        none."""
        return sorted((each for each in self.trained if math.isfinite(each.fitness)), key=_rank)

    @property
    def best(self) -> Individual | None:
        """The first of the ranking; None where that is empty."""
        return self._best

    def _refuse_waiting(self) -> None:
        if self._waiting:
            raise InputError(
                f"ask: {len(self._waiting)} candidates are open; tell the results of the last generation first, nan "
                "for a training that failed, None for a candidate that was not trained"
            )

    def _draw(self, generation: int, number: int) -> Proposal:
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(generation, number, PROPOSE)))
        if not self.population or rng.random() < FRESH_RATE:
            return random_individual(self.space, rng), "fresh", ()
        a, b = (self.population[tournament(len(self.population), rng)] for _ in range(2))
        child, how = checked_child(self.vary(self.space, a.derivation, b.derivation, rng))
        parents = {"crossover": (a.entry.digest, b.entry.digest), "fresh": ()}.get(how, (a.entry.digest,))
        return child, how, parents

    def _accept(
        self, rows: list[CandidateRow], proposals: Sequence[Proposal], admitted: Mapping[str, Entry], first: int
    ) -> list[Candidate]:
        """Record the rows of a batch; candidates of those that are to be trained."""
        self.proposed += len(rows)
        self.record(rows)
        accepted = []
        for row in rows:
            if row.fate == "trained":
                derivation, origin, parents = proposals[row.number - first]
                entry = admitted[row.digest]
                candidate = Candidate(row.generation, row.number, derivation, entry, origin, parents)
                self._waiting[row.digest] = candidate, row
                accepted.append(candidate)
        return accepted


def _place(individual: Individual) -> tuple[int, int]:
    return individual.candidate.generation, individual.candidate.number


def _rank(individual: Individual) -> tuple[int, float, int, str]:
    return individual.short, individual.fitness, individual.entry.loss.size, individual.entry.digest
