"""What happens to an archive: a full disk, locks, damage and loss are told in one line, with a way on that works."""

import dataclasses
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.evolution import database
from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey
from lossgen.runner import Outcome

ROW = CandidateRow(0, 3, "loss A(y_pred) = y_pred", 1, "d1", "f1", "rejected", "flat: fake", "fresh", ("p", "q"))
KEY = OutcomeKey("search", "d1", 0, 10)
OK = Outcome("ok", {"FD": 1.5}, "", 10, 0.25, {}, [(5, {"FD": 2.0})])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "archive.sqlite"


def refused(word: str) -> "pytest.RaisesExc[InputError]":
    """One line that holds the word and says the way on."""
    return pytest.raises(InputError, match=rf"\A[^\n]*{word}[^\n]*--resume \S*run[^\n]*\Z")


def test_a_full_disk_is_told_and_what_stood_there_stays(path: Path) -> None:
    archive = Archive(path)
    archive.add_outcome(KEY, "A", OK)
    [(pages,)] = archive.rows("PRAGMA page_count")
    archive.rows(f"PRAGMA max_page_count = {pages}")
    rows = [dataclasses.replace(ROW, number=i) for i in range(1000)]
    with refused("the disk is full; free space"):
        archive.add_candidates(rows)
    assert (archive.candidates(), archive.outcome(KEY)) == ([], OK)
    archive.rows("PRAGMA max_page_count = 1000000")
    archive.add_candidates(rows)
    assert len(archive.candidates()) == 1000


def test_a_locked_archive_is_told_and_works_when_it_is_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    mine = Archive(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert mine.outcome(KEY) is None  # a lock for writing does not keep readers out
    with refused("locked for 0.05 s; end that"):
        mine.add_outcome(KEY, "A", OK)
    other.execute("COMMIT")
    mine.add_outcome(KEY, "A", OK)
    assert mine.outcome(KEY) == OK


def filled(path: Path) -> Path:
    archive = Archive(path)
    archive.set_meta("objectives", {"FD": "min"})
    archive.add_candidates([dataclasses.replace(ROW, number=i, digest=f"{i:064}") for i in range(200)])
    for i in range(100):
        archive.add_outcome(dataclasses.replace(KEY, replicate=i), "A", OK)
    archive.close()
    return path


def everything(path: Path) -> None:
    """Read all that there is, as `show` and `--resume` do."""
    for access in ("look", "write"):
        archive = Archive(path, access)
        try:
            if access == "write":
                archive.check()
            archive.meta("objectives")
            archive.candidates()
            archive.outcomes()
            archive.outcome(KEY)
            archive.waterfall()
        finally:
            archive.close()


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return filled(tmp_path_factory.mktemp("run") / "archive.sqlite").read_bytes()


@pytest.mark.parametrize("part", [0.03, 0.1, 0.5, 0.99])
def test_a_truncated_archive_is_refused_and_left_alone(path: Path, intact: bytes, part: float) -> None:
    path.write_bytes(intact[: int(part * len(intact))])
    before = path.read_bytes()
    with refused("damaged or no archive"):
        everything(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for access in ("write", "look"):
        with refused("damaged or no archive"):
            Archive(path, access)
    assert path.read_bytes() == content


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.commit()
    other.close()
    with refused("no archive of lossgen's"):
        Archive(path)
    tables = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("recipes",)]


def test_damage_in_the_middle_is_told_when_it_is_read_and_found_before_work_begins(path: Path, intact: bytes) -> None:
    page = intact.index(b"loss A(y_pred)") // 4096 * 4096
    path.write_bytes(intact[:page] + b"\xee" * 4096 + intact[page + 4096 :])
    archive = Archive(path)
    assert archive.meta("objectives") == {"FD": "min"}
    with refused("damaged"):
        archive.candidates()
    with refused("damaged"):
        archive.check()


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), length=st.sampled_from([1, 4, 100, 4096]), cut=st.booleans())
def test_whatever_is_damaged_is_told_in_one_line(
    intact: bytes, tmp_path_factory: pytest.TempPathFactory, seed: int, length: int, cut: bool
) -> None:
    chance = random.Random(seed)
    content, at = bytearray(intact), chance.randrange(len(intact))
    content[at : at + length] = chance.randbytes(length)
    folder = tmp_path_factory.mktemp("run")
    (folder / "archive.sqlite").write_bytes(content[: chance.randrange(1, len(intact))] if cut else content)
    try:
        everything(folder / "archive.sqlite")
    except InputError as error:
        assert "\n" not in str(error)
    finally:
        shutil.rmtree(folder)


def test_without_the_wal_what_was_written_last_is_gone_and_the_archive_is_not(path: Path) -> None:
    archive = Archive(path)
    archive.add_outcome(KEY, "A", OK)
    killed = path.parent.parent / "killed" / "run" / path.name
    killed.parent.mkdir(parents=True)
    killed.write_bytes(path.read_bytes())
    archive = Archive(killed)
    assert (archive.outcomes(), archive.is_new) == ([], False)


def test_an_archive_that_is_gone_is_made_anew_whatever_sqlite_left_beside_it(path: Path) -> None:
    archive = Archive(path)
    archive.add_outcome(KEY, "A", OK)
    left = path.with_name(path.name + "-wal").read_bytes()
    archive.close()
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(left)
    with refused("is not there"):
        Archive(path, "look")
    again = Archive(path)
    assert again.is_new
    assert again.outcomes() == []
