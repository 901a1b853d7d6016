"""What runs on a node of a Ray cluster: a `Server`, and the files that it needs and leaves.

It is the class behind a Ray actor, and knows nothing of Ray: all that it is given and gives back is plain.
"""

import dataclasses
import os
import queue
import shutil
import socket
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.run import versions
from lossgen.evolution.workers.carriage import Files, moved, packed, there
from lossgen.evolution.workers.messages import outcome_to_json, task_from_json
from lossgen.evolution.workers.serving import Server, described
from lossgen.once import handed_around

LONGEST = 1.0
"""Seconds that `heard` waits for news."""


class Actor:
    """One long-lived worker.

    Args:
        number: of the worker, from 0.
        logs: folder of the run for what workers and runners print, where this machine can see it.
        expected: versions of what the numbers depend on, where the run is; with others `prepare` refuses.
    """

    def __init__(self, number: int, logs: str, expected: Mapping[str, str]) -> None:
        self._refusal = _differing(expected)
        seen = Path(logs)
        if not seen.is_dir():
            seen = Path(tempfile.mkdtemp(prefix="lossgen-logs-"))
        os.environ |= {"LOSSGEN_WORKER": str(number), "LOSSGEN_LOGS": str(seen)}
        _print_into(seen / f"worker-{number}.log")
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nobody writes to it
        self._news: queue.Queue[dict[str, Any]] = queue.Queue()
        self._server = Server(lambda message: self._news.put(dict(message)))

    def prepare(self, assignment: Mapping[str, Any], runner: bytes, made: dict[str, Any]) -> dict[str, Any]:
        """Prepare the runner.

        Args:
            assignment: as an `Assignment`.
            runner: text of its file, which need not be on this machine.
            made: by `once`, where it was made before.

        Returns:
            The event "ready", with what was made here as "made"; or "error".
        """
        import torch

        torch.set_num_threads(1)
        if self._refusal:
            return {"event": "error", "input": True, "message": self._refusal}
        made = dict(made)
        known = set(made)
        try:
            path = Path(assignment["runner"])
            if not path.is_file() or path.read_bytes() != runner:
                path = Path(tempfile.mkdtemp(prefix="lossgen-runner-")) / path.name
                path.write_bytes(runner)
            with handed_around(made):
                said = self._server.prepare({**assignment, "runner": str(path)})
        except InputError as error:
            return {"event": "error", "input": True, "message": str(error)}
        except Exception as error:  # noqa: BLE001  a runner is other people's code
            traceback.print_exc()
            return {"event": "error", "input": False, "message": described(error)}
        return {"event": "ready", "said": said, "made": {key: made[key] for key in made.keys() - known}}

    def serve(self, messages: Sequence[Mapping[str, Any]], states: Sequence[tuple[str, Files]]) -> dict[str, Any]:
        """Train, or check, a list of tasks.

        Args:
            messages: tasks as `task_to_json` gives them.
            states: `state_of` of their members.

        Returns:
            The event "done", with a pair of outcome and files a task; or "error".
        """
        folder = Path(tempfile.mkdtemp(prefix="lossgen-"))
        try:
            tasks = []
            for number, (message, (name, state)) in enumerate(zip(messages, states, strict=True)):
                task = task_from_json(message)
                tasks.append(dataclasses.replace(task, member=there(task.member, name, state, folder / str(number))))
            found = []
            for task, message, outcome in zip(tasks, messages, self._server.serve(tasks), strict=True):
                keep = task.member.keep
                back = outcome if keep is None else moved(outcome, keep, Path(message["keep"]))
                found.append((outcome_to_json(back), packed(keep)))
            return {"event": "done", "outcomes": found}
        except InputError as error:
            return {"event": "error", "input": True, "message": str(error)}
        except Exception as error:  # noqa: BLE001  the driver must hear of it, whatever it is
            traceback.print_exc()
            return {"event": "error", "input": False, "message": described(error)}
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def heard(self) -> list[dict[str, Any]]:
        """What has happened since the last call: events "step" and "note". Waits for news, but not for long."""
        found: list[dict[str, Any]] = []
        try:
            found.append(self._news.get(timeout=LONGEST))
            while True:
                found.append(self._news.get_nowait())
        except queue.Empty:
            return found


def _differing(expected: Mapping[str, str]) -> str:
    """Why this machine cannot take part; empty where it can."""
    here = versions()
    other = [
        f"{name} {here.get(name)} in place of {expected[name]}" for name in expected if here.get(name) != expected[name]
    ]
    if not other:
        return ""
    return f"node {socket.gethostname()}: has {', '.join(other)}; install the same there as where the run is"


def _print_into(path: Path) -> None:
    """Have all that this process prints go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
