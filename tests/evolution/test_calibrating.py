"""Calibrations as a whole: trainings go on from budget to budget, and what they say is what was put in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from budget_runner import LOSSES, NAMES, Budgeted

import lossgen
from lossgen.api import Run
from lossgen.report.calibration import plateau_line, proxy_line

TOY = Path(__file__).parents[1] / "toy_runner.py"
BUDGETS = [50, 100, 200, 400]
GRID = [(3e-3, 3e-3), (1e-3, 1e-3)]
SMALL: dict[str, Any] = {
    "runner": Budgeted, "budgets": BUDGETS, "grid": GRID, "seeds": 2, "workers": 0, "quiet": True, "marks": "marks",
    "fails": "Hinge", "collapses": "Minimax",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("calibrating"))
        yield Path.cwd()


def trained() -> list[str]:
    """The trainings since the last look; those that were timed left out."""
    marks = Path("marks")
    lines = marks.read_text().splitlines() if marks.exists() else []
    marks.unlink(missing_ok=True)
    return [line for line in lines if not line.endswith((" 0 20", " 0 60"))]


@pytest.fixture(scope="module")
def whole() -> tuple[Run, list[str]]:
    trained()
    run = lossgen.calibrate(LOSSES, out="whole", **SMALL)
    return run, trained()


def test_each_training_goes_on_where_it_was(whole: tuple[Run, list[str]]) -> None:
    run, lines = whole
    assert run.finished and run.reproducible
    pairs = {tuple(line.split()[-2:]) for line in lines}
    assert pairs == {("0", "50"), ("50", "100"), ("100", "200"), ("200", "400")}
    assert len(lines) == 6 * 2 * 2 * 4 - 2 * 2, "what had failed by step 200 was not trained on"
    outcomes = {(name, key.steps): outcome for key, name, outcome in run.outcomes}
    assert outcomes["Hinge", 100].status == "ok"
    assert outcomes["Minimax", 50].status == "collapsed" and outcomes["Minimax", 100].status == "ok"
    assert outcomes["Hinge", 200].status == outcomes["Hinge", 400].status == "diverged"
    kept = sorted(path.name for path in (run.path / "models").glob("BCE*/*"))
    assert kept == ["400.state.json"] * 4, "only the last states stay"


def test_it_says_what_was_put_in(whole: tuple[Run, list[str]]) -> None:
    found = whole[0].calibration()
    assert found is not None
    assert [row.loss for row in found.rows] == [name for name in NAMES if name != "Hinge"] + ["Hinge"]
    assert found.rows[0].pair == "0.003:0.003" and found.rows[-1].failed == 4 and found.rows[-1].steps is None
    before, after = ([p for p in found.proxies if p.steps == steps] for steps in (100, 200))
    assert all(p.quality.value < 0 for p in before) and all(p.quality.value == 1 for p in after)
    seconds = found.panel.seconds.tolist()
    assert 0 < seconds[0] < seconds[1] < seconds[2], "of a training from its start"
    assert {p.objective for p in found.proxies} == {"common", "tuned", "robust"}
    assert found.others["coverage"].value == -1
    said = proxy_line(found.proxies, "quality")
    assert said.startswith("Cheapest that foretells each loss at its own best rates") and "after 200 steps" in said
    assert plateau_line(found).startswith(
        "The plateau was not reached: from 200 to 400 steps BCE's distance fell by 26%"
    )
    assert "calibration.md" in repr(whole[0])
    text = (whole[0].path / "calibration.md").read_text()
    assert "| Hinge |" in text and "failed" in text
    assert "by learning rates, after 400 steps\n\n| loss | 0.003:0.003 | 0.001:0.001 |" in text
    (bce,) = [row for row in found.rows if row.loss == "BCE"]
    assert bce.tuned[-1] == bce.pairs[0] < bce.pairs[1] and bce.robust == pytest.approx(
        (bce.pairs[0] * bce.pairs[1]) ** 0.5
    )
    assert "but each loss and seed with the learning rates 0.003:0.003" in text and "chosen by fitness" not in text
    assert len((whole[0].path / "trainings.csv").read_text().splitlines()) == 1 + 6 * 2 * 2 * 4


def test_one_that_is_stopped_and_resumed_ends_as_the_other(whole: tuple[Run, list[str]]) -> None:
    class StopsAfter(lossgen.Listener):
        count = 0

        def trained(self, *args: Any) -> None:
            self.count += 1
            if self.count == 40:
                raise lossgen.Stopped

    trained()
    run = lossgen.calibrate(LOSSES, out="stopped", callbacks=[StopsAfter()], **SMALL)
    assert not run.finished and run.calibration() is not None, "it has come to the first budget"
    run = lossgen.calibrate(resume=run, quiet=True)
    assert run.record() == whole[0].record()
    assert sorted(trained()) == sorted(whole[1])


def test_luck_that_no_seed_shares_foretells_nothing() -> None:
    run = lossgen.calibrate(LOSSES, luck=20.0, out="luck", **{**SMALL, "fails": "", "seeds": 4})
    found = run.calibration()
    assert found is not None
    assert {p.objective for p in found.proxies} == {"common", "tuned", "robust", "stability"}
    assert proxy_line(found.proxies, "robustness").startswith("Nothing foretells the mean over rates")
    assert all(signal.one < 1 for signal in found.signals)


def test_another_data_set_is_foretold(whole: tuple[Run, list[str]]) -> None:
    other = lossgen.calibrate(LOSSES[::-1], turns=10**6, data="mnist", out="other", **{**SMALL, "fails": ""})
    found = whole[0].calibration(beside=[other.path])
    assert found is not None
    ((name, proxies),) = found.beside.items()
    assert name == "mnist (other)"
    by_mean = [p for p in proxies if p.objective != "stability"]
    assert {p.steps: p.quality.value > 0 for p in by_mean} == {50: True, 100: True, 200: False, 400: False}


def test_a_runner_without_rates_has_one_condition() -> None:
    """And a runner that keeps no states is trained anew to each budget."""
    run = lossgen.calibrate(LOSSES[:5], budgets="20,40", runner=TOY, seeds=1, workers=0, quiet=True, out="toy")
    found = run.calibration()
    assert found is not None and found.panel.pairs == [""] and found.own_seeds
    assert {p.objective for p in found.proxies} == {"common"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"losses": LOSSES[:4]}, "calibrate: a rank correlation takes 5 losses"),
        ({"budgets": "100,50"}, "--budgets '100,50': is no list of steps, each more"),
        ({"budgets": "few"}, "--budgets 'few': is no list"),
        ({"grid": "1e-3"}, "--grid '1e-3': '1e-3' is no pair"),
        (
            {"runner": TOY, "grid": "1e-3:1e-3", "fails": None, "collapses": None},
            "--grid: the runner toy_runner has no option lr_generator",
        ),
        ({"steps": 10}, "calibrate: there is no option steps"),
        ({"out": "whole"}, "holds a run already; go on with `--resume whole`"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_one_line(
    whole: tuple[Run, list[str]], change: dict[str, Any], says: str
) -> None:
    arguments = {"losses": LOSSES, **SMALL, "out": "wrong", **change}
    with pytest.raises(lossgen.InputError, match=says) as error:
        lossgen.calibrate(**{name: value for name, value in arguments.items() if value is not None})
    assert "\n" not in str(error.value) and not Path("wrong").exists()


def test_what_is_beside_it_must_be_a_calibration(whole: tuple[Run, list[str]]) -> None:
    comparison = lossgen.compare(
        LOSSES[:2], runner=Budgeted, steps=10, seeds=1, workers=0, quiet=True, out="comparison"
    )
    with pytest.raises(lossgen.InputError, match=r"--beside .*comparison: holds no calibration"):
        whole[0].calibration(beside=[comparison.path])
    losses = [*LOSSES[1:4], "ngl", "bce_smooth"]
    other = lossgen.calibrate(losses, runner=TOY, budgets="10", seeds=1, workers=0, quiet=True, out="few")
    with pytest.raises(lossgen.InputError, match=r"--beside .*few: has 3 losses in common"):
        whole[0].calibration(beside=[other.path])
