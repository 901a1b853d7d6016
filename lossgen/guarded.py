"""Run a command that cannot outlive the process that started it.

A process that is killed cannot clean up, and what it had started would run on. So a guard stands between it and the
command: this file, run as a script. The guard holds the reading end of a pipe whose writing end only the process
has. When that closes, whatever the process died of, the guard kills the command with all that it started, and
removes its scratch folder.

On Linux that reaches processes in sessions of their own (as torchrun starts them) by way of /proc, and what a command
leaves running when it ends is killed, too. On other POSIX systems it reaches the command's process group, on Windows
what `taskkill /T` finds.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NOT_STARTED = 127
"""Exit code of a command that could not be started, as shells have it."""
SIGNALLED = 128
"""Added to the number of the signal that ended a command."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_KILL_ROUNDS = 200


def run_guarded(
    command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path, scratch: Path | None = None
) -> int:
    """Run a command to its end.

    Args:
        command: program and arguments; no shell is used.
        folder: working directory.
        env: its whole environment.
        log: file that its output and its errors are appended to.
        scratch: folder that is removed if this process dies meanwhile.

    Returns:
        Exit code; 127 where it did not start, 128 + n where signal n ended it.
    """
    apart: dict[str, Any] = (
        {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        if sys.platform == "win32"
        else {"start_new_session": True}  # Ctrl-C is this process's business
    )
    guard = [sys.executable, "-I", "-S", str(Path(__file__)), str(scratch.resolve()) if scratch else ""]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*guard, *command], stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=folder, env=env, **apart
        )
    assert process.stdin is not None
    try:
        return _code(process.wait())
    finally:
        process.stdin.close()
        process.wait()


def _code(code: int) -> int:
    return code if code >= 0 else SIGNALLED - code


def _guard(scratch: str, command: Sequence[str]) -> int:
    """The guard's part: the command's exit code, or the end of both when standard input closes."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans below become this process's children, and are found
    before: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
    if sys.platform == "linux":  # one thread so far, so this is safe
        before["preexec_fn"] = lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # should the guard itself be killed
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **before)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED

    gone = threading.Event()

    def watch() -> None:
        while os.read(0, 1024):  # not by sys.stdin, whose lock would be missed at this process's end
            pass
        gone.set()
        _kill(process.pid)

    threading.Thread(target=watch, daemon=True).start()
    if sys.platform == "linux":
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # until it is reaped, its number is nobody else's
        _kill(process.pid)
    code = process.wait()
    if scratch and gone.is_set():
        shutil.rmtree(scratch, ignore_errors=True)
    return _code(code)


def _kill(pid: int) -> None:
    """Kill a command and whatever it has started."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], check=False, capture_output=True)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for _ in range(_KILL_ROUNDS):  # what is being killed may start another meanwhile
        found = _descendants()
        if not found:
            return
        for each in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        time.sleep(0.01)


def _descendants() -> set[int]:
    """Living processes below this one; none where there is no /proc."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    below: set[int] = set()
    while more := {pid for pid, parent in parents.items() if parent == os.getpid() or parent in below} - below:
        below |= more
    return below


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    raise SystemExit(_guard(sys.argv[1], sys.argv[2:]))
