"""What a budget buys."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.evolution.config import RunConfig
from lossgen.evolution.events import Plan
from lossgen.evolution.planner import SEARCH_SLACK, make_plan, mean_timing
from lossgen.report.live import plan_lines
from lossgen.settings import GENERATIONS, POPULATION, ROBUST_STEPS, STEPS

TIMING = (1.0, 0.002)


def plan(verify: int = 42, workers: int = 2, timing: tuple[float, float] | None = TIMING, **config: object) -> Plan:
    return make_plan(RunConfig(kind="evolve", **config), timing, verify, workers)  # type: ignore[arg-type]


def test_without_flags_it_is_the_default() -> None:
    found = plan()
    assert (found.search_trainings, found.polish_trainings, found.audit_trainings) == (POPULATION * GENERATIONS, 16, 8)
    assert found.most == found.search_trainings
    assert found.steps == STEPS
    assert found.seconds_per_training == pytest.approx(4.0)
    assert found.seconds(found.trainings) == pytest.approx(found.trainings / 2 * 4.0)
    assert not found.notes


@given(st.integers(1, 400), st.integers(1, 4), st.sampled_from([None, 3]), st.integers(0, 30))
def test_a_number_of_trainings_is_never_exceeded(limit: int, seeds: int, generations: int | None, verify: int) -> None:
    if limit < verify + seeds:
        with pytest.raises(InputError, match=f"give at least {verify + seeds}, or fewer --verify-seeds"):
            plan(verify, max_trainings=limit, seeds=seeds, generations=generations)
        return
    found = plan(verify, max_trainings=limit, seeds=seeds, generations=generations)
    assert found.trainings <= limit
    assert found.search_trainings >= seeds
    assert found.search_trainings % seeds == 0
    assert found.most == found.search_trainings
    if generations is None:
        assert limit - found.trainings < seeds


def test_steps_are_trainings_times_steps() -> None:
    assert plan(max_steps=100 * STEPS) == plan(max_trainings=100)
    with pytest.raises(InputError, match="--max-steps 100: verification alone trains 42 GANs of 1500 steps"):
        plan(max_steps=100)


@given(st.floats(60, 4000), st.integers(1, 4), st.sampled_from([None, 7]), st.sampled_from([None, 1500]))
def test_a_time_limit_is_kept_or_refused(
    limit: float, workers: int, generations: int | None, steps: int | None
) -> None:
    try:
        found = plan(workers=workers, time_limit=limit, generations=generations, steps=steps)
    except InputError as error:
        assert "--time-limit: verification alone takes about" in str(error)
        assert limit < -(-42 // workers) * (1.0 + (steps or 50) * 0.002) + 4.0
        return
    seconds, price = found.seconds(found.trainings), found.seconds_per_training
    assert seconds is not None
    assert price is not None
    assert seconds <= max(limit * SEARCH_SLACK + price, limit)
    assert found.most == (None if generations is None else POPULATION * generations)


def test_how_many_proposals_are_trained_is_not_known_before() -> None:
    found = plan(max_candidates=1000)
    assert found.most is None
    assert found.search_trainings == 40
    assert any("how many of 1000 proposals are worth training" in note for note in found.notes)
    assert plan(max_candidates=20, generations=7).search_trainings == 20


def test_a_polish_beyond_the_limit_is_refused() -> None:
    with pytest.raises(InputError, match="ask for 101 trainings; the limits leave 18"):
        plan(max_trainings=60, polish=100)


def test_what_is_asked_for_is_had() -> None:
    found = plan(population=4, generations=3, seeds=2, polish=5, audit=0)
    assert (found.search_trainings, found.polish_trainings, found.audit_trainings) == (24, 5, 0)


def test_a_budget_too_small_for_a_search_is_said() -> None:
    (note,) = plan(population=4, generations=7).notes
    assert "32 losses in the search: a sample" in note
    assert "lossgen compare zoo" in note
    assert not plan(population=16, generations=6).notes
    assert "losses in the search: a sample" in plan(population=16, generations=6, seeds=2, max_trainings=150).notes[0]


RACE = {"rungs": [(500, 1), (1000, 2), (2000, 4)], "steps": 2000, "population": 16}


def test_a_race_costs_a_part_of_training_all_the_whole_way() -> None:
    found = plan(**RACE, generations=10)
    steps = 16 * 500 + 6 * (2 * 1000 - 500) + 4 * (4 * 2000 - 2 * 1000)  # a quarter and two at random go on
    assert found.search_trainings == -(-10 * steps // 2000)
    (note,) = found.notes
    assert "losses race (500 steps on 1, 1000 steps on 2, 2000 steps on 4 replicates; the better go on): 32%" in note


def test_a_race_keeps_its_limits() -> None:
    found = plan(**RACE, max_trainings=400)
    assert 400 - 4 < found.trainings <= 400
    with pytest.raises(InputError, match="give at least 46, or fewer --verify-seeds"):
        plan(**RACE, max_trainings=45)


def test_robust_is_priced_with_its_pairs() -> None:
    found = plan(objective="robust", grid=[(1, 1), (2, 1), (2, 2)], seeds=2, generations=7)
    assert found.search_trainings == 16 * 7 * 3 * 2
    assert found.polish_trainings == 16 * 6


def test_a_robust_search_trains_each_pair_for_less_and_races() -> None:
    robust = {"objective": "robust", "grid": [(1, 1), (2, 1), (2, 2), (1, 2)], "race": True}
    found = plan(**robust, verify=120)
    assert found.steps == ROBUST_STEPS
    ways = "125 steps on 1, 250 steps on 1, 500 steps on 1, 500 steps on 4 replicates; the better go on"
    assert any(ways in note for note in found.notes)
    assert found.search_trainings < plan(**{**robust, "race": False}, verify=120).search_trainings
    short = plan(**robust, verify=120, time_limit=150.0)
    assert short.steps < ROBUST_STEPS / 2
    assert "with each of 4 pairs of learning rates: so short ones tell little" in short.notes[0]


def test_rungs_are_those_that_were_given_or_parts_of_the_steps_and_pairs() -> None:
    config = RunConfig(kind="evolve", objective="robust", grid=[(1, 1), (2, 1)], seeds=2, race=True)
    assert (config.races, config.rungs_at(500)) == (True, [(125, 1), (250, 1), (500, 1), (500, 4)])
    assert config.rungs_at(1) == [(1, 1), (1, 4)] and config.rungs_at(3) == [(1, 1), (3, 1), (3, 4)]
    few = config.model_copy(update={"seeds": 1, "grid": [(1, 1)]})
    assert few.rungs_at(500) == [(125, 1), (250, 1), (500, 1)]
    alone = config.model_copy(update={"race": False})
    assert (alone.races, alone.rungs_at(500)) == (False, [(500, 4)])
    assert config.model_copy(update={"rungs": [(3, 1), (7, 4)]}).rungs_at(7) == [(3, 1), (7, 4)]


def test_an_unknown_price_stays_unknown() -> None:
    found = plan(timing=None, time_limit=100.0)
    assert found.seconds_per_training is None
    assert found.seconds(10) is None
    assert found.most is None


def comparison(verify: int, **config: object) -> Plan:
    crossed = {
        "losses": ["a", "b"],
        "regularisers": ["none", "r1(10)"],
        "grid": [(1, 1), (2, 1), (2, 2)],
        "tune_seeds": 2,
    }
    return make_plan(RunConfig(kind="compare", **{**crossed, **config}), TIMING, verify, 2)  # type: ignore[arg-type]


def test_a_comparison_is_priced_with_its_crossing_and_its_tuning() -> None:
    found = comparison(2 * 2 * 5)
    assert (found.tune_trainings, found.verify_trainings, found.trainings) == (24, 20, 44)
    said = " ".join(plan_lines(found))
    assert "44 trainings of 1500 steps: 24 to tune learning rates, 20 on the same seeds for all." in said
    assert "88 s in all with 2 workers" in said
    assert comparison(20, grid=None, tune_seeds=None).tune_trainings == 0


def test_a_time_limit_buys_steps_for_the_tuning_too() -> None:
    found = comparison(20, time_limit=60.0)
    seconds = found.seconds(found.trainings)
    assert found.steps < STEPS and seconds is not None and 0.8 * 60 < seconds <= 0.9 * 60
    (note,) = comparison(20, time_limit=60.0, steps=STEPS).notes
    assert note == "the time limit ends it first: all trainings would take about 88 s"


def test_what_is_known_costs_nothing() -> None:
    said = " ".join(plan_lines(dataclasses.replace(comparison(20), known=34)))
    assert "34 of them are known already." in said and "20 s in all" in said


def test_the_price_is_that_of_all_conditions() -> None:
    assert mean_timing([(1.0, 0.002), (3.0, 0.004)]) == pytest.approx((2.0, 0.003))
    assert mean_timing([TIMING]) == TIMING
    assert mean_timing([TIMING, None]) is None
