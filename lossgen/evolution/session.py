"""A session trains entries for a run: from the archive what was trained before, by the workers what was not."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lossgen.codegen.torch_module import body_of, emit_torch
from lossgen.errors import InputError
from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.config import GENERATIONS, STEPS
from lossgen.evolution.events import Listener, Plan
from lossgen.evolution.hall_of_fame import write_hall_of_fame
from lossgen.evolution.run import Run
from lossgen.evolution.workers.messages import Check, Task
from lossgen.evolution.workers.pool import WORKER_DIED, Pool, Ready
from lossgen.language.loss import Loss
from lossgen.language.printer import print_loss
from lossgen.runner import Direction, Member, Outcome

STAGES = {"search": 0, "verify": 1, "compare": 2, "timing": 3}
"""A stage's place in the seed of its trainings: each stage has random streams of its own, the same for all losses."""

TIMING_STEPS = (20, 60)
TRIAL_TIMEOUT = 600.0
SHORTEST = 50
SEARCH_SLACK = 0.95
VERIFY_SHARE = 0.45
COMPARE_SHARE = 0.9
"""Of a time limit: when the search is to be over with verification done, what verification may take of it, and what
a comparison may be planned to take."""


@dataclass(frozen=True)
class Entry:
    """A loss to train.

    Attributes:
        loss: the loss.
        source: its emitted module.
        digest: its key in the archive: of the loss, and of the code where that is somebody's own.
        trusted: whether the code is somebody's own, and so not compared with the kernel's evaluation of the loss.
    """

    loss: Loss
    source: str
    digest: str
    trusted: bool = False

    @classmethod
    def of(cls, loss: Loss, source: str | None = None) -> "Entry":
        emitted = emit_torch(loss)
        if source is None or body_of(source) == body_of(emitted):
            return cls(loss, source or emitted, loss.digest())
        own = hashlib.sha256((loss.digest() + body_of(source)).encode()).hexdigest()
        return cls(loss, source, own, trusted=True)


