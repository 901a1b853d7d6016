"""Runs as folders: opened by one process at a time, and again after whatever has happened to them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lossgen.errors import InputError
from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.config import RunConfig, read_config
from lossgen.evolution.run import create_run, open_run
from lossgen.runner import Outcome

CONFIG = RunConfig(kind="evolve", options={"width": 3}, seed_losses=["y_pred"])
KEY = OutcomeKey("search", "d1", 0, 10)
OK = Outcome("ok", {"FD": 1.5}, curve=[])


def refused(word: str) -> "pytest.RaisesExc[InputError]":
    """One line that holds the word and says the way on."""
    return pytest.raises(InputError, match=rf"\A[^\n]*{word}[^\n]*--resume \S*run[^\n]*\Z")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with create_run(tmp_path / "run", CONFIG) as opened:
        opened.archive.add_outcome(KEY, "A", OK)
    return tmp_path / "run"


@pytest.mark.parametrize("what", ["deleted", "emptied"])
def test_a_run_without_its_archive_is_not_shown_and_starts_over(run: Path, what: str) -> None:
    if what == "deleted":
        (run / "archive.sqlite").unlink()
    else:
        (run / "archive.sqlite").write_bytes(b"")
    with refused("is not there"), open_run(run, locked=False):
        pass
    with open_run(run) as opened:
        assert opened.config == CONFIG
        assert opened.archive.outcomes() == []
        assert opened.notes == [f"run {run}: its archive.sqlite is gone; the run starts over from its run.toml"]
        opened.archive.add_outcome(KEY, "A", OK)
    with open_run(run) as opened:
        assert (opened.archive.outcome(KEY), opened.notes) == (OK, [])


def test_a_damaged_run_is_refused_before_it_works_and_starts_over_without_the_archive(run: Path) -> None:
    archive = run / "archive.sqlite"
    content = archive.read_bytes()
    archive.write_bytes(content[:-4096] + b"\xee" * 4096)
    with refused("damaged .* move it away"), open_run(run):
        pass
    archive.rename(run / "damaged.sqlite")
    with open_run(run) as opened:
        assert opened.notes and opened.archive.is_new


def test_a_configuration_that_is_cut_short_is_never_taken_for_another(run: Path) -> None:
    path = run / "run.toml"
    content = path.read_bytes()
    assert read_config(path) == CONFIG
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        try:
            assert read_config(path) == CONFIG
        except InputError as error:
            assert "\n" not in str(error) and str(path) in str(error)
        else:
            assert length > len(content) // 2
    path.write_bytes(b"")
    with pytest.raises(InputError, match="cut short; restore it"), open_run(run):
        pass


def test_what_cannot_be_read_is_not_taken_for_an_empty_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at its end"), create_run(tmp_path / "run", CONFIG) as opened:
        opened.archive.add_outcome(KEY, "A", OK)
        opened.archive.rows("DROP TABLE outcomes")
        raise InputError("at its end")
    assert (tmp_path / "run" / "archive.sqlite").exists()
    with pytest.raises(InputError, match="at once"), create_run(tmp_path / "other", CONFIG):
        raise InputError("at once")
    assert not (tmp_path / "other").exists()


WORKS = """
import itertools, sys
from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.run import open_run
from lossgen.runner import Outcome
with open_run(sys.argv[1]) as run:
    for replicate in itertools.count(1):
        run.archive.add_outcome(OutcomeKey("search", "d1", replicate, 10), "A", Outcome("ok", {"FD": replicate}))
        print(replicate, flush=True)
"""


def test_a_second_process_is_refused_until_the_first_is_killed_and_then_finds_what_that_has_kept(run: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", WORKS, str(run)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None and first.stdout.readline() == "1\n"
        with pytest.raises(InputError, match="another process is working on it"), open_run(run):
            pass
        with open_run(run, locked=False) as opened:
            assert opened.archive.outcome(KEY) == OK
    finally:
        os.kill(first.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        told = first.communicate()[0].split()
    with open_run(run) as opened:
        kept = {key.replicate: outcome.metrics["FD"] for key, _, outcome in opened.archive.outcomes()}
    assert [kept[int(replicate)] for replicate in told] == [int(replicate) for replicate in told]
    assert len(kept) in (len(told) + 2, len(told) + 3)  # with OK, 1 that was read above, and one that was not told
