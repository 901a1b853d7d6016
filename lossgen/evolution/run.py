"""A run is a folder: run.toml, archive.sqlite, and what is written at its end."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive
from lossgen.evolution.conditions import condition_of
from lossgen.evolution.config import RunConfig, read_config, write_config
from lossgen.files import expanded, sweep

RUNS = Path("runs")
CONFIG, ARCHIVE, LOCK, LOGS = "run.toml", "archive.sqlite", ".lock", "logs"
PACKAGES = ("lossgen", "torch", "torchvision", "numpy", "numba", "sympy", "lark")


class Run:
    """An open run.

    Attributes:
        path: its folder.
        config: what it was asked to do.
        archive: what it has found out.
        notes: what the user should know about how it was opened.
    """

    def __init__(self, path: Path, config: RunConfig, archive: Archive) -> None:
        self.path = path
        self.config = config
        self.archive = archive
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        return self.path.name

    def record(self) -> dict[str, Any]:
        """What the run found, without times, paths, host or worker count: equal for equal runs."""
        archive = self.archive
        config = self.config.model_dump(exclude_none=True, exclude={"timeout", "space_text"})
        config["data"].pop("root", None)
        if config["runner"] == "command":
            config["options"].pop("folder", None)
        config["runner"] = Path(config["runner"]).stem
        config["data"]["name"] = Path(config["data"]["name"]).name
        interim = archive.meta("interim", False)  # if not, what an earlier stop had verified is none of the run's
        return {
            "schema": 1,
            "finished": archive.meta("finished", False),
            "reproducible": archive.meta("reproducible", True),
            "config": config,
            "protocol": archive.meta("protocol", {}),
            "steps": archive.meta("steps"),
            "budget": archive.meta("budget"),
            "waterfall": archive.waterfall(),
            "candidates": [
                {
                    "generation": row.generation, "number": row.number, "loss": row.loss, "fate": row.fate,
                    "reason": row.reason, "origin": row.origin,
                }
                for row in archive.candidates()
            ],
            "outcomes": [
                {
                    "stage": key.stage, "loss": key.digest[:12], "name": name, "replicate": key.replicate,
                    "steps": key.steps, "status": outcome.status, "reason": outcome.reason, "step": outcome.step,
                    "metrics": dict(outcome.metrics), "curve": [list(point) for point in outcome.curve],
                    **({"condition": condition_of(key.condition)} if key.condition else {}),
                }
                for key, name, outcome in archive.outcomes()
                if interim or key.stage != "interim"
            ],
            "foretold": archive.meta("foretold"),
            "audit": archive.meta("audit"),
            "result": archive.meta("result", {}),
        }  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {"python": platform.python_version(), "platform": sys.platform, **installed(PACKAGES)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Versions of packages; "not installed" of those that are not."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@contextmanager
def create_run(path: Path, config: RunConfig) -> Iterator[Run]:
    """Make the folder of a new run and open it.

    Where the run is refused before anything was trained, what was made is taken away again, but for the logs of
    trainings that failed.

    Raises:
        InputError: the folder holds something already, cannot be written, or another process has it.
    """
    if path.is_file():
        raise InputError(f"--out {path}: is a file; give a folder")
    try:
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        _refuse_occupied(path)
        with _locked(path):
            _refuse_occupied(path)  # another process may have been first
            write_config(config, path / CONFIG, versions())
            _outlive_power_cut(path / CONFIG)
            archive = Archive(path / ARCHIVE)
    except OSError as error:
        raise InputError(f"--out {path}: cannot be written: {error.strerror or error}") from None
    with _locked(path):
        try:
            yield Run(path, config, archive)
        except InputError:
            if _is_empty(archive):
                archive.close()
                _clear(path, made)
            raise
        finally:
            archive.close()


def _refuse_occupied(path: Path) -> None:
    sweep(path, CONFIG)
    if (path / CONFIG).exists():
        raise InputError(f"--out {path}: holds a run already; go on with `--resume {path}`, or choose another")
    if any(entry.name not in (LOCK, LOGS) for entry in path.iterdir()):
        raise InputError(f"--out {path}: is not empty; give a new or an empty folder")


def _is_empty(archive: Archive) -> bool:
    try:
        return not archive.outcomes()
    except InputError:  # it cannot be read, which may be why the run has ended: whatever is in there stays
        return False


def _outlive_power_cut(path: Path) -> None:
    """Have the system write a file to the disk now, as SQLite has it done for the archive."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _clear(path: Path, made: bool) -> None:
    """Take away what a refused run has made, but for the logs that trainings left: they say what is wrong."""
    for log in (path / LOGS).glob("worker-*.log"):
        log.unlink()
    kept = any(path.glob(f"{LOGS}/*"))
    for entry in path.iterdir():
        if not entry.is_dir():
            entry.unlink(missing_ok=True)
        elif entry.name != LOGS or not kept:
            shutil.rmtree(entry, ignore_errors=True)
    if made and not kept:
        path.rmdir()


@contextmanager
def open_run(name: str | Path, *, locked: bool = True) -> Iterator[Run]:
    """Open a run that exists: a folder, or a unique prefix of one under ./runs.

    A run that is opened to be worked on starts over where its archive is gone: run.toml says all that it needs.

    Args:
        locked: refuse when another process works on it; False to look only, and change nothing.

    Raises:
        InputError: no such run, several, or one that is damaged or in use.
    """
    path = find_run(name)
    config = read_config(path / CONFIG)
    with _locked(path) if locked else nullcontext():
        archive = Archive(path / ARCHIVE, "write" if locked else "look")
        try:
            if locked:
                sweep(path)
            run = Run(path, config, archive)
            if archive.is_new:
                run.notes.append(f"run {path}: its {ARCHIVE} is gone; the run starts over from its {CONFIG}")
            elif locked:
                archive.check()
            yield run
        finally:
            archive.close()


def find_run(name: str | Path, holds: Sequence[str] = (CONFIG,)) -> Path:
    """The folder of a run, from a path or a unique prefix under ./runs.

    Args:
        holds: the files by one of which it is known.

    Raises:
        InputError: there is none, or there are several.
    """
    path = expanded(name)
    if any((path / file).is_file() for file in holds):
        return path
    if path.is_dir():
        none = " or ".join(holds)
        raise InputError(f"run {name}: no {none} in this folder; `lossgen runs` lists the runs under ./{RUNS}")
    text = str(name)
    folders = sorted({found.parent for file in holds for found in RUNS.glob(f"*/{file}")})
    matches = [folder for folder in folders if text and folder.name.startswith(text)]
    exact = [path for path in matches if path.name == text]
    if exact or len(matches) == 1:
        return (exact or matches)[0]
    if matches:
        raise InputError(f"run {name}: several begin so: {', '.join(p.name for p in matches[:5])}")
    raise InputError(
        f"run {name}: not found; give its folder, or the beginning of its name under ./{RUNS} (lossgen runs)"
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"run {path}: another process is working on it; wait for it, or stop it") from None
    except OSError as error:
        raise InputError(f"run {path}: cannot be locked: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()
