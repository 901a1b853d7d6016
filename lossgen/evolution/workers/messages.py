"""What driver and worker say to each other: one JSON object a line. Nothing is pickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from lossgen.runner import Member, Outcome


@dataclass(frozen=True)
class Assignment:
    """What a worker is started for: the runner, its options, the data and the device."""

    runner: str
    digest: str
    options: Mapping[str, Any]
    data: Mapping[str, Any]
    device: str


Check = Literal["", "equal", "full"]


@dataclass(frozen=True)
class Task:
    """One training, or one check of a module.

    Attributes:
        key: names the task; comes back with the outcome.
        member: to be trained; its module is first compared with the kernel's evaluation of `loss`.
        loss: loss text, "" for a module of somebody's own that is taken as it is.
        steps: absolute step to reach.
        check: "" to train; "equal" only to compare the module with the kernel, "full" to run `full_checks` on it, too.
            The outcome of a check is "ok", with what was found as its reason, or "crashed" with the fault.
        trial: whether only the price is asked for.
    """

    key: str
    member: Member
    loss: str
    steps: int
    check: Check = ""
    trial: bool = False


def write(stream: IO[str], message: Mapping[str, Any]) -> None:
    """Send one message."""
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def task_to_json(task: Task) -> dict[str, Any]:
    member = task.member
    return {
        "key": task.key,
        "name": member.name,
        "source": member.source,
        "loss": task.loss,
        "seed": list(member.seed),
        "condition": dict(member.condition),
        "state": str(member.state) if member.state else None,
        "keep": str(member.keep) if member.keep else None,
        "state_only": member.state_only,
        "steps": task.steps,
        "check": task.check,
        "trial": task.trial,
    }


def task_from_json(message: Mapping[str, Any]) -> Task:
    member = Member(
        message["name"],
        message["source"],
        tuple(message["seed"]),
        message["condition"],
        Path(message["state"]) if message["state"] else None,
        Path(message["keep"]) if message["keep"] else None,
        message["state_only"],
    )
    return Task(message["key"], member, message["loss"], message["steps"], message["check"], message["trial"])


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "metrics": dict(outcome.metrics),
        "reason": outcome.reason,
        "step": outcome.step,
        "seconds": outcome.seconds,
        "files": {kind: str(path) for kind, path in outcome.files.items()},
        "curve": [[step, dict(metrics)] for step, metrics in outcome.curve],
    }


def outcome_from_json(message: Mapping[str, Any]) -> Outcome:
    return Outcome(
        message["status"],
        message["metrics"],
        message["reason"],
        message["step"],
        message["seconds"],
        {kind: Path(path) for kind, path in message["files"].items()},
        [(step, metrics) for step, metrics in message["curve"]],
    )
