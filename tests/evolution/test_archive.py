"""The archive: what is written is read, and what is no archive is refused."""

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey
from lossgen.runner import Outcome

ROW = CandidateRow(0, 3, "loss A(y_pred) = y_pred", 1, "d1", "f1", "rejected", "flat: fake", "fresh", ("p", "q"))


def test_candidates_and_outcomes_come_back_as_they_were(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.sqlite")
    archive.add_candidates([ROW])
    outcome = Outcome("ok", {"FD": 1.5}, "", 10, 0.25, {"model": tmp_path / "m" / "x.pt"}, [(5, {"FD": 2.0})])
    key = OutcomeKey("search", "d1", 0, 10)
    archive.add_outcome(key, "A", outcome)
    archive.close()
    again = Archive(tmp_path / "a.sqlite")
    assert again.candidates() == [ROW]
    assert again.outcome(key) == outcome
    assert again.outcomes() == [(key, "A", outcome)]
    assert again.outcome(OutcomeKey("search", "d1", 0, 20)) is None
    assert again.waterfall() == {"proposed": 1, "flat": 1}


def test_files_move_with_the_run(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    archive = Archive(old / "a.sqlite")
    key = OutcomeKey("search", "d", 0, 1)
    archive.add_outcome(key, "A", Outcome("ok", files={"model": old / "models" / "m.pt"}))
    archive.close()
    new = old.rename(tmp_path / "new")
    found = Archive(new / "a.sqlite").outcome(key)
    assert found is not None
    assert found.files["model"] == new / "models" / "m.pt"


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or no archive"):
        Archive(path)
    assert path.read_bytes() == content


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    archive = Archive(path)
    archive.add_candidates([dataclasses.replace(ROW, number=i) for i in range(200)])
    archive.close()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged or no archive"):
        Archive(path).candidates()


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.commit()
    other.close()
    with pytest.raises(InputError, match="no archive of lossgen's"):
        Archive(path)
    tables = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("recipes",)]


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    archive = Archive(path)
    archive.set_meta("schema", 99)
    archive.close()
    with pytest.raises(InputError, match="schema 99"):
        Archive(path)
