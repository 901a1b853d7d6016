"""The archive of a run: every candidate, its fate, and every outcome, in one SQLite file.

It is also how a run resumes. The engine is a function of the configuration and of the outcomes; an outcome that stands
here is not trained again, so a run that was killed takes the same way up to where it was, in seconds.
"""

import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossgen.errors import InputError
from lossgen.runner import Outcome

SCHEMA = 1
_TABLES = """
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
"""


@dataclass(frozen=True)
class CandidateRow:
    """One proposal and what became of it.

    Attributes:
        generation, number: its place; the number counts the proposals of a generation.
        loss: loss text.
        size: nodes.
        digest: of the loss, whatever its name.
        fingerprint: of its gradients; "" where the screen has rejected it.
        fate: "trained", "rejected", "duplicate" or "untrained".
        reason: of a rejection (its `Rejection`, a colon, where and by how much), or what it duplicates.
        origin: how it was made.
        parents: digests.
    """

    generation: int
    number: int
    loss: str
    size: int
    digest: str
    fingerprint: str
    fate: str
    reason: str
    origin: str
    parents: tuple[str, ...]


_COLUMNS = tuple(field.name for field in dataclasses.fields(CandidateRow))


@dataclass(frozen=True)
class OutcomeKey:
    """What an outcome is the outcome of."""

    stage: str
    digest: str
    replicate: int
    steps: int


class Archive:
    """An open archive. Every write is committed before the call returns."""

    def __init__(self, path: Path, create: bool = True) -> None:
        """Open `path`, or make it.

        Args:
            create: False to refuse where it is not there.

        Raises:
            InputError: it cannot be opened, is damaged, or is not an archive of lossgen's.
        """
        self.path = path
        try:
            existed = path.exists() and path.stat().st_size > 0
            if not existed and not create:
                raise InputError(f"archive {path}: is not there; without it the run cannot be shown or resumed")
            if existed and not os.access(path, os.W_OK):
                raise InputError(f"archive {path}: is read-only; give its folder write permission")
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # a commit outlives a power cut
            if not existed:
                schema = f"INSERT INTO meta VALUES ('schema', '{SCHEMA}');"
                self._db.executescript("BEGIN;" + _TABLES + schema + "COMMIT;")
            elif self.meta("schema") != SCHEMA:
                raise InputError(f"archive {path}: schema {self.meta('schema')}, this lossgen reads {SCHEMA}")
        except OSError as error:
            raise InputError(f"archive {path}: {error.strerror}") from None
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"archive {path}: cannot be used ({error}); it is damaged or no archive of lossgen's: "
                "move it away and run the command again"
            ) from None

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise InputError(
                f"archive {self.path}: cannot be written ({error}); free space or fix permissions, then --resume"
            ) from None

    def meta(self, key: str, default: Any = None) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set_meta(self, key: str, value: Any) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def add_candidates(self, rows: list[CandidateRow]) -> None:
        """Record proposals; those of a place that is taken replace it (a replay writes the same again)."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (r.generation, r.number, r.loss, r.size, r.digest, r.fingerprint, r.fate, r.reason, r.origin,
                     json.dumps(r.parents))
                    for r in rows
                ],
            )  # fmt: skip

    def candidates(self) -> list[CandidateRow]:
        """All proposals in order."""
        rows = self._db.execute("SELECT * FROM candidates ORDER BY generation, number").fetchall()
        return [CandidateRow(**{**dict(zip(_COLUMNS, row)), "parents": tuple(json.loads(row[-1]))}) for row in rows]

    def waterfall(self) -> dict[str, int]:
        """Counts by fate: proposed, each rejection, duplicates, trained."""
        rows = self._db.execute(
            "SELECT CASE fate WHEN 'rejected' THEN substr(reason, 1, instr(reason || ':', ':') - 1) ELSE fate END, "
            "COUNT(*) FROM candidates GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
        return {"proposed": sum(count for _, count in rows), **dict(rows)}

    def outcome(self, key: OutcomeKey) -> Outcome | None:
        row = self._db.execute(
            "SELECT status, metrics, reason, step, seconds, files, curve FROM outcomes "
            "WHERE stage = ? AND digest = ? AND replicate = ? AND steps = ?",
            (key.stage, key.digest, key.replicate, key.steps),
        ).fetchone()
        return None if row is None else _outcome(row, self.path.parent)

    def add_outcome(self, key: OutcomeKey, name: str, outcome: Outcome) -> None:
        files = {kind: _relative(path, self.path.parent) for kind, path in outcome.files.items()}
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key.stage, key.digest, key.replicate, key.steps, name, outcome.status,
                    json.dumps(dict(outcome.metrics)), outcome.reason, outcome.step, outcome.seconds,
                    json.dumps(files), json.dumps([[step, dict(metrics)] for step, metrics in outcome.curve]),
                ),
            )  # fmt: skip

    def outcomes(self, stage: str | None = None) -> list[tuple[OutcomeKey, str, Outcome]]:
        """All outcomes (of a stage) with their keys and the names of their losses, in a fixed order."""
        rows = self._db.execute(
            "SELECT stage, digest, replicate, steps, name, status, metrics, reason, step, seconds, files, curve "
            "FROM outcomes WHERE ? IS NULL OR stage = ? ORDER BY stage, name, digest, replicate, steps",
            (stage, stage),
        ).fetchall()
        return [(OutcomeKey(*row[:4]), row[4], _outcome(row[5:], self.path.parent)) for row in rows]


def _relative(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path)


def _outcome(row: tuple[Any, ...], root: Path) -> Outcome:
    status, metrics, reason, step, seconds, files, curve = row
    return Outcome(
        status,
        json.loads(metrics),
        reason,
        step,
        seconds,
        {kind: root / name for kind, name in json.loads(files).items()},
        [(at, values) for at, values in json.loads(curve)],
    )
