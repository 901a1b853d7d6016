"""The ladder of verification: what it takes to pass a rung, and what may be said of a loss afterwards."""

import math
from typing import Any

import pytest

from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.ladder import RUNGS, Ladder, Step, Trial, beside_baselines, under_metric
from lossgen.runner import Outcome
from lossgen.stats import cliffs_delta, ratio_interval, summarise


def result(name: str, values: list[float], **more: Any) -> Result:
    outcomes = [
        Outcome("ok", {"FD": v, "coverage": 1 / v}) if math.isfinite(v) else Outcome("diverged") for v in values
    ]
    well = [value for value in values if math.isfinite(value)]
    return Result(name, "loss", "", name, outcomes, well, summarise(well) if well else None, **more)


def comparison(*results: Result) -> Comparison:
    return Comparison("FD", "min", results, 10, interim=False)


SIX = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
WORSE = [2.0, 2.1, 2.2, 2.3, 2.4, 2.5]
WORST = [3.0, 3.1, 3.2, 3.3, 3.4, 3.5]


def test_a_loss_is_held_against_the_best_baseline() -> None:
    trial = beside_baselines(comparison(result("A", SIX), result("B", WORST), result("C", WORSE)), ["A"])
    found = trial.found["A"]
    assert (found.baseline, found.finding, found.delta) == ("C", "better", 1.0)
    assert found.p == pytest.approx(2 / 924)  # of the 924 ways to part twelve values, the two most extreme
    assert found.ratio is not None and found.ratio[0] == pytest.approx(1.25 / 2.25)
    assert found.ratio[1] < found.ratio[0] < found.ratio[2] < 1
    assert found.sentence("FD").startswith("A is better than C: FD 1.25 against 2.25, ratio 0.56 (")


def test_p_is_corrected_for_the_losses_that_are_verified() -> None:
    alone = beside_baselines(comparison(result("A", SIX), result("C", WORSE)), ["A"]).found["A"]
    both = beside_baselines(comparison(result("A", SIX), result("B", SIX), result("C", WORSE)), ["A", "B"])
    assert both.found["A"].p == pytest.approx(2 * alone.p)
    assert both.found["A"].smallest_p == pytest.approx(2 * alone.smallest_p)


def test_what_fails_is_worse_than_any_value() -> None:
    failing = [*SIX[:2], *[math.inf] * 4]
    found = beside_baselines(comparison(result("A", failing), result("C", WORSE)), ["A"]).found["A"]
    assert found.finding == "no significant difference"
    assert found.delta == pytest.approx(-1 / 3)
    assert found.failed == 4 and "4 of its trainings failed" in found.sentence("FD")
    none = beside_baselines(comparison(result("A", [math.inf] * 6), result("C", WORSE)), ["A"]).found["A"]
    assert none.finding == "worse" and none.sentence("FD") == "A failed on all seeds."


def test_only_what_trains_on_all_seeds_passes() -> None:
    trial = beside_baselines(comparison(result("A", [*SIX, 1.6, math.inf]), result("C", [*WORST, 3.6, 3.7])), ["A"])
    found = trial.found["A"]
    assert found.p < 0.05 and found.finding == "better where it trains"
    assert found.sentence("FD").startswith("A is better, where it trains, than C: ")
    assert Step("fresh", "", [trial]).passed == []


def test_worse_is_said_to_be_worse_and_alike_not_to_differ() -> None:
    trial = beside_baselines(comparison(result("A", WORST), result("B", SIX), result("C", WORSE)), ["A"])
    assert trial.found["A"].finding == "worse"
    assert trial.found["A"].p == pytest.approx(2 * 2 / 924), "of two baselines the harder was chosen by these values"
    trial = beside_baselines(comparison(result("A", SIX), result("C", SIX)), ["A"])
    assert trial.found["A"].finding == "no significant difference"
    assert "is not shown to differ from C" in trial.found["A"].sentence("FD")


def test_another_metric_may_be_better_the_other_way() -> None:
    by = under_metric(comparison(result("A", SIX), result("C", WORSE)), "coverage", "max")
    found = beside_baselines(by, ["A"]).found["A"]
    assert found.finding == "better" and found.mean is not None and found.against is not None
    assert found.mean > found.against


def test_a_regulariser_that_the_baselines_did_not_have_is_named() -> None:
    made = comparison(result("A", SIX, needs="r1(1)"), result("C", WORSE))
    trial = beside_baselines(made, ["A"])
    assert trial.found["A"].sentence("FD").startswith("A with r1(1) is better than C: ")
    ladder = Ladder(["A"], [Step("fresh", "", [trial])])
    assert ladder.headline("A").startswith(f"A with r1(1), which the baselines did not have, {RUNGS['fresh'][1]}")


def trial(*better: str, of: tuple[str, ...] = ("A", "B")) -> Trial:
    results = [result(name, SIX if name in better else WORSE) for name in of]
    return beside_baselines(comparison(*results, result("C", WORSE)), list(of))


def test_the_headline_names_the_highest_rung_that_was_passed() -> None:
    steps = [Step("fresh", "", [trial("A", "B")]), Step("tuned", "", [trial("A")]), Step("plateau", "", [trial("B")])]
    ladder = Ladder(["A", "B"], steps)
    assert ladder.highest("A") == "tuned"
    assert ladder.headline("A") == f"A {RUNGS['tuned'][1]}; the rung that it does not pass: long trainings."
    assert ladder.highest("B") == "fresh", "what is above a rung that it fell from does not count"
    nothing = Ladder(["A"], [Step("fresh", "", [trial(of=("A",))])])
    assert nothing.highest("A") is None
    assert nothing.headline("A").startswith("A is not shown to be better than the baselines")


def test_all_comparisons_of_a_rung_are_to_be_passed() -> None:
    step = Step("wide", "", [trial("A", "B"), trial("B")])
    assert step.passed == ["B"]


def test_what_could_not_be_tried_neither_counts_nor_stands_in_the_way() -> None:
    steps = [
        Step("fresh", "", [trial("A")]),
        Step("tuned", "", [], "the runner has no learning rates"),
        Step("plateau", "", [trial("A")]),
    ]
    ladder = Ladder(["A"], steps)
    assert ladder.highest("A") == "plateau"
    assert ladder.headline("A").endswith(": the highest rung that was tried.")
    assert Ladder(["A"], steps[1:2]).highest("A") is None


def test_cliffs_delta_counts_pairs() -> None:
    assert cliffs_delta([1, 2], [3, 4]) == 1.0
    assert cliffs_delta([1, 4], [2, 3]) == 0.0
    assert cliffs_delta([math.inf, 1], [2, 2]) == 0.0
    assert cliffs_delta([2], [2]) == 0.0


def test_a_ratio_of_means_has_its_interval() -> None:
    low, high = ratio_interval([1.0, 1.0, 1.0], [2.0, 2.0])
    assert low == high == 0.5
    low, high = ratio_interval(SIX, WORSE)
    assert low < 1.25 / 2.25 < high
    assert (low, high) == ratio_interval(SIX, WORSE)
