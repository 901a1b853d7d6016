"""A search without generations that are waited for: a loss is bred as a worker is free (`--mode steady`).

Asynchronous steady-state evolution: each loss that is told of competes with the population at once, and the next one
is bred from who is left. Where losses race, it is asynchronous successive halving (ASHA: Li et al. 2020, arXiv
1810.05934), with what `racing.py` has beside it. A loss goes on from a rung if it is among the better of the last ones
that came to that rung, as many as a generation has, of all of which a quarter goes on at most; or if it was drawn to,
before its first training.

What comes of it depends on which training ends first, so two runs of the same seed differ. A run that is resumed knows
what it knew: the archive has its trainings in the order in which they ended.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
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
ASKED_AFTER = 1 / 20
"""What the rungs foretell is asked once so large a part of all that has passed one has come since, and a generation at
least: the answer takes the longer, the more there are."""


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
        following: trainings at the next rung, of this loss and of others that are now known to be among the better.
        left: trainings that nothing will continue: of this loss, or of others that are not among the last any more.
        asked: whether it was asked now what the rungs foretell.
    """

    candidate: Candidate
    outcomes: Sequence[Outcome]
    values: Sequence[float]
    short: int
    following: Sequence[Wanted]
    left: Sequence[Wanted]
    asked: bool


@dataclass
class _Arrived:
    """What has come to a rung.

    Attributes:
        last: the last ones, as many as a generation has; those of them that may still go on are racers.
        count, promoted: how many came, and how many of them went on by their values.
    """

    last: deque[tuple[str, Sequence[float]]]
    count: int = 0
    promoted: int = 0


