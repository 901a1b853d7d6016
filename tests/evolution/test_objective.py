"""How outcomes become a fitness, by closed forms."""

import math
from typing import get_args

import pytest

from lossgen.evolution.conditions import condition_text, rates
from lossgen.evolution.objective import Objective, objective_from
from lossgen.runner import Outcome
from lossgen.settings import ObjectiveKind

PAIRS = tuple(condition_text(rates(pair)) for pair in ((1e-3, 1e-3), (3e-3, 3e-3), (3e-3, 1e-3), (1e-3, 3e-4)))


def ok(*values: float) -> list[Outcome]:
    return [Outcome("ok", {"FD": value, "coverage": value / 10}, seconds=1.0) for value in values]


def test_robust_is_the_geometric_mean_of_a_distance() -> None:
    objective = Objective("robust", "FD", "min", True, PAIRS)
    fitness = objective.fitness(objective.values(ok(1.0, 10.0, 100.0, 10.0)))
    assert objective.shown(fitness) == pytest.approx(10.0)
    assert [objective.condition(i) for i in range(6)] == [*PAIRS, *PAIRS[:2]]


def test_robust_is_the_plain_mean_of_what_may_be_negative() -> None:
    objective = Objective("robust", "KID", "min", False, PAIRS)
    values = objective.values([Outcome("ok", {"KID": value}) for value in (-1.0, 0.0, 4.0)])
    assert objective.shown(objective.fitness(values)) == pytest.approx(1.0)


def test_a_score_is_maximised_and_shown_as_it_is() -> None:
    objective = Objective("quality", "score", "max", False)
    better, worse = (objective.fitness(objective.values([Outcome("ok", {"score": s})])) for s in (3.0, 1.0))
    assert better < worse
    assert objective.shown(better) == 3.0


def test_stability_is_the_mean_and_the_spread_together() -> None:
    objective = Objective("stability", "FD", "min", True)
    steady, lucky = ok(10.0, 10.0, 10.0), ok(2.0, 10.0, 50.0)
    spread = math.log(5.0)  # of 2, 10, 50 in logarithms
    assert objective.fitness(objective.values(steady)) == pytest.approx(math.log(10.0))
    assert objective.fitness(objective.values(lucky)) == pytest.approx(math.log(10.0) + spread)


def test_only_quality_wants_a_small_spread() -> None:
    spreads = {kind: Objective(kind, "FD", "min", True).spread([1.0, 2.0, 3.0]) for kind in get_args(ObjectiveKind)}
    assert spreads == {"quality": 1.0, "robust": 0.0, "stability": 0.0}


@pytest.mark.parametrize("kind", ["quality", "robust", "stability"])
def test_one_failure_is_no_fitness(kind: str) -> None:
    objective = Objective(kind, "FD", "min", kind != "quality")  # type: ignore[arg-type]
    assert objective.fitness(objective.values([*ok(1.0), Outcome("collapsed", reason="so")])) == math.inf
    assert objective.fitness([]) == math.inf


def test_a_distance_of_nothing_has_a_logarithm() -> None:
    objective = Objective("robust", "FD", "min", True)
    assert math.isfinite(objective.fitness(objective.values(ok(0.0))))


def test_outcomes_of_several_conditions_are_one_result() -> None:
    objective = Objective("robust", "FD", "min", True, PAIRS[:2])
    both = objective.combined(ok(1.0, 4.0))
    assert both.metrics["FD"] == pytest.approx(2.0)
    assert both.metrics["coverage"] == pytest.approx(0.25)
    assert (both.metrics["FD lr=0.001-0.001"], both.metrics["FD lr=0.003-0.003"]) == (1.0, 4.0)
    assert both.seconds == 2.0
    failed = Outcome("diverged", reason="so")
    assert objective.combined([*ok(1.0), failed]) is failed


def test_an_archive_keeps_it() -> None:
    objective = Objective("robust", "FD", "min", True, PAIRS)
    assert objective_from(objective.as_json()) == objective
