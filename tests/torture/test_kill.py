"""kill -9 of the driver and of workers, at any moment: what a run finds does not depend on it.

`make torture` kills more often; LOSSGEN_TORTURE says how often, LOSSGEN_TORTURE_SEED repeats what was drawn.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture.harness import SEARCH, TOY, Driver, Torturer, assert_whole, differences, lossgen, record

KILLS = int(os.environ.get("LOSSGEN_TORTURE", "3"))
KILLS_A_RUN = 3
MANY = pytest.mark.skipif("LOSSGEN_TORTURE" not in os.environ, reason="part of `make torture`")
QUICK = ["compare", "bce", "lsgan", "--runner", TOY, "--steps", "1", "--seeds", "1"]
PHASES = [
    "loading the data", "timing", "Budget", "search 3/", "generation 2", "search 8/", "generation 3", "polish 1/",
    "audit of the screen 2/", "simplifying", "checking the modules", "verification 1/", "verification 14/",
    "Candidates:",
]  # fmt: skip
"""What a run prints on its way."""


@pytest.fixture(scope="module", autouse=True)
def no_compiler() -> Iterator[None]:
    """No C++ compiler: to compile a champion takes seconds each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", "no-such-compiler")
        yield


@pytest.fixture(scope="module")
def search() -> list[str | Path]:
    return [*SEARCH, "--pause", "0.05"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, search: list[str | Path]) -> tuple[Path, float]:
    """The folder of a run that nothing happened to, and how long it took."""
    cwd = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    lossgen(cwd, *search, "--workers", "1", "--out", "run")
    return cwd / "run", time.monotonic() - began


@pytest.fixture
def torturer(tmp_path: Path, search: list[str | Path], undisturbed: tuple[Path, float]) -> Torturer:
    given = os.environ.get("LOSSGEN_TORTURE_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(10**6)
    print(f"repeat with LOSSGEN_TORTURE_SEED={seed}")
    return Torturer(tmp_path, search, seed, undisturbed[1])


def test_the_undisturbed_run_has_all_stages(undisturbed: tuple[Path, float]) -> None:
    found = record(undisturbed[0])
    assert {outcome["stage"] for outcome in found["outcomes"]} == {"search", "polish", "audit", "verify"}
    assert found["finished"] is True
    assert found["reproducible"] is True
    assert_whole(undisturbed[0].parent)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(-(-KILLS // KILLS_A_RUN)))
def test_what_is_killed_and_resumed_ends_as_if_nothing_had_happened(
    number: int, torturer: Torturer, undisturbed: tuple[Path, float]
) -> None:
    torturer.random.seed(torturer.random.random() + number)
    torturer.kill(min(KILLS_A_RUN, KILLS - number * KILLS_A_RUN))
    run = torturer.cwd / "run"
    assert not differences(record(run), record(undisturbed[0])), "\n".join(torturer.story)
    assert_whole(torturer.cwd)


@MANY
@pytest.mark.timeout(900)
def test_a_run_that_is_killed_in_each_of_its_phases_ends_the_same(
    torturer: Torturer, undisturbed: tuple[Path, float]
) -> None:
    for text in PHASES:
        torturer.kill_when(text)
    last = torturer.start()
    assert last.end() == 0, torturer.tale(last)
    assert not differences(record(torturer.cwd / "run"), record(undisturbed[0])), "\n".join(torturer.story)
    assert_whole(torturer.cwd)


@MANY
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", ["results.csv", "box_plot.png", "summary.json", "champion.png", "progress.png"])
def test_a_run_that_is_killed_while_it_writes_its_files_leaves_them_whole(
    file: str, torturer: Torturer, undisturbed: tuple[Path, float]
) -> None:
    driver = torturer.start()
    driver.wait_until((torturer.cwd / "run" / file).exists)
    driver.kill()
    last = torturer.start()
    assert last.end() == 0, torturer.tale(last)
    assert not differences(record(torturer.cwd / "run"), record(undisturbed[0]))
    assert_whole(torturer.cwd)


@MANY
@pytest.mark.parametrize("workers", ["2", "4"])
def test_several_workers_find_what_one_finds(
    workers: str, tmp_path: Path, search: list[str | Path], undisturbed: tuple[Path, float]
) -> None:
    lossgen(tmp_path, *search, "--workers", workers, "--out", "other-name")
    assert not differences(record(tmp_path / "other-name"), record(undisturbed[0]))


def test_a_worker_that_is_killed_while_it_starts_is_started_once_more(tmp_path: Path) -> None:
    driver = Driver(tmp_path, *QUICK, "--workers", "1", "--out", "run")
    (worker,) = driver.wait_for_workers()
    os.kill(worker, signal.SIGKILL)
    assert driver.end() == 0, driver.said
    assert record(tmp_path / "run")["reproducible"] is True


def test_a_worker_that_is_killed_each_time_it_starts_ends_the_run(tmp_path: Path) -> None:
    driver = Driver(tmp_path, *QUICK, "--workers", "1", "--out", "run")
    (first,) = driver.wait_for_workers()
    os.kill(first, signal.SIGKILL)
    (second,) = driver.wait_for_workers(but=first)
    os.kill(second, signal.SIGKILL)
    assert driver.end() == 2
    assert driver.lines[-1] == "error: worker 0 does not start (exit code -9); see run/logs/worker-0.log\n"


def test_a_second_process_is_refused_and_not_after_a_kill(tmp_path: Path) -> None:
    driver = Driver(tmp_path, *QUICK, "--workers", "1", "--out", "run")
    driver.wait_for("loading the data")  # in the middle of its preparation
    driver.process.send_signal(signal.SIGSTOP)  # and there it stays
    second = lossgen(tmp_path, "compare", "--resume", "run", code=2)
    assert second == "error: run run: another process is working on it; wait for it, or stop it\n"
    again = lossgen(tmp_path, *QUICK, "--out", "run", code=2)
    assert again == second, "the same command goes on, too"
    driver.kill()
    lossgen(tmp_path, "compare", "--resume", "run", "--workers", "1")
    assert record(tmp_path / "run")["finished"] is True
