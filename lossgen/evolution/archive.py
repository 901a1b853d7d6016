"""The archive of a run: every candidate, its fate, and every outcome, in one SQLite file.

It is also how a run resumes. The engine is a function of the configuration and of the outcomes; an outcome that stands
here is not trained again, so a run that was killed takes the same way up to where it was, in seconds.
"""

import dataclasses
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossgen.evolution.database import Database
from lossgen.runner import Outcome

FOUND = "Evolved_"
"""What the names of found losses begin with."""

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE candidates (
    generation INTEGER NOT NULL, number INTEGER NOT NULL, loss TEXT NOT NULL, size INTEGER NOT NULL,
    digest TEXT NOT NULL, fingerprint TEXT NOT NULL, fate TEXT NOT NULL, reason TEXT NOT NULL,
    origin TEXT NOT NULL, parents TEXT NOT NULL, PRIMARY KEY (generation, number))""",
    """CREATE TABLE outcomes (
    stage TEXT NOT NULL, digest TEXT NOT NULL, replicate INTEGER NOT NULL, steps INTEGER NOT NULL,
    name TEXT NOT NULL, status TEXT NOT NULL, metrics TEXT NOT NULL, reason TEXT NOT NULL, step INTEGER NOT NULL,
    seconds REAL NOT NULL, files TEXT NOT NULL, curve TEXT NOT NULL,
    PRIMARY KEY (stage, digest, replicate, steps))""",
)
_CACHED = ("ALTER TABLE outcomes ADD COLUMN cached INTEGER NOT NULL DEFAULT 0",)
_CONDITION = (
    "ALTER TABLE outcomes RENAME TO outcomes_before",
    """CREATE TABLE outcomes (
    stage TEXT NOT NULL, digest TEXT NOT NULL, replicate INTEGER NOT NULL, steps INTEGER NOT NULL,
    condition TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, metrics TEXT NOT NULL, reason TEXT NOT NULL,
    step INTEGER NOT NULL, seconds REAL NOT NULL, files TEXT NOT NULL, curve TEXT NOT NULL, cached INTEGER NOT NULL,
    PRIMARY KEY (stage, digest, replicate, steps, condition))""",
    "INSERT INTO outcomes SELECT stage, digest, replicate, steps, '', name, status, metrics, reason, step, seconds, "
    "files, curve, cached FROM outcomes_before",
    "DROP TABLE outcomes_before",
)


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
    """What an outcome is the outcome of.

    Attributes:
        condition: text of what stood in place of the runner's options (`conditions.condition_text`).
    """

    stage: str
    digest: str
    replicate: int
    steps: int
    condition: str = ""


class Archive(Database):
    """An open archive."""

    kind = "archive"
    migrations = (_FIRST, _CACHED, _CONDITION)

    def go_on(self) -> str:
        return f"go on with --resume {self._run()}"

    def start_over(self) -> str:
        return f"--resume {self._run()} starts the run over"

    def _run(self) -> str:
        return shlex.quote(str(self.path.parent))

    def add_candidates(self, rows: list[CandidateRow]) -> None:
        """Record proposals; those of a place that is taken replace it (a replay writes the same again)."""
        with self.together() as db:
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
        rows = self.rows(f"SELECT {', '.join(_COLUMNS)} FROM candidates ORDER BY generation, number")
        with self.reading():
            return [CandidateRow(**{**dict(zip(_COLUMNS, row)), "parents": tuple(json.loads(row[-1]))}) for row in rows]

    def waterfall(self) -> dict[str, int]:
        """How many candidates came how far: proposed, each rejection, duplicate, untrained, cache, trained, verified.

        Those whose every outcome was taken from the outcome cache are no "trained"; others are that also before they
        are. "verified" are losses that were found, in the form that was verified; all but these sum up to the proposed.
        Only what there is has an entry.
        """
        rows = self.rows(
            "SELECT CASE fate WHEN 'rejected' THEN substr(reason, 1, instr(reason || ':', ':') - 1) ELSE fate END, "
            "COUNT(*) FROM candidates GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        counts: dict[str, int] = dict(rows)
        cached = self._count(
            "SELECT digest FROM outcomes WHERE stage IN ('search', 'polish') GROUP BY digest HAVING MIN(cached)"
        )
        after = {
            "duplicate": counts.pop("duplicate", 0),
            "untrained": counts.pop("untrained", 0),
            "cache": cached,
            "trained": counts.pop("trained", 0) - cached,
            "verified": self._count(
                "SELECT DISTINCT digest FROM outcomes WHERE stage = 'verify' AND substr(name, 1, ?) = ?",
                (len(FOUND), FOUND),
            ),
        }
        proposed = sum(count for _, count in rows)
        return {"proposed": proposed, **counts, **{name: count for name, count in after.items() if count}}

    def _count(self, query: str, values: tuple[Any, ...] = ()) -> int:
        return int(self.rows(f"SELECT COUNT(*) FROM ({query})", values)[0][0])

    def outcome(self, key: OutcomeKey) -> Outcome | None:
        """An outcome, None where there is none."""
        rows = self.rows(
            "SELECT status, metrics, reason, step, seconds, files, curve FROM outcomes "
            "WHERE stage = ? AND digest = ? AND replicate = ? AND steps = ? AND condition = ?",
            dataclasses.astuple(key),
        )
        with self.reading():
            return _outcome(rows[0], self.path.parent) if rows else None

    def add_outcome(self, key: OutcomeKey, name: str, outcome: Outcome, cached: bool = False) -> None:
        """Record an outcome.

        Args:
            name: of the loss.
            cached: whether it was taken from the outcome cache.
        """
        files = {kind: _relative(path, self.path.parent) for kind, path in outcome.files.items()}
        with self.together() as db:
            db.execute(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *dataclasses.astuple(key), name, outcome.status,
                    json.dumps(dict(outcome.metrics)), outcome.reason, outcome.step, outcome.seconds,
                    json.dumps(files), json.dumps([[step, dict(metrics)] for step, metrics in outcome.curve]),
                    int(cached),
                ),
            )  # fmt: skip

    def forget_files(self, key: OutcomeKey) -> None:
        """An outcome has no files any more; its place in the order of outcomes stays."""
        with self.together() as db:
            db.execute(
                "UPDATE outcomes SET files = '{}' WHERE stage = ? AND digest = ? AND replicate = ? AND steps = ? "
                "AND condition = ?",
                dataclasses.astuple(key),
            )

    def outcomes_as_they_came(self, stage: str) -> list[tuple[OutcomeKey, Outcome]]:
        """All outcomes of a stage, in the order in which they were recorded."""
        rows = self.rows(
            "SELECT stage, digest, replicate, steps, condition, status, metrics, reason, step, seconds, files, curve "
            "FROM outcomes WHERE stage = ? ORDER BY rowid",
            (stage,),
        )
        with self.reading():
            return [(OutcomeKey(*row[:5]), _outcome(row[5:], self.path.parent)) for row in rows]

    def outcomes(self, stage: str | None = None) -> list[tuple[OutcomeKey, str, Outcome]]:
        """All outcomes (of a stage) with their keys and the names of their losses, in a fixed order."""
        rows = self.rows(
            "SELECT stage, digest, replicate, steps, condition, name, status, metrics, reason, step, seconds, files, "
            "curve FROM outcomes WHERE ? IS NULL OR stage = ? "
            "ORDER BY stage, name, digest, condition, replicate, steps",
            (stage, stage),
        )
        with self.reading():
            return [(OutcomeKey(*row[:5]), row[5], _outcome(row[6:], self.path.parent)) for row in rows]


def found_name(digest: str) -> str:
    """Name of a loss that was found: the beginning of its digest."""
    return f"{FOUND}{digest[:8]}"


def _relative(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path)


def _outcome(row: tuple[Any, ...], root: Path) -> Outcome:
    status, metrics, reason, step, seconds, files, curve = row
    return Outcome(
        status,
        dict(json.loads(metrics)),
        reason,
        step,
        seconds,
        {kind: root / name for kind, name in json.loads(files).items()},
        [(at, dict(values)) for at, values in json.loads(curve)],
    )
