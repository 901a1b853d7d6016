"""The command runner: what a command is given, what is read of it, and what becomes of one that fails."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_guarded import alive, pids_of, wait_for

from lossgen.codegen.load import load_argument
from lossgen.commands import parse_metric
from lossgen.errors import InputError
from lossgen.evolution.workers.messages import Assignment, Task
from lossgen.evolution.workers.pool import Pool
from lossgen.runner import Budget, DataSpec, Member, Outcome, find_runner

FOUND = find_runner("command")
HINGE = load_argument("hinge").source
DCGAN = Path(__file__).parents[2] / "docs" / "examples" / "dcgan.py"

# A training in a millisecond: writes down what it was given, and does what its first argument says.
SCRIPT = """
import json, os, sys, time
how, out, *given = sys.argv[1:]
seen = {"given": given, "cwd": os.getcwd(), "env": dict(os.environ), "all": os.listdir(out)}
seen["loss"] = open(given[0]).read()
with open("seen.json", "w") as file:
    json.dump(seen, file)
with open("pids.new", "w") as file:
    print(os.getpid(), file=file)
os.rename("pids.new", "pids")
if how == "hang":
    time.sleep(600)
if how == "fail-once" and not os.path.exists("failed"):
    open("failed", "w").close()
    how = "fail"
if how == "fail":
    print("half way")
    raise RuntimeError("no luck with " + out)
if how.endswith(".csv"):
    os.rename(how, os.path.join(out, "m.csv"))
