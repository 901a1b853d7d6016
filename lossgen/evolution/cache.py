"""Outcomes across runs: the same text trained again in the same way comes to the same end, bit by bit on a CPU.

The key holds what an outcome is known to depend on: the emitted text, the seed, the steps; the runner's file, options
and protocol; the data as they were asked for; the code of lossgen that trains; the versions of the packages that
compute, the CPU and the system. It does not hold data that a runner leaves out of its protocol, the files that a runner
imports, what a command reads beside the scripts that it names, the GPU and its driver, or environment variables: where
one of them changes, run without --cache, or delete the file. Only what a training came to is kept; a timeout or a crash
may be the machine's fault.
"""

import functools
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import filelock

from lossgen.devices import cpu
from lossgen.errors import InputError
from lossgen.evolution.database import Database
from lossgen.evolution.run import installed
from lossgen.evolution.workers.messages import outcome_from_json, outcome_to_json
from lossgen.resources import cache_dir
from lossgen.runner import Member, Outcome

KEPT = ("ok", "diverged", "collapsed")
"""Statuses of outcomes that another training would have, too."""

PACKAGES = ("torch", "torchvision", "numpy")
SOURCES = (
    "gan", "codegen/load.py", "evolution/workers", "runner.py", "commands.py", "devices.py", "guarded.py",
)  # fmt: skip
"""Packages, and parts of lossgen, that trainings run through beside the runner's file and the emitted text."""


class OutcomeCache(Database):
    """Outcomes by `cache_key`, in one file; several processes may use it at once.

    Args:
        path: of the file; else `outcomes.sqlite` in the cache folder, which LOSSGEN_CACHE moves.

    Raises:
        InputError: the file is damaged, or cannot be written.
    """

    kind = "outcome cache"
    migrations = (
        (
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
            "CREATE TABLE outcomes (key TEXT PRIMARY KEY, outcome TEXT NOT NULL) WITHOUT ROWID",
        ),
    )
    synchronous = "NORMAL"  # what a power cut takes is trained again

    def __init__(self, path: Path | None = None) -> None:
        path = path or cache_dir() / "outcomes.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(path.with_suffix(".lock")):  # one makes the tables
                super().__init__(path)
        except OSError as error:
            where = f"cache folder {path.parent} cannot be written ({error.strerror or error})"
            raise InputError(f"{where}: set LOSSGEN_CACHE to a folder that can") from None

    def go_on(self) -> str:
        return "run the command again, without --cache if need be"

    def start_over(self) -> str:
        return "run the command again: a new one is made"

    def get(self, key: str) -> Outcome | None:
        """The outcome of a training that was made before; None where there is none."""
        found = self.rows("SELECT outcome FROM outcomes WHERE key = ?", (key,))
        with self.reading():
            return outcome_from_json(json.loads(found[0][0])) if found else None

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome, without its files; one that another training might not have is not kept."""
        if outcome.status not in KEPT:
            return
        text = json.dumps({**outcome_to_json(outcome), "files": {}})
        with self.together() as db:
            db.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?)", (key, text))


def cache_key(
    member: Member,
    steps: int,
    runner_digest: str,
    options: Mapping[str, Any],
    protocol: Mapping[str, Any],
    data: Mapping[str, Any],
    device: str,
) -> str:
    """Hash (hex, 64 digits) of what the outcome of a training depends on; the module says what is left out.

    Args:
        member: its emitted text, seed and condition count, its name does not; it starts at step 0.
        steps: the absolute step that it is trained to.
        runner_digest: hash of the runner's file.
        options: of the runner, as JSON values.
        protocol: of `Runner.prepare`; a runner that reads data has their hash in there.
        data: name, image size, fit and seed, as they were asked for.
        device: it is trained on.
    """
    if member.state is not None:
        raise ValueError("a training that is continued has no key: what came before it is not in the text")
    recipe = {
        "source": member.source,
        "seed": list(member.seed),
        "condition": dict(member.condition),
        "steps": steps,
        "runner": runner_digest,
        "options": dict(options),
        "protocol": dict(protocol),
        "data": dict(data),
        "device": device,
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@functools.cache
def _versions() -> dict[str, str]:
    """What the arithmetic is done with."""
    machine = {"machine": platform.machine(), "system": platform.system(), "cpu": cpu()}
    return {**machine, "lossgen": _digest(SOURCES), **installed(PACKAGES)}


def _digest(parts: Iterable[str]) -> str:
    """Hash of parts of lossgen's source."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for part in parts:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
