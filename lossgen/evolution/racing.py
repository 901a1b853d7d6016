"""Racing: all losses of a generation are trained a little, the better of them further, and few the whole way.

It is successive halving (Jamieson & Talwalkar 2016) with two things beside it. How many go on depends on how sure their
order is. And some, drawn at random before the first rung, go the whole way: only on them does it show whether a rung
foretells the next, since the promoted are alike by being promoted. A rung that is shown not to is dropped for the rest
of the search.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.evolution.batch import Job, Keep
from lossgen.evolution.entry import Entry
from lossgen.evolution.objective import Objective
from lossgen.runner import Outcome
from lossgen.stats import mean_rank_correlation, variance_components

FORETOLD = "foretold"
"""In the archive: what each rung foretold of the next, as `Foretold.as_json` has it."""
CONTROL = 3
"""Purpose of the random streams, beside those of the search."""
LEAST_PART, MOST_PART = 1 / 8, 1 / 4
"""Part of a rung's losses that is promoted."""
CONTROL_PART = 1 / 8
"""Part that is drawn at random and let through."""
ENOUGH, PREDICTS = 10, 0.5
"""Losses of the control group from which on a rung is judged, and what the upper end of the interval of its rank
correlation is below where it is dropped: of so few losses the value itself says little."""


@dataclass(frozen=True)
class Rung:
    """How far losses are trained, and on how many replicates."""

    steps: int
    replicates: int

    def __str__(self) -> str:
        return f"{self.steps}x{self.replicates}"


@dataclass(frozen=True)
class Foretold:
    """How well a rung foretells the next one, in Spearman's rank correlation with its 95 % bootstrap interval.

    Of the next one, the replicates that are new there count, where there are such: luck that lasts foretells nothing.

    Attributes:
        rung, following: the two.
        promoted, control: numbers of losses that went on by their results, and at random; some did by both.
        of_promoted, of_control: (value, low, high); nan where there are too few.
        dropped: the generation from which on the rung was left out; None where it never was.
    """

    rung: Rung
    following: Rung
    promoted: int
    control: int
    of_promoted: tuple[float, float, float]
    of_control: tuple[float, float, float]
    dropped: int | None

    def as_json(self) -> dict[str, Any]:
        def number(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "rung": str(self.rung), "next": str(self.following), "promoted": self.promoted, "control": self.control,
            "of_promoted": [number(value) for value in self.of_promoted],
            "of_control": [number(value) for value in self.of_control], "dropped": self.dropped,
        }  # fmt: skip


@dataclass(frozen=True)
class Raced:
    """How far a loss has come.

    Attributes:
        values: at the last rung that it was trained at on all replicates, to be minimised; None where it is none.
        short: rungs that are above that one.
    """

    values: Sequence[float] | None
    short: int


@dataclass
class _Pairs:
    """Scores at a rung and at the next, of those that went on."""

    promoted: list[tuple[float, float]] = field(default_factory=list)
    control: list[tuple[float, float]] = field(default_factory=list)


class Trainer(Protocol):
    """Who trains what races."""

    def train(self, jobs: Sequence[Job], steps: int, keep: Keep) -> Mapping[tuple[str, int], Outcome]:
        """Outcomes by `Job.key`; some are missing where the time was up."""
        ...

    def forget(self, jobs: Sequence[Job], steps: int) -> None:
        """Nothing will continue these trainings, which have come to so many steps."""
        ...


