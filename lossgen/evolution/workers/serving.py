"""What a worker does with what it is asked: prepares a runner, checks modules, trains."""

import dataclasses
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lossgen.errors import CheckError, InputError
from lossgen.evolution.workers.messages import Task
from lossgen.kernel.screen import Rejection
from lossgen.runner import Budget, DataSpec, Outcome, Runner, find_runner

Say = Callable[[Mapping[str, Any]], None]
"""Sends an event: a step of a task, or a note."""


class Server:
    """A runner, and what is known of modules.

    Args:
        say: hears of what happens before a training has ended.
        runner: one that is prepared.

    Attributes:
        verified: sources of modules that were found to compute their losses.
    """

    def __init__(self, say: Say = lambda message: None, runner: Runner | None = None) -> None:
        self.say = say
        self._runner = runner
        self.verified: set[str] = set()

    @property
    def runner(self) -> Runner:
        """The runner, once it is prepared."""
        assert self._runner is not None
        return self._runner

    def prepare(self, assignment: Mapping[str, Any]) -> dict[str, Any]:
        """Load the runner of an `Assignment` and what it needs; what there is to say of it, by the fields of `Ready`.

        Raises:
            InputError: its file has changed or makes no sense, or it refuses the data, the options or the device.
        """
        found = find_runner(assignment["runner"])
        if found.digest != assignment["digest"]:
            raise InputError(
                f"runner {found.path}: has changed since the run began; undo the change, or start a new run"
            )
        runner = found.cls(found.cls.options.model_validate(assignment["options"]))
        preparation = runner.prepare(DataSpec(**assignment["data"]), _device(assignment["device"]))
        if not runner.objectives or not set(runner.objectives.values()) <= {"min", "max"}:
            raise InputError(
                f"runner {found.path}: objectives are {dict(runner.objectives)!r}; "
                "give at least one metric name with its direction, 'min' or 'max'"
            )
        _warm_up()
        self._runner = runner
        return {
            "objectives": dict(runner.objectives),
            "scale_free": runner.scale_free,
            "protocol": dict(preparation.protocol),
            "notes": list(preparation.notes),
            "counts_steps": bool(getattr(runner, "counts_steps", True)),
            "together": bool(getattr(runner, "together", False)),
            "positive": bool(getattr(runner, "positive", False)),
        }

    def serve(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Outcomes of tasks, which are all trainings of equal steps, or all checks."""
        return [self.check(task) for task in tasks if task.check] or self.train(tasks)

    def train(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Train a list of members, whose budget is the same, to their outcomes; those refused first are not trained."""
        refused = {task.key: outcome for task in tasks if (outcome := self._refused(task)) is not None}
        sound = [task for task in tasks if task.key not in refused]
        started = time.monotonic()

        def on_step(index: int, step: int) -> None:
            self.say({"event": "step", "key": sound[index].key, "step": step})

        def on_note(text: str) -> None:
            self.say({"event": "note", "text": text})

        outcomes: list[Outcome] = []
        try:
            if sound:
                budget = Budget(sound[0].steps, on_step, on_note, sound[0].trial)
                found = self.runner.train([task.member for task in sound], budget)
                objective = next(iter(self.runner.objectives))
                # A runner's own idea of its seconds is not asked for: budgets are planned with these.
                seconds = (time.monotonic() - started) / len(sound)
                outcomes = [dataclasses.replace(_sound(each, objective), seconds=seconds) for each in found]
                if len(outcomes) != len(sound):
                    raise ValueError(f"train gives {len(outcomes)} outcomes for {len(sound)} members")
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  a runner is other people's code; what it raises is a member's outcome
            if len(sound) > 1:  # whose it is shows when each is trained alone
                outcomes = [self.train([task])[0] for task in sound]
            else:
                outcomes = [_crashed(error, started)]
        trained = {task.key: outcome for task, outcome in zip(sound, outcomes, strict=True)}
        return [{**refused, **trained}[task.key] for task in tasks]

    def check(self, task: Task) -> Outcome:
        """Compare a module with the kernel, and see what else there is to be found, if that is asked for."""
        from lossgen.codegen.full_checks import full_checks
        from lossgen.language.parser import parse_loss

        started = time.monotonic()
        try:
            self._verify(task)
            found = list(full_checks(parse_loss(task.loss), task.member.source)) if task.check == "full" else []
        except CheckError as error:
            return Outcome("crashed", reason=_ill_conditioned(task, error), seconds=time.monotonic() - started)
        except Exception as error:  # noqa: BLE001  what one check comes to must not end a search
            return _crashed(error, started)
        return Outcome("ok", reason="; ".join(found), seconds=time.monotonic() - started)

    def _refused(self, task: Task) -> Outcome | None:
        """The outcome of a module that does not compute what was searched, None where it does."""
        started = time.monotonic()
        try:
            if task.loss:
                self._verify(task)
        except InputError:
            raise
        except CheckError as error:
            return Outcome("crashed", reason=_ill_conditioned(task, error), seconds=time.monotonic() - started)
        except Exception as error:  # noqa: BLE001  what one check comes to must not end a search
            return _crashed(error, started)
        return None

    def _verify(self, task: Task) -> None:
        """Compare the module with the kernel's evaluation of its loss: what is searched is what is trained."""
        from lossgen.codegen.verify import verify_module
        from lossgen.language.parser import parse_loss

        if task.member.source in self.verified:
            return
        try:
            verify_module(parse_loss(task.loss), task.member.source)
        except InputError as error:  # the fault is this candidate's; the search goes on
            raise CheckError(str(error)) from None
        self.verified.add(task.member.source)


def _device(device: str) -> str:
    """This worker's GPU, where there are several and none is named."""
    if device != "cuda":
        return device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{int(os.environ.get('LOSSGEN_WORKER', '0')) % count}" if count > 1 else device


def _crashed(error: Exception, started: float) -> Outcome:
    """The outcome of what nobody expected, in one line; in full where the worker's errors go."""
    traceback.print_exc()
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return Outcome("crashed", reason=reason, seconds=time.monotonic() - started)


def _ill_conditioned(task: Task, error: CheckError) -> str:
    where = str(error).removeprefix(f"{task.member.name}: the emitted module's ")
    return f"{Rejection.ILL_CONDITIONED}: {where}"


def _sound(outcome: Outcome, objective: str) -> Outcome:
    """The outcome with plain float metrics; "crashed" where it is well by its own word, but not by its numbers."""
    metrics = {str(name): float(value) for name, value in outcome.metrics.items()}
    if outcome.status == "ok" and not math.isfinite(metrics.get(objective, math.nan)):
        found = metrics.get(objective, "missing")
        return dataclasses.replace(outcome, status="crashed", reason=f"metric {objective} is {found}", metrics={})
    curve = [(int(step), {str(n): float(v) for n, v in values.items()}) for step, values in outcome.curve]
    return dataclasses.replace(outcome, metrics=metrics, curve=curve)


def _warm_up() -> None:
    """Load (or, once a machine, compile) the kernel now, so that no training's time is spent on it."""
    from lossgen.codegen.load import load_argument
    from lossgen.codegen.verify import verify_module

    known = load_argument("bce")
    verify_module(known.loss, known.source)


def described(error: BaseException) -> str:
    """An exception in one line, with the place that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text} ({place.filename}, line {place.lineno})"