class SteadyRace(Race):
    """A race that losses enter one by one. What it does is a function of the order of outcomes, and the seed.

    Whenever a loss comes to a rung, the best of the last ones there goes on, if it is among the better of them, and as
    long as no more than a quarter of all that came has gone on: an early one may do so when there are enough to tell.

    Args:
        room: losses that one is held against: the last that came to its rung.
        most: steps that all trainings may make; None for no limit. Who would need more stays where it is.

    The others are as for `Race`.
    """

    def __init__(self, race: Race, room: int, most: int | None = None) -> None:
        super().__init__(race.rungs, race.objective, race.seed, race.continues)
        self.size = room
        self.most = most
        self.whole = 0
        """Losses that went the whole way."""
        self._racers: dict[str, _Racer] = {}
        self._arrived: dict[Rung, _Arrived] = {}
        self._passed = self._since = 0  # rungs passed by losses; and since it was asked what they foretell

    @property
    def under_way(self) -> bool:
        """Whether a training is wanted whose outcome is not known."""
        return any(len(racer.outcomes) < racer.at.replicates for racer in self._racers.values())

    def entering(self) -> int:
        """Steps that it takes to begin one more."""
        first = self._active()[0]
        return first.replicates * first.steps

    def begin(self, candidate: Candidate, rung: Rung | None = None) -> Sequence[Wanted]:
        """Its first trainings, at the first rung or at one that it has begun at before."""
        place = candidate.generation, candidate.number, CONTROL
        drawn = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=place)).random()
        racer = self._racers[candidate.digest] = _Racer(candidate, drawn < CONTROL_PART)
        return self._onto(racer, rung or self._active()[0])

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
        short = len(self.rungs) - 1 - self.rungs.index(rung)
        following: list[Wanted] = []
        left: list[Wanted] = []
        if self._above(rung) is None:
            del self._racers[racer.candidate.digest]
            self.whole += 1
        else:
            left += self._arrive(racer)
            following += self._promote(rung)
            if racer.control and racer.at == rung and self._affordable(racer):
                following += self._onto(racer, self._above(rung))
        self._passed += 1
        self._since += 1
        asked = self._since >= max(self.size, ASKED_AFTER * self._passed)
        if asked:
            self._since = 0
            self._drop(racer.candidate.generation)
        return Passed(racer.candidate, outcomes, values, short, following, left, asked)

    def promote_anyway(self) -> Sequence[Wanted]:
        """The best of those that have come furthest goes on, though it is not known to be among the better."""
        for rung in reversed(self._active()):
            arrived = self._arrived.get(rung)
            for digest, _ in sorted(arrived.last if arrived else (), key=lambda each: self._score(each[1])):
                racer = self._racers.get(digest)
                if racer is not None and racer.at == rung and self._goes(racer):
                    return self._onto(racer, self._above(rung))
        return ()

    def _above(self, rung: Rung) -> Rung | None:
        place = self.rungs.index(rung)
        return next((each for each in self._active() if self.rungs.index(each) > place), None)

    def _score(self, values: Sequence[float]) -> float:
        return self.objective.fitness(values)

    def _arrive(self, racer: _Racer) -> Sequence[Wanted]:
        """Count a loss among those that came to its rung; trainings of the one that is pushed out of the last ones."""
        arrived = self._arrived.setdefault(racer.at, _Arrived(deque()))
        arrived.count += 1
        arrived.last.append((racer.candidate.digest, racer.values))
        if len(arrived.last) <= self.size:
            return ()
        digest, _ = arrived.last.popleft()
        old = self._racers.get(digest)
        if old is None or old.at != racer.at or len(old.outcomes) < old.at.replicates:
            return ()  # it went on
        del self._racers[digest]
        return old.wanted

    def _promote(self, rung: Rung) -> Sequence[Wanted]:
        """Those of the last ones that go on from a rung now, by their values."""
        arrived, found = self._arrived[rung], list[Wanted]()
        if len(arrived.last) * MOST_PART < 1:
            return found
        scores = [self._score(values) for _, values in arrived.last]
        better = promoted_of(np.array([values for _, values in arrived.last], float), scores)
        for digest, score in [(arrived.last[place][0], scores[place]) for place in better]:
            racer = self._racers.get(digest)
            if arrived.promoted + 1 > MOST_PART * arrived.count:
                break
            if racer is None or racer.at != rung or not math.isfinite(score) or not self._goes(racer):
                continue
            arrived.promoted += 1
            racer.promoted = True
            found += self._onto(racer, self._above(rung))
        return found

    def _goes(self, racer: _Racer) -> bool:
        """Whether it waits at its rung, and there is another rung and the steps for it."""
        done = len(racer.outcomes) == racer.at.replicates
        return done and math.isfinite(self._score(racer.values)) and self._affordable(racer)

    def _affordable(self, racer: _Racer) -> bool:
        above = self._above(racer.at)
        return above is not None and (self.most is None or self.spent + self._price(racer, above) <= self.most)

    def _price(self, racer: _Racer, rung: Rung) -> int:
        """Steps that its trainings at another rung make."""
        at = racer.at
        known = at.replicates if self.continues or at.steps == rung.steps else 0
        return sum(rung.steps - at.steps * (replicate < known) for replicate in range(rung.replicates))

    def _onto(self, racer: _Racer, rung: Rung | None) -> Sequence[Wanted]:
        assert rung is not None, "there is no rung above"
        self.spent += self._price(racer, rung)
        racer.before, racer.at, racer.outcomes = racer.at, rung, {}
        jobs = [self._job(racer.candidate.entry, r, rung, racer.before) for r in range(rung.replicates)]
        racer.wanted = [Wanted(job, rung.steps, self.kept_at(rung)) for job in jobs]
        return racer.wanted