elif how:
    with open(os.path.join(out, "m.json"), "w") as file:
        file.write('{"fid": %d}' % len(seen["loss"]) if how in ("length", "fail-once") else how)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space in its name, with the script and with the temporary folders of trainings."""
    folder = tmp_path / "my GAN"
    (folder / "temporary").mkdir(parents=True)
    (folder / "train.py").write_text(SCRIPT)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(folder / "temporary"))
    monkeypatch.delenv("LOSSGEN_LOGS", raising=False)
    return folder


def command(how: str = "length", more: str = "{seed} {steps} {name} {resume}") -> str:
    return f"{shlex.quote(sys.executable)} train.py {shlex.quote(how)} {{out}} {{loss_file}} {more}"


def trained(
    how: str = "length", metric: str = "{out}/m.json:fid", keep: Path | None = None, seed: int = 3, **options: Any
) -> Outcome:
    runner = FOUND.cls(FOUND.cls.options(command=command(how), metric=metric, **options))
    (outcome,) = runner.train([Member("Hinge", HINGE, (0, seed), keep=keep)], Budget(7))
    return outcome


def seen(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def test_a_command_is_given_the_emitted_text_and_a_seed(folder: Path) -> None:
    outcome = trained()
    assert (outcome.status, outcome.metrics, outcome.step) == ("ok", {"fid": len(HINGE)}, 7)
    given = seen(folder)
    assert (given["loss"], given["cwd"], given["all"]) == (HINGE, str(folder), [])
    path, seed, steps, name, resume = given["given"]
    assert (Path(path).name, steps, name, resume) == ("Hinge.py", "7", "Hinge", "")
    assert int(seed) == int(np.random.SeedSequence((0, 3)).generate_state(1)[0]) >> 1
    trained(seed=4)
    assert seen(folder)["given"][1] != seed
    assert not list((folder / "temporary").iterdir()), "a training has left something"


def test_what_is_kept_can_be_gone_on_from(folder: Path) -> None:
    outcome = trained(keep=folder / "kept")
    state = outcome.files["state"]
    assert state == folder / "kept" / "out" and (state / "m.json").exists()
    assert (folder / "kept" / "Hinge.py").read_text() == HINGE
    runner = FOUND.cls(FOUND.cls.options(command=command(), metric="{out}/m.json:fid"))
    (outcome,) = runner.train([Member("Hinge", HINGE, (0, 3), state=state, keep=folder / "kept")], Budget(9))
    assert seen(folder)["given"][4] == str(state), "not told where to go on from"
    assert seen(folder)["all"] == [], "not a fresh folder"
    assert outcome.files["state"] != state and (state / "m.json").exists()


@pytest.mark.parametrize(
    ("content", "metric", "value"),
    [
        ('{"fid": 2}', "{out}/m.json:fid", 2.0),
        ('{"a": {"b": {"c": 1.5}}}', "{out}/m.json:a.b.c", 1.5),
        ('{"a.b": 3, "a": {"b": 4}}', "{out}/m.json:a.b", 3.0),
        ('\ufeff{"max": 1}', "{out}/m.json:max", 1.0),
    ],
)
def test_metrics_in_json(content: str, metric: str, value: float) -> None:
    outcome = trained(content, metric)
    assert list(outcome.metrics.values()) == [value], outcome.reason
    assert list(outcome.metrics) == [metric.rpartition(":")[2].rpartition(".")[2]]


def test_the_last_row_of_csv_and_the_direction(folder: Path) -> None:
    (folder / "some.csv").write_text("step, score.a\n1,5\n2,6.5\n\n")
    assert trained("some.csv", "{out}/m.csv:score.a:max").metrics == {"score.a": 6.5}
    options = FOUND.cls.options(command=command(), metric="{out}/m.csv:score.a:max", scale_free=True)
    assert FOUND.cls(options).objectives == {"score.a": "max"} and FOUND.cls(options).scale_free
    assert FOUND.cls(FOUND.cls.options(command=command(), metric="{out}/m.json:a.b")).objectives == {"b": "min"}


@pytest.mark.parametrize(
    ("how", "metric", "status", "reason"),
    [
        ("", "{out}/m.json:fid", "crashed", "it wrote no m.json"),
        ("{}", "{out}/m.json:fid", "crashed", "m.json has no number at fid"),
        ("[1]", "{out}/m.json:fid", "crashed", "m.json has no number at fid"),
        ('{"fid": "low"}', "{out}/m.json:fid", "crashed", 'm.json: fid is "low", not a number'),
        ('{"fid": true}', "{out}/m.json:fid", "crashed", "m.json: fid is true, not a number"),
        ('{"fid": 1', "{out}/m.json:fid", "crashed", "m.json is not JSON"),
        ('{"fid": NaN}', "{out}/m.json:fid", "diverged", "fid is nan"),
        ('{"fid": 1e999}', "{out}/m.json:fid", "diverged", "fid is inf"),
        ("fail", "{out}/m.json:fid", "crashed", "exit code 1: RuntimeError: no luck with {out}"),
    ],
)
def test_a_result_that_is_none_is_the_outcome_and_names_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, how: str, metric: str, status: str, reason: str
) -> None:
    (folder / "logs").mkdir()
    monkeypatch.setenv("LOSSGEN_LOGS", str(folder / "logs"))
    outcome = trained(how, metric, retries=0)
    assert (outcome.status, outcome.metrics) == (status, {})
    assert outcome.reason == f"{reason}; see logs/Hinge-0.3.log"
    assert (folder / "logs" / "Hinge-0.3.log").read_text().startswith("$ ")
    assert not list((folder / "temporary").iterdir())


@pytest.mark.parametrize(("how", "retries", "status", "runs"), [("fail", 2, "crashed", 3), ("fail-once", 1, "ok", 2)])
def test_a_crash_is_tried_again(folder: Path, how: str, retries: int, status: str, runs: int) -> None:
    outcome = trained(how, keep=folder / "kept", retries=retries)
    assert outcome.status == status
    assert (folder / "kept" / "log.txt").read_text().count("$ ") == runs
    assert ("; see" in outcome.reason) is (status != "ok")
    assert not outcome.reason or outcome.reason.endswith("see my GAN/kept/log.txt")


def test_each_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(device: str, worker: int, visible: list[str]) -> str:
        monkeypatch.setitem(FOUND.cls.prepare.__globals__, "gpus", lambda: visible)
        monkeypatch.setenv("LOSSGEN_WORKER", str(worker))
        runner = FOUND.cls(FOUND.cls.options(command=command(), metric="{out}/m.json:fid"))
        runner.prepare(DataSpec("no such data"), device)
        outcome = runner.train([Member("Hinge", HINGE, (0,))], Budget(1))
        assert outcome[0].status == "ok"
        return str(seen(Path())["env"]["CUDA_VISIBLE_DEVICES"])

    assert [chosen("cuda", worker, ["0", "1"]) for worker in range(3)] == ["0", "1", "0"]
    assert chosen("cuda:1", 0, ["5", "6"]) == "6"
    assert chosen("cpu", 0, ["0"]) == ""
    for device, visible in (("cuda", []), ("cuda:2", ["0"]), ("toaster", ["0"])):
        with pytest.raises(InputError, match=f"device '{device}'"):
            chosen(device, 0, visible)


def test_the_record_knows_the_scripts_and_whether_steps_count(folder: Path) -> None:
    runner = FOUND.cls(FOUND.cls.options(command=command(), metric="{out}/m.json:fid"))
    before = runner.prepare(DataSpec(), "cpu").protocol
    assert before["setting"] == command() and list(before["files"]) == ["train.py"]
    (folder / "train.py").write_text(SCRIPT + "\n")
    assert runner.prepare(DataSpec(), "cpu").protocol != before
    assert runner.counts_steps
    blind = FOUND.cls(FOUND.cls.options(command=command(more=""), metric="{out}/m.json:fid"))
    assert not blind.counts_steps
    assert any("{seed}" in note for note in blind.prepare(DataSpec(), "cpu").notes)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")
def test_a_training_that_is_given_up_is_killed(folder: Path) -> None:
    """In a pool: a worker tells its number and gives one thread; a timeout ends the command, and its folder."""
    options = FOUND.cls.options(command=command("hang"), metric="{out}/m.json:fid").model_dump()
    outcomes: list[Outcome] = []
    with Pool(Assignment(str(FOUND.path), FOUND.digest, options, {}, "cpu"), 1, folder / "logs") as pool:
        ready = pool.start()
        assert ready.counts_steps and ready.objectives == {"fid": "min"}
        task = Task("key", Member("Hinge", HINGE, (0,)), "", 7)
        pool.run([task], lambda _, outcome: outcomes.append(outcome), timeout=2)
    assert [outcome.status for outcome in outcomes] == ["timeout"]
    (pid,) = pids_of(folder / "pids")
    assert wait_for(lambda: not alive(pid))
    environment = seen(folder)["env"]
    assert environment["LOSSGEN_WORKER"] == "0" and environment["OMP_NUM_THREADS"] == "1"
    scratch = Path(seen(folder)["given"][0]).parent
    assert wait_for(lambda: not scratch.exists())
    assert (folder / "logs" / "Hinge-0.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")
@pytest.mark.parametrize("how", ["kill", "interrupt twice"])
def test_a_training_does_not_outlive_lossgen(folder: Path, how: str) -> None:
    flags = ["--command", command("hang"), "--metric", "{out}/m.json:fid", "--workers", "1", "--out", "run"]
    with Path("driver.log").open("w") as log:
        driver = subprocess.Popen(
            [sys.executable, "-m", "lossgen", "compare", "hinge", *flags], stdout=log, stderr=log, cwd=folder
        )
    try:
        (pid,) = pids_of(folder / "pids")
        if how == "kill":
            driver.kill()
        else:
            driver.send_signal(signal.SIGINT)
            wait_for(lambda: driver.poll() is not None, 1.0)
            driver.send_signal(signal.SIGINT)
        driver.wait(20)
        assert wait_for(lambda: not alive(pid)), Path("driver.log").read_text()
    finally:
        driver.kill()
        driver.wait()


def lossgen(*args: str | Path) -> str:
    command = [sys.executable, "-m", "lossgen", *map(str, args)]
    environment = {**os.environ, "CXX": "no-such-compiler"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_search_by_command_from_end_to_end(folder: Path) -> None:
    small = ["--population", "2", "--generations", "1", "--steps", "5", "--verify-seeds", "2", "--workers", "1"]
    small += ["--polish", "0", "--audit", "0"]
    out = lossgen("evolve", *small, "--command", command(), "--metric", "{out}/m.json:fid", "--out", "run")
    assert "fid (lower is better), 5 steps" in out
    assert f"--steps 5 --command {shlex.quote(command())} --metric '{{out}}/m.json:fid'" in out
    (champion,) = (folder / "generated").glob("evolved_*.py")
    assert len(list((folder / "run" / "models").glob("*/out/m.json"))) >= 10
    record = json.loads(lossgen("show", "run", "--json"))
    assert str(folder) not in json.dumps(record)
    lengths = {o["metrics"]["fid"] for o in record["outcomes"] if o["name"].lower() == champion.stem}
    assert lengths == {float(len(champion.read_text()))}, "what was trained is not what was written"
    assert not list((folder / "run" / "logs").glob("Evolved*")), "logs of trainings that went well"


def test_a_plain_dcgan_from_end_to_end(folder: Path) -> None:
    script = f"{shlex.quote(sys.executable)} {shlex.quote(str(DCGAN))}"
    full = f"{script} --loss {{loss_file}} --seed {{seed}} --steps 4 --out {{out}} --resume {{resume}}"
    metric = "{out}/metrics.json:frechet_pca16"
    lossgen("compare", "hinge", "--seeds", "1", "--command", full, "--metric", metric, "--out", "run")
    kept = folder / "run" / "models" / "Hinge-0" / "out"
    assert (kept / "samples.png").stat().st_size > 0
    record = json.loads(lossgen("show", "run", "--json"))
    (outcome,) = [o for o in record["outcomes"] if o["stage"] == "compare"]
    assert outcome["metrics"] == {"frechet_pca16": json.loads((kept / "metrics.json").read_text())["frechet_pca16"]}


def test_a_misspelt_direction_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(InputError, match="behind the key stands :maxx; it may be :max or :min"):
        parse_metric("{out}/metrics.json:scores.kid:maxx")
