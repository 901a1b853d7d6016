"""A run is a folder: run.toml, archive.sqlite, and what is written at its end."""

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive
from lossgen.evolution.config import RunConfig, read_config, write_config

RUNS = Path("runs")
CONFIG, ARCHIVE = "run.toml", "archive.sqlite"
PACKAGES = ("lossgen", "torch", "torchvision", "numpy", "numba", "sympy", "lark")


class Run:
    """An open run.

    Attributes:
        path: its folder.
        config: what it was asked to do.
        archive: what it has found out.
    """

    def __init__(self, path: Path, config: RunConfig, archive: Archive) -> None:
        self.path = path
        self.config = config
        self.archive = archive

    @property
    def name(self) -> str:
        return self.path.name

    def record(self) -> dict[str, Any]:
        """What the run found, without times, paths, host or worker count: equal for equal runs."""
        archive = self.archive
        config = self.config.model_dump(exclude_none=True, exclude={"timeout", "space_text"})
        config["data"].pop("root", None)
        config["runner"] = Path(config["runner"]).stem
        return {
            "schema": 1,
            "finished": archive.meta("finished", False),
            "reproducible": archive.meta("reproducible", True),
            "config": config,
            "protocol": archive.meta("protocol", {}),
            "steps": archive.meta("steps"),
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
                }
                for key, name, outcome in archive.outcomes()
            ],
            "result": archive.meta("result", {}),
        }  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version(), "platform": sys.platform}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@contextmanager
def create_run(path: Path, config: RunConfig) -> Iterator[Run]:
    """Make the folder of a new run and open it.

    Raises:
        InputError: the folder holds something already, or cannot be written.
    """
    if path.is_file():
        raise InputError(f"--out {path}: is a file; give a folder")
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(entry.name != ".lock" for entry in path.iterdir()):
            if (path / CONFIG).exists():
                raise InputError(f"--out {path}: holds a run already; go on with `--resume {path}`, or choose another")
            raise InputError(f"--out {path}: is not empty; give a new or an empty folder")
        with _locked(path):
            write_config(config, path / CONFIG, versions())
            archive = Archive(path / ARCHIVE)
            try:
                yield Run(path, config, archive)
            except InputError:
                made = made and not archive.outcomes()
                raise
            else:
                made = False
            finally:
                archive.close()
    except InputError:
        if made:  # refused before anything was trained: leave no folder behind
            shutil.rmtree(path, ignore_errors=True)
        raise
    except OSError as error:
        raise InputError(f"--out {path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def open_run(name: str | Path, *, locked: bool = True) -> Iterator[Run]:
    """Open a run that exists: a folder, or a unique prefix of one under ./runs.

    Args:
        locked: refuse when another process works on it; False to look only.

    Raises:
        InputError: no such run, several, or one that is damaged or in use.
    """
    path = find_run(name)
    config = read_config(path / CONFIG)
    if not locked:
        archive = Archive(path / ARCHIVE)
        try:
            yield Run(path, config, archive)
        finally:
            archive.close()
        return
    try:
        with _locked(path):
            archive = Archive(path / ARCHIVE)
            try:
                yield Run(path, config, archive)
            finally:
                archive.close()
    except OSError as error:
        raise InputError(f"run {path}: {error.strerror or error}") from None


def find_run(name: str | Path) -> Path:
    """The folder of a run, from a path or a unique prefix under ./runs."""
    path = Path(name)
    if (path / CONFIG).is_file():
        return path
    if path.is_dir():
        raise InputError(f"run {name}: no {CONFIG} in this folder; `lossgen runs` lists the runs under ./{RUNS}")
    text = str(name)
    matches = [p.parent for p in sorted(RUNS.glob(f"*/{CONFIG}")) if text and p.parent.name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(f"run {name}: several begin so: {', '.join(p.name for p in matches[:5])}")
    raise InputError(f"run {name}: not found; give its folder, or the beginning of its name under ./{RUNS}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"run {path}: another process is working on it; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()
