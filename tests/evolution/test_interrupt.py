"""Ctrl-C: once ends a run in order, twice at once; both can be resumed to the end that it would have had anyway."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torture.harness import SEARCH, TOY, Driver, assert_whole, differences, lossgen, record

from lossgen.evolution.interrupt import ctrl_c_stops

MANY = pytest.mark.skipif("LOSSGEN_TORTURE" not in os.environ, reason="part of `make torture`")
EVOLVE = [*SEARCH, "--workers", "1", "--out", "run"]
COMPARE = ["compare", "bce", "lsgan", "hinge", "--runner", TOY, "--steps", "10", "--seeds", "2", "--workers", "1"]
TERMINAL = (sys.executable, "-c", "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))")
"""What a command is given to, so that it has a terminal; a Ctrl-C that is written to it goes to a whole group."""
AT_ONCE = 2.0
"""Seconds."""
PRESSED = {
    "now and then": [("search 1/", 2), ("search 6/", 1), ("verification 12/", 1)],
    "all the time": [
        ("loading the data", 1), ("timing", 2), ("Budget", 1), ("search 2/", 1), ("generation 2", 2), ("search 7/", 1),
        ("search 12/", 1), ("polish 1/", 1), ("audit of the screen 2/", 1), ("simplifying", 1),
        ("checking the modules", 1),
    ],
}  # fmt: skip
"""What was printed when Ctrl-C was pressed, and how often."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cwd = tmp_path_factory.mktemp("undisturbed")
    lossgen(cwd, *EVOLVE, "--pause", "0.1")
    return record(cwd / "run")


def press(driver: Driver, text: str, times: int) -> None:
    """Press Ctrl-C once or twice, when the driver has said something."""
    driver.wait_for(text)
    driver.interrupt()
    if times == 2:
        time.sleep(0.05)
        driver.interrupt()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["now and then", pytest.param("all the time", marks=MANY)])
def test_a_run_that_is_interrupted_again_and_again_ends_as_if_nothing_had_happened(
    how: str, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    command = [*EVOLVE, "--pause", "0.1"]
    for text, times in PRESSED[how]:
        driver = Driver(tmp_path, *command)
        press(driver, text, times)
        assert driver.end() == 130, driver.said
        assert "Traceback" not in driver.said
        finished = record(tmp_path / "run")["finished"]  # where an earlier stop has verified the same losses
        assert ("lossgen evolve --resume run" in driver.said) == (not finished)
        command = ["evolve", "--resume", "run", "--workers", "1"]
    lossgen(tmp_path, *command)
    assert not differences(record(tmp_path / "run"), undisturbed)
    assert_whole(tmp_path)


def test_once_finishes_what_is_running_and_verifies_what_there_is(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    driver = Driver(tmp_path, *SEARCH, "--pause", "0.4", "--marks", marks, "--workers", "2", "--out", "run")
    driver.wait_for("search 4/")
    driver.wait_until(lambda: marks.read_text().count("(0, 0, 0)") == 6)  # two of the second generation are under way
    driver.interrupt()
    assert driver.end() == 130
    said = "Stopping: what is being trained is finished, and the best losses so far are verified (14 trainings, about "
    assert said in driver.said
    assert "\nInterim: the run was stopped in its search," in driver.said
    found = record(tmp_path / "run")
    counts = {stage: sum(o["stage"] == stage for o in found["outcomes"]) for stage in ("search", "interim", "verify")}
    assert counts == {"search": 6, "interim": 14, "verify": 0}
    assert marks.read_text().count("(0, 0, 0)") == 6, "one that was begun is missing, or one was begun too many"
    assert found["finished"] is False
    assert found["result"]["interim"] is True
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["interim"] is True
    resumed = Driver(tmp_path, "evolve", "--resume", "run", "--workers", "1")
    resumed.wait_for("search 7/")
    again = record(tmp_path / "run")
    resumed.kill()
    assert not any(outcome["stage"] == "interim" for outcome in again["outcomes"])
    assert again["result"] == {}, "an interim result outlives the interruption"


@pytest.mark.parametrize(("text", "more"), [("timing", ["--pause", "30"]), ("search: ", ["--misbehave", "hang"])])
def test_twice_ends_at_once(text: str, more: list[str], tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    driver = Driver(tmp_path, *EVOLVE, *more, "--marks", marks, "--timeout", "1h")
    trainings = 1 if text == "timing" else 4  # a search begins when the timing has trained three
    driver.wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) == trainings)
    driver.interrupt()
    time.sleep(0.5)
    assert driver.running, "it did not wait for what is being trained"
    assert "Ctrl-C again stops at once" in driver.said
    pressed = time.monotonic()
    driver.interrupt()
    driver.wait_for("Interrupted. What was trained is kept; go on with: lossgen evolve --resume run\n")
    assert time.monotonic() - pressed < AT_ONCE
    driver.wait_until(lambda: not driver.workers(), AT_ONCE)
    assert driver.end() == 130
    assert driver.lines[-1] == "interrupted\n"


def test_before_anything_was_found_there_is_nothing_to_verify(tmp_path: Path) -> None:
    driver = Driver(tmp_path, *EVOLVE, "--misbehave", "raise", "--pause", "0.2")
    press(driver, "search 1/", 1)
    assert driver.end() == 130
    assert "Stopped before there was anything to show." in driver.said
    assert "interim" not in {outcome["stage"] for outcome in record(tmp_path / "run")["outcomes"]}


def test_a_comparison_is_interim_until_it_is_resumed(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    driver = Driver(tmp_path, *COMPARE, "--pause", "1", "--marks", marks, "--out", "run")
    driver.wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) == 6)  # timing 3, comparison 3
    driver.interrupt()
    assert driver.end() == 130
    assert "Stopping: what is being trained is finished. Ctrl-C again stops at once." in driver.said
    assert "Interim: stopped" in driver.said
    assert len(record(tmp_path / "run")["outcomes"]) == 3
    lossgen(tmp_path, "compare", "--resume", "run")
    found = record(tmp_path / "run")
    assert len(found["outcomes"]) == 6
    assert found["finished"] is True
    assert found["result"]["interim"] is False
    assert_whole(tmp_path)


def test_the_first_press_after_a_listener_has_stopped_a_run_is_a_first_press() -> None:
    said: list[str] = []
    session = SimpleNamespace(stopped=True, stop=lambda: said.append("stop"))
    session.listener = SimpleNamespace(stopping=lambda: said.append("stopping"))
    with ctrl_c_stops(session):  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
        assert said == ["stop", "stopping"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_the_panel_says_that_the_run_is_stopping(tmp_path: Path) -> None:
    driver = Driver(tmp_path, *COMPARE, "--pause", "1", "--out", "run", through=TERMINAL, stdin=subprocess.PIPE,
                    env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"})  # fmt: skip
    assert driver.process.stdin is not None
    driver.wait_for("trainings  1 of 6")
    driver.process.stdin.write("\x03")
    driver.process.stdin.flush()
    assert driver.end() == 130, driver.said
    plain = driver.said
    assert "stopping   what is being trained is finished; Ctrl-C again stops at once" in plain
    assert "Interim: stopped" in plain.rpartition("╯")[2], "the panel is left standing"
