"""A disk that fills up in the middle of a run: one line; once there is space, a resume ends as if nothing had been."""

import os
import resource
import subprocess
from pathlib import Path

import pytest
from torture.harness import SEARCH, TOY, Driver, assert_whole, differences, lossgen, record

COMPARE: list[str | Path] = ["compare", "bce", "lsgan", "--runner", TOY, "--steps", "10", "--seeds", "6"]
MANY = pytest.mark.skipif("LOSSGEN_TORTURE" not in os.environ, reason="part of `make torture`")


def ends_in_one_line(driver: Driver) -> str:
    """The message that a run ends with; no traceback, exit code 2."""
    assert driver.end() == 2, driver.said
    assert "Traceback" not in driver.said
    assert driver.said.count("error: ") == 1
    return driver.lines[-1]


@pytest.mark.parametrize(
    ("command", "kilobytes"), [(COMPARE, 64), *[pytest.param(SEARCH, k, marks=MANY) for k in (20, 64, 100)]]
)
def test_no_file_can_grow(command: list[str | Path], kilobytes: int, tmp_path: Path) -> None:
    command = [*command, "--workers", "1"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, resource.RLIM_INFINITY))

    message = ends_in_one_line(Driver(tmp_path, *command, "--out", "run", preexec_fn=limit))
    assert "run/" in message
    print(message)
    if (tmp_path / "run" / "run.toml").exists():
        assert "--resume run" in message
        lossgen(tmp_path, command[0], "--resume", "run")
    else:
        lossgen(tmp_path, *command, "--out", "run")
    lossgen(tmp_path, *command, "--out", "other")
    assert not differences(record(tmp_path / "run"), record(tmp_path / "other"))
    assert_whole(tmp_path)


@MANY
@pytest.mark.parametrize("kilobytes", [80, 160, 320, 480])
def test_a_full_disk(kilobytes: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        command = [*SEARCH, "--workers", "1"]
        message = ends_in_one_line(Driver(disk, *command, "--out", "run"))
        assert "run/" in message or "generated" in message
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        begun = (disk / "run" / "run.toml").exists()
        lossgen(disk, *(["evolve", "--resume", "run"] if begun else [*command, "--out", "run"]))
        lossgen(tmp_path, *command, "--out", "other")
        assert not differences(record(disk / "run"), record(tmp_path / "other"))
        assert_whole(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
