"""The outcome cache: what is found is what a training would come to, and a cache that is damaged says so."""

import dataclasses
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.devices import cpu
from lossgen.errors import InputError
from lossgen.evolution import cache as module
from lossgen.evolution.cache import KEPT, SOURCES, OutcomeCache, cache_key
from lossgen.resources import resource_dir
from lossgen.runner import SCRIPTS, Member, Outcome

OK = Outcome("ok", {"FD": 1.5, "KD": 0.1 + 0.2}, "", 10, 0.25, {}, [(5, {"FD": 2.0})])
MEMBER = Member("A", "text", (3, 0, 1), {"lr": 0.1})
ARGUMENTS: dict[str, Any] = {
    "member": MEMBER, "steps": 10, "runner_digest": "r", "options": {"width": 8, "ema": True},
    "protocol": {"data": "d", "N": 100}, "data": {"name": "digits", "fit": "pad"}, "device": "cpu",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept here" / "outcomes.sqlite"


def test_what_was_put_is_got_without_its_files(path: Path) -> None:
    cache = OutcomeCache(path)
    assert cache.get("k") is None
    cache.put("k", dataclasses.replace(OK, files={"model": Path("m.pt")}))
    cache.put("other", dataclasses.replace(OK, status="diverged", metrics={}, reason="nan"))
    cache.close()
    again = OutcomeCache(path)
    assert again.get("k") == OK
    assert again.get("other") == Outcome("diverged", {}, "nan", 10, 0.25, {}, [(5, {"FD": 2.0})])


@pytest.mark.parametrize("status", ["timeout", "crashed"])
def test_what_may_be_the_machines_fault_is_not_kept(path: Path, status: Any) -> None:
    assert status not in KEPT
    cache = OutcomeCache(path)
    cache.put("k", dataclasses.replace(OK, status=status, reason="slow"))
    assert cache.get("k") is None


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> OutcomeCache:
    return OutcomeCache(tmp_path_factory.mktemp("cache") / "outcomes.sqlite")


@given(metric=st.floats(allow_nan=False), step=st.integers(0, 10**6))
@settings(max_examples=50)
def test_numbers_come_back_bit_by_bit(cache: OutcomeCache, metric: float, step: int) -> None:
    outcome = Outcome("ok", {"FD": metric}, step=step, curve=[(step, {"FD": metric})])
    cache.put("k", outcome)
    assert cache.get("k") == outcome


def test_all_that_an_outcome_depends_on_is_in_the_key_and_the_name_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def member(**change: Any) -> dict[str, Any]:
        return {"member": dataclasses.replace(MEMBER, **change)}

    changes: list[dict[str, Any]] = [
        {}, member(source="text "), member(seed=(3, 0, 2)), member(seed=(3, 0)), member(condition={}),
        member(condition={"lr": 0.2}), {"steps": 11}, {"runner_digest": "s"}, {"options": {"width": 9, "ema": True}},
        {"options": {"width": 8}}, {"protocol": {"data": "e", "N": 100}}, {"device": "cuda"},
        {"data": {"name": "digits", "fit": "crop"}}, {"data": {"name": "mnist", "fit": "pad"}},
    ]  # fmt: skip
    keys = [cache_key(**{**ARGUMENTS, **change}) for change in changes]
    monkeypatch.setattr(module, "_versions", lambda: {"torch": "0"})
    keys.append(cache_key(**ARGUMENTS))
    monkeypatch.undo()
    assert len(set(keys)) == len(keys)
    same = {**member(name="B"), "options": {"ema": True, "width": 8}, "protocol": {"N": 100, "data": "d"}}
    assert cache_key(**{**ARGUMENTS, **same}) == keys[0]
    with pytest.raises(ValueError, match="continued"):
        cache_key(**{**ARGUMENTS, **member(state=Path("state.pt"))})


def test_the_key_knows_the_code_that_trains() -> None:
    """A training that is found must not be one by code that has changed since."""
    versions = module._versions()
    assert {"torch", "numpy", "machine", "cpu", "lossgen"} <= versions.keys()
    assert "not installed" not in versions.values()
    assert module._digest(["gan"]) != module._digest(["gan/data.py"]) != module._digest(["gan/metrics.py"])
    for runner in {path for path in resource_dir("runners").glob("*.py") if path.stem not in SCRIPTS}:
        imported = re.findall(r"^from lossgen\.([\w.]+) import", runner.read_text(), re.MULTILINE)
        parts = {name.replace(".", "/") for name in imported} - {"errors"}
        assert not {part for part in parts if part.partition("/")[0] != "gan" and f"{part}.py" not in SOURCES}


def test_the_key_knows_the_cpu(tmp_path: Path) -> None:
    def described(model: str, flags: str, speed: str) -> str:
        one = f"model name\t: {model}\nflags\t\t: {flags}\ncpu MHz\t\t: {speed}\n\n"
        (tmp_path / "cpuinfo").write_text(one * 2)
        return cpu(tmp_path / "cpuinfo")

    assert described("A", "avx", "1") == described("A", "avx", "2") == "model name: A; flags: avx"
    assert len({described("A", "avx", "1"), described("B", "avx", "1"), described("A", "avx avx512f", "1")}) == 3
    assert cpu(tmp_path / "none") == platform.processor()


def test_the_folder_is_the_one_of_all_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "mine"))
    OutcomeCache().close()
    assert (tmp_path / "mine" / "outcomes.sqlite").exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set LOSSGEN_CACHE"):
        OutcomeCache()


