"""Trainings without rounds: what comes next is asked for as a worker is free."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossgen.evolution.batch import Batch, Job, Keep
from lossgen.evolution.workers.messages import Task
from lossgen.runner import Outcome

if TYPE_CHECKING:
    from lossgen.evolution.session import Session


@dataclass(frozen=True)
class Wanted:
    """A training that is wanted.

    Attributes:
        job: what, on which replicate, and what it continues.
        steps: absolute step to reach.
        keep: what stays in the run's folder.
    """

    job: Job
    steps: int
    keep: Keep


Next = Callable[[int], Sequence[Wanted]]
"""What to train next on so many idle workers; nothing where there is nothing at the moment, or at all."""
Heard = Callable[[Wanted, Outcome], None]


class Flow:
    """The trainings of a stage as they come.

    Args:
        following: asked for more where workers are idle.
        heard: hears of each outcome, also where that was known.
        fraction: of the stage that is done, with so many of the plan's trainings made in this session.
        go_on: asked before anything is looked for.

    Attributes:
        took: seconds of the trainings that went well, as trainings of the plan, and how many there were.
    """

    def __init__(
        self, session: "Session", stage: str, following: Next, heard: Heard, fraction: Callable[[float], float],
        go_on: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.session = session
        self.stage = stage
        self.following = following
        self.heard = heard
        self.fraction = fraction
        self.go_on = go_on
        self.took = [0.0, 0.0]
        self.began = session.clock.elapsed
        self._batches: dict[tuple[int, Keep], Batch] = {}
        self._batch_of: dict[str, Batch] = {}  # by the key of a task that is handed out

    @property
    def spent(self) -> float:
        """How many of the plan's trainings were made."""
        return sum(batch.spent for batch in self._batches.values())

    def more(self, idle: int) -> list[Task]:
        """As `Pool.run` asks for it."""
        while self.go_on() and (wanted := self.following(idle)):
            tasks = [task for each in wanted for task in self._tasks(each)]
            if tasks:
                self.session.listener.stage(self.stage, len(tasks), 0)
                return tasks
        return []

    def _tasks(self, wanted: Wanted) -> list[Task]:
        """The training, unless its outcome is known, which is heard of then."""
        batch = self._batches.get((wanted.steps, wanted.keep)) or self._batch(wanted.steps, wanted.keep)
        batch.add(wanted.job)
        tasks, batch.tasks = batch.tasks, []
        self._batch_of |= {task.key: batch for task in tasks}
        return tasks

    def _batch(self, steps: int, keep: Keep) -> Batch:
        def told(job: Job, outcome: Outcome) -> None:
            batch.found.clear()  # whoever hears of it keeps what is to be kept
            self.heard(Wanted(job, steps, keep), outcome)

        batch = Batch(self.session, self.stage, steps, keep, told, self)
        batch.began = self.began
        self._batches[steps, keep] = batch
        return batch

    def done(self, task: Task, outcome: Outcome) -> None:
        """A training has ended."""
        self._batch_of.pop(task.key).done(task, outcome)

    def on_step(self, task: Task, step: int) -> None:
        """A training has come so far."""
        self._batch_of[task.key].on_step(task, step)

    def tell(self) -> None:
        """Say how far the stage has come."""
        session = self.session
        spent = sum(batch.spent_now for batch in self._batches.values())
        session.listener.progress(
            self.stage, self.fraction(spent), session.forecast.left(session.clock.elapsed - self.began, spent)
        )
