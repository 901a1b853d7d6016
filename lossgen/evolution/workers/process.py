"""`python -m lossgen.evolution.workers.process`: one long-lived worker with one torch thread.

It reads messages from standard input and ends when that closes, in the middle of a training too.
"""

import contextlib
import io
import json
import os
import queue
import sys
import threading
import traceback
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.workers.messages import outcome_to_json, task_from_json, write
from lossgen.evolution.workers.serving import Server, described


def main() -> int:
    """Serve until standard input closes."""
    # What a runner prints must not get between the messages: they have the original standard output to themselves.
    channel = io.TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8")
    os.dup2(2, 1)
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()

    import torch

    torch.set_num_threads(1)
    server = Server(lambda message: write(channel, message))
    while True:
        message = inbox.get()
        try:
            if message["op"] == "prepare":
                write(channel, {"event": "ready", **server.prepare(message)})
            else:
                tasks = [task_from_json(each) for each in message["tasks"]]
                for task, outcome in zip(tasks, server.serve(tasks), strict=True):
                    write(channel, {"event": "done", "key": task.key, "outcome": outcome_to_json(outcome)})
        except InputError as error:
            write(channel, {"event": "error", "input": True, "message": str(error)})
        except Exception as error:  # noqa: BLE001  the driver must hear of it, whatever it is
            traceback.print_exc()
            write(channel, {"event": "error", "input": False, "message": described(error)})


def _listen(inbox: "queue.Queue[dict[str, Any]]") -> None:
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
        inbox.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        raise SystemExit(main())
