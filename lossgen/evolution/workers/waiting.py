"""The tasks of a round that no worker has in hand, and how many of them one is given at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from lossgen.evolution.workers.messages import Task

DEATHS_ALLOWED = 1
"""A training whose worker died is tried once more: the death may have had nothing to do with it."""


More = Callable[[int], Sequence[Task]]
"""Tasks for so many idle workers; none where there are none at the moment, or at all."""


def nothing_more(idle: int) -> Sequence[Task]:
    """There are no tasks but those that were given."""
    return ()


class Waiting:
    """Tasks in order.

    Args:
        together: whether the members of a list advance together, so that long lists are handed out; else one by one.
    """

    def __init__(self, tasks: Iterable[Task], together: bool) -> None:
        self._tasks = deque(tasks)
        self._together = together
        self._most: dict[str, int] = {}  # tasks in a list with that one, by key
        self._deaths: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def next(self, idle: int, go_on: Callable[[], bool], more: More) -> list[Task]:
        """What to hand out to one of so many idle workers; nothing where there is no more, or it is not to go on.

        Args:
            go_on: asked before anything is handed out; where it says no, all that waits is left.
            more: asked where nothing waits.
        """
        if not go_on():
            self._tasks.clear()
        elif not self._tasks:
            self._tasks.extend(more(idle))
        return self.take(idle) if self._tasks else []

    def take(self, idle: int) -> list[Task]:
        """What to hand out next: one task, or trainings of the same length that advance together.

        Args:
            idle: workers that are waiting for something; a long list is shared out among them.
        """
        first = self._tasks[0]
        count = 1
        if self._together and not first.check:
            alike = [task for task in self._tasks if not task.check and task.steps == first.steps]
            count = min(-(-len(alike) // max(idle, 1)), self._most.get(first.key, len(alike)))
        taken = [self._tasks.popleft()]
        kept: list[Task] = []
        while len(taken) < count:
            task = self._tasks.popleft()
            (taken if not task.check and task.steps == first.steps else kept).append(task)
        self._tasks.extendleft(reversed(kept))
        return taken

    def give_back(self, tasks: Sequence[Task]) -> bool:
        """Take back what a worker has died over; False where that is one task, and was tried often enough.

        Whose fault it was shows as a list is tried again in halves.
        """
        if len(tasks) == 1:
            key = tasks[0].key
            self._deaths[key] = self._deaths.get(key, 0) + 1
            if self._deaths[key] > DEATHS_ALLOWED:
                return False
        half = max(1, len(tasks) // 2)
        self._most |= {task.key: half for task in tasks}
        self._tasks.extendleft(reversed(tasks))
        return True
