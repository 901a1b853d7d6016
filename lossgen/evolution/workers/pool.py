"""The driver's side of the workers: start them, hand out tasks, collect outcomes, survive their deaths."""

import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lossgen.errors import InputError, LossgenError
from lossgen.evolution.workers.messages import Assignment, Task, outcome_from_json, task_to_json, write
from lossgen.evolution.workers.waiting import More, Waiting, nothing_more
from lossgen.runner import Direction, Outcome

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
NEVER = float("inf")
Timeout = float | Callable[[], float]
WORKER_DIED = "its worker died twice"


def too_late(seconds: float) -> Outcome:
    """Of a training that its time has ended."""
    return Outcome("timeout", reason=f"not done within its time limit of {seconds:.0f} s", seconds=seconds)


def died_twice(how: str = "") -> Outcome:
    """Of a training over which two workers have died."""
    return Outcome("crashed", reason=f"{WORKER_DIED}{how}")


def refusal(message: Mapping[str, Any], runner: str) -> InputError:
    """What a worker's event "error" stands for: what it says is of the input, or of the runner."""
    text = message["message"]
    return InputError(text if message["input"] else f"runner {runner}: {text}")


@dataclass(frozen=True)
class Ready:
    """What a prepared worker said of its runner."""

    objectives: dict[str, Direction]
    scale_free: bool
    protocol: dict[str, Any]
    notes: list[str]
    counts_steps: bool = True
    together: bool = False
    positive: bool = False


@dataclass
class _Worker:
    number: int
    process: "subprocess.Popen[str]"
    tasks: dict[str, Task] = field(default_factory=dict)  # in hand, by key
    timeout: float = float("inf")
    deadline: float = float("inf")
    ready: bool = False
    timed_out: bool = field(default=False)


