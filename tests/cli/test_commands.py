"""The commands as people use them, on real digits and small budgets."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.codegen.load import load_argument, zoo_names
from lossgen.errors import InputError
from lossgen.evolution.run import find_run

TOY = str(Path(__file__).parents[1] / "toy_runner.py")
CROSSED = str(Path(__file__).parents[1] / "crossed_runner.py")
Call = Callable[..., str]


@pytest.fixture
def call(call: Callable[..., tuple[int, str, str]]) -> Call:
    def run(*args: str | Path, code: int = 0) -> str:
        ended, out, err = call(*args)
        assert ended == code, out + err
        return out

    return run


def test_compile_prints_writes_and_checks(call: Call, tmp_path: Path) -> None:
    assert call("compile", "ganetic") == (load_argument("ganetic").source)
    text = "# My own.\nloss Mine(score):\n  real: -score\n  fake: score\n  generator: -score\n"
    (tmp_path / "mine.loss").write_text(text)
    call("compile", "mine.loss", "--check", code=1)
    assert "class Mine" in call("compile", "mine.loss")
    call("compile", "mine.loss", "--check")
    assert "My own." in (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.loss").write_text(text.replace("fake: score", "fake: exp(score)"))
    call("compile", "mine.loss", "--check", code=1)
    call("compile", "relu(1 - score)", "--name", "Half", "-o", "half.py")
    assert load_argument("half.py").name == "Half"


@pytest.mark.parametrize("name", zoo_names())
def test_inspect_shows_every_loss_of_the_zoo(call: Call, name: str) -> None:
    out = call("inspect", name)
    assert "settles at p" in out
    assert re.search(r"^screen +passed$", out, re.MULTILINE)


def test_inspect_as_json_and_as_a_picture(call: Call, tmp_path: Path) -> None:
    text = "y_pred^3 + sqrt(3.985 * y_real / y_pred) + y_real - y_real + 7.1234"
    found = json.loads(call("inspect", text, "--json"))
    assert found["simplified"].endswith("= y_pred^3 + sqrt(3.985 * y_real / y_pred) + 7.1234")
    assert found["rounded"].endswith("= y_pred^3 + sqrt(3.985 * y_real / y_pred) + 7")
    lines = call("inspect", text).splitlines()
    assert [line.partition(":")[0] for line in lines if "sqrt" in line][1:3] == [
        "simpler", "rounded to an equal fingerprint",
    ]  # fmt: skip
    assert found["card"]["settles"]["real"] == pytest.approx(0.7302, abs=2e-4)
    call("inspect", "hinge", "--plot", "h.png")
    assert np.asarray(Image.open(tmp_path / "h.png").convert("L")).std() > 10


def test_compare_then_sample_then_look(call: Call, tmp_path: Path) -> None:
    out = call("compare", "bce", "lsgan", "--steps", "40", "--seeds", "2", "--out", "run")
    assert "BCE" in out and "LSGAN" in out
    rows = list(csv.DictReader((tmp_path / "run/results.csv").open()))
    assert [(row["loss"], row["replicate"], row["status"]) for row in rows] == [
        ("BCE", "0", "ok"), ("BCE", "1", "ok"), ("LSGAN", "0", "ok"), ("LSGAN", "1", "ok"),
    ]  # fmt: skip
    results = json.loads((tmp_path / "run/summary.json").read_text())["results"]
    assert [r["seeds"] for r in results] == [2, 2]
    assert (tmp_path / "run/samples.png").exists() and (tmp_path / "run/box_plot.png").exists()

    (model,) = (tmp_path / "run/models/BCE-0").glob("*.model.pt")
    call("sample", model, "-n", "5", "--out", "images.npz")
    call("sample", model, "-n", "5", "--out", "images")
    images = np.load(tmp_path / "images.npz")["images"]
    assert images.shape == (5, 8, 8, 1)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "images/3.png")), images[3, :, :, 0])
    card = json.loads((tmp_path / "images/datacard.json").read_text())
    assert (card["loss"]["name"], card["steps"], card["counts"], card["audit"]) == ("BCE", 40, {"images": 5}, None)
    assert len(card["source"]["digest"]) == 64 and (tmp_path / "images.datacard.md").is_file()
    (kept,) = (tmp_path / "run/models/BCE-0").glob("*.samples.npz")
    assert np.array_equal(np.load(kept)["images"][:5, 0], images[..., 0])

    assert "LSGAN" in call("show", "run")
    record = json.loads(call("show", "run", "--json"))
    assert record["finished"] is True
    assert call("compare", "--resume", "run").count("BCE") >= 1
    assert json.loads(call("show", "run", "--json")) == record


def test_a_comparison_is_crossed_and_tuned(call: Call, tmp_path: Path) -> None:
    own = ["compare", "bce", "lsgan", "--runner", CROSSED, "--steps", "10", "--workers", "1", "--out", "run"]
    how = ["--regulariser", "none,drift+r1(2)", "--tune", "--grid", "1e-3:1e-3,3e-3:1e-3", "--tune-seeds", "1"]
    out = call(*own, *how, "--seeds", "4")
    assert "Budget: 24 trainings of 10 steps: 8 to tune learning rates, 16 on the same seeds for all." in out
    assert "LSGAN + r1(2) + drift(0.001)" in " ".join(out.split())
    assert "0.003, 0.001" in out and "Holm's correction for 3 tests" in out
    for name in ("results.md", "results.tex"):
        text = (tmp_path / "run" / name).read_text()
        assert "0.003, 0.001" in text and "regularisers and learning rates of each row's own" in text
    assert "LSGAN (drift=0.001,r1=2,lr=0.003-0.001)" in call("show", "run")
    out = call(*own[:2], "hinge", *own[2:], *how, "--seeds", "4")
    assert "Budget: 36 trainings" in out and "24 of them are known already" in out
    assert "Hinge" in (tmp_path / "run/results.csv").read_text()


def test_runs_lists_and_show_finds_by_prefix(call: Call) -> None:
    assert "no runs" in call("runs")
    call("evolve", "--runner", TOY, "--population", "2", "--generations", "1", "--steps", "1", "--verify-seeds", "2")
    line = call("runs")
    name = line.split()[0]
    assert "finished" in line
    assert find_run(name[:10]).name == name
    shutil.copytree(f"runs/{name}", f"runs/{name}-2")
    assert find_run(name).name == name, "another name begins so"
    with pytest.raises(InputError, match="several begin so"):
        find_run(name[:10])
    shutil.rmtree(f"runs/{name}-2")
    rows = list(csv.DictReader(io.StringIO(call("show", name[:10], "--csv"))))
    assert sum(row["fate"] == "trained" for row in rows) == 2


def test_data_lists_and_describes(call: Call, tmp_path: Path) -> None:
    assert "digits" in call("data")
    out = call("data", "digits")
    assert "1797" in out
    assert "lossgen evolve" in out
    assert (tmp_path / "digits.png").exists()


def test_a_seed_loss_is_the_first_candidate(call: Call) -> None:
    small = ["--population", "2", "--generations", "1", "--steps", "1", "--verify-seeds", "2"]
    call("evolve", "--runner", TOY, *small, "--seed-loss", "ganetic", "--out", "run")
    first = json.loads(call("show", "run", "--json"))["candidates"][0]
    assert first["origin"] == "seed"
    assert first["loss"].endswith("= y_pred^3 + sqrt(3.985 * y_real / y_pred)")


def test_the_default_commands_of_the_runner_reach_it(call: Call) -> None:
    help_text = call("evolve", "--help")
    assert "--lr-generator" in help_text
    assert "--pause" in call("evolve", "--runner", TOY, "--help")
