"""The trainings of one round: what is known of them, what is to be made, and what has come of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.cache import cache_key
from lossgen.evolution.entry import Entry
from lossgen.evolution.workers.messages import Task
from lossgen.evolution.workers.pool import WORKER_DIED
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome

if TYPE_CHECKING:
    from lossgen.evolution.session import Session

A_TENTH = 0.1

Told = Callable[[Entry, Sequence[Outcome]], None]
"""Hears of an entry's outcomes, each time that there is one more."""


class Batch:
    """The trainings of one call of `Session.train`, and what has come of them."""

    def __init__(
        self, session: "Session", stage: str, replicates: int, steps: int, keep: bool, told: Told, after: int = 0
    ) -> None:
        self.session = session
        self.stage = stage
        self.replicates = replicates
        self.steps = steps
        self.keep = keep
        self.told = told
        self.after = after
        self.found: dict[tuple[str, int], Outcome] = {}
        self.tasks: list[Task] = []
        self.made = 0
        self.spent = 0.0  # how many of the plan's trainings those come to
        self.began = 0.0
        self._entries: dict[str, tuple[Entry, int]] = {}
        self._begun: dict[str, int] = {}
        self._under_way: dict[str, int] = {}
        self._seconds: list[float] = []

    def add(self, entry: Entry, replicate: int) -> None:
        """Find the outcome in the archive or the cache, or put the training on the list."""
        session, archive = self.session, self.session.run.archive
        stages = (self.stage, "interim") if self.stage == "verify" else (self.stage,)
        for stage in stages:
            known = archive.outcome(OutcomeKey(stage, entry.digest, replicate, self.steps, entry.condition))
            if known is not None:
                if stage != self.stage:
                    self._keep(entry, replicate, known)
                self._take(entry, replicate, known)
                return
        before = self._before(entry, replicate)
        if self.after and before is None:
            return  # the time was up before it had come so far
        if before is not None and before.status not in ("ok", "collapsed"):  # samples that are alike may part again
            known = replace(before, seconds=0.0)
            self._keep(entry, replicate, known)
            self._take(entry, replicate, known)
            return
        state = before.files.get("state") if before else None
        task = session.task(self.stage, entry, replicate, self.steps, self.keep, state)
        cached = None if session.cache is None or self.keep else session.cache.get(self._cache_key(task))
        if cached is not None:
            archive.set_meta("reproducible", False)
            self._keep(entry, replicate, cached, cached=True)
            self._take(entry, replicate, cached)
            return
        self.tasks.append(task)
        self._entries[task.key] = (entry, replicate)
        self._begun[task.key] = self.after if state else 0

    def done(self, task: Task, outcome: Outcome) -> None:
        """A training has ended."""
        session = self.session
        entry, replicate = self._entries[task.key]
        self._under_way.pop(task.key, None)
        self.made += 1
        self.spent += self._trainings(self.steps - self._begun[task.key])
        with session.run.archive.together():  # one commit for all that one training changes
            self._keep(entry, replicate, outcome)
            session.save_profile()
            self._save_forecast()
        self._drop_files(entry, replicate)
        if session.cache is not None:
            session.cache.put(self._cache_key(task), outcome)
        if outcome.status == "ok":
            self._seconds.append(outcome.seconds)
            session.seconds_per_training = sum(self._seconds) / len(self._seconds)
        if outcome.status == "timeout" or outcome.reason.startswith(WORKER_DIED):
            session.run.archive.set_meta("reproducible", False)
        self.found[entry.key, replicate] = outcome
        self.told(entry, self._of(entry))
        text = print_loss(entry.loss)
        session.listener.trained(self.stage, entry.name, text, outcome, session.fitness([outcome]))
        self._tell()

    def on_step(self, task: Task, step: int) -> None:
        """A training has come so far."""
        self._under_way[task.key] = step
        self._tell()

    def _take(self, entry: Entry, replicate: int, outcome: Outcome) -> None:
        self._drop_files(entry, replicate)
        self.found[entry.key, replicate] = outcome
        self.session.forecast.known += self._trainings(self.steps - self.after)
        self.told(entry, self._of(entry))

    def _before(self, entry: Entry, replicate: int) -> Outcome | None:
        """What came of the training that this one continues."""
        return self.session.run.archive.outcome(self._key(entry, replicate, self.after)) if self.after else None

    def _drop_files(self, entry: Entry, replicate: int) -> None:
        """Delete what a training has left that was continued: what continues it has left the same, further on."""
        before = self._before(entry, replicate)
        if before is not None and before.files:
            key = self._key(entry, replicate, self.after)
            self.session.run.archive.add_outcome(key, entry.loss.name, replace(before, files={}))
            for path in before.files.values():
                path.unlink(missing_ok=True)

    def _trainings(self, steps: float) -> float:
        """How many of the plan's trainings so many steps come to."""
        return steps / (self.session.plan_steps or self.steps)

    def _key(self, entry: Entry, replicate: int, steps: int) -> OutcomeKey:
        return OutcomeKey(self.stage, entry.digest, replicate, steps, entry.condition)

    def _keep(self, entry: Entry, replicate: int, outcome: Outcome, cached: bool = False) -> None:
        key = self._key(entry, replicate, self.steps)
        self.session.run.archive.add_outcome(key, entry.loss.name, outcome, cached)

    def _of(self, entry: Entry) -> list[Outcome]:
        return [self.found[entry.key, r] for r in range(self.replicates) if (entry.key, r) in self.found]

    def _cache_key(self, task: Task) -> str:
        config, protocol = self.session.run.config, self.session.ready.protocol
        data = config.data.model_dump(exclude={"root", "download"})
        return cache_key(task.member, task.steps, config.runner_digest, config.options, protocol, data, config.device)

    def _save_forecast(self) -> None:
        """Keep what was said to be left after the first tenth, so that it can be compared with what it took."""
        session, archive = self.session, self.session.run.archive
        if session.forecast.done(self.spent) >= A_TENTH and archive.meta("forecast") is None:
            left = session.forecast.left(session.clock.elapsed - self.began, self.spent)
            archive.set_meta("forecast", {"at": session.clock.elapsed, "left": left})

    def _tell(self) -> None:
        session = self.session
        done = {key: max(step - self._begun[key], 0) for key, step in self._under_way.items()}
        part = sum(steps / (self.steps - self._begun[key]) for key, steps in done.items())
        fraction = (len(self.found) + part) / max(len(self.found) + len(self.tasks) - self.made, 1)
        spent = self.spent + self._trainings(sum(done.values()))
        session.listener.progress(
            self.stage, fraction, session.forecast.left(session.clock.elapsed - self.began, spent)
        )