class Pool:
    """Worker processes with one torch thread each. Use as a context manager.

    Args:
        assignment: what each worker is started for.
        count: number of workers.
        logs: folder for what workers and runners print, a file a worker. Runners find it in the environment as
            LOSSGEN_LOGS, and their worker's number (0, 1, …) as LOSSGEN_WORKER.
    """

    def __init__(self, assignment: Assignment, count: int, logs: Path) -> None:
        self.assignment = assignment
        self.count = count
        self.logs = logs
        self._inbox: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()
        self._workers: list[_Worker] = []
        self._stillborn: set[int] = set()
        self._together = False

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()

    def start(self) -> Ready:
        """Start the first worker and let it prepare, then the others, which load what the first has made.

        Raises:
            InputError: the runner refused the data, the options or the device.
        """
        self._workers = [self._spawn(0)]
        ready = self._await_ready()
        self._together = ready.together
        for number in range(1, self.count):
            self._workers.append(self._spawn(number))
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
        """Train all tasks; `on_done` is called in the driver, in order of completion.

        Where the runner says that members advance together, a worker is given a list of trainings at a time.

        Args:
            on_step: progress within a task.
            go_on: asked before a task is handed out; False lets those that run end and leaves the rest.
            timeout: seconds that a task may take, which is asked for as one is handed out where it changes; a list so
                many times as long as there are tasks in it.
            on_note: what a runner says on the way.
            more: asked for tasks as workers are idle and none waits for them.
        """
        waiting = Waiting(tasks, self._together)
        while True:
            idle = [worker for worker in self._workers if self._is_idle(worker)]
            for i, worker in enumerate(idle):
                tasks = waiting.next(len(idle) - i, go_on, more)
                if tasks:
                    self._hand_out(worker, tasks, timeout() if callable(timeout) else timeout)
            if not waiting and not any(worker.tasks for worker in self._workers):
                return
            self._kill_late()
            try:
                worker, message = self._inbox.get(timeout=0.2)
            except queue.Empty:
                continue
            if message is None:
                self._bury(worker, waiting, on_done)
            elif message["event"] == "note":
                on_note(message["text"])
            else:
                self._receive(worker, message, on_done, on_step)

    @staticmethod
    def _is_idle(worker: _Worker) -> bool:
        """Whether it waits for tasks; one that has died at rest, or with its tasks done, has its end in the inbox."""
        return worker.ready and not worker.tasks and not worker.timed_out and worker.process.poll() is None

    def _hand_out(self, worker: _Worker, tasks: list[Task], timeout: float) -> None:
        worker.tasks = {task.key: task for task in tasks}
        worker.timeout = timeout * len(tasks)
        worker.deadline = time.monotonic() + worker.timeout
        self._send(worker, {"op": "train", "tasks": [task_to_json(task) for task in tasks]})

    def _kill_late(self) -> None:
        for worker in self._workers:
            if worker.tasks and time.monotonic() > worker.deadline and not worker.timed_out:
                worker.timed_out = True
                worker.process.kill()

    def _receive(
        self,
        worker: _Worker,
        message: dict[str, Any],
        on_done: Callable[[Task, Outcome], None],
        on_step: Callable[[Task, int], None],
    ) -> None:
        if message["event"] == "ready":
            worker.ready = True
            self._stillborn.discard(worker.number)
        elif message["event"] == "error":
            raise refusal(message, self.assignment.runner)
        elif message["key"] in worker.tasks:
            if message["event"] == "step":
                on_step(worker.tasks[message["key"]], message["step"])
            else:
                on_done(worker.tasks.pop(message["key"]), outcome_from_json(message["outcome"]))

    def _bury(self, worker: _Worker, waiting: Waiting, on_done: Callable[[Task, Outcome], None]) -> None:
        """A worker's pipe closed: put another in its place, and decide what becomes of its tasks."""
        code = worker.process.wait()
        tasks = list(worker.tasks.values())
        if not worker.ready:
            self._refuse_stillborn(worker, code)
        self._workers[self._workers.index(worker)] = self._spawn(worker.number)
        if not tasks:
            return
        if worker.timed_out and len(tasks) == 1:
            on_done(tasks[0], too_late(worker.timeout))
        elif not waiting.give_back(tasks):
            on_done(tasks[0], died_twice(f" (signal {-code})" if code < 0 else f" (exit code {code})"))

    def _refuse_stillborn(self, worker: _Worker, code: int) -> None:
        """Raise where a worker that has died before it was ready is not to be started once more: something from outside
        may have killed it, but not twice."""
        if code >= 0 or worker.number in self._stillborn:
            raise LossgenError(f"worker {worker.number} does not start (exit code {code}); see {self._log(worker)}")
        self._stillborn.add(worker.number)

    def _spawn(self, number: int) -> _Worker:
        self.logs.mkdir(parents=True, exist_ok=True)
        own_group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"start_new_session": True}  # Ctrl-C is the driver's business
        )
        own = {"LOSSGEN_WORKER": str(number), "LOSSGEN_LOGS": str(self.logs.resolve())}
        with (self.logs / f"worker-{number}.log").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lossgen.evolution.workers.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**os.environ, **ONE_THREAD, **own},
                **own_group,
            )
        worker = _Worker(number, process)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        self._send(worker, {"op": "prepare", **dataclasses.asdict(self.assignment)})
        return worker

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        try:
            for line in worker.process.stdout:
                self._inbox.put((worker, json.loads(line)))
        except ValueError:
            worker.process.kill()  # half a message: it was killed while it wrote
        finally:
            self._inbox.put((worker, None))

    def _send(self, worker: _Worker, message: dict[str, Any]) -> None:
        assert worker.process.stdin is not None
        try:
            write(worker.process.stdin, message)
        except (BrokenPipeError, OSError):
            return  # it is dead; the listener says so, and the task is handed out again

    def _await_ready(self) -> Ready:
        """What the first worker says of its runner."""
        while True:
            worker, message = self._inbox.get()
            if message is None:
                self._refuse_stillborn(worker, worker.process.wait())
                self._workers = [self._spawn(worker.number)]
                continue
            if message["event"] == "error":
                raise refusal(message, self.assignment.runner)
            worker.ready = True
            self._stillborn.discard(worker.number)
            return Ready(
                message["objectives"],
                message["scale_free"],
                message["protocol"],
                message["notes"],
                message["counts_steps"],
                message["together"],
                message["positive"],
            )

    def _log(self, worker: _Worker) -> Path:
        return self.logs / f"worker-{worker.number}.log"