class Session:
    """Trains for one run.

    Attributes:
        objective: name of the fitness.
        direction: "min" or "max".
    """

    def __init__(self, run: Run, pool: Pool, ready: Ready, listener: Listener) -> None:
        self.run = run
        self.pool = pool
        self.ready = ready
        self.listener = listener
        self.objective, self.direction = next(iter(ready.objectives.items()))
        self._began = time.monotonic()
        self._earlier: float = run.archive.meta("elapsed", 0.0)
        self.seconds_per_training = self.planned_seconds = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds that the run has worked, those of earlier sessions included."""
        return self._earlier + time.monotonic() - self._began

    def fitness(self, outcomes: Sequence[Outcome]) -> float:
        """Mean of the first objective, to be minimised; infinite where a training failed."""
        if not outcomes or any(outcome.status != "ok" for outcome in outcomes):
            return float("inf")
        return sum(signed(outcome.metrics[self.objective], self.direction) for outcome in outcomes) / len(outcomes)

    def time_training(self, entry: Entry) -> tuple[float, float]:
        """Seconds that a training takes apart from its steps, and a step's seconds, on one worker.

        Raises:
            InputError: not even this short training succeeds.
        """
        seconds: dict[int, float] = {}

        def done(task: Task, outcome: Outcome) -> None:
            if outcome.status in ("crashed", "timeout"):
                raise InputError(f"a trial training of {entry.loss.name} ended as {outcome.status}: {outcome.reason}")
            seconds[task.steps] = outcome.seconds

        tasks = [self._task("timing", entry, 0, steps, keep=False) for steps in TIMING_STEPS]
        limit = max(self.run.config.timeout or 0.0, TRIAL_TIMEOUT)
        for task in (tasks[0], *tasks):  # the first training of a worker warms it up; it is not counted
            self.pool.run([task], done, timeout=limit)
        few, many = TIMING_STEPS
        a_step = max((seconds[many] - seconds[few]) / (many - few), 1e-6)
        return max(seconds[few] - few * a_step, 0.0), a_step

    def train(
        self,
        stage: str,
        entries: Sequence[Entry],
        replicates: int,
        steps: int,
        keep: bool = False,
        reserve: int | None = None,
    ) -> dict[str, list[Outcome]]:
        """Outcomes by digest, in order of replicates; a list is short where the time was up.

        Args:
            stage: one of STAGES.
            keep: whether models and samples are kept in the run's folder.
            reserve: trainings that the time limit is to leave time for; None to train all whatever the time.
        """
        archive = self.run.archive
        found: dict[tuple[str, int], Outcome] = {}
        tasks: list[Task] = []
        keys: dict[str, tuple[Entry, int]] = {}
        for replicate in range(replicates):  # replicate by replicate: when the time is up, all have had as many
            for entry in entries:
                known = archive.outcome(OutcomeKey(stage, entry.digest, replicate, steps))
                if known is not None:
                    found[entry.digest, replicate] = known
                else:
                    task = self._task(stage, entry, replicate, steps, keep)
                    tasks.append(task)
                    keys[task.key] = (entry, replicate)
        total = len(entries) * replicates
        self.listener.stage(stage, total, len(found))
        under_way: dict[str, int] = {}
        seconds: list[float] = []

        def tell() -> None:
            self.listener.progress(stage, (len(found) + sum(under_way.values()) / steps) / max(total, 1))

        def on_step(task: Task, step: int) -> None:
            under_way[task.key] = step
            tell()

        def on_done(task: Task, outcome: Outcome) -> None:
            entry, replicate = keys[task.key]
            under_way.pop(task.key, None)
            archive.add_outcome(OutcomeKey(stage, entry.digest, replicate, steps), entry.loss.name, outcome)
            archive.set_meta("elapsed", self.elapsed)
            if outcome.status == "ok":
                seconds.append(outcome.seconds)
                self.seconds_per_training = sum(seconds) / len(seconds)
            if outcome.status == "timeout" or outcome.reason.startswith(WORKER_DIED):
                archive.set_meta("reproducible", False)
            found[entry.digest, replicate] = outcome
            if stage == "search":
                write_hall_of_fame(archive, self.objective, self.direction, self.run.path / "hall_of_fame.csv")
            text = print_loss(entry.loss)
            self.listener.trained(stage, entry.loss.name, text, outcome, self.fitness([outcome]))
            tell()

        self.pool.run(tasks, on_done, on_step, self._time_left(reserve), self._timeout())
        return {
            entry.digest: [found[entry.digest, r] for r in range(replicates) if (entry.digest, r) in found]
            for entry in entries
        }

    def check(self, entries: Sequence[Entry], full: bool = False) -> dict[str, Outcome]:
        """Have the workers compare modules with the kernel, and train nothing.

        Args:
            full: whether `codegen.full_checks` are to follow.

        Returns:
            By digest: "ok", with what was found as its reason, or why the check was not passed.
        """
        found: dict[str, Outcome] = {}

        def on_done(task: Task, outcome: Outcome) -> None:
            if outcome.status == "timeout" or outcome.reason.startswith(WORKER_DIED):
                self.run.archive.set_meta("reproducible", False)
            found[task.key] = outcome

        how: Check = "full" if full else "equal"
        tasks = [
            Task(entry.digest, Member(entry.loss.name, entry.source, (0,)), print_loss(entry.loss), 0, check=how)
            for entry in entries
        ]
        self.pool.run(tasks, on_done, timeout=TRIAL_TIMEOUT)
        return found

    def plan(self, timing: tuple[float, float], search: bool, compared: int, reference: int) -> Plan:
        """Fit steps and generations into the time limit, where there is one and they were not given.

        Args:
            timing: from `time_training`.
            search: whether there is a search before the `compared` losses are trained on `reference` seeds each.
        """
        config, notes = self.run.config, list(self.ready.notes)
        apart, a_step = timing
        workers = self.pool.count
        verify_trainings = compared * reference
        steps = config.steps or self.run.archive.meta("steps")
        generations = config.generations or self.run.archive.meta("generations")
        if steps is None:
            steps = STEPS
            if config.time_limit:
                share = VERIFY_SHARE if search else COMPARE_SHARE
                rounds = -(-verify_trainings // workers)
                affordable = int((config.time_limit * share / rounds - apart) / a_step)
                if affordable < steps:
                    notes.append(f"the time limit buys {max(affordable, SHORTEST)} steps a training instead of {steps}")
                    steps = max(affordable, SHORTEST)
        training = apart + steps * a_step
        self.seconds_per_training = self.planned_seconds = training
        verify_seconds = -(-verify_trainings // workers) * training
        if search and generations is None and not config.time_limit:
            generations = config.generations or GENERATIONS
        self.run.archive.set_meta("steps", steps)
        self.run.archive.set_meta("generations", generations)
        a_generation = config.population * config.seeds
        trainings = a_generation * (generations or 0) if search else 0
        if config.time_limit:
            self.run.archive.set_meta("reproducible", False)
            affordable = int((config.time_limit * SEARCH_SLACK - verify_seconds - self.elapsed) * workers / training)
            if search and (generations is None or affordable < trainings):
                trainings = max(affordable, 1)
                notes.append("the search goes on until the time that verification needs is left")
        seconds = -(-trainings // workers) * training + verify_seconds
        return Plan(
            trainings,
            verify_trainings,
            steps,
            training,
            workers,
            seconds,
            verify_seconds,
            self.direction == "min",
            notes,
        )

    def _task(self, stage: str, entry: Entry, replicate: int, steps: int, keep: bool) -> Task:
        seed = (self.run.config.seed, STAGES[stage], replicate)
        folder = self.run.path / "models" / f"{entry.loss.name}-{replicate}" if keep else None
        key = f"{stage} {entry.digest} {replicate} {steps}"
        text = "" if entry.trusted else print_loss(entry.loss)
        return Task(key, Member(entry.loss.name, entry.source, seed), text, steps, folder)

    def _time_left(self, reserve: int | None) -> Callable[[], bool]:
        """Whether there is time for one more training, and for those in reserve, as trainings go in this run."""
        limit = self.run.config.time_limit
        if limit is None or reserve is None:
            return lambda: True
        if reserve and self.run.archive.meta("searched", False):
            return lambda: False  # a search that the time has ended stays as it is, also where some was left over
        rounds = 1 + -(-reserve // self.pool.count)
        return lambda: self.elapsed + rounds * self.seconds_per_training < limit * (SEARCH_SLACK if reserve else 1.0)

    def _timeout(self) -> float:
        """Seconds after which a training is given up: as configured, else far beyond what it should take."""
        return self.run.config.timeout or 60.0 + 20.0 * max(self.seconds_per_training, self.planned_seconds)


def signed(value: float, direction: Direction) -> float:
    """The value as something to minimise."""
    return value if direction == "min" else -value
