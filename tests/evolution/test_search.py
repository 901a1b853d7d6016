"""Whole searches on a runner that trains nothing: equal for any number of workers, across kills and resumes."""

import contextlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from here import exit_code
from torture.harness import Driver

from lossgen.evolution.run import open_run
from lossgen.files import without_nan
from lossgen.language.parser import parse_loss

TOY = Path(__file__).parents[1] / "toy_runner.py"
SMALL = ["--population", "4", "--generations", "3", "--verify-seeds", "3", "--steps", "10"]


def meta(run: Path, key: str) -> Any:
    with open_run(run, locked=False) as opened:
        return opened.archive.meta(key)


def trained(run: Path, stage: str) -> float:
    """Seconds that the trainings of a stage took, all together: no more than its workers had, whatever else a machine
    does meanwhile."""
    with open_run(run, locked=False) as opened:
        return sum(outcome.seconds for _, _, outcome in opened.archive.outcomes(stage))


def lossgen(*args: str | Path, cwd: Path, code: int = 0) -> str:
    """What a command prints, run in this process: only its workers are others, where it has some."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = exit_code(*args)
    assert ended == code, out.getvalue() + err.getvalue()
    return out.getvalue() if code == 0 else err.getvalue()


def search(cwd: Path, out: str, *more: str) -> str:
    return lossgen("evolve", "--runner", TOY, *SMALL, "--out", out, *more, cwd=cwd)


def record(cwd: Path, run: str) -> dict[str, Any]:
    with open_run(cwd / run, locked=False) as opened:
        found: dict[str, Any] = without_nan(opened.record())  # what `lossgen show --json` prints
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("search")
    search(cwd, "run", "--workers", "1", "--pause", "0.1")
    return cwd


def test_a_search_ends_with_all_that_it_promises(undisturbed: Path) -> None:
    run = undisturbed / "run"
    summary = json.loads((run / "summary.json").read_text())
    (champion,) = summary["champions"]
    assert {"name", "loss", "file", "metric", "mean", "std", "seeds"} <= champion.keys()
    assert (undisturbed / champion["file"]).read_text().startswith('r"""' + champion["name"])
    assert {b["name"] for b in summary["baselines"]} == {"BCE", "LSGAN", "Hinge", "GANetic"}
    assert all(b["seeds"] == 3 for b in summary["baselines"])
    waterfall = summary["waterfall"]
    assert waterfall["trained"] == 12
    assert waterfall["verified"] == len(summary["champions"] + summary["runners_up"])
    assert waterfall["proposed"] == sum(n for fate, n in waterfall.items() if fate not in ("proposed", "verified"))
    for name in ("run.toml", "archive.sqlite", "hall_of_fame.csv", "champion.png", "progress.png", "box_plot.png"):
        assert (run / name).stat().st_size > 0


def test_the_champion_was_best_in_the_search_and_is_judged_on_fresh_seeds(undisturbed: Path) -> None:
    found = record(undisturbed, "run")
    searched = {o["loss"]: o["metrics"]["distance"] for o in found["outcomes"] if o["stage"] == "search"}
    best = min(searched, key=searched.__getitem__)
    text = next(c["loss"] for c in found["candidates"] if c["loss"].startswith(f"loss Evolved_{best[:8]}("))
    (champion,) = [r for r in found["result"]["results"] if r["part"] == "champion"]
    source = Path(undisturbed, json.loads((undisturbed / "run/summary.json").read_text())["champions"][0]["file"])
    assert f"Searched as: {text.partition(' = ')[2]}" in source.read_text()
    assert champion["seeds"] == 3
    stages = {o["stage"] for o in found["outcomes"]}
    assert stages == {"search", "audit", "verify"}


def test_only_what_was_searched_is_bred_from(undisturbed: Path) -> None:
    with sqlite3.connect(undisturbed / "run" / "archive.sqlite") as archive:
        rows = archive.execute("SELECT generation, loss, digest, fate, parents FROM candidates").fetchall()
    trained = {digest: generation for generation, _, digest, fate, _ in rows if fate == "trained"}
    bred = [(generation, parent) for generation, *_, parents in rows for parent in json.loads(parents)]
    assert len(bred) > 20
    assert all(trained[parent] < generation for generation, parent in bred), "a parent that no one has trained"
    assert all(parse_loss(loss).digest() == digest for _, loss, digest, *_ in rows), "a candidate in another form"


