"""The archive: what is written is read, also what an older lossgen wrote."""

import dataclasses
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossgen.errors import InputError
from lossgen.evolution import database
from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey, found_name
from lossgen.language.parser import parse_loss
from lossgen.runner import Outcome

ROW = CandidateRow(0, 3, "loss A(y_pred) = y_pred", 1, "d1", "f1", "rejected", "flat: fake", "fresh", ("p", "q"))
KEY = OutcomeKey("search", "d1", 0, 10)
OK = Outcome("ok", {"FD": 1.5}, "", 10, 0.25, {}, [(5, {"FD": 2.0})])

SCHEMA_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE candidates (
    generation INTEGER NOT NULL, number INTEGER NOT NULL, loss TEXT NOT NULL, size INTEGER NOT NULL,
    digest TEXT NOT NULL, fingerprint TEXT NOT NULL, fate TEXT NOT NULL, reason TEXT NOT NULL,
    origin TEXT NOT NULL, parents TEXT NOT NULL, PRIMARY KEY (generation, number));
CREATE TABLE outcomes (
    stage TEXT NOT NULL, digest TEXT NOT NULL, replicate INTEGER NOT NULL, steps INTEGER NOT NULL,
    name TEXT NOT NULL, status TEXT NOT NULL, metrics TEXT NOT NULL, reason TEXT NOT NULL, step INTEGER NOT NULL,
    seconds REAL NOT NULL, files TEXT NOT NULL, curve TEXT NOT NULL,
    PRIMARY KEY (stage, digest, replicate, steps));
INSERT INTO meta VALUES ('schema', '1');
INSERT INTO candidates VALUES
    (0, 3, 'loss A(y_pred) = y_pred', 1, 'd1', 'f1', 'rejected', 'flat: fake', 'fresh', '["p", "q"]');
INSERT INTO outcomes VALUES
    ('search', 'd1', 0, 10, 'A', 'ok', '{"FD": 1.5}', '', 10, 0.25, '{}', '[[5, {"FD": 2.0}]]');
"""
"""An archive as the first lossgen wrote it, with ROW and with OK."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "archive.sqlite"


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    path.parent.mkdir()
    archive = Archive(path)
    yield archive
    archive.close()


@pytest.fixture
def old(path: Path) -> Path:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript(SCHEMA_1)
    db.close()
    return path


def refused(word: str) -> "pytest.RaisesExc[InputError]":
    """One line that holds the word and says the way on."""
    return pytest.raises(InputError, match=rf"\A[^\n]*{word}[^\n]*--resume \S*run[^\n]*\Z")


def test_candidates_and_outcomes_come_back_as_they_were(path: Path, archive: Archive) -> None:
    archive.add_candidates([ROW])
    outcome = dataclasses.replace(OK, files={"model": path.parent / "m" / "x.pt"})
    archive.add_outcome(KEY, "A", outcome)
    archive.close()
    for again in (Archive(path), Archive(path, "look")):
        assert again.candidates() == [ROW]
        assert again.outcome(KEY) == outcome
        assert again.outcomes() == [(KEY, "A", outcome)]
        assert again.outcome(dataclasses.replace(KEY, steps=20)) is None
        assert again.waterfall() == {"proposed": 1, "flat": 1}
        assert not again.is_new
        again.close()


def test_files_move_with_the_run(path: Path, archive: Archive) -> None:
    archive.add_outcome(KEY, "A", dataclasses.replace(OK, files={"model": path.parent / "models" / "m.pt"}))
    archive.close()
    new = path.parent.rename(path.parent.parent / "new")
    found = Archive(new / path.name).outcome(KEY)
    assert found is not None
    assert found.files["model"] == new / "models" / "m.pt"


