"""The sympy process seen from outside: started when first needed, asked under a time limit, killed when late.

Nothing that the process does can hold up whoever asks: it may hang, die, print noise or flood its output, and the
worst is that nothing was found.
"""

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lossgen.errors import InputError
from lossgen.language.expression import Expression, constant
from lossgen.language.loss import Loss
from lossgen.language.operators import BATCH_TERMS
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss

COMMAND = (sys.executable, "-P", "-m", "lossgen.algebra.worker")
START_LIMIT = 60.0
"""Seconds that the process may take to import sympy, which is no expression's fault."""
LONGEST_LINE = 1 << 17
MOST_OUTPUT = 1 << 22
"""Bytes of output for one expression; a process that prints more is out of its mind."""

Ended = Literal["answered", "late", "broken"]


@dataclass(frozen=True)
class Answer:
    """What sympy made of an expression.

    Attributes:
        forms: (method, expression) in the order in which they came.
        ended: "late" where the time limit cut the list off, "broken" where the process failed.
    """

    forms: tuple[tuple[str, Expression], ...]
    ended: Ended


class Process:
    """A sympy process that serves one request after another; safe to share between threads."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self.command = command
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._number = 0

    def ask(self, expression: Expression, time_limit: float, derive_by: str = "") -> Answer:
        """Equal forms of an expression, or of its derivative by a variable (see `methods.forms`).

        Args:
            time_limit: seconds; the start of the process does not count.
        """
        with self._lock:
            self._number += 1
            request = {"number": self._number, "text": to_message(expression)}
            request |= {"derive_by": derive_by, "limit": time_limit}
            process = self._started()
            if process is None:
                return Answer((), "broken")
            messages: list[dict[str, Any]] = []
            with _Deadline(process, time_limit) as deadline:
                ended: Ended = "broken"
                try:
                    for message in self._exchange(process, request):
                        if message.get("done"):
                            ended = "answered"
                            break
                        messages.append(message)
                finally:
                    deadline.cancel()
                    if ended != "answered" or deadline.passed:  # it is late, or lost, or this is a Ctrl-C
                        self._end()
            if ended != "answered" and deadline.passed:
                ended = "late"
        return Answer(tuple(_forms(messages)), ended)

    def close(self) -> None:
        """End the process, if one runs."""
        with self._lock:
            self._end()

    def _started(self) -> "subprocess.Popen[bytes] | None":
        """The process, ready to be asked; None where none can be had."""
        if self._owner != os.getpid():  # a fork has copied this object, but the process is the parent's
            self._running = None
        if self._running is not None:
            if self._running.poll() is None:
                return self._running
            self._end()
        self._owner = os.getpid()
        process = self._running = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it, and it cannot ignore that while it starts
            env=os.environ | {"PYTHONHASHSEED": "0"},  # the order of sets decides what sympy finds first
        )
        ready = False
        with _Deadline(process, START_LIMIT) as deadline:
            try:
                ready = any(message.get("ready") for message in _messages(process))
            finally:
                deadline.cancel()
                if not ready or deadline.passed:
                    self._end()
        return self._running

    def _exchange(self, process: "subprocess.Popen[bytes]", request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The messages that answer a request; they end with the process."""
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError:  # it has died
            return
        for message in _messages(process):
            if message.get("number") == request["number"]:
                yield message

    def _end(self) -> None:
        process, self._running = self._running, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # what was to be flushed has nobody to read it
                pipe.close()
        process.wait()


class _Deadline:
    """Kills a process after some seconds, unless cancelled; so no read or write on its pipes can wait any longer."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.passed = False
        self._process = process
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def _pass(self) -> None:
        self.passed = True
        self._process.kill()

    def cancel(self) -> None:
        """After this, `passed` does not change any more."""
        self._timer.cancel()
        self._timer.join()

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


def _messages(process: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """The JSON objects that the process prints; lines of anything else are passed over."""
    assert process.stdout is not None
    heard = 0
    while line := process.stdout.readline(LONGEST_LINE):
        heard += len(line)
        if heard > MOST_OUTPUT:
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            yield message


def _forms(messages: list[dict[str, Any]]) -> Iterator[tuple[str, Expression]]:
    for message in messages:
        try:
            yield str(message.get("method")), from_message(str(message.get("form")))
        except InputError:  # over the language's limits, or nothing of the language at all
            continue


def to_message(expression: Expression) -> str:
    """The text of a loss around the expression, which says what its named constants are."""
    if expression.variables() & set(BATCH_TERMS):  # these belong to the role form
        return print_loss(Loss("Asked", roles={"real": expression, "fake": constant(0.0), "generator": constant(0.0)}))
    return print_loss(Loss("Asked", label=expression))


def from_message(text: str) -> Expression:
    """The expression in a loss that `to_message` has made.

    Raises:
        InputError: not a loss.
    """
    loss = parse_loss(text)
    return loss.label if loss.label is not None else loss.roles["real"]


@functools.cache
def shared() -> Process:
    """The process that all simplification in this program uses."""
    process = Process()
    atexit.register(process.close)
    return process
