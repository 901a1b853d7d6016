"""A session trains entries for a run: from the archive what was trained before, by the workers what was not."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from lossgen.errors import InputError
from lossgen.evolution.batch import Batch, Job, Keep, Told, remove_files
from lossgen.evolution.cache import OutcomeCache
from lossgen.evolution.clock import Clock, Forecast
from lossgen.evolution.conditions import condition_name, condition_of
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener, Listeners, Plan, Stopped
from lossgen.evolution.flow import Flow, Heard, Next
from lossgen.evolution.objective import objective_for
from lossgen.evolution.planner import SEARCH_SLACK, Timing, make_plan, mean_timing
from lossgen.evolution.run import Run
from lossgen.evolution.workers.choice import Workers
from lossgen.evolution.workers.messages import Check, Task
from lossgen.evolution.workers.pool import WORKER_DIED, Ready
from lossgen.language.printer import print_loss
from lossgen.runner import Member, Outcome

STAGES = {
    "search": 0, "verify": 1, "interim": 1, "compare": 2, "timing": 3, "polish": 0, "audit": 0, "tune": 4,
    "calibrate": 5,
}  # fmt: skip
"""A stage's place in the seed of its trainings: each has random streams of its own, the same for all losses. What a
polish and an audit train is compared with the search's; what an interrupted run verifies may be verified for good."""

CONTINUES = "continues"
"""In the archive of a race: whether the runner keeps states that trainings are continued from."""
TIMING_STEPS = (20, 60)
LONGEST_TIMED = 64
"""Trainings that advance together while their price is measured; more are hardly cheaper."""
TRIAL_TIMEOUT = 600.0


