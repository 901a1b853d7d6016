"""What a run tells whoever watches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossgen.runner import Outcome


@dataclass(frozen=True)
class Plan:
    """What the budget buys, said before it is spent.

    Attributes:
        search_trainings, verify_trainings: number of GANs.
        steps: generator updates of each.
        seconds_per_training: measured just before, on one worker.
        workers: worker processes.
        seconds: expected wall time of all trainings.
        verify_seconds: the part of it that verification takes.
        minimise: whether the fitness is a metric to be minimised; if not, it is the negative metric.
        notes: what the runner and the planner want known.
    """

    search_trainings: int
    verify_trainings: int
    steps: int
    seconds_per_training: float
    workers: int
    seconds: float
    verify_seconds: float
    minimise: bool
    notes: Sequence[str]


class Listener:
    """Does nothing; subclass it to watch a run. All methods are called in the driver's main thread."""

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

    def progress(self, stage: str, fraction: float) -> None:
        """Part of the stage's steps that are done, in [0, 1]."""

    def note(self, text: str) -> None:
        """One sentence for the user."""
