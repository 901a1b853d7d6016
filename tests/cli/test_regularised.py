"""A comparison tells a loss that was trained with a regulariser from one that was not."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.cli import main

TOY = (Path(__file__).parents[1] / "toy_runner.py").read_text()
OPTION = '    recommended: bool = Field(True, description="apply the regularisers that a loss asks for")\n'
TEXT = """loss NSR1(score):
  real: softplus(-score)
  fake: softplus(score)
  generator: softplus(-score)
  needs: r1(10)
"""
Call = Callable[..., tuple[str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nsr1.loss").write_text(TEXT)
    (tmp_path / "wrong.loss").write_text("loss Wrong(y_pred, y_real) = -square(y_pred - y_real)\n")
    (tmp_path / "silent.py").write_text(TOY)
    (tmp_path / "toy.py").write_text(TOY.replace("    marks: str", OPTION + "    marks: str"))

    def run(*args: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["lossgen", *args])
        main()
        return capfd.readouterr()

    return run


def compared(runner: str, *more: str) -> list[str]:
    flags = ["--runner", runner, "--steps", "1", "--seeds", "2", "--workers", "1", "--out", "run", *more]
    return ["compare", "nsr1.loss", "wrong.loss", *flags]


def needs_column() -> dict[str, str]:
    return {row["loss"]: row["needs"] for row in csv.DictReader(Path("run/results.csv").open())}


def test_an_applied_regulariser_is_part_of_the_row(call: Call) -> None:
    out, err = call(*compared("toy.py"))
    assert "NSR1 + r1(10)" in out
    assert "r1(10) was applied to NSR1 alone: " in out
    assert "With so few seeds no difference could have been shown" in out
    assert needs_column() == {"NSR1": "r1(10)", "Wrong": ""}
    assert "needs: r1(10), applied" in call("show", "run")[0]
    assert err == "".join(line for line in err.splitlines(True) if line.startswith("warning: Wrong: "))
    assert err.count("; it is trained all the same\n") == 1


@pytest.mark.parametrize(
    ("runner", "more", "said"),
    [("toy.py", ["--no-recommended"], "r1(10), not applied"), ("silent.py", [], "r1(10), left to the runner")],
)
def test_one_that_was_not_is_not_claimed(call: Call, runner: str, more: list[str], said: str) -> None:
    out, _ = call(*compared(runner, *more))
    assert "NSR1" in out and "r1(10)" not in out
    assert needs_column() == {"NSR1": "", "Wrong": ""}
    assert f"needs: {said}" in call("show", "run")[0]
