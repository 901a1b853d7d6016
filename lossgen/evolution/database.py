"""An SQLite file that survives what happens to files: kills, power cuts, full disks, other processes, old versions.

What cannot be helped is said in one line, wherever it happens: what is wrong, with which file, and the way on.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from lossgen.errors import InputError

BUSY_TIMEOUT = 5.0
"""Seconds that a locked file is waited for."""

Access = Literal["write", "look"]

_NO_SPACE = {sqlite3.SQLITE_FULL}
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NO_ACCESS = {
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_IOERR
}  # fmt: skip


class Database:
    """An open file. Every write is committed before the call returns, unless it stands in `together`.

    A subclass says what the file is, and how it came to be what it is: `migrations[i]` are the statements that lead
    from schema i to i + 1. Each is made in one transaction, so that a file is always of some schema. The table `meta`
    is in all of them and keeps the schema's number.

    Attributes:
        path: of the file.
        is_new: whether there was nothing in it when it was opened.
    """

    kind: ClassVar[str]
    """What messages call it."""
    migrations: ClassVar[Sequence[Sequence[str]]]
    synchronous: ClassVar[Literal["FULL", "NORMAL"]] = "FULL"
    """FULL: a commit outlives a power cut. NORMAL: the last ones may be lost with the power, the file is not."""

    def __init__(self, path: Path, access: Access = "write") -> None:
        """Open `path`.

        Args:
            access: "write" makes the file where it is not there or empty, and brings an older one up to date; "look"
                changes nothing: what is older, or in a folder that cannot be written, is brought up to date in memory.

        Raises:
            InputError: it cannot be opened, is damaged, of a newer lossgen, or something else.
        """
        self.path = path
        self.is_new = False
        try:
            with self._telling():
                self._db = self._to_write() if access == "write" else self._to_look()
        except OSError as error:
            raise InputError(f"{self.kind} {path}: {error.strerror or error}; see to it, then {self.go_on()}") from None

    def go_on(self) -> str:
        """The way on when the file was out of reach for a while, as a phrase."""
        raise NotImplementedError

    def start_over(self) -> str:
        """The way on when the file is lost, as a phrase."""
        raise NotImplementedError

    def close(self) -> None:
        self._db.close()

    def meta(self, key: str, default: Any = None) -> Any:
        """A value that was kept by `set_meta`."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        with self.reading():
            return json.loads(found[0][0]) if found else default

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a JSON value."""
        with self.together() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """All writes inside are one commit: of all of them or, where anything is raised, of none."""
        with self._telling():
            if self._db.in_transaction:  # part of another one
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # what went wrong first is what is told
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self._telling():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around code that makes of rows what they stand for: where it fails, the file is damaged."""
        try:
            yield
        except (ValueError, TypeError, AttributeError) as error:  # of json, and of what it gives
            raise self._damaged(error) from None

    def check(self) -> None:
        """Read the whole file, to find damage before work is spent on it.

        Raises:
            InputError: it is damaged.
        """
        found = self.rows("PRAGMA quick_check(1)")[0][0]
        if found != "ok":
            raise self._damaged(found)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what SQLite raises into a line that says the way on."""
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError):  # not the file's fault
            raise
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            where = f"{self.kind} {self.path}"
            if code in _NO_SPACE:
                raise InputError(f"{where}: the disk is full; free space, then {self.go_on()}") from None
            if code in _IN_USE:
                raise InputError(
                    f"{where}: another program has kept it locked for {BUSY_TIMEOUT:g} s; end that, then {self.go_on()}"
                ) from None
            if code in _NO_ACCESS:
                raise InputError(
                    f"{where}: cannot be used ({error}); see to the disk and its permissions, then {self.go_on()}"
                ) from None
            raise self._damaged(error) from None
        except UnicodeDecodeError as error:  # also of what SQLite wanted to say
            raise self._damaged(error) from None

    def _damaged(self, why: object) -> InputError:
        quoted = "".join(c if c.isprintable() else " " for c in str(why))[:100]  # it may quote the damage
        what = f"is damaged or no {self.kind} of lossgen's ({quoted})"
        return InputError(f"{self.kind} {self.path}: {what}; move it away or delete it, then {self.start_over()}")

    def _to_write(self) -> sqlite3.Connection:
        existed = self.path.exists() and self.path.stat().st_size > 0
        if existed and not os.access(self.path, os.W_OK):
            raise InputError(f"{self.kind} {self.path}: is read-only; give it write permission, then {self.go_on()}")
        if not existed:  # SQLite's companions of a file that is gone
            for companion in self._companions():
                companion.unlink(missing_ok=True)
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={self.synchronous}")
            if self._migrate(db, self._schema(db)):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the tables are there, also where the -wal is lost
        except BaseException:
            db.close()
            raise
        return db

    def _to_look(self) -> sqlite3.Connection:
        if not self.path.exists() or self.path.stat().st_size == 0:
            raise InputError(f"{self.kind} {self.path}: is not there; {self.start_over()}")
        may_write = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        in_use = any(companion.exists() for companion in self._companions())
        how = "mode=rw" if may_write else "mode=ro" if in_use else "immutable=1"
        uri = f"{self.path.resolve().as_uri()}?{how}"
        db = sqlite3.connect(uri, timeout=BUSY_TIMEOUT, isolation_level=None, uri=True)
        try:
            schema = self._schema(db)
            if schema < len(self.migrations):
                copy = sqlite3.connect(":memory:", isolation_level=None)
                db.backup(copy)
                db.close()
                db = copy
                self._migrate(db, schema)
            db.execute("PRAGMA query_only=ON")
        except BaseException:
            db.close()
            raise
        return db

    def _schema(self, db: sqlite3.Connection) -> int:
        if db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,):
            self.is_new = True
            return 0
        row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        with self.reading():
            schema = json.loads(row[0]) if row else None
        if not isinstance(schema, int) or schema < 1:
            raise self._damaged(f"schema {schema}")
        if schema > (known := len(self.migrations)):
            raise InputError(
                f"{self.kind} {self.path}: has schema {schema}, this lossgen knows {known}: update lossgen"
            )
        return schema

    def _migrate(self, db: sqlite3.Connection, schema: int) -> bool:
        """Bring the file up to date; whether there was anything to do."""
        for i in range(schema, len(self.migrations)):
            db.execute("BEGIN IMMEDIATE")
            try:
                for statement in self.migrations[i]:
                    db.execute(statement)
                db.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(i + 1),))
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
        return schema < len(self.migrations)

    def _companions(self) -> list[Path]:
        return [self.path.with_name(self.path.name + end) for end in ("-wal", "-shm")]