WRITES = """
import sys
from pathlib import Path
from lossgen.evolution.cache import OutcomeCache
from lossgen.runner import Outcome
cache = OutcomeCache(Path(sys.argv[1]))
for i in range(100):
    cache.put(f"{sys.argv[2]} {i}", Outcome("ok", {"FD": i}))
    assert cache.get(f"{sys.argv[2]} {i}") is not None
"""


def test_several_processes_share_it(path: Path) -> None:
    command = [sys.executable, "-c", WRITES, str(path)]
    processes = [subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    for process in processes:
        assert process.communicate()[1] == ""
    cache = OutcomeCache(path)
    assert [cache.get(f"{n} {i}") for n in range(3) for i in range(100)] == [
        Outcome("ok", {"FD": i}, curve=[]) for _ in range(3) for i in range(100)
    ]


def test_a_damaged_cache_is_told_with_the_way_on(path: Path) -> None:
    cache = OutcomeCache(path)
    cache.put("k", OK)
    cache.rows("UPDATE outcomes SET outcome = '[1]'")
    with pytest.raises(InputError, match=r"\Aoutcome cache [^\n]*damaged[^\n]*delete it[^\n]*\Z"):
        cache.get("k")
    cache.close()
    path.write_bytes(b"rubbish" * 999)
    with pytest.raises(InputError, match=r"\Aoutcome cache [^\n]*damaged[^\n]*delete it[^\n]*\Z"):
        OutcomeCache(path)
    path.unlink()
    assert OutcomeCache(path).get("k") is None


def test_a_full_disk_is_told_and_what_was_kept_is_kept(path: Path) -> None:
    cache = OutcomeCache(path)
    cache.put("k", OK)
    cache.rows("PRAGMA max_page_count = 1")
    with pytest.raises(
        InputError, match=r"\Aoutcome cache [^\n]*disk is full; free space[^\n]*without --cache[^\n]*\Z"
    ):
        cache.put("l", dataclasses.replace(OK, reason="x" * 10_000))
    assert cache.get("k") == OK


def test_a_newer_cache_is_left_alone(path: Path) -> None:
    cache = OutcomeCache(path)
    cache.set_meta("schema", 99)
    cache.close()
    with pytest.raises(InputError, match=r"schema 99, .* update lossgen"):
        OutcomeCache(path)
