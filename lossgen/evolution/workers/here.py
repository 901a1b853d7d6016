"""Trainings in the process of the run itself, one after another: for a debugger, and for runners that take no time.

What a runner raises is an outcome here, too, with its traceback on standard error; but a training that hangs or kills
its process is nobody's to end.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.workers.messages import Assignment, Task
from lossgen.evolution.workers.pool import NEVER, ONE_THREAD, Ready, Timeout
from lossgen.evolution.workers.serving import Server, described
from lossgen.evolution.workers.waiting import More, Waiting, nothing_more
from lossgen.runner import Outcome


class Here:
    """Does what a `Pool` of one worker does, but for its timeouts.

    Args:
        assignment, logs: as a `Pool` has them.
    """

    count = 1

    def __init__(self, assignment: Assignment, logs: Path) -> None:
        self.assignment = assignment
        self.logs = logs
        self._server = Server(self._heard)
        self._together = False
        self._tell: Callable[[Mapping[str, Any]], None] = lambda message: None
        self._raised: Exception | None = None
        self._before: dict[str, str | None] = {}
        self._threads = 1

    def __enter__(self) -> "Here":
        import torch

        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as workers have it: sums depend on it
        own = {**ONE_THREAD, "LOSSGEN_WORKER": "0", "LOSSGEN_LOGS": str(self.logs.resolve())}
        self._before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import torch

        torch.set_num_threads(self._threads)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def start(self) -> Ready:
        """Prepare the runner; InputError where it refuses, or breaks."""
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            said = self._server.prepare(dataclasses.asdict(self.assignment))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  a runner is other people's code
            raise InputError(f"runner {self.assignment.runner}: {described(error)}") from None
        ready = Ready(**json.loads(json.dumps(said)))  # as it would have come from a worker
        self._together = ready.together
        return ready

    def run(
        self,
        tasks: Iterable[Task],
        on_done: Callable[[Task, Outcome], None],
        on_step: Callable[[Task, int], None] = lambda task, step: None,
        go_on: Callable[[], bool] = lambda: True,
        timeout: Timeout = NEVER,
        on_note: Callable[[str], None] = lambda text: None,
        more: More = nothing_more,
    ) -> None:
        """As `Pool.run` has it; `timeout` is not kept."""
        waiting = Waiting(tasks, self._together)
        while batch := waiting.next(1, go_on, more):
            by_key = {task.key: task for task in batch}

            def tell(message: Mapping[str, Any], by_key: Mapping[str, Task] = by_key) -> None:
                if message["event"] == "step":
                    on_step(by_key[message["key"]], message["step"])
                else:
                    on_note(message["text"])

            self._tell, self._raised = tell, None
            outcomes = self._server.serve(batch)
            if self._raised is not None:
                raise self._raised
            for task, outcome in zip(batch, outcomes, strict=True):
                on_done(task, outcome)

    def _heard(self, message: Mapping[str, Any]) -> None:
        """Pass on what happens; what that raises is no fault of the runner's, and ends the run once that is back."""
        try:
            if self._raised is None:
                self._tell(message)
        except Exception as error:  # noqa: BLE001  it is raised again
            self._raised = error
