"""The trainings of one round: what is known of them, what is to be made, and what has come of it."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lossgen.evolution.archive import Archive, OutcomeKey
from lossgen.evolution.cache import cache_key
from lossgen.evolution.entry import Entry
from lossgen.evolution.workers.messages import Task
from lossgen.evolution.workers.pool import WORKER_DIED
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome

if TYPE_CHECKING:
    from lossgen.evolution.flow import Flow
    from lossgen.evolution.session import Session

A_TENTH = 0.1

Keep = Literal["nothing", "state", "all"]
"""What of a training stays: what it takes to continue it, or its model and samples, too."""


@dataclass(frozen=True)
class Job:
    """A training that is wanted.

    Attributes:
        entry: of what.
        replicate: on the seed of which number.
        after: steps of the training of the stage that it continues, from the state which that has kept. One that failed
            stays so unless it had only collapsed; where there is none, this one is left out. 0 begins anew.
    """

    entry: Entry
    replicate: int
    after: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return self.entry.key, self.replicate


Told = Callable[[Job, Outcome], None]
"""Hears of a training's outcome, also where that was known."""


class Batch:
    """The trainings of one round, and what has come of them.

    Attributes:
        found: outcomes by `Job.key`.
        tasks: of trainings that are to be made.
        spent: how many of the plan's trainings those come to that were made.
        began: when, in seconds of the run.
    """

    def __init__(
        self, session: "Session", stage: str, steps: int, keep: Keep, told: Told, within: "Flow | None" = None
    ) -> None:
        """
        Args:
            within: the flow that this is a part of; it says how far the stage has come, and what a training takes.
        """
        self.session = session
        self.stage = stage
        self.steps = steps
        self.keep = keep
        self.told = told
        self.within = within
        self.took = [0.0, 0.0] if within is None else within.took  # seconds of trainings that went well, and how many
        self.found: dict[tuple[str, int], Outcome] = {}
        self.tasks: list[Task] = []
        self.made = 0
        self.spent = 0.0
        self.began = 0.0
        self._jobs: dict[str, Job] = {}
        self._begun: dict[str, int] = {}
        self._under_way: dict[str, int] = {}

    def add(self, job: Job) -> None:
        """Find the outcome in the archive or the cache, or put the training on the list."""
        session, archive = self.session, self.session.run.archive
        stages = (self.stage, "interim") if self.stage == "verify" else (self.stage,)
        for stage in stages:
            known = archive.outcome(replace(self._key(job, self.steps), stage=stage))
            if known is not None:
                if stage != self.stage:
                    self._keep(job, known)
                self._take(job, known)
                return
        before = archive.outcome(self._key(job, job.after)) if job.after else None
        if job.after and before is None:
            return  # the time was up before it had come so far
        if before is not None and before.status not in ("ok", "collapsed"):  # samples that are alike may part again
            known = replace(before, seconds=0.0)
            self._keep(job, known)
            self._take(job, known)
            return
        state = before.files.get("state") if before else None
        if state is not None and not state.exists():
            state = None  # of what was continued before, and then forgotten
        task = session.task(self.stage, job.entry, job.replicate, self.steps, self.keep, state)
        cached = None if session.cache is None or self.keep == "all" else session.cache.get(self._cache_key(task))
        if cached is not None:
            archive.set_meta("reproducible", False)
            self._keep(job, cached, cached=True)
            self._take(job, cached)
            return
        self.tasks.append(task)
        self._jobs[task.key] = job
        self._begun[task.key] = job.after if state else 0

    def done(self, task: Task, outcome: Outcome) -> None:
        """A training has ended."""
        session = self.session
        job, begun = self._jobs.pop(task.key), self._begun.pop(task.key)
        self._under_way.pop(task.key, None)
        self.made += 1
        self.spent += self._trainings(self.steps - begun)
        with session.run.archive.together():  # one commit for all that one training changes
            self._keep(job, outcome)
            session.save_profile()
            self._save_forecast()
        self._forget(job)
        if session.cache is not None:
            session.cache.put(self._cache_key(task), outcome)
        if outcome.status == "ok":
            steps = self.steps - begun
            self.took[0] += outcome.seconds * (session.plan_steps or steps) / max(steps, 1)
            self.took[1] += 1
            session.seconds_per_training = self.took[0] / self.took[1]
        if outcome.status == "timeout" or outcome.reason.startswith(WORKER_DIED):
            session.run.archive.set_meta("reproducible", False)
        self.found[job.key] = outcome
        self.told(job, outcome)
        text = print_loss(job.entry.loss)
        session.listener.trained(self.stage, job.entry.name, text, outcome, session.fitness([outcome]))
        self._tell()

    def on_step(self, task: Task, step: int) -> None:
        """A training has come so far."""
        self._under_way[task.key] = step
        self._tell()

    def _take(self, job: Job, outcome: Outcome) -> None:
        self._forget(job)
        self.found[job.key] = outcome
        self.session.forecast.known += self._trainings(self.steps - job.after)
        self.told(job, outcome)

    def _forget(self, job: Job) -> None:
        """Delete what a training has left that was continued: what continues it has left the same, further on."""
        if job.after:
            forget_files(self.session.run.archive, self._key(job, job.after))

    def _trainings(self, steps: float) -> float:
        """How many of the plan's trainings so many steps come to."""
        return steps / (self.session.plan_steps or self.steps)

    def _key(self, job: Job, steps: int) -> OutcomeKey:
        return OutcomeKey(self.stage, job.entry.digest, job.replicate, steps, job.entry.condition)

    def _keep(self, job: Job, outcome: Outcome, cached: bool = False) -> None:
        archive = self.session.run.archive
        archive.add_outcome(self._key(job, self.steps), job.entry.loss.name, outcome, cached)

    def _cache_key(self, task: Task) -> str:
        config, protocol = self.session.run.config, self.session.ready.protocol
        data = config.data.model_dump(exclude={"root", "download"})
        member = replace(task.member, state=None)  # a training that is continued comes to what one at once comes to
        return cache_key(member, task.steps, config.runner_digest, config.options, protocol, data, config.device)

    def _save_forecast(self) -> None:
        """Keep what was said to be left after the first tenth, so that it can be compared with what it took."""
        session, archive = self.session, self.session.run.archive
        spent = self.spent if self.within is None else self.within.spent
        if session.forecast.done(spent) >= A_TENTH and archive.meta("forecast") is None:
            left = session.forecast.left(session.clock.elapsed - self.began, spent)
            archive.set_meta("forecast", {"at": session.clock.elapsed, "left": left})

    @property
    def spent_now(self) -> float:
        """`spent`, with what is done of the trainings under way."""
        return self.spent + self._trainings(sum(self._done_of(key) for key in self._under_way))

    def _done_of(self, key: str) -> int:
        """Steps that a training under way has made."""
        return max(self._under_way[key] - self._begun[key], 0)

    def _tell(self) -> None:
        if self.within is not None:
            self.within.tell()
            return
        session = self.session
        part = sum(self._done_of(key) / (self.steps - self._begun[key]) for key in self._under_way)
        fraction = (len(self.found) + part) / max(len(self.found) + len(self.tasks) - self.made, 1)
        session.listener.progress(
            self.stage, fraction, session.forecast.left(session.clock.elapsed - self.began, self.spent_now)
        )


def forget_files(archive: Archive, key: OutcomeKey) -> None:
    """Delete what a training has kept, and have its outcome say so."""
    outcome = archive.outcome(key)
    if outcome is None or not outcome.files:
        return
    archive.forget_files(key)
    remove_files(outcome)


def remove_files(outcome: Outcome) -> None:
    """Delete what a training has kept, and its folder where that is empty then."""
    for path in outcome.files.values():
        if path.is_dir():  # what a command has written
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another training's files are there
            path.parent.rmdir()
