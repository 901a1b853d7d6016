"""A seed loss that wins is said to have been given, not found, and a rounded form to be a rounded form."""

import json
import sys
from pathlib import Path

import pytest
import torch

from lossgen.cli import main
from lossgen.codegen.load import load_argument, load_source

TOY = str(Path(__file__).parents[1] / "toy_runner.py")
SHAPE = "{!r} * (square(y_pred - y_real) + square(square(y_pred - y_real)))"


def best_of_the_toy() -> str:
    """A loss whose discriminator's loss is 1 where the toy looks: nothing beats it."""
    score = torch.linspace(-4, 4, 17)
    criterion = load_source(load_argument(SHAPE.format(1.0)).source)
    return SHAPE.format(1.0 / float(criterion.discriminator_loss(score, -score)))  # type: ignore[operator]


def test_a_seed_loss_that_wins_is_not_called_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.loss").write_text(f"loss Mine(y_pred, y_real) = {best_of_the_toy()}\n")
    small = ["--population", "3", "--generations", "1", "--steps", "1", "--verify-seeds", "2", "--workers", "0"]
    command = ["lossgen", "evolve", "--runner", TOY, *small, "--seed-loss", "mine.loss", "--out", "run"]
    monkeypatch.setattr(sys, "argv", command)
    main()
    out = capfd.readouterr().out
    name = json.loads((tmp_path / "run/summary.json").read_text())["champions"][0]["name"]
    assert f"{name} (seed, champion)" in out
    assert f"{name} was given as --seed-loss Mine; the search found nothing better." in out
    (file,) = (tmp_path / "generated").glob("*.py")
    note = load_argument(str(file)).loss.note
    assert note.startswith("Given as --seed-loss Mine; the search found nothing better (lossgen, search space ganetic")
    assert "Found by" not in file.read_text()
    assert note.endswith("; constants rounded to an equal fingerprint.")
    monkeypatch.setattr(sys, "argv", ["lossgen", "show", "run"])
    main()
    rows = [line.split() for line in capfd.readouterr().out.splitlines() if line.startswith("  ")]
    assert ["seed," in row for row in rows] == ["champion" in row for row in rows]
    others = [row[0] for row in rows if "runner-up" in row]
    assert others, "the search has found nothing of its own to compare with"
    assert all(f"{other} was given" not in out for other in others)