def test_two_workers_find_what_one_finds(undisturbed: Path, tmp_path: Path) -> None:
    search(tmp_path, "other-name", "--workers", "2", "--pause", "0.1")
    assert record(tmp_path, "other-name") == record(undisturbed, "run")


def test_so_does_this_process(undisturbed: Path, tmp_path: Path) -> None:
    search(tmp_path, "run", "--workers", "0", "--pause", "0.1")
    assert record(tmp_path, "run") == record(undisturbed, "run")


def test_the_record_is_what_show_prints(undisturbed: Path) -> None:
    assert json.loads(lossgen("show", "run", "--json", cwd=undisturbed)) == record(undisturbed, "run")


def test_another_seed_finds_something_else(undisturbed: Path, tmp_path: Path) -> None:
    search(tmp_path, "run", "--seed", "1", "--pause", "0.1")
    assert record(tmp_path, "run")["candidates"] != record(undisturbed, "run")["candidates"]


def test_a_killed_run_trains_nothing_again_that_was_finished(undisturbed: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    driver = Driver(tmp_path, "evolve", "--runner", TOY, *SMALL, "--out", "run", "--pause", "0.1", "--marks", marks)
    driver.wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) >= 9)  # three are of the timing
    driver.kill()
    assert len(record(tmp_path, "run")["outcomes"]) >= 3, "nothing of the killed run was kept"
    lossgen("evolve", "--resume", "run", "--workers", "2", cwd=tmp_path)
    ours, theirs = record(tmp_path, "run"), record(undisturbed, "run")
    for found in (ours, theirs):
        found["config"]["options"].pop("marks")
        found["protocol"]["options"].pop("marks")
    assert ours == theirs
    trained = [line for line in marks.read_text().splitlines() if "(0, 3, 0)" not in line]
    assert len(trained) - len(set(trained)) <= 2, "what was finished was trained again"


def test_the_longest_check_is_made_while_workers_train(undisturbed: Path) -> None:
    with open_run(undisturbed / "run", locked=False) as run:
        assert "full check" not in run.archive.meta("profile")
        checked = [name for (name,) in run.archive.rows("SELECT key FROM meta") if name.startswith("checked in full")]
    assert len(checked) == 1


def test_a_finished_run_resumes_without_training(undisturbed: Path) -> None:
    before = record(undisturbed, "run")
    out = lossgen("evolve", "--resume", "run", cwd=undisturbed)
    assert "all retrained on 3 fresh seeds" in out
    assert record(undisturbed, "run") == before


def test_a_worker_that_dies_once_costs_nothing(undisturbed: Path, tmp_path: Path) -> None:
    marks = str(tmp_path / "marks")
    search(tmp_path, "run", "--misbehave", "die-once", "--marks", marks, "--pause", "0.1", "--workers", "2")
    ours, theirs = record(tmp_path, "run"), record(undisturbed, "run")
    assert ours["outcomes"] == theirs["outcomes"]


@pytest.mark.parametrize(
    ("misbehaviour", "status", "reason"),
    [("die", "crashed", "died twice (exit code 7)"), ("raise", "crashed", "RuntimeError: the toy is broken"),
     ("hang", "timeout", "time limit")],
)  # fmt: skip
def test_misbehaviour_is_an_outcome_and_the_search_goes_on(
    tmp_path: Path, misbehaviour: str, status: str, reason: str
) -> None:
    more = ["--population", "1", "--generations", "2", "--verify-seeds", "2", "--timeout", "4", "--workers", "1"]
    out = search(tmp_path, "run", "--misbehave", misbehaviour, *more)
    found = record(tmp_path, "run")
    assert [o["status"] for o in found["outcomes"] if o["stage"] == "search"] == [status] * 2
    assert all(reason in o["reason"] for o in found["outcomes"] if o["stage"] == "search")
    assert found["reproducible"] is (misbehaviour == "raise")
    assert "no loss of this search beats the baselines" in out


def test_workers_end_with_a_killed_driver(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    hang = ["--misbehave", "hang", "--marks", marks]
    driver = Driver(tmp_path, "evolve", "--runner", TOY, *SMALL, "--out", "run", *hang)
    driver.wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) >= 4)
    workers = driver.workers()
    assert workers
    driver.kill()
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its driver"
        time.sleep(0.05)