class Session:
    """Trains for one run.

    Attributes:
        objective: name of the fitness.
        direction: "min" or "max".
        aim: what a search makes of outcomes.
        clock: where the time goes.
        cache: outcomes across runs, where the run is to use them.
        stopping: whether no further training is to begin.
        stopped: whether the run was ever told to stop.
        plan_steps: steps of a training of the plan; 0 where there is none yet.
    """

    def __init__(self, run: Run, pool: Workers, ready: Ready, listener: Listener, clock: Clock) -> None:
        self.run = run
        self.pool = pool
        self.ready = ready
        self.listener = Listeners([listener], self.stop)
        self.clock = clock
        self.objective, self.direction = next(iter(ready.objectives.items()))
        self.aim = objective_for(run.config, self.objective, self.direction, ready.positive)
        self.stopping = self.stopped = False
        self.seconds_per_training = self.planned_seconds = 0.0
        self.plan_steps = 0
        self.forecast = Forecast(0, None, pool.count)
        self._flow: Flow | None = None
        self._beside: list[tuple[Task, Callable[[Outcome], None]]] = []
        self.cache = OutcomeCache() if run.config.cache else None

    def fitness(self, outcomes: Sequence[Outcome]) -> float:
        """Mean of the first objective, to be minimised; infinite where a training failed."""
        sign = 1.0 if self.direction == "min" else -1.0
        values = [sign * o.metrics[self.objective] if o.status == "ok" else float("inf") for o in outcomes]
        return sum(values) / len(values) if values else float("inf")

    def stop(self) -> None:
        """End the run in order: what is being trained is finished, what there is is verified."""
        self.stopping = self.stopped = True

    def take_stop(self) -> bool:
        """Whether the search was stopped; what follows it is trained all the same."""
        stopped, self.stopping = self.stopping, False
        return stopped

    def nothing_yet(self) -> NoReturn:
        """End a run that was stopped before anything came of it."""
        self.listener.note("Stopped before there was anything to show.")
        raise Stopped

    def time_training(self, entry: Entry) -> Timing | None:
        """Seconds that a training takes apart from its steps, and a step's seconds, on one worker; measured once a run
        and kind. Where members advance together, a training's share of a list as long as a round of this run.

        None where steps say nothing of a training's price: then the first one tells it.

        Raises:
            InputError: not even this short training succeeds.
            Stopped: the run was stopped meanwhile.
        """
        archive = self.run.archive
        if not self.ready.counts_steps:
            return None
        key = f"timing {entry.kind}".strip()
        if archive.meta(key) is None:
            self.listener.preparing("timing a training")
            with self.clock.phase("timing"):
                archive.set_meta(key, self._time(entry))
        apart, a_step = archive.meta(key)
        return apart, a_step

    def _time(self, entry: Entry) -> Timing:
        seconds: dict[int, float] = {}

        def done(task: Task, outcome: Outcome) -> None:
            if outcome.status in ("crashed", "timeout"):
                reason = outcome.reason.replace("see logs/", f"see {self.run.path}/logs/")
                raise InputError(f"a trial training of {entry.name} ended as {outcome.status}: {reason}")
            seconds[task.steps] = outcome.seconds
            if task.member.keep is not None:
                self.run.archive.set_meta(CONTINUES, "state" in outcome.files or outcome.status != "ok")
                remove_files(outcome)

        config = self.run.config
        round_ = config.population * config.replicates if config.kind == "evolve" else len(config.losses) * config.seeds
        count = min(-(-round_ // self.pool.count), LONGEST_TIMED) if self.ready.together else 1
        limit = max(config.timeout or 0.0, TRIAL_TIMEOUT)
        for steps in (TIMING_STEPS[0], *TIMING_STEPS):  # the first training of a worker warms it up; it is not counted
            if self.stopping:
                self.nothing_yet()
            keep: Keep = "state" if config.races and steps == TIMING_STEPS[1] else "nothing"  # as a race has it
            tasks = [
                dataclasses.replace(self.task("timing", entry, replicate, steps, keep), trial=True)
                for replicate in range(count)
            ]
            self.pool.run(tasks, done, timeout=limit)
        few, many = TIMING_STEPS
        a_step = max((seconds[many] - seconds[few]) / (many - few), 1e-6)
        return max(seconds[few] - few * a_step, 0.0), a_step

    def plan(self, entry: Entry, compared: int, *others: Entry, known: int = 0) -> Plan:
        """What the budget buys; the same after a resume.

        Args:
            entry: is trained for a moment to learn the price.
            compared: trainings of the verification, or of the comparison.
            others: are, too, where they are of another kind; trainings are spread evenly over all.
            known: of a comparison's trainings, those that were made before.

        Raises:
            InputError: the budget is too small for anything.
        """
        config, archive = self.run.config, self.run.archive
        timing = mean_timing([self.time_training(each) for each in (entry, *others)])
        budget = archive.meta("budget")
        minimise, elapsed = self.direction == "min", self.clock.elapsed
        if budget is None:
            continues = archive.meta(CONTINUES, True)
            plan = make_plan(config, timing, compared, self.pool.count, elapsed, minimise, self.ready.notes, continues)
            parts = {"search": plan.search_trainings, "polish": plan.polish_trainings, "audit": plan.audit_trainings}
            if config.timeout and plan.seconds_per_training and plan.seconds_per_training > config.timeout:
                raise InputError(
                    f"--timeout: is {config.timeout:g} s, and a training of {plan.steps} steps takes about "
                    f"{plan.seconds_per_training:.0f} s; give more, or fewer --steps"
                )
            with archive.together():
                archive.set_meta("budget", {**parts, "most": plan.most, "steps": plan.steps})
                archive.set_meta("steps", plan.steps)
                if config.time_limit:
                    archive.set_meta("reproducible", False)
        else:
            price = timing[0] + budget["steps"] * timing[1] if timing else None
            plan = Plan(
                budget["search"], budget["polish"], budget["audit"], compared, budget["most"], budget["steps"], price,
                self.pool.count, minimise, self.ready.notes, config.tune_trainings,
            )  # fmt: skip
        plan = dataclasses.replace(plan, known=known, objective=self.objective)
        self.plan_steps = plan.steps
        self.planned_seconds = self.seconds_per_training = plan.seconds_per_training or 0.0
        self.forecast = Forecast(plan.trainings, plan.seconds_per_training, self.pool.count)
        return plan

    def end(self, stage: str) -> None:
        """What a stage has not trained until now stays so, also after a resume; unless it was only stopped."""
        archive = self.run.archive
        ended = archive.meta("ended", [])
        if not self.stopping and stage not in ended:
            archive.set_meta("ended", [*ended, stage])

    def train(
        self,
        stage: str,
        entries: Sequence[Entry],
        replicates: int,
        steps: int,
        keep: Keep = "nothing",
        reserve: int | None = None,
        after: int = 0,
    ) -> dict[str, list[Outcome]]:
        """Outcomes by `Entry.key`, in order of replicates; a list is short where time was up or the run was stopped.

        Args:
            after: as in `Job`, of all of them.

        The others are as in `train_jobs`.
        """
        # Replicate by replicate: when the time is up, all have had as many.
        jobs = [Job(entry, replicate, after) for replicate in range(replicates) for entry in entries]
        found = self.train_jobs(stage, jobs, steps, keep, reserve)
        return {
            entry.key: [found[entry.key, r] for r in range(replicates) if (entry.key, r) in found] for entry in entries
        }

    def train_jobs(
        self,
        stage: str,
        jobs: Sequence[Job],
        steps: int,
        keep: Keep = "nothing",
        reserve: int | None = None,
        told: Told = lambda job, outcome: None,
    ) -> dict[tuple[str, int], Outcome]:
        """Outcomes by `Job.key`; some are missing where time was up or the run was stopped.

        Args:
            stage: one of STAGES.
            jobs: in the order of preference.
            steps: absolute step to reach.
            keep: what stays in the run's folder.
            reserve: trainings that the time limit is to leave time for; None to train all whatever the time.
            told: hears of each outcome.
        """
        with self.clock.phase("train"):
            batch = Batch(self, stage, steps, keep, told)
            for job in jobs:
                batch.add(job)
            self.listener.stage(stage, len(jobs), len(batch.found))
            batch.began = self.clock.elapsed
            beside, self._beside = {task.key: (task, heard) for task, heard in self._beside}, []

            def done(task: Task, outcome: Outcome) -> None:
                if task.key in beside:
                    self._checked(outcome)
                    beside[task.key][1](outcome)
                else:
                    batch.done(task, outcome)

            tasks = [*(task for task, _ in beside.values()), *batch.tasks]
            go_on, note = self._go_on(stage, reserve), self.listener.note
            self.pool.run(tasks, done, batch.on_step, go_on, self._timeout(), note)
            self.forecast.spend(self.clock.elapsed - batch.began, batch.spent)
        self.save_profile()
        return batch.found

    def train_flow(
        self, stage: str, following: Next, heard: Heard, fraction: Callable[[float], float], reserve: int | None = None
    ) -> None:
        """Train what is asked for as workers are free, until nothing more is.

        Args:
            following: asked for more where workers are idle.
            heard: hears of each outcome, also where that was known.
            fraction: of the stage that is done, with so many of the plan's trainings made.
            reserve: as for `train_jobs`.
        """
        with self.clock.phase("train"):
            may, over = self._go_on(stage, reserve), False

            def go_on() -> bool:  # what a worker was refused is not to be given to the next one
                nonlocal over
                over = over or not may()
                return not over

            flow = self._flow = Flow(self, stage, following, heard, fraction, go_on)
            self.pool.run([], flow.done, flow.on_step, go_on, self._timeout, self.listener.note, flow.more)
            self._flow = None
            self.forecast.spend(self.clock.elapsed - flow.began, flow.spent)
        self.save_profile()

    @property
    def spent_in_flow(self) -> float:
        """How many of the plan's trainings the flow under way has made."""
        return self._flow.spent if self._flow is not None else 0.0

    def check(self, entries: Sequence[Entry], full: bool = False) -> dict[str, Outcome]:
        """Have the workers compare modules with the kernel, and train nothing.

        Args:
            full: whether `codegen.full_checks` are to follow.

        Returns:
            By digest: "ok", with what was found as its reason, or why the check was not passed.
        """
        found: dict[str, Outcome] = {}

        def on_done(task: Task, outcome: Outcome) -> None:
            self._checked(outcome)
            found[task.key] = outcome

        tasks = [_check_of(entry, "full" if full else "equal") for entry in entries]
        with self.clock.phase("full check" if full else "check"):
            self.pool.run(tasks, on_done, timeout=TRIAL_TIMEOUT)
        return found

    def check_beside(self, entry: Entry, heard: Callable[[Outcome], None]) -> None:
        """Have a module checked in full among the next trainings: no worker waits for another meanwhile."""
        self._beside.append((_check_of(entry, "full"), heard))

    def _checked(self, outcome: Outcome) -> None:
        if outcome.status == "timeout" or outcome.reason.startswith(WORKER_DIED):
            self.run.archive.set_meta("reproducible", False)

    def save_profile(self) -> None:
        """Keep how long the run has worked, and on what."""
        self.run.archive.set_meta("profile", self.clock.seconds())

    def task(
        self, stage: str, entry: Entry, replicate: int, steps: int, keep: Keep = "nothing", state: Path | None = None
    ) -> Task:
        """The training of an entry on one seed of a stage, from a state where there is one."""
        seed = (self.run.config.seed, STAGES[stage], replicate)
        name = f"{entry.loss.name}-{condition_name(entry.condition)}" if entry.condition else entry.loss.name
        folder = None if keep == "nothing" else self.run.path / "models" / f"{name}-{replicate}"
        key = f"{stage} {entry.key} {replicate} {steps}"
        text = "" if entry.trusted else print_loss(entry.loss)
        condition = condition_of(entry.condition)
        member = Member(entry.loss.name, entry.source, seed, condition, state, folder, keep == "state")
        return Task(key, member, text, steps)

    def _go_on(self, stage: str, reserve: int | None) -> Callable[[], bool]:
        """Whether to train one more: the run is not stopped, and where there is a limit, there is time for it and for
        those in reserve, as trainings go in this run."""
        limit = self.run.config.time_limit
        if stage in self.run.archive.meta("ended", []):
            return lambda: False
        if limit is None or reserve is None:
            return lambda: not self.stopping
        rounds = 1 + -(-reserve // self.pool.count)
        until = limit * (SEARCH_SLACK if reserve else 1.0)
        return lambda: not self.stopping and self.clock.elapsed + rounds * self.seconds_per_training < until

    def _timeout(self) -> float:
        """Seconds after which a training is given up: as configured, else far beyond what it should take."""
        longest = max(self.seconds_per_training, self.planned_seconds)
        return self.run.config.timeout or (60.0 + 20.0 * longest if longest else float("inf"))


def _check_of(entry: Entry, how: Check) -> Task:
    member = Member(entry.loss.name, entry.source, (0,))
    return Task(entry.digest, member, print_loss(entry.loss), 0, check=how)