def test_the_waterfall_goes_on_to_the_cache_and_the_verification(archive: Archive) -> None:
    fates = ["trained"] * 3 + ["untrained"] + ["duplicate"] * 5 + ["rejected"] * 2
    archive.add_candidates([dataclasses.replace(ROW, number=i, fate=fate) for i, fate in enumerate(fates)])
    assert archive.waterfall() == {"proposed": 11, "flat": 2, "duplicate": 5, "untrained": 1, "trained": 3}
    for digest, replicate, cached in (("a", 0, True), ("a", 1, True), ("b", 0, True), ("b", 1, False), ("c", 0, False)):
        archive.add_outcome(OutcomeKey("search", digest, replicate, 10), "A", OK, cached)
    name = found_name(parse_loss("y_pred").digest())
    for digest, called in (("a", name), ("x", name), ("y", "Bce")):
        for replicate in range(2):
            archive.add_outcome(OutcomeKey("verify", digest, replicate, 10), called, OK)
            archive.add_outcome(OutcomeKey("interim", "z", replicate, 10), name, OK)
    assert list(archive.waterfall().items())[2:] == [
        ("duplicate", 5), ("untrained", 1), ("cache", 1), ("trained", 2), ("verified", 2)
    ]  # fmt: skip
    assert cached_count(archive) == 3


def cached_count(archive: Archive) -> int:
    return len(archive.rows("SELECT 1 FROM outcomes WHERE cached"))


def test_writes_together_are_all_kept_or_none(archive: Archive) -> None:
    with pytest.raises(KeyboardInterrupt), archive.together():
        archive.add_outcome(KEY, "A", OK)
        archive.set_meta("elapsed", 1.0)
        raise KeyboardInterrupt
    assert archive.outcome(KEY) is None
    with archive.together():
        archive.add_outcome(KEY, "A", OK)
        archive.set_meta("elapsed", 2.0)
    assert (archive.outcome(KEY), archive.meta("elapsed")) == (OK, 2.0)


def test_an_old_archive_is_brought_up_to_date(old: Path) -> None:
    archive = Archive(old)
    assert archive.meta("schema") == len(Archive.migrations) == 3
    assert archive.candidates() == [ROW]
    assert archive.outcome(KEY) == OK
    archive.add_outcome(dataclasses.replace(KEY, replicate=1), "A", OK, cached=True)
    assert cached_count(archive) == 1
    archive.close()
    assert cached_count(Archive(old)) == 1


def test_an_update_that_fails_leaves_the_archive_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*Archive.migrations[1], "INSERT INTO nowhere VALUES (1)")
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "migrations", (Archive.migrations[0], broken))
        with pytest.raises(InputError, match="nowhere"):
            Archive(old)
    archive = Archive(old)
    assert archive.outcome(KEY) == OK


@pytest.mark.parametrize("may_write", [True, False])
def test_looking_at_an_old_archive_changes_nothing(old: Path, may_write: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.read_bytes()
    monkeypatch.setattr(database.os, "access", lambda path, mode: may_write)
    archive = Archive(old, "look")
    assert (archive.outcome(KEY), cached_count(archive), archive.waterfall()) == (OK, 0, {"proposed": 1, "flat": 1})
    with refused("cannot be used"):
        archive.set_meta("finished", True)
    archive.close()
    assert old.read_bytes() == before
    assert [entry.name for entry in old.parent.iterdir()] == [old.name]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_in_a_sealed_folder_is_shown_and_not_resumed(path: Path, archive: Archive) -> None:
    archive.add_candidates([ROW])
    archive.close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert Archive(path, "look").candidates() == [ROW]
        with refused("read-only"):
            Archive(path)
    finally:
        path.parent.chmod(0o700)


def test_a_newer_archive_is_refused(path: Path, archive: Archive) -> None:
    archive.set_meta("schema", 99)
    archive.close()
    for access in ("write", "look"):
        with pytest.raises(InputError, match=r"schema 99, .* update lossgen\Z"):
            Archive(path, access)


def test_conditions_are_told_apart_and_an_older_archive_has_none(old: Path) -> None:
    under = dataclasses.replace(KEY, condition='{"r1":10.0}')
    archive = Archive(old)
    assert archive.outcome(under) is None
    archive.add_outcome(under, "A", dataclasses.replace(OK, metrics={"FD": 9.0}))
    archive.close()
    again = Archive(old)
    assert [(key, outcome.metrics["FD"]) for key, _, outcome in again.outcomes()] == [(KEY, 1.5), (under, 9.0)]
    assert again.outcome(KEY) == OK
