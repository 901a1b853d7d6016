"""A search without generations that are waited for: a loss is bred as a worker is free (`--mode steady`).

Asynchronous steady-state evolution: each loss that is told of competes with the population at once, and the next one
is bred from who is left. Where losses race, it is asynchronous successive halving (ASHA: Li et al. 2020, arXiv
1810.05934), with what `racing.py` has beside it. A loss goes on from a rung if it is among the better of the last ones
that came to that rung, as many as a generation has; or if it was drawn to, before its first training.

What comes of it depends on which training ends first, so two runs of the same seed differ. A run that is resumed knows
what it knew: the archive has its trainings in the order in which they ended.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.batch import forget_files
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.engine import MOST_PROPOSALS
from lossgen.evolution.flow import Wanted
from lossgen.evolution.planner import generations_asked
from lossgen.evolution.racing import CONTROL, CONTROL_PART, MOST_PART, Race, Rung, promoted_of
from lossgen.evolution.search import Search
from lossgen.runner import Outcome

STAGE = "search"
NOWHERE = Rung(0, 0)
"""Where a loss is before its first rung."""


@dataclass
class _Racer:
    """A loss on its way.

    Attributes:
        control: whether it was drawn to go the whole way.
        at, before: the rung that it is trained at, and the one before.
        values: at that one, to be minimised.
        promoted: whether it is here by its values.
        wanted: its trainings at this rung; outcomes by replicate.
    """

    candidate: Candidate
    control: bool
    at: Rung = NOWHERE
    before: Rung = NOWHERE
    values: Sequence[float] = ()
    promoted: bool = False
    wanted: Sequence[Wanted] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class Passed:
    """A loss has been trained at a rung on all replicates.

    Attributes:
        candidate, outcomes: of what, and by replicate.
        values: to be minimised.
        short: rungs that are above that one.
        following: its trainings at the next rung; none where it goes no further.
        left: its trainings at this one, where nothing will continue them.
    """

    candidate: Candidate
    outcomes: Sequence[Outcome]
    values: Sequence[float]
    short: int
    following: Sequence[Wanted]
    left: Sequence[Wanted]


class SteadyRace(Race):
    """A race that losses enter one by one. What it does is a function of the order of outcomes, and the seed.

    Args:
        room: losses that one is held against: the last that came to its rung.

    The others are as for `Race`.
    """

    def __init__(self, race: Race, room: int) -> None:
        super().__init__(race.rungs, race.objective, race.seed, race.continues)
        self.size = room
        self._racers: dict[str, _Racer] = {}
        self._last: dict[Rung, deque[Sequence[float]]] = {}
        self._since = 0  # losses that have passed a rung since it was last asked what the rungs foretell

    def entering(self) -> int:
        """Steps that it takes to begin one more."""
        first = self._active()[0]
        return first.replicates * first.steps

    def begin(self, candidate: Candidate) -> Sequence[Wanted]:
        """Its first trainings."""
        place = candidate.generation, candidate.number, CONTROL
        drawn = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=place)).random()
        racer = self._racers[candidate.digest] = _Racer(candidate, drawn < CONTROL_PART)
        return self._onto(racer, self._active()[0])

    def heard(self, wanted: Wanted, outcome: Outcome) -> Passed | None:
        """A training has ended; what that means where it was the last of its loss at this rung."""
        racer = self._racers[wanted.job.entry.digest]
        racer.outcomes[wanted.job.replicate] = outcome
        if len(racer.outcomes) < racer.at.replicates:
            return None
        outcomes = [racer.outcomes[replicate] for replicate in sorted(racer.outcomes)]
        values, rung, before = self.objective.values(outcomes), racer.at, racer.before
        if before.steps:
            # As in a race of a generation: what a seed did is not foretold by what the same seed did.
            new = rung.replicates > before.replicates
            now = self.objective.fitness(values[before.replicates if new else 0 :])
            self._record(
                before, rung, {0: self.objective.fitness(racer.values)}, {0: now}, {0} if racer.promoted else set(),
                {0} if racer.control else set(),
            )  # fmt: skip
        racer.values = values
        active = self._active()
        above = [each for each in active if self.rungs.index(each) > self.rungs.index(rung)]
        racer.promoted = bool(above) and self._promoted(rung, values)
        short = len(self.rungs) - 1 - self.rungs.index(rung)
        following: Sequence[Wanted] = ()
        left = racer.wanted if above else ()
        if above and (racer.promoted or racer.control):
            following, left = self._onto(racer, above[0]), ()
        else:
            del self._racers[racer.candidate.digest]
        self._since += 1
        if self._since >= self.size:
            self._since = 0
            self._drop(racer.candidate.generation)
        return Passed(racer.candidate, outcomes, values, short, following, left)

    def _onto(self, racer: _Racer, rung: Rung) -> Sequence[Wanted]:
        racer.before, racer.at, racer.outcomes = racer.at, rung, {}
        before = racer.before
        jobs = [self._job(racer.candidate.entry, replicate, rung, before) for replicate in range(rung.replicates)]
        known = before.replicates if self.continues or before.steps == rung.steps else 0
        self.spent += sum(rung.steps - before.steps * (job.replicate < known) for job in jobs)
        keep = self.kept_at(rung)
        racer.wanted = [Wanted(job, rung.steps, keep) for job in jobs]
        return racer.wanted

    def _promoted(self, rung: Rung, values: Sequence[float]) -> bool:
        """Whether a loss is among the better of the last ones that came to a rung."""
        last = self._last.setdefault(rung, deque(maxlen=self.size))
        last.append(values)
        scores = [self.objective.fitness(each) for each in last]
        if len(last) * MOST_PART < 1 or not math.isfinite(scores[-1]):
            return False
        return len(last) - 1 in promoted_of(np.array(last, float), scores)


class SteadySearch(Search):
    """A search that keeps every worker busy."""

    race: SteadyRace

    def _search(self) -> None:
        session, engine, plan = self.session, self.engine, self.plan
        self.race = SteadyRace(self.race, max(engine.size, math.ceil(1 / MOST_PART)))
        self._queue: deque[Wanted] = deque()
        self._open: dict[str, Candidate] = {}  # of which nothing is told yet
        self._full = False
        self._generations = generations_asked(session.run.config)
        config = session.run.config
        counted = config.races and self._generations is not None and not (config.max_trainings or config.max_steps)
        self._most = None if plan.most is None or counted else plan.most * plan.steps
        self._expected: float = plan.search_trainings
        # Workers that advance long lists are given a share of a generation at a time.
        self._share = -(-engine.size // session.pool.count) if session.ready.together else 1
        self._said = -1
        if session.pool.count > 1:
            session.run.archive.set_meta("reproducible", False)
        self._replay()
        reserve = plan.polish_trainings + plan.audit_trainings + plan.verify_trainings
        session.train_flow(STAGE, self._following, self._heard, self._fraction, reserve)
        self._keep_foretold(set())
        if self._open or self._queue:
            if not session.stopping:
                session.listener.note("the time for the search is up")
            why = "the run was stopped" if session.stopping else "the time was up"
            engine.tell(list(self._open.values()), [None] * len(self._open), why)

    def _replay(self) -> None:
        """Come to know what was known when the run ended before."""
        archive = self.session.run.archive
        rows = [row for row in archive.candidates() if row.origin != "polish"]
        if not rows:
            return
        wanted: dict[OutcomeKey, Wanted] = {}

        def want(all_of: Sequence[Wanted]) -> None:
            wanted.update((self._key(each), each) for each in all_of)

        for candidate in self.engine.reopen(rows):
            self._open[candidate.digest] = candidate
            want(self.race.begin(candidate))
        for key, outcome in archive.outcomes_as_they_came(STAGE):
            if key in wanted:
                self._heard(wanted.pop(key), outcome)
                want(list(self._queue))
                self._queue.clear()
        self._queue.extend(wanted.values())

    def _following(self, idle: int) -> Sequence[Wanted]:
        """Who goes on comes first, and the oldest of them; then who is new."""
        if not self._queue:
            for candidate in self._fresh(idle * self._share):
                self._open[candidate.digest] = candidate
                self._queue.extend(self.race.begin(candidate))
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), idle * self._share))]
        return taken

    def _fresh(self, count: int) -> Sequence[Candidate]:
        engine, race, session = self.engine, self.race, self.session
        if self._generations is not None:
            count = min(count, self._generations * engine.size - engine.accepted)
        if self._most is not None:
            count = min(count, max(0, self._most - race.spent) // race.entering())
        if count < 1 or self._full:
            return []
        with session.clock.phase("propose"):
            found = engine.ask(count)
        if len(found) < count:
            self._full = True
            if not engine.exhausted:
                session.listener.note(
                    f"no more new losses in the space {engine.space.name} after {MOST_PROPOSALS} proposals"
                )
        if found and found[-1].generation > self._said:
            self._said = found[-1].generation
            self._expect(found)
            session.listener.proposed(self._said, self._expected_generations(), session.run.archive.waterfall())
        return found

    def _expected_generations(self) -> int | None:
        if self._generations is not None or self._most is None:
            return self._generations
        return -(-self._most // self.race.cost(self.engine.size))

    def _expect(self, candidates: Sequence[Candidate]) -> None:
        """Correct the forecast by what has been trained of what was proposed."""
        plan, engine, spent = self.plan, self.engine, self.race.spent / self.plan.steps
        search = max(plan.search_trainings if plan.most is None else plan.most, spent)
        if engine.max_candidates is not None:
            in_all = spent * engine.max_candidates / engine.proposed
            search = in_all if plan.most is None else min(search, in_all)
        self._expected = max(search, 1)
        others = plan.polish_trainings + plan.audit_trainings + plan.verify_trainings
        self.session.forecast.expect(max(search - spent, 0) + others)

    def _fraction(self, spent: float) -> float:
        return min(1.0, (self.session.forecast.known + spent) / max(self._expected, 1))

    def _heard(self, wanted: Wanted, outcome: Outcome) -> None:
        session, dropped = self.session, set(self.race.dropped)
        passed = self.race.heard(wanted, outcome)
        if passed is None:
            return
        candidate = passed.candidate
        self._open.pop(candidate.digest, None)
        if self._most is None or self.race.spent <= self._most:
            self._queue.extend(passed.following)
        if not passed.short:
            self.hall.add(candidate, passed.outcomes)
            self.hall.write()
        with session.run.archive.together():
            for each in passed.left:
                if each.keep != "nothing":
                    forget_files(session.run.archive, self._key(each))
        with session.clock.phase("select"):
            self.engine.tell([candidate], [passed.values], short=[passed.short])
        self._tell_best()
        if set(self.race.dropped) != dropped:
            self._keep_foretold(dropped)

    def _key(self, wanted: Wanted) -> OutcomeKey:
        job = wanted.job
        return OutcomeKey(STAGE, job.entry.digest, job.replicate, wanted.steps, job.entry.condition)