def test_a_changed_runner_file_is_refused(tmp_path: Path) -> None:
    runner = tmp_path / "mine.py"
    runner.write_text(TOY.read_text())
    lossgen("evolve", "--runner", runner, *SMALL[:4], "--verify-seeds", "2", "--out", "run", cwd=tmp_path)
    runner.write_text(TOY.read_text() + "\n# changed\n")
    assert "has changed since the run began" in lossgen("evolve", "--resume", "run", cwd=tmp_path, code=2)


def test_a_time_limit_ends_the_search_and_verifies(tmp_path: Path) -> None:
    args = ["evolve", "--runner", TOY, "--population", "8", "--verify-seeds", "2", "--steps"]
    flags = ["--workers", "2", "--pause", "0.2", "--time-limit", "24s", "--out", "run"]
    out = lossgen(*args, "10", *flags, cwd=tmp_path)
    found = record(tmp_path, "run")
    assert "fresh seeds" in out
    price = r"Price of the trainings: about 0\.2\d? s each, \d+ s in all with"
    assert re.search(price, out.partition("search 1/")[0]), "no price beforehand"
    assert trained(tmp_path / "run", "search") < 2 * 24
    assert found["reproducible"] is False
    assert found["finished"] is True
    assert 0 < sum(o["stage"] == "search" for o in found["outcomes"]) < 320
    lossgen("evolve", "--resume", "run", cwd=tmp_path)
    assert record(tmp_path, "run") == found


def test_a_time_limit_ends_a_comparison(tmp_path: Path) -> None:
    args = ["compare", "bce", "lsgan", "--runner", TOY, "--steps", "10", "--seeds", "50", "--workers", "2"]
    out = lossgen(*args, "--pause", "0.5", "--time-limit", "20s", "--out", "run", cwd=tmp_path)
    price = r"Price of the trainings: about 0\.5\d? s each, 2\d s in all with 2 workers\."
    assert re.search(price, out.partition("comparison 1/")[0])
    assert "Interim: stopped, or out of time" in out
    assert 2 <= len(record(tmp_path, "run")["outcomes"]) < 100
    assert trained(tmp_path / "run", "compare") < 2 * (20 + 1)  # what has begun is finished


def test_found_files_are_left_as_they_are(undisturbed: Path, tmp_path: Path) -> None:
    name = json.loads((undisturbed / "run/summary.json").read_text())["champions"][0]["file"]
    mine = tmp_path / "generated" / Path(name).name
    mine.parent.mkdir()
    mine.write_text("mine\n")
    search(tmp_path, "run", "--pause", "0.1")
    assert mine.read_text() == "mine\n"


def test_files_beside_the_user_do_not_shadow_the_library(tmp_path: Path) -> None:
    for name in ("queue.py", "types.py", "sympy.py"):
        (tmp_path / name).write_text("raise RuntimeError('shadowed')\n")
    command = [
        sys.executable,
        "-P",
        "-m",
        "lossgen",
        "evolve",
        "--runner",
        str(TOY),
        "--population",
        "1",
        "--workers",
        "1",
    ]
    more = ["--generations", "1", "--steps", "1", "--verify-seeds", "2", "--out", "run"]
    done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "shadowed" not in done.stdout + done.stderr


def test_a_trusted_body_is_trained_as_it_is_and_apart_from_the_loss_it_names(tmp_path: Path) -> None:
    lossgen("compile", "bce", "--name", "Kept", "-o", "kept.py", cwd=tmp_path)
    lossgen("compile", "bce", "--name", "Changed", "-o", "changed.py", cwd=tmp_path)
    path = tmp_path / "changed.py"
    path.write_text(path.read_text().replace("return F.softplus(score)", "return 3.0 * F.softplus(score)"))
    args = ["compare", "kept.py", "changed.py", "--trust", "--runner", TOY, "--steps", "1", "--seeds", "1"]
    lossgen(*args, "--out", "run", cwd=tmp_path)
    kept, changed = (r["mean"] for r in record(tmp_path, "run")["result"]["results"])
    assert kept is not None and changed is not None
    assert changed > kept + 0.5


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
