"""Trainings in the process of the run itself, one after another: for a debugger, and for runners that take no time.

What a runner raises is an outcome here, too, with its traceback on standard error; but a training that hangs or kills
its process is nobody's to end.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from lossgen.evolution.workers.messages import Assignment, Task
from lossgen.evolution.workers.pool import Ready
from lossgen.evolution.workers.serving import Server
from lossgen.evolution.workers.waiting import Waiting
from lossgen.runner import Outcome


class Here:
    """Does what a `Pool` of one worker does, but for its timeouts."""

    count = 1

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self._server = Server(self._heard)
        self._together = False
        self._tell: Callable[[Mapping[str, Any]], None] = lambda message: None

    def __enter__(self) -> "Here":
        import torch

        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as workers have it: sums depend on it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import torch

        torch.set_num_threads(self._threads)

    def start(self) -> Ready:
        """Prepare the runner; InputError where it refuses."""
        ready = Ready(**self._server.prepare(dataclasses.asdict(self.assignment)))
        self._together = ready.together
        return ready

    def run(
        self,
        tasks: Iterable[Task],
        on_done: Callable[[Task, Outcome], None],
        on_step: Callable[[Task, int], None] = lambda task, step: None,
        go_on: Callable[[], bool] = lambda: True,
        timeout: float = float("inf"),
        on_note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """As `Pool.run` has it; `timeout` is not kept."""
        waiting = Waiting(tasks, self._together)
        while waiting and go_on():
            batch = waiting.take(1)
            by_key = {task.key: task for task in batch}

            def tell(message: Mapping[str, Any], by_key: Mapping[str, Task] = by_key) -> None:
                if message["event"] == "step":
                    on_step(by_key[message["key"]], message["step"])
                else:
                    on_note(message["text"])

            self._tell = tell
            for task, outcome in zip(batch, self._server.serve(batch), strict=True):
                on_done(task, outcome)

    def _heard(self, message: Mapping[str, Any]) -> None:
        self._tell(message)
