"""The commands ask and tell: a loop by hand, its verification, and a finished search that is gone on with."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.evolution import verifying
from lossgen.evolution.run import open_run

Call = Callable[..., tuple[int, str, str]]
TOY = Path(__file__).parents[1] / "toy_runner.py"


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No checks under torch.export and torch.compile, which take seconds; they have tests of their own."""
    monkeypatch.setattr("lossgen.codegen.full_checks.full_checks", lambda loss, source: iter(["checked"]))


def fill(table: Path, value: Callable[[dict[str, str]], object]) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    metric = list(rows[0])[-1]
    with table.open("w", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows({**row, metric: value(row)} for row in rows)
    return rows


def by_name(row: dict[str, str]) -> float:
    """Losses that were found are better than the baselines; the lower the hash, the better."""
    luck = int(row["seed"]) % 7 / 100
    return int(row["loss"][-8:], 16) / 2**32 + luck if row["loss"].startswith("Evolved_") else 2.0 + luck


def next_commands(out: str) -> list[list[str]]:
    return [line.split()[1:] for line in out.splitlines() if line.startswith("  lossgen ")]


def test_a_search_by_hand_from_the_first_ask_to_the_verdict(call: Call, tmp_path: Path) -> None:
    code, out, err = call("ask", "mine", "-n", "3", "--metric", "fid", "--seeds", "2", "--seed-loss", "ganetic")
    assert code == 0, err
    assert out.startswith("Created runs/mine: space ganetic, seed 0; fid is minimised, 2 trainings a loss")
    for _ in range(2):
        (tell,) = next_commands(out)
        rows = fill(Path(tell[2]), by_name)
        assert [row["seed"] for row in rows] == ["0", "1"] * 3
        code, out, err = call(*tell)
        assert code == 0, err
        assert "Told 6 trainings." in out
        again = call(*tell)
        assert "Told 0 trainings; 6 stood already, and nothing changes." in again[1]
        ask, verify = next_commands(out)
        code, out, err = call(*ask, "-n", "3")
        assert code == 0, err
    assert (tmp_path / "runs/mine/hall_of_fame.csv").read_text().startswith("size,fid,")
    assert "6 trainings told" not in call("show", "mine")[1]
    shown = call("show", "mine")[1]
    assert "mine: ask, 12 trainings told, 6 open" in shown
    assert shown.splitlines()[1].endswith("9 asked for"), "the last three have not been trained"

    code, out, err = call(*verify, "--verify-seeds", "3", "--out", "last")
    assert code == 0, err
    assert "6 more trainings were asked for before and are open" in out
    again = call(*verify, "--verify-seeds", "3", "--out", "once more")[1]
    assert "6 more trainings were asked for before and are open" in again, "those written now are not more"
    (tell,) = next_commands(out)
    rows = fill(Path(tell[2]), lambda row: "" if row["loss"] == "BCE" else by_name(row))
    assert [row["loss"] for row in rows[3::3]] == ["BCE", "LSGAN", "Hinge", "GANetic"]
    assert {row["seed"] for row in rows} == {"1000", "1001", "1002"}
    code, out, _ = call(*tell)
    assert code == 0
    assert "Open: 9 trainings of 4 losses, 3 of them to verify." in out
    assert "yet" not in out, "what is open is said once"
    assert "better" not in out  # no verdict on half of a verification
    fill(Path(tell[2]), by_name)
    code, out, err = call(*tell)
    assert code == 0, err
    champion = rows[0]["loss"]
    assert f"{champion} is " in out
    assert "over 3 and 3 fresh seeds" in out
    summary = json.loads((tmp_path / "runs/mine/summary.json").read_text())
    assert summary["champions"][0]["name"] == champion
    module = Path("generated") / f"{champion.lower()}.py"
    assert summary["champions"][0]["file"] == str(module)
    assert module.read_bytes() == (tmp_path / "last" / module.name).read_bytes()
    assert f"\n  {module}\n" in out
    with open_run(Path("runs/mine")) as run:
        searched = any(champion.endswith(row.digest[:8]) for row in run.archive.candidates() if row.fate == "trained")
    assert ("simplified" in out) is not searched
    assert summary["champions"][0]["values"] == [by_name(row) for row in rows[:3]]
    shown = call("show", "mine")[1]
    assert "fid:\n" in shown
    assert "steps" not in shown
    assert f"{champion} is " in shown
    record = json.loads(call("show", "mine", "--json")[1])
    assert record["finished"] is True
    assert record["reproducible"] is False
    assert record["config"]["options"] == {"metric": "fid", "direction": "min", "scale_free": False}
    found = list(csv.DictReader(call("show", "mine", "--csv")[1].splitlines()))
    assert sum(row["fate"] == "trained" and row["fid"] != "" for row in found) == 6
    assert call("runs")[1].split() == ["mine", "ask", "27", "trainings", "told,", "6", "open"]

    fill(Path(tell[2]), lambda row: 1.5 if row["loss"] == champion else by_name(row))
    code, _, err = call(*tell)
    assert code == 2
    assert "--replace" in err
    code, out, err = call(*tell, "--replace")
    assert code == 0, err
    assert "Told 0 trainings; replaced 3 that had been told otherwise; 12 stood already." in out
    assert json.loads((tmp_path / "runs/mine/summary.json").read_text())["champions"][0]["values"] == [1.5] * 3

    code, _, err = call(*verify, "--verify-seeds", "3")
    assert (code, err.count("\n")) == (2, 1)
    assert "its best loss is verified" in err
    assert "its best loss is verified on 3 seeds" in call(*verify)[2], "as many as before"
    code, _, err = call(*verify, "--verify-seeds", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert "was verified on 3 seeds before; give that many or more" in err
    (tell,) = next_commands(call(*verify, "--verify-seeds", "6")[1])  # three seeds more of each
    assert {row["seed"] for row in fill(Path(tell[2]), by_name)} == {"1003", "1004", "1005"}
    assert "over 6 and 6 fresh seeds" in call(*tell)[1]
    with open_run(Path("runs/mine")) as run:  # as a smaller verification was asked for once
        records = run.archive.meta("verifications")
        run.archive.set_meta("verifications", [*records, {**records[-1], "seeds": 2}])
    assert "over 6 and 6 fresh seeds" in call(*tell)[1], "every seed told for all counts"
    code, _, err = call("evolve", "--resume", "mine")
    assert code == 2
    assert "go on with: lossgen ask runs/mine" in err


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search, with a polish and an audit."""
    from lossgen.cli import cli

    path = tmp_path_factory.mktemp("evolved") / "run"
    small = {"population": 3, "generations": 2, "polish": 2, "audit": 2, "verify-seeds": 2, "steps": 10, "workers": 1}
    flags = [text for name, number in small.items() for text in (f"--{name}", str(number))]
    where = ["--out", str(path), "--generated", str(path.parent)]
    cli.main(["evolve", "--runner", str(TOY), *flags, *where], "lossgen", standalone_mode=False)
    return path


def test_a_finished_search_is_gone_on_with(call: Call, evolved: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(evolved, run)
    with open_run(run) as opened:
        before = opened.archive.candidates()
        stages = {key.stage for key, _, _ in opened.archive.outcomes()}
        assert verifying.scale_free(opened)
        own = next(key for key, _, outcome in opened.archive.outcomes("search") if outcome.status == "ok")
    assert {"search", "polish", "audit", "verify"} <= stages
    (tmp_path / "own.csv").write_text(f"loss,seed,distance\n{own.digest},{own.replicate},77\n")
    code, _, err = call("tell", run, tmp_path / "own.csv", "--replace")
    assert code == 2
    assert err.endswith("put the row right or leave it out\n"), "what the run has trained itself stands"
    asked: list[str] = []
    for _ in range(2):
        code, out, err = call("ask", run, "-n", "3")
        assert code == 0, err
        assert "Values are compared with the run's own" in out
        (tell,) = next_commands(out)
        rows = fill(Path(tell[2]), by_name)
        assert list(rows[0]) == ["loss", "file", "seed", "status", "distance"]
        asked += [row["loss"] for row in rows]
        code, out, err = call(*tell)
        assert code == 0, err
    known = {f"Evolved_{row.digest[:8]}" for row in before}
    assert len(set(asked)) == 6
    assert not known & set(asked)
    with open_run(run) as opened:
        rows = opened.archive.candidates()
    assert rows[: len(before)] == before
    parents = {parent for row in rows[len(before) :] for parent in row.parents}
    assert parents & {row.digest for row in before}
    with open_run(run) as opened:
        own = len(opened.archive.outcomes()) - 6
    assert f"evolve, {own} trainings of its own, 6 told, none open" in call("show", run)[1]
    assert "trained or asked for" in call("show", run)[1]
    assert "Best of " in call("show", run)[1]
    code, _, err = call("evolve", "--resume", run)
    assert code == 2
    assert f"go on with: lossgen ask {run}" in err
    code, out, err = call("ask", run, "--verify")
    assert code == 0, err
    (tell,) = next_commands(out)
    assert {row["seed"] for row in fill(Path(tell[2]), by_name)} == {"1000", "1001"}
    assert "over 2 and 2 fresh seeds" in call(*tell)[1]


def test_which_run_is_meant(call: Call, tmp_path: Path) -> None:
    first = ["ask", "one", "-n", "1", "--metric", "score:max", "--seed", "4"]
    out = call(*first)[1]
    assert out.startswith("Created runs/one: space ganetic, seed 4; score is maximised")
    assert "The column status may stay empty, or say ok or failed." in out
    (tell,) = next_commands(out)
    fill(Path(tell[2]), lambda row: "1e400")
    assert "1 failed (1 of them with a value that is no finite number)" in call(*tell)[1]
    code, out, err = call(*first)  # the same again goes on
    assert (code, out.startswith("Created")) == (0, False), err
    assert "1 more training was asked for before and is open" in call("ask", "one", "-n", "1")[1]
    assert "runs/one/asked/4" in call("ask", "on", "-n", "1")[1]
    assert call("ask", "on", "-n", "1", "--seed", "4")[1].startswith("Created runs/on")
    assert call("ask", "./here", "-n", "1")[1].startswith("Created here")
    with open_run(Path("runs/one")):
        code, _, err = call("ask", "one")
        assert (code, "another process is working on it" in err) == (2, True)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["ask", "one", "--seed", "5"], "--seed: run runs/one goes on as it began"),
        (["ask", "one", "--metric", "score"], "--metric: run runs/one goes on as it began"),
        (["ask", "one", "--again", "--verify"], "give one of -n, --again and --verify"),
        (["ask", "one", "--verify-seeds", "3"], "--verify-seeds: belongs to --verify"),
        (["ask", "one", "--verify"], "no loss is known to train well"),
        (["ask", "none", "--again"], "run none: not found"),
        (["tell", "none", "results.csv"], "run none: not found"),
        (["tell", "one", "none.csv"], "none.csv: cannot be read"),
        (["ask", "full"], "is there, but no run"),
        (["ask", "new", "--metric", "seed"], "--metric seed: give the name of a column"),
        (["ask", "new", "--space", "none"], "space none"),
        (["ask", "new", "-n", "1", "--seed-loss", "hinge"], "outside the search space"),
        (["ask", "new", "-n", "1", "--seed-loss", "ganetic", "--seed-loss", "y_pred + y_real"], "-n 1: fewer than"),
        (["ask", "new", "--out", "full/file"], "is a file; give a folder"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(call: Call, tmp_path: Path, args: list[str], says: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    if "one" in args:
        call("ask", "one", "-n", "1", "--metric", "score:max", "--seed", "4")
    code, _, err = call(*args)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err
    assert not (tmp_path / "runs" / "new").exists()
