"""lossgen doctor: what works, and what to do about what does not."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossgen.api import doctor
from lossgen.cli import cli


def found(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = CliRunner().invoke(cli, ["doctor", "--json", *arguments])
    return done.exit_code, {each["name"]: each for each in json.loads(done.output)}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LOSSGEN_DATA", raising=False)


def test_here_all_that_is_needed_works() -> None:
    code, each = found()
    assert code == 0, each
    assert each["packages"]["state"] == each["PyTorch"]["state"] == each["engine"]["state"] == "ok"
    assert {f"extra {name}" for name in doctor.EXTRAS} <= set(each)
    assert not any(one["state"] == "problem" for one in each.values())
    assert all(one["advice"] for one in each.values() if one["state"] != "ok")


def test_lines_say_the_same(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 0 and "✓ packages" in done.output and done.output.endswith("\nNo problems.\n")


def test_what_does_not_work_is_a_problem_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGEN_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**6))  # type: ignore[attr-defined]
    code, each = found()
    assert code == 1
    assert each["data"]["state"] == "problem" and "unset LOSSGEN_DATA" in each["data"]["advice"]
    assert each["disk, here"]["state"] == each["disk, cache"]["state"] == "problem"
    said = CliRunner().invoke(cli, ["doctor"]).output
    assert said.endswith("\nProblems: data, disk, here, disk, cache.\n") and "→ free some: 2 GiB are needed" in said


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are none there")
def test_a_compiler_that_does_not_compile_and_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "c++"
    bad.write_text("#!/bin/sh\necho 'fatal error: cmath: No such file' >&2\nexit 1\n")
    bad.chmod(0o755)
    monkeypatch.setenv("CXX", str(bad))
    (one,) = doctor.CHECKS["C++ compiler"]()
    assert one.state == "problem" and "fatal error: cmath" in one.what and "CXX" in one.advice
    monkeypatch.setenv("CXX", "no-such-compiler")
    (one,) = doctor.CHECKS["C++ compiler"]()
    assert one.state == "note" and "install g++" in one.advice


def test_a_package_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["numpy>=99", "nosuchpackage", "ray>=1; extra == 'ray'"]
    )
    (one,) = doctor.CHECKS["packages"]()
    assert one.state == "problem" and "nosuchpackage is missing" in one.what and ">=99 is needed" in one.what
    assert "ray" not in one.what


def test_a_check_that_breaks_is_a_problem_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("a library is missing")

    monkeypatch.setitem(doctor.CHECKS, "PyTorch", broken)  # type: ignore[arg-type]
    code, each = found()
    assert code == 1 and "a library is missing" in each["PyTorch"]["what"] and each["engine"]["state"] == "ok"
