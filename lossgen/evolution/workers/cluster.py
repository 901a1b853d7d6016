"""Workers on a Ray cluster: `pip install 'lossgen[ray]'`.

Ray places long-lived actors, one core each or a part of a GPU, carries what they are given and give back, keeps in its
object store what all of them need (images, the extractor) once a node, and says which of them have died. What is left
to say here is what lossgen says of every kind of worker: which trainings go together to one of them, and that a
training is tried once more where its worker has died (`waiting.py`). Ray's own retries would bind it to the place of
the dead actor, which a lost node never gives back.

No file has to be where an actor runs: the runner's text, the images, states to continue from and what is kept travel
(`carriage.py`), and the driver alone writes the run's folder.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lossgen.errors import InputError, LossgenError
from lossgen.evolution.run import versions
from lossgen.evolution.workers.actor import Actor
from lossgen.evolution.workers.carriage import state_of, unpack
from lossgen.evolution.workers.messages import Assignment, Task, outcome_from_json, task_to_json
from lossgen.evolution.workers.pool import NEVER, ONE_THREAD, Ready, Timeout, died_twice, refusal, too_late
from lossgen.evolution.workers.waiting import More, Waiting, nothing_more
from lossgen.once import handed_around
from lossgen.runner import DataSpec, Outcome, find_runner
from lossgen.settings import RayWorkers

PLACED_WITHIN = 300.0
"""Seconds within which a cluster has to find room for the first worker."""
LONELY = 60.0
"""Seconds without any worker after which that is said."""
MOST_STARTS = 3
"""Times that a worker may die before it is ready, one after another."""


@dataclass
class _Worker:
    number: int
    actor: Any
    preparing: Any = None  # a reference to what comes of it
    starts: int = 1
    serving: Any = None
    heard: Any = None
    tasks: dict[str, Task] = field(default_factory=dict)  # in hand, by key
    timeout: float = float("inf")
    deadline: float = float("inf")
    timed_out: bool = False

    @property
    def idle(self) -> bool:
        return self.preparing is None and self.serving is None


class Cluster:
    """Does what a `Pool` does, on Ray.

    Args:
        assignment, logs: as a `Pool` has them.
        asked: which cluster, and what a worker may have of a GPU.
        count: of workers on a Ray that is started here; on others there are as many as have room.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, assignment: Assignment, logs: Path, asked: RayWorkers, count: int) -> None:
        try:
            import ray
        except ImportError:
            raise InputError("--workers ray: needs Ray; pip install 'lossgen[ray]'") from None
        self._ray = ray
        self.assignment = assignment
        self.logs = logs
        self._asked = asked
        self.count = count
        self._workers: list[_Worker] = []
        self._together = False
        self._made: Any = None
        self._runner = b""
        self._on_gpu = assignment.device.startswith("cuda")
        self._actor: Any = None
        self._lonely_since: float | None = None

    def __enter__(self) -> "Cluster":
        self.logs.mkdir(parents=True, exist_ok=True)
        here = self._asked.address == "local"
        _connect(self._ray, self._asked, self.count if here and not self._on_gpu else None)
        if self._on_gpu or not here:
            self.count = self._room()
        self._ray.method(concurrency_group="news")(Actor.heard)  # answers while the others are at work
        self._actor = self._ray.remote(
            num_cpus=1, num_gpus=self._asked.gpus if self._on_gpu else 0, max_restarts=0,
            concurrency_groups={"news": 1}, runtime_env={"env_vars": ONE_THREAD},
        )(Actor)  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._ray.shutdown()

    def _room(self) -> int:
        """How many workers the cluster has room for."""
        found = self._ray.cluster_resources()
        if self._on_gpu:
            room, what = int(found.get("GPU", 0) / self._asked.gpus + 1e-9), f"GPU to be had {self._asked.gpus:g} of"
            room = min(room, int(found.get("CPU", 0)))
        else:
            room, what = int(found.get("CPU", 0)), "core"
        if not room:
            raise InputError(f"--workers {self._asked}: the cluster has no {what}; add a node to it")
        return room

    def start(self) -> Ready:
        """Start the first worker and let it prepare, then the others, which are given what the first has made.

        Raises:
            InputError: the runner refused the data, the options or the device; or the cluster has no room.
        """
        found = find_runner(self.assignment.runner)
        self._runner = found.path.read_bytes()
        made: dict[str, Any] = {}
        place = getattr(found.cls(found.cls.options.model_validate(self.assignment.options)), "place", None)
        if place is not None:
            with handed_around(made):
                place(DataSpec(**self.assignment.data))
        self._made = self._ray.put(made)
        first = self._spawn(0)
        self._workers = [first]
        until = time.monotonic() + PLACED_WITHIN
        while first.preparing is not None:
            done, _ = self._ray.wait([first.preparing], timeout=0.2)
            if done:
                answer = self._prepared(first)
            elif time.monotonic() > until and not self._placed(first):
                raise InputError(
                    f"--workers {self._asked}: the cluster finds no room for a worker; free some, or add a node"
                )
        made |= answer["made"]
        self._made = self._ray.put(made)
        ready = Ready(**answer["said"])
        self._together = ready.together
        self._workers += [self._spawn(number) for number in range(1, self.count)]
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
        """As `Pool.run` has it."""
        waiting = Waiting(tasks, self._together)
        while True:
            idle = [worker for worker in self._workers if worker.idle]
            for i, worker in enumerate(idle):
                tasks = waiting.next(len(idle) - i, go_on, more)
                if tasks:
                    self._hand_out(worker, tasks, timeout() if callable(timeout) else timeout)
            if not waiting and not any(worker.tasks for worker in self._workers):
                return
            self._kill_late()
            for worker in self._next():
                if worker.preparing is not None:
                    self._prepared(worker)
                elif worker.serving is not None:
                    self._served(worker, waiting, on_done)
            self._hear(on_step, on_note)
            self._say_where_alone(on_note)

    def _next(self) -> list[_Worker]:
        """Workers from which something has come, once there are some or a moment has passed."""
        by_reference = {worker.preparing or worker.serving: worker for worker in self._workers if not worker.idle}
        done, _ = self._ray.wait(list(by_reference), timeout=0.2)
        return [by_reference[reference] for reference in done]

    def _hand_out(self, worker: _Worker, tasks: list[Task], timeout: float) -> None:
        worker.tasks = {task.key: task for task in tasks}
        worker.timeout = timeout * len(tasks)
        worker.deadline, worker.timed_out = time.monotonic() + worker.timeout, False
        states = [state_of(task.member) for task in tasks]
        worker.serving = worker.actor.serve.remote([task_to_json(task) for task in tasks], states)
        worker.heard = worker.actor.heard.remote()

    def _kill_late(self) -> None:
        for worker in self._workers:
            if worker.tasks and time.monotonic() > worker.deadline and not worker.timed_out:
                worker.timed_out = True
                self._ray.kill(worker.actor)

    def _prepared(self, worker: _Worker) -> dict[str, Any]:
        """What a worker answers to that; of one that has died, nothing, and another is put in its place."""
        answer = self._answer(worker.preparing)
        if answer is not None:
            worker.preparing, worker.starts = None, 0
            return answer
        if worker.starts >= MOST_STARTS:
            raise LossgenError(f"worker {worker.number} does not start; see {self.logs}, or Ray's own logs")
        self._replace(worker)
        return {}

    def _served(self, worker: _Worker, waiting: Waiting, on_done: Callable[[Task, Outcome], None]) -> None:
        """A worker has done its tasks, or has died over them."""
        answer = self._answer(worker.serving)
        tasks, worker.tasks, worker.serving = list(worker.tasks.values()), {}, None
        if answer is not None:
            for task, (outcome, files) in zip(tasks, answer["outcomes"], strict=True):
                if task.member.keep is not None:
                    unpack(files, task.member.keep)
                on_done(task, outcome_from_json(outcome))
            return
        self._replace(worker)
        if worker.timed_out and len(tasks) == 1:
            on_done(tasks[0], too_late(worker.timeout))
        elif not waiting.give_back(tasks):
            on_done(tasks[0], died_twice())

    def _hear(self, on_step: Callable[[Task, int], None], on_note: Callable[[str], None]) -> None:
        """Pass on what workers have to say, and ask for more."""
        asked = {worker.heard: worker for worker in self._workers if worker.heard is not None}
        if not asked:
            return
        done, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0, fetch_local=True)
        for reference in done:
            worker = asked[reference]
            try:
                events = self._ray.get(reference)
            except self._ray.exceptions.RayError:
                worker.heard = None  # it has died, which is told with its tasks
                continue
            for event in events:
                if event["event"] == "note":
                    on_note(event["text"])
                elif event["key"] in worker.tasks:
                    on_step(worker.tasks[event["key"]], event["step"])
            worker.heard = worker.actor.heard.remote() if worker.tasks else None

    def _answer(self, reference: Any) -> dict[str, Any] | None:
        """What a reference stands for; None where the worker has died.

        Raises:
            InputError: the runner, or the data, are not as they should be.
        """
        errors = self._ray.exceptions
        try:
            answer: dict[str, Any] = self._ray.get(reference)
        except (errors.RayActorError, errors.WorkerCrashedError, errors.ObjectLostError, errors.OutOfMemoryError):
            return None
        except errors.RayError as error:
            raise LossgenError(f"Ray: {str(error).strip().splitlines()[-1]}") from None
        if answer["event"] == "error":
            raise refusal(answer, self.assignment.runner)
        return answer

    def _spawn(self, number: int) -> _Worker:
        worker = _Worker(number, None)
        self._begin(worker)
        return worker

    def _replace(self, worker: _Worker) -> None:
        """Put another actor in the place of one that is dead or of no use."""
        self._ray.kill(worker.actor)
        worker.starts += 1
        self._begin(worker)

    def _begin(self, worker: _Worker) -> None:
        worker.actor = self._actor.remote(worker.number, str(self.logs.resolve()), versions())
        worker.heard, worker.serving = None, None
        worker.preparing = worker.actor.prepare.remote(dataclasses.asdict(self.assignment), self._runner, self._made)

    def _say_where_alone(self, on_note: Callable[[str], None]) -> None:
        """Say once that trainings wait for the cluster, where no worker is left that could take them."""
        if any(worker.preparing is None for worker in self._workers):
            self._lonely_since = None
        elif self._lonely_since is None:
            self._lonely_since = time.monotonic()
        elif time.monotonic() > self._lonely_since + LONELY:
            on_note("no worker is left: waiting for the cluster to have room again (Ctrl-C, and --resume later)")
            self._lonely_since = float("inf")

    def _placed(self, worker: _Worker) -> bool:
        """Whether the cluster has found room for it."""
        try:
            self._ray.get(worker.actor.heard.remote(), timeout=2.0)
        except self._ray.exceptions.GetTimeoutError:
            return False
        return True


def _connect(ray: Any, asked: RayWorkers, count: int | None) -> None:
    """Start a Ray with so many cores, or join one."""
    quiet: dict[str, Any] = {"log_to_driver": False, "namespace": "lossgen", "logging_level": "ERROR"}
    try:
        if asked.address == "local":
            ray.init(address="local", num_cpus=count, include_dashboard=False, **quiet)
        else:
            ray.init(address=asked.address, **quiet)
    except (ConnectionError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if asked.address == "auto" and isinstance(error, ConnectionError):
            why = "no Ray is found to run here; `ray start --head` starts one, RAY_ADDRESS=HOST:PORT names one"
        raise InputError(f"--workers {asked}: the cluster cannot be joined: {why}") from None
