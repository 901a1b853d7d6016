"""What a calibration says of outcomes that are made up: metrics to be maximised, losses that fail, trainings anew."""

from collections.abc import Mapping

import pytest

from lossgen.evolution.calibration import Calibration, calibration_of, panel_of
from lossgen.report.calibration import shown
from lossgen.runner import Direction, Outcome

LOSSES, PAIRS, BUDGETS = ["A", "B", "C", "D", "E", "F"], ["0.001:0.001", "0.003:0.003", "0.003:0.01"], [100, 200]


def calibrated(direction: Direction, files: Mapping[str, str] | None = None) -> Calibration:
    """Each loss is better than the next, the last pair best, and coverage grows as the metric; the last loss fails."""

    def outcome(loss: int, pair: int, steps: int) -> Outcome:
        if loss == len(LOSSES) - 1:
            return Outcome("diverged", reason="so", seconds=1.0)
        good = 100.0 - 10 * loss + pair
        value = good if direction == "max" else 200.0 - good
        return Outcome("ok", {"score": value, "coverage": value}, seconds=1.0, files=dict(files or {}))  # type: ignore[arg-type]

    outcomes = {
        (loss, pair, seed, steps): outcome(i, j, steps)
        for i, loss in enumerate(LOSSES)
        for j, pair in enumerate(PAIRS)
        for seed in range(2)
        for steps in BUDGETS
    }
    panel = panel_of(outcomes, LOSSES, PAIRS, 2, BUDGETS, "score", "score", direction, 1)
    assert panel is not None
    return calibration_of(panel, {})


@pytest.mark.parametrize("direction", ["min", "max"])
def test_values_are_shown_as_the_metric_has_them_whichever_way_is_better(direction: Direction) -> None:
    found = calibrated(direction)
    assert [row.loss for row in found.rows] == LOSSES
    best = 102.0 if direction == "max" else 98.0
    assert found.rows[0].tuned == pytest.approx([best, best]) and max(found.rows[0].pairs) <= 102.0
    assert found.others["coverage"].value == pytest.approx(1.0)


def test_a_loss_that_fails_everywhere_has_no_best_rates() -> None:
    tables = {each.title.partition(" by ")[2]: each for each in shown(calibrated("max"))}
    (row,) = [row for row in tables["loss"].rows if row[0] == "F"]
    assert row[1:4] == ["failed", "failed", "–"]
    (note,) = tables["learning rates, after 200 steps"].notes
    assert "the discriminator in the grid, 0.01: A, B, C, D, E. Beyond" in note


def test_the_pair_that_all_losses_share_is_named() -> None:
    notes = [note for each in shown(calibrated("min")) for note in each.notes]
    assert "Common rates are 0.003:0.003 for every loss." in notes


def test_a_training_that_begins_anew_at_each_budget_takes_what_it_took() -> None:
    assert calibrated("min").panel.seconds.tolist() == [1.0, 1.0]
    assert calibrated("min", {"state": "100.pt"}).panel.seconds.tolist() == [1.0, 2.0]
