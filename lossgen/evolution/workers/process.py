"""`python -m lossgen.evolution.workers.process`: one long-lived worker with one torch thread.

It reads messages from standard input and ends when that closes, in the middle of a training too.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import IO, Any

from lossgen.errors import CheckError, InputError
from lossgen.evolution.workers.messages import Task, outcome_to_json, task_from_json, write
from lossgen.kernel.screen import Rejection
from lossgen.runner import Budget, DataSpec, Outcome, Runner, find_runner


def main() -> int:
    """Serve until standard input closes."""
    # What a runner prints must not get between the messages: they have the original standard output to themselves.
    channel = io.TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8")
    os.dup2(2, 1)
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()

    import torch

    torch.set_num_threads(1)
    runner: Runner | None = None
    verified: set[str] = set()
    while True:
        message = inbox.get()
        try:
            if message["op"] == "prepare":
                runner = _prepare(message, channel)
            elif runner is not None:
                tasks = [task_from_json(each) for each in message["tasks"]]
                checks = [_check(task, verified) for task in tasks if task.check]
                for task, outcome in zip(tasks, checks or _train(runner, tasks, channel, verified), strict=True):
                    write(channel, {"event": "done", "key": task.key, "outcome": outcome_to_json(outcome)})
        except InputError as error:
            write(channel, {"event": "error", "input": True, "message": str(error)})
        except Exception as error:  # noqa: BLE001  the driver must hear of it, whatever it is
            traceback.print_exc()
            write(channel, {"event": "error", "input": False, "message": _described(error)})


def _listen(inbox: "queue.Queue[dict[str, Any]]") -> None:
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
        inbox.put(json.loads(line))
    os._exit(0)


def _prepare(message: dict[str, Any], channel: IO[str]) -> Runner:
    found = find_runner(message["runner"])
    if found.digest != message["digest"]:
        raise InputError(f"runner {found.path}: has changed since the run began; undo the change, or start a new run")
    runner = found.cls(found.cls.options.model_validate(message["options"]))
    preparation = runner.prepare(DataSpec(**message["data"]), _device(message["device"]))
    if not runner.objectives or not set(runner.objectives.values()) <= {"min", "max"}:
        raise InputError(
            f"runner {found.path}: objectives are {dict(runner.objectives)!r}; "
            "give at least one metric name with its direction, 'min' or 'max'"
        )
    _warm_up()
    write(
        channel,
        {
            "event": "ready",
            "objectives": dict(runner.objectives),
            "scale_free": runner.scale_free,
            "protocol": dict(preparation.protocol),
            "notes": list(preparation.notes),
            "counts_steps": bool(getattr(runner, "counts_steps", True)),
            "together": bool(getattr(runner, "together", False)),
        },
    )
    return runner


def _device(device: str) -> str:
    """This worker's GPU, where there are several and none is named."""
    if device != "cuda":
        return device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{int(os.environ.get('LOSSGEN_WORKER', '0')) % count}" if count > 1 else device


def _train(runner: Runner, tasks: Sequence[Task], channel: IO[str], verified: set[str]) -> list[Outcome]:
    """Train a list of members, whose budget is the same, to their outcomes; those refused first are not trained."""
    refused = {task.key: outcome for task in tasks if (outcome := _refused(task, verified)) is not None}
    sound = [task for task in tasks if task.key not in refused]
    started = time.monotonic()

    def on_step(index: int, step: int) -> None:
        write(channel, {"event": "step", "key": sound[index].key, "step": step})

    def on_note(text: str) -> None:
        write(channel, {"event": "note", "text": text})

    outcomes: list[Outcome] = []
    try:
        if sound:
            found = runner.train([task.member for task in sound], Budget(sound[0].steps, on_step, on_note))
            objective = next(iter(runner.objectives))
            # A runner's own idea of its seconds is not asked for: budgets are planned with these.
            seconds = (time.monotonic() - started) / len(sound)
            outcomes = [dataclasses.replace(_sound(each, objective), seconds=seconds) for each in found]
            if len(outcomes) != len(sound):
                raise ValueError(f"train gives {len(outcomes)} outcomes for {len(sound)} members")
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  a runner is other people's code; what it raises is a member's outcome
        if len(sound) > 1:  # whose it is shows when each is trained alone
            outcomes = [_train(runner, [task], channel, verified)[0] for task in sound]
        else:
            outcomes = [_crashed(error, started)]
    trained = {task.key: outcome for task, outcome in zip(sound, outcomes, strict=True)}
    return [{**refused, **trained}[task.key] for task in tasks]


def _refused(task: Task, verified: set[str]) -> Outcome | None:
    """The outcome of a module that does not compute what was searched, None where it does."""
    started = time.monotonic()
    try:
        if task.loss:
            _verify(task, verified)
    except InputError:
        raise
    except CheckError as error:
        return Outcome("crashed", reason=_ill_conditioned(task, error), seconds=time.monotonic() - started)
    except Exception as error:  # noqa: BLE001  what one check comes to must not end a search
        return _crashed(error, started)
    return None


def _check(task: Task, verified: set[str]) -> Outcome:
    from lossgen.codegen.full_checks import full_checks
    from lossgen.language.parser import parse_loss

    started = time.monotonic()
    try:
        _verify(task, verified)
        found = list(full_checks(parse_loss(task.loss), task.member.source)) if task.check == "full" else []
    except CheckError as error:
        return Outcome("crashed", reason=_ill_conditioned(task, error), seconds=time.monotonic() - started)
    except Exception as error:  # noqa: BLE001  what one check comes to must not end a search
        return _crashed(error, started)
    return Outcome("ok", reason="; ".join(found), seconds=time.monotonic() - started)


def _crashed(error: Exception, started: float) -> Outcome:
    """The outcome of what nobody expected, in one line; in full where the worker's errors go."""
    traceback.print_exc()
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return Outcome("crashed", reason=reason, seconds=time.monotonic() - started)


def _verify(task: Task, verified: set[str]) -> None:
    """Compare the module with the kernel's evaluation of its loss: what is searched is what is trained."""
    from lossgen.codegen.verify import verify_module
    from lossgen.language.parser import parse_loss

    if task.member.source in verified:
        return
    try:
        verify_module(parse_loss(task.loss), task.member.source)
    except InputError as error:  # the fault is this candidate's; the search goes on
        raise CheckError(str(error)) from None
    verified.add(task.member.source)


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


def _described(error: BaseException) -> str:
    """An exception in one line, with the place that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text} ({place.filename}, line {place.lineno})"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        raise SystemExit(main())