class Race:
    """The rungs of a search. What it does is a function of the outcomes and the seed.

    Args:
        rungs: the first trains all, the last decides.
        objective: makes values of outcomes.
        seed: of the control groups.
        continues: whether trainings go on from rung to rung; if not, each rung trains anew.

    Attributes:
        spent: steps of all trainings so far, continued ones counted from where they began.
        dropped: of rungs that are left out, since which generation, and the rung that they did not foretell.
    """

    def __init__(self, rungs: Sequence[Rung], objective: Objective, seed: int, continues: bool = True) -> None:
        self.rungs = list(rungs)
        self.objective = objective
        self.seed = seed
        self.continues = continues
        self.spent = 0
        self.dropped: dict[Rung, tuple[int, Rung]] = {}
        self._pairs: dict[tuple[Rung, Rung], _Pairs] = {}

    @property
    def top(self) -> Rung:
        """The last rung."""
        return self.rungs[-1]

    def cost(self, count: int) -> int:
        """Steps that it takes to race so many losses, at most."""
        return race_steps(self._active(), count, self.continues)

    def kept_at(self, rung: Rung) -> Keep:
        """What of a rung's trainings stays, so that others can continue them."""
        return "state" if self.continues and rung.steps < self.top.steps else "nothing"

    def room(self, steps: int, most: int) -> int:
        """How many losses so many steps suffice for; `most` at most."""
        return max((count for count in range(most + 1) if self.cost(count) <= steps), default=0)

    def run(self, generation: int, entries: Sequence[Entry], trainer: Trainer) -> list[Raced]:
        """Race a generation; one result an entry, in order."""
        if not entries:
            return []
        values: list[Sequence[float]] = [()] * len(entries)
        reached = [-1] * len(entries)
        going, promoted = list(range(len(entries))), set[int]()
        control = self._control_group(generation, len(entries))
        before, active = Rung(0, 0), self._active()
        for rung in active:
            last = rung is active[-1]
            jobs = [self._job(entries[i], r, rung, before) for r in range(rung.replicates) for i in going]
            found = trainer.train(jobs, rung.steps, self.kept_at(rung))
            known = before.replicates if self.continues or before.steps == rung.steps else 0
            self.spent += sum(rung.steps - before.steps * (job.replicate < known) for job in jobs)
            scores = {i: self.objective.fitness(values[i]) for i in going}
            for i in going:
                outcomes = [found.get(self._job(entries[i], r, rung, before).key) for r in range(rung.replicates)]
                there = [outcome for outcome in outcomes if outcome is not None]
                if len(there) == rung.replicates:
                    values[i], reached[i] = self.objective.values(there), self.rungs.index(rung)
            if any(reached[i] != self.rungs.index(rung) for i in going):
                break  # the time was up
            if before.steps:
                new = rung.replicates > before.replicates  # what a seed did is not foretold by what the same seed did
                now = {i: self.objective.fitness(values[i][before.replicates if new else 0 :]) for i in going}
                self._record(before, rung, scores, now, promoted, control)
            if not last:
                scores = {i: self.objective.fitness(values[i]) for i in going}
                best = promoted_of(np.array([values[i] for i in going], float), list(scores.values()))
                promoted = {going[place] for place in best}
            stay = set() if last else {entries[i].digest for i in promoted | control}
            trainer.forget([job for job in jobs if job.entry.digest not in stay], rung.steps)
            going, before = [i for i in going if entries[i].digest in stay], rung
        self._drop(generation)
        return [
            Raced(found, len(self.rungs) - 1 - place) if place >= 0 else Raced(None, 0)
            for found, place in zip(values, reached, strict=True)
        ]

    def foretold(self) -> list[Foretold]:
        """What the rungs have foretold so far; in order."""
        found = []
        for rung, following in sorted(self._pairs, key=lambda two: [self.rungs.index(each) for each in two]):
            pairs = self._pairs[rung, following]
            of_promoted, of_control = _correlation(pairs.promoted), _correlation(pairs.control)
            generation, what = self.dropped.get(rung, (None, None))
            counts, dropped = (len(pairs.promoted), len(pairs.control)), generation if what == following else None
            found.append(Foretold(rung, following, *counts, of_promoted, of_control, dropped))
        return found

    def _job(self, entry: Entry, replicate: int, rung: Rung, before: Rung) -> Job:
        known = self.continues and replicate < before.replicates and before.steps < rung.steps
        return Job(self.objective.under(entry, replicate), replicate, before.steps if known else 0)

    def _active(self) -> list[Rung]:
        return [rung for rung in self.rungs if rung not in self.dropped]

    def _control_group(self, generation: int, count: int) -> set[int]:
        """Who goes the whole way at random."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(generation, 0, CONTROL)))
        return {int(place) for place in rng.permutation(count)[: _control(count)]}

    def _record(
        self, rung: Rung, following: Rung, before: Mapping[int, float], now: Mapping[int, float], promoted: set[int],
        control: set[int],
    ) -> None:  # fmt: skip
        pairs = self._pairs.setdefault((rung, following), _Pairs())
        pairs.promoted += [(before[i], now[i]) for i in now if i in promoted]
        pairs.control += [(before[i], now[i]) for i in now if i in control]

    def _drop(self, generation: int) -> None:
        """Drop the highest rung that does not foretell the next one; those below it may foretell the one after."""
        for two in reversed(list(pairwise(self._active()))):
            control = self._pairs.get(two, _Pairs()).control
            if len(control) >= ENOUGH and _correlation(control)[2] < PREDICTS:
                self.dropped[two[0]] = generation + 1, two[1]
                return


def promoted_of(values: NDArray[np.float64], scores: Sequence[float]) -> list[int]:
    """Rows of (losses, replicates) that are promoted, the best first.

    An eighth at least, by their scores, and a quarter at most: between these, those that lie within one standard error
    of the difference from the last of the eighth, as the spread over replicates has it. One replicate says nothing of
    its error, and a quarter is promoted.
    """
    order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    least, most = math.ceil(LEAST_PART * len(order)), math.ceil(MOST_PART * len(order))
    error = _standard_error(values)
    bar = scores[order[least - 1]]
    return [i for place, i in enumerate(order[:most]) if place < least or scores[i] <= bar + error]


def _standard_error(values: NDArray[np.float64]) -> float:
    """Of a difference between two losses' means; infinite where it cannot be had.

    What replicates have in common, being under one condition and of one luck, is no error of a difference.
    """
    well = values[np.isfinite(values).all(1)]
    if values.shape[1] < 2 or len(well) < 2:
        return math.inf
    _, within = variance_components(well - well.mean(0))
    return math.sqrt(2 * within / values.shape[1])


def _correlation(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    if len(pairs) < 3:
        return math.nan, math.nan, math.nan
    before, now = np.array(pairs, float).T
    return mean_rank_correlation([(before, now)])


def _control(count: int) -> int:
    return math.ceil(CONTROL_PART * count)


def race_steps(rungs: Sequence[Rung], count: int, continues: bool = True) -> int:
    """Steps that it takes to race so many losses over these rungs, at most.

    Args:
        continues: as in `Race`.
    """
    total, before, control = 0, Rung(0, 0), _control(count)
    for rung in rungs:
        known = before.replicates if continues or before.steps == rung.steps else 0
        total += count * (rung.replicates * rung.steps - known * before.steps)
        count, before = min(count, math.ceil(MOST_PART * count) + control), rung
    return total


def parse_rungs(text: str) -> list[tuple[int, int]]:
    """Read `500x1,1000x2,2000x4`: steps and replicates, neither ever fewer than before.

    Raises:
        InputError: it is something else.
    """
    try:
        rungs = [(int(steps), int(replicates)) for steps, replicates in (part.split("x") for part in text.split(","))]
    except ValueError:
        rungs = []
    falls = any(a[0] > b[0] or a[1] > b[1] or a == b for a, b in pairwise(rungs))
    if not rungs or min(map(min, rungs)) < 1 or falls:
        raise InputError(
            f"--rungs {text!r}: are no rungs, steps x replicates, each with more of one than the one before and with "
            "fewer of none: 500x1,1000x2,2000x4"
        )
    return rungs