class SteadySearch(Search):
    """A search that keeps every worker busy."""

    race: SteadyRace

    def _search(self) -> None:
        session, engine, plan = self.session, self.engine, self.plan
        self._generations = generations_asked(session.run.config)
        config = session.run.config
        counted = config.races and self._generations is not None and not (config.max_trainings or config.max_steps)
        self._most = None if plan.most is None or counted else plan.most * plan.steps
        self.race = SteadyRace(self.race, max(engine.size, math.ceil(1 / MOST_PART)), self._most)
        self._queue: deque[Wanted] = deque()
        self._open: dict[str, Candidate] = {}  # of which nothing is told yet
        self._full = False
        self._expected: float = plan.search_trainings
        # Workers that advance long lists are given a share of a generation at a time. Else no worker waits for what
        # another is to be given.
        self._share = -(-engine.size // session.pool.count) if session.ready.together else 1
        self._said = -1
        if session.pool.count > 1:
            session.run.archive.set_meta("reproducible", False)
        self._replay()
        reserve = plan.polish_trainings + plan.audit_trainings + plan.verify_trainings
        session.train_flow(STAGE, self._following, self._heard, self._fraction, reserve)
        self._keep_foretold(set(self.race.dropped))
        if self._open or self.race.under_way:
            if not session.stopping:
                session.listener.note("the time for the search is up")
            why = "the run was stopped" if session.stopping else "the time was up"
            engine.tell(list(self._open.values()), [None] * len(self._open), why)

    def _replay(self) -> None:
        """Come to know what was known when the run ended before: the same outcomes, in the order in which they came."""
        archive, plan = self.session.run.archive, self.plan
        rows = [row for row in archive.candidates() if row.origin != "polish"]
        if not rows:
            return
        outcomes = archive.outcomes_as_they_came(STAGE)
        rungs = {
            (rung.steps, replicate): rung for rung in reversed(self.race.rungs) for replicate in range(rung.replicates)
        }
        began: dict[str, Rung] = {}  # where each was trained first; a rung may be left out since
        for key, _ in outcomes:
            rung = rungs[key.steps, key.replicate]
            began[key.digest] = min(began.get(key.digest, rung), rung, key=self.race.rungs.index)
        wanted: dict[OutcomeKey, Wanted] = {}
        known: dict[OutcomeKey, Outcome] = {}

        def want(all_of: Iterable[Wanted]) -> None:
            for each in all_of:
                key = self._key(each)
                if key in known:  # of the rung below, on the same steps
                    self._heard(each, known[key])
                else:
                    wanted[key] = each

        fresh = []
        for candidate in self.engine.reopen(rows):
            self._open[candidate.digest] = candidate
            if candidate.digest in began:
                want(self.race.begin(candidate, began[candidate.digest]))
            else:
                fresh.append(candidate)
        for key, outcome in outcomes:
            known[key] = outcome
            if key in wanted:
                each = wanted.pop(key)
                self.session.forecast.known += (each.steps - each.job.after) / plan.steps
                self._heard(each, outcome)
                while self._queue:
                    want([self._queue.popleft()])
        self.session.listener.stage(STAGE, len(outcomes), len(outcomes))
        self._queue.extend(wanted.values())
        for candidate in fresh:
            self._queue.extend(self.race.begin(candidate))
        self._foresee()

    def _following(self, idle: int) -> Sequence[Wanted]:
        """Who goes on comes first, and the oldest of them; then who is new; at the end one that is to go the whole way
        all the same, where none has."""
        if not self._queue:
            for candidate in self._fresh(1 if self._share == 1 else idle * self._share):
                self._open[candidate.digest] = candidate
                self._queue.extend(self.race.begin(candidate))
        if not self._queue and not self.race.whole and not self.race.under_way:
            self._queue.extend(self.race.promote_anyway())
        return [self._queue.popleft() for _ in range(min(len(self._queue), idle * self._share))]

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
            self._foresee()
            session.listener.proposed(self._said, self._expected_generations(), session.run.archive.waterfall())
        return found

    def _expected_generations(self) -> int | None:
        if self._generations is not None or self._most is None:
            return self._generations
        return -(-self._most // self.race.cost(self.engine.size))

    def _foresee(self) -> None:
        """Correct the forecast by what has been trained of what was proposed."""
        plan, engine, spent = self.plan, self.engine, self.race.spent / self.plan.steps
        search = max(plan.search_trainings if plan.most is None else plan.most, spent)
        if engine.max_candidates is not None and engine.proposed:
            in_all = spent * engine.max_candidates / engine.proposed
            search = in_all if plan.most is None else min(search, in_all)
        self._expected = max(search, 1)
        others = plan.polish_trainings + plan.audit_trainings + plan.verify_trainings
        made = self.session.forecast.known + self.session.spent_in_flow
        self.session.forecast.expect(max(search - made, 0) + self.session.spent_in_flow + others)

    def _fraction(self, spent: float) -> float:
        return min(1.0, (self.session.forecast.known + spent) / max(self._expected, 1))

    def _heard(self, wanted: Wanted, outcome: Outcome) -> None:
        session, dropped = self.session, set(self.race.dropped)
        passed = self.race.heard(wanted, outcome)
        if passed is None:
            return
        candidate = passed.candidate
        self._open.pop(candidate.digest, None)
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
        if passed.asked:
            self._keep_foretold(dropped)

    def _key(self, wanted: Wanted) -> OutcomeKey:
        job = wanted.job
        return OutcomeKey(STAGE, job.entry.digest, job.replicate, wanted.steps, job.entry.condition)
