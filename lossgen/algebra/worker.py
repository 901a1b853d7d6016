"""`python -m lossgen.algebra.worker`: requests in, equal forms out, one JSON object a line each.

A process of its own, because sympy has no time limit: whoever started it (`process.py`) kills it. It serves many
requests, for starting takes longer than most of them; an answer does not depend on those before it, as sympy's caches
are emptied and its random numbers begin anew. It ends at the end of its input, that is when whoever started it is
gone; and where it is too deep in arithmetic to see that, an alarm ends it soon after the time limit.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

import sympy.core.cache
import sympy.core.random

from lossgen.algebra.methods import FAILURES, forms
from lossgen.algebra.process import from_message, to_message

GRACE = 2.0
"""Seconds after the time limit at which the alarm rings, in case that nobody has killed the process."""
MEMORY = 4 << 30
"""Bytes of address space; beyond, a method has no answer."""


def main() -> int:
    """Serve requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this, and who then ends it
    _limit_memory()
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    _say({"ready": True})
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        request = requests.get()
        _set_alarm(request["limit"] + GRACE)
        _serve(request)
        _set_alarm(0.0)


def _listen(requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    os._exit(0)  # whoever started this is gone, or has no more to ask


def _serve(request: Mapping[str, Any]) -> None:
    sympy.core.cache.clear_cache()
    sympy.core.random.seed(0)
    number = request["number"]
    expression = from_message(request["text"])
    try:
        for method, form in forms(expression, request["derive_by"]):
            _say({"number": number, "method": method, "form": to_message(form)})
    except FAILURES:
        pass  # what was found until here stands
    _say({"number": number, "done": True})


def _say(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    except (ValueError, OSError):  # a platform without this limit
        return


def _set_alarm(seconds: float) -> None:
    """End this process by the operating system, whatever Python is doing, after some seconds; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    raise SystemExit(main())
