"""Runs that are disturbed: started as a user starts them, killed at moments chosen or drawn, resumed, and compared."""

import csv
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lossgen.evolution.run import open_run
from lossgen.files import without_nan

HERE = Path(__file__).parent
TOY = HERE.parent / "toy_runner.py"
SPACE = HERE / "constants.lark"
SEARCH = [
    "evolve", "--runner", TOY, "--space", SPACE, "--seed-loss", "0.7 * square(y_pred - y_real) + 1.5 * log(y_pred)",
    "--population", "4", "--generations", "3", "--steps", "10", "--polish", "6", "--audit", "4", "--verify-seeds", "2",
]  # fmt: skip
"""A search of 12 trainings, with a polish and an audit; the verification trains 14."""
START = 1.0
"""Seconds in which a driver does no more than import: what it goes through when it is resumed is not counted twice."""
WORKER = "lossgen.evolution.workers.process"


class Driver:
    """A lossgen process, with what it prints, colours and movements of a terminal taken away.

    Args:
        through: a program that is to start it.
    """

    def __init__(self, cwd: Path, *args: str | Path, through: Sequence[str] = (), **more: Any) -> None:
        self.lines: list[str] = []
        self.began = time.monotonic()
        environment = {**more.pop("env", os.environ)}
        environment.pop("LOSSGEN_WORKERS", None)  # what it is to do is about workers
        self.process = subprocess.Popen(
            [*through, sys.executable, "-m", "lossgen", *map(str, args)],
            cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **more,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line))

    @property
    def said(self) -> str:
        return "".join(self.lines)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.began

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, holds: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait until something holds, or the process has ended."""
        deadline = time.monotonic() + seconds
        while self.running and not holds():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.005)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text was printed so many times.

        Raises:
            AssertionError: the process has ended without it.
        """
        self.wait_until(lambda: self.said.count(text) >= times)
        if not self.running:
            self._reader.join(5)
        assert self.said.count(text) >= times, self.said

    def wait(self, seconds: float) -> None:
        """Wait so long from the start, or until the process has ended."""
        self.wait_until(lambda: self.seconds >= seconds)

    def wait_for_workers(self, but: int | None = None) -> list[int]:
        """Wait until there are workers, or the process has ended.

        Args:
            but: one that does not count: it was killed, and may not have been reaped yet.
        """
        found: list[int] = []

        def look() -> bool:
            found[:] = [worker for worker in self.workers() if worker != but]
            return bool(found)

        self.wait_until(look)
        return found

    def interrupt(self) -> None:
        """Press Ctrl-C: a terminal sends it to all processes of its group, of which the workers are none."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of the driver."""
        self.process.kill()
        self.end()

    def end(self, seconds: float = 120.0) -> int:
        """Wait for the end; its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def workers(self) -> list[int]:
        """The worker processes, by their parent's number in /proc."""
        return [pid for pid in children(self.process.pid) if WORKER in _command(pid)]


def children(pid: int) -> list[int]:
    """Numbers of a process's children."""
    tasks = Path(f"/proc/{pid}/task")
    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc to find the workers")
    try:
        return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    except OSError:  # it has ended meanwhile
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def lossgen(cwd: Path, *args: str | Path, code: int = 0) -> str:
    """What a command prints; it is to end with this exit code."""
    driver = Driver(cwd, *args)
    assert driver.end() == code, driver.said
    return driver.said


def record(run: Path) -> dict[str, Any]:
    """What `lossgen show RUN --json` prints."""
    with open_run(run, locked=False) as opened:
        found: dict[str, Any] = json.loads(json.dumps(without_nan(opened.record())))
    return found


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The parts of two records that differ."""
    return {key: (ours.get(key), theirs.get(key)) for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)}


def assert_whole(folder: Path) -> None:
    """All that runs have left in a folder is complete, and nothing is left over."""
    for path in folder.rglob("*"):
        assert not (path.name.startswith(".") and path.suffix[1:].isdecimal()), f"a temporary file: {path}"
        match path.suffix:
            case ".png":
                with Image.open(path) as image:
                    image.load()
            case ".json":
                assert json.loads(path.read_text())["schema"] == 1
            case ".csv":
                with path.open(newline="") as file:
                    rows = list(csv.reader(file))
                assert len(rows) > 1 and len({len(row) for row in rows}) == 1, path
            case ".py":
                compile(path.read_text(), path, "exec")
            case ".sqlite":
                with sqlite3.connect(path) as archive:
                    assert archive.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                archive.close()


class Torturer:
    """Kills a run now and then, and resumes it until it is finished.

    Args:
        cwd: folder to work in; the run is cwd/run.
        search: the command, without --out and --workers.
        seed: of all that is drawn.
        life: seconds that an undisturbed run takes.
    """

    def __init__(self, cwd: Path, search: Sequence[str | Path], seed: int, life: float) -> None:
        self.cwd = cwd
        self.search = search
        self.random = random.Random(seed)
        self.life = life
        self.story = [f"seed {seed}"]

    def start(self) -> Driver:
        """Begin or go on, with 1, 2 or 4 workers."""
        workers = str(self.random.choice((1, 2, 4)))
        begun = (self.cwd / "run" / "run.toml").exists()
        command = ["evolve", "--resume", "run"] if begun else [*self.search, "--out", "run"]
        self.story.append(f"{'resume' if begun else 'start'} with {workers} workers")
        return Driver(self.cwd, *command, "--workers", workers)

    def kill(self, kills: int) -> None:
        """Kill the driver or a worker so many times, at moments spread evenly over what is left of the run's life.

        A worker is killed only once before the driver is: two deaths of one task are taken for the task's fault.
        """
        lived = 0.0
        driver, spared = self.start(), False
        while kills:
            left = max(self.life - lived, START)
            moment = driver.seconds + self.random.uniform(0.0, left)
            of_worker = self.random.random() < 0.5 and not spared
            driver.wait(moment)
            victims = driver.wait_for_workers() if of_worker else [driver.process.pid]
            if not driver.running or not victims:
                assert driver.end() == 0, self.tale(driver)
                driver, spared, lived = self.start(), False, self.life  # a finished run is killed, too
                continue
            if of_worker:
                try:
                    os.kill(self.random.choice(victims), signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it has ended with its driver meanwhile
                spared = True
            self.story.append(f"{'worker' if of_worker else 'driver'} killed after {driver.seconds:.2f} s")
            kills -= 1
            if not of_worker:
                driver.kill()
                lived += max(driver.seconds - START, 0.0)
                driver, spared = self.start(), False
        assert driver.end() == 0, self.tale(driver)

    def kill_when(self, text: str) -> None:
        """Kill the driver a moment after it has printed a text; where it ends without it, that is all right."""
        driver = self.start()
        driver.wait_until(lambda: text in driver.said)
        time.sleep(self.random.uniform(0.0, 0.3))
        self.story.append(f"killed at {text!r}" if driver.running else f"ended before {text!r}")
        driver.kill()

    def tale(self, driver: Driver) -> str:
        """What has happened, for whom a failure is to be told."""
        return "\n".join([*self.story, driver.said])
