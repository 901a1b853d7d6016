"""Searches on Ray: the same results as with workers of one's own, also where a worker, a node or the driver dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lossgen
from lossgen.api.run import Run
from lossgen.errors import InputError
from lossgen.evolution.workers.carriage import moved, packed, unpack
from lossgen.runner import Outcome

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install 'lossgen[ray]', or make test-extras")
TOY = Path(__file__).parents[1] / "toy_runner.py"
SMALL: dict[str, Any] = {
    "runner": TOY, "population": 4, "generations": 3, "polish": 0, "audit": 0, "verify_seeds": 2, "quiet": True,
}  # fmt: skip


def toy(out: Path, **asked: Any) -> Run:
    return lossgen.evolve(**{**SMALL, "out": out, "generated": out.parent / "generated", **asked})


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the small search comes to in the process of the run."""
    return toy(tmp_path_factory.mktemp("here") / "run", workers=0).record()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of two nodes with a core each, on this machine; the second is the one to be lost."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


class Loses(lossgen.Listener):
    """Takes a node away while its worker trains."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.trained_before = 0

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self.trained_before += 1
        if self.trained_before == 3:
            self.cluster.remove_node(self.cluster.second, allow_graceful=False)


def test_a_ray_of_ones_own_comes_to_the_same(tmp_path: Path, expected: Any) -> None:
    assert toy(tmp_path / "run", workers="ray").record() == expected


def test_a_node_may_be_lost_on_the_way(tmp_path: Path, expected: Any, nodes: Any) -> None:
    watch = Loses(nodes)
    run = toy(tmp_path / "run", workers="ray:auto", pause=0.5, callbacks=[watch])
    assert watch.trained_before > 10 and len(nodes.list_all_nodes()) == 1
    assert run.record() == toy(tmp_path / "here", workers=0, pause=0.5).record()


def test_files_travel_and_races_go_on_from_them(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "data": "digits", "rungs": "20x1,40x1", "population": 3, "generations": 1, "polish": 0, "audit": 0,
        "verify_seeds": 2, "width": 4, "n_samples": 128, "objective": "quality", "quiet": True,
    }  # fmt: skip
    records = []
    for name, workers in (("here", 0), ("ray", "ray")):
        folder = tmp_path / name
        run = lossgen.evolve(**asked, workers=workers, out=folder / "run", generated=folder / "generated")
        records.append(run.record())
        assert list((folder / "run" / "models").rglob("*.pt")) and (folder / "run" / "samples.png").exists()
    assert records[0] == records[1]


def test_a_worker_that_dies_is_replaced_and_one_that_always_dies_is_not_asked_for_ever(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    once = toy(tmp_path / "once", workers="ray", misbehave="die-once", marks=str(marks))
    assert once.finished and Path(f"{marks}.died").exists()
    always = toy(tmp_path / "always", workers="ray", misbehave="die", generations=1)
    outcomes = [each for each in always.record()["outcomes"] if each["name"].startswith("Evolved")]
    assert outcomes and all("its worker died twice" in each["reason"] for each in outcomes)


def test_what_hangs_is_given_up(tmp_path: Path) -> None:
    run = toy(tmp_path / "run", workers="ray", misbehave="hang", generations=1, population=2, timeout=3)
    reasons = [each["reason"] for each in run.record()["outcomes"] if each["name"].startswith("Evolved")]
    assert reasons and all("not done within its time limit of 3 s" in reason for reason in reasons)


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_killed_driver_resumes(tmp_path: Path) -> None:
    out, generated = tmp_path / "run", tmp_path / "generated"
    command = [
        sys.executable, "-m", "lossgen", "evolve", "--runner", str(TOY), "--population", "4", "--generations", "3",
        "--polish", "0", "--audit", "0", "--verify-seeds", "2", "--pause", "0.3", "--out", str(out), "--generated",
        str(generated), "--workers", "ray",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and _trained(out) < 3:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run = lossgen.evolve(resume=out, workers=0, quiet=True, generated=generated)
    assert run.finished
    whole = toy(tmp_path / "whole", workers=0, pause=0.3)
    assert run.record() == whole.record()


def _trained(out: Path) -> int:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{out / 'archive.sqlite'}?mode=ro", uri=True) as archive:
            return int(archive.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"workers": "ray:nowhere"},
            "--workers ray:nowhere: is no number of processes, and none of ray, ray:auto and",
        ),
        ({"workers": 2, "gpus_per_worker": 0.5}, "--gpus-per-worker: is for Ray; give --workers ray, too"),
        ({"workers": "ray", "gpus_per_worker": 0.0}, "--gpus-per-worker 0.0: give a part of a GPU"),
        (
            {"workers": "ray", "device": "cuda"},
            "--workers ray: the cluster has no GPU to be had 1 of; add a node to it",
        ),
        ({"workers": "ray:auto"}, "--workers ray:auto: the cluster cannot be joined: "),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        toy(tmp_path / "run", **asked)
    assert "\n" not in str(refusal.value)


def test_a_folder_travels_as_it_is(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "deep").mkdir(parents=True)
    (here / "deep" / "a.bin").write_bytes(b"\0\1")
    (here / "b.txt").write_text("b")
    unpack(packed(here), there)
    assert packed(there) == packed(here) == {"b.txt": b"b", "deep/a.bin": b"\0\1"}
    outcome = moved(Outcome("ok", files={"model": here / "deep" / "a.bin", "else": tmp_path / "c"}), here, there)
    assert outcome.files == {"model": there / "deep" / "a.bin", "else": tmp_path / "c"}
