"""What a run tells whoever watches it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lossgen.runner import Outcome


@dataclass(frozen=True)
class Plan:
    """What the budget buys, said before it is spent.

    Attributes:
        search_trainings, polish_trainings, audit_trainings, verify_trainings: number of GANs in each part, expected;
            in a comparison, all that it reports are those that verify.
        most: trainings that the search may make; None where only time or the number of proposals ends it.
        steps: generator updates of each.
        seconds_per_training: measured just before, on one worker; None where the first training is to tell.
        workers: worker processes.
        minimise: whether the fitness is a metric to be minimised; if not, it is the negative metric.
        notes: what the runner and the planner want known.
        tune_trainings: those that choose learning rates for a comparison.
        known: of a comparison's trainings, those that were made before.
        objective: name of the metric that fitness is read from.
    """

    search_trainings: int
    polish_trainings: int
    audit_trainings: int
    verify_trainings: int
    most: int | None
    steps: int
    seconds_per_training: float | None
    workers: int
    minimise: bool
    notes: Sequence[str]
    tune_trainings: int = 0
    known: int = 0
    objective: str = ""

    @property
    def counts_steps(self) -> bool:
        """Whether a training's price is one of steps; if not, only trainings tell it."""
        return self.seconds_per_training is not None

    @property
    def trainings(self) -> int:
        """All of them."""
        searched = self.search_trainings + self.polish_trainings + self.audit_trainings
        return searched + self.tune_trainings + self.verify_trainings

    def seconds(self, trainings: int) -> float | None:
        """Wall time of so many trainings, None where their price is not known."""
        if self.seconds_per_training is None:
            return None
        return -(-trainings // self.workers) * self.seconds_per_training


class Stopped(Exception):  # noqa: N818  it is no error
    """Raised by a listener: ends the run as Ctrl-C does, in order."""


class Listener:
    """Does nothing; subclass it to watch a run.

    All methods are called in the thread that the run was started in. Any of them may raise `Stopped`.
    """

    def preparing(self, what: str) -> None:
        """Something is under way before the first training."""

    def planned(self, plan: Plan) -> None:
        """The budget is known."""

    def stage(self, name: str, total: int, done: int) -> None:
        """A stage of `total` trainings begins, `done` of which are in the archive already."""

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        """A generation has its candidates; the waterfall counts all proposals so far by fate.

        `generations` is None where only the time ends the search.
        """

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        """A training has ended."""

    def improved(self, name: str, loss: str, value: float) -> None:
        """The search has a new best loss: of those that went the whole way, and its fitness in the metric's units."""

    def progress(self, stage: str, fraction: float, left: float | None) -> None:
        """Part of the stage's steps that are done, in [0, 1]; seconds that the run still takes, None while unknown."""

    def note(self, text: str) -> None:
        """One sentence for the user."""

    def stopping(self) -> None:
        """Ctrl-C was pressed once. This is called in the middle of anything, a `note` too: it must only take notice."""


def _pass_on() -> None:
    raise Stopped


class Listeners(Listener):
    """Tells each of several listeners, all of them, and then calls `stop` where one of them has raised `Stopped`.

    Without `stop`, it raises `Stopped` itself.
    """

    def __init__(self, listeners: Sequence[Listener], stop: Callable[[], None] = _pass_on) -> None:
        self._listeners = listeners
        self._stop = stop

    def _tell(self, call: Callable[[Listener], None]) -> None:
        stopped = False
        for listener in self._listeners:
            try:
                call(listener)
            except Stopped:
                stopped = True
        if stopped:
            self._stop()

    def preparing(self, what: str) -> None:
        self._tell(lambda each: each.preparing(what))

    def planned(self, plan: Plan) -> None:
        self._tell(lambda each: each.planned(plan))

    def stage(self, name: str, total: int, done: int) -> None:
        self._tell(lambda each: each.stage(name, total, done))

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        self._tell(lambda each: each.proposed(generation, generations, waterfall))

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self._tell(lambda each: each.trained(stage, name, loss, outcome, fitness))

    def improved(self, name: str, loss: str, value: float) -> None:
        self._tell(lambda each: each.improved(name, loss, value))

    def progress(self, stage: str, fraction: float, left: float | None) -> None:
        self._tell(lambda each: each.progress(stage, fraction, left))

    def note(self, text: str) -> None:
        self._tell(lambda each: each.note(text))

    def stopping(self) -> None:
        self._tell(lambda each: each.stopping())
