"""Races on outcomes that are made up: who goes on, what it costs, and what a rung is found to foretell."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.batch import Job, Keep
from lossgen.evolution.conditions import condition_text, rates
from lossgen.evolution.entry import Entry
from lossgen.evolution.objective import Objective
from lossgen.evolution.racing import ENOUGH, Race, Rung, parse_rungs, promoted_of
from lossgen.runner import Outcome

ONE = Objective("quality", "distance", "min", False)
PAIRS = tuple(condition_text(rates(pair)) for pair in ((1e-3, 1e-3), (3e-3, 1e-3)))
ROBUST = Objective("robust", "distance", "min", True, PAIRS)
THREE = [Rung(100, 1), Rung(200, 2), Rung(400, 4)]
LOSS = load_argument("bce").loss
Value = Callable[[int, int, int], float]
"""Of a loss, a replicate and steps."""


def entry(number: int) -> Entry:
    return Entry(LOSS.renamed(f"L{number}"), "", f"{number:03d}")


class Fake:
    """Trains nothing; remembers what it was asked for."""

    def __init__(self, value: Value, most: int = 10**9) -> None:
        self.value = value
        self.most = most
        self.asked: list[tuple[int, list[Job], Keep]] = []
        self.kept: set[tuple[tuple[str, int], int]] = set()

    def train(self, jobs: Sequence[Job], steps: int, keep: Keep) -> Mapping[tuple[str, int], Outcome]:
        self.asked.append((steps, list(jobs), keep))
        for job in jobs:
            if job.after:
                assert (job.key, job.after) in self.kept, "it continues what was forgotten, or was never there"
                self.kept.discard((job.key, job.after))
        found = {}
        for job in jobs[: self.most]:
            value = self.value(int(job.entry.digest), job.replicate, steps)
            well = math.isfinite(value)
            found[job.key] = Outcome("ok", {"distance": value}) if well else Outcome("diverged", reason="so")
            if keep == "state":
                self.kept.add((job.key, steps))
        self.most -= len(jobs)
        return found

    def forget(self, jobs: Sequence[Job], steps: int) -> None:
        self.kept -= {(job.key, steps) for job in jobs}


def by_number(loss: int, replicate: int, steps: int) -> float:
    return 1.0 + loss


def race_of(count: int, trainer: Fake, objective: Objective = ONE, generations: int = 1) -> Race:
    race = Race(THREE, objective, seed=0)
    for generation in range(generations):
        race.run(generation, [entry(100 * generation + i) for i in range(count)], trainer)
    return race


def test_the_best_go_the_whole_way_and_the_others_keep_what_they_came_to() -> None:
    trainer = Fake(by_number)
    raced = Race(THREE, ONE, seed=0).run(0, [entry(i) for i in range(16)], trainer)
    assert [steps for steps, _, _ in trainer.asked] == [100, 200, 400]
    assert [keep for _, _, keep in trainer.asked] == ["state", "state", "nothing"]
    whole = [i for i, each in enumerate(raced) if each.short == 0]
    control = {5, 11}
    assert set(whole) - control == {0}
    assert {i for i, each in enumerate(raced) if each.short == 1} - control == {1, 2, 3}
    assert all(each.values == [1.0 + i] * {2: 1, 1: 2, 0: 4}[each.short] for i, each in enumerate(raced))
    assert {each.short for each in raced} == {0, 1, 2}


def test_a_training_goes_on_from_where_it_was_and_new_replicates_begin() -> None:
    trainer = Fake(by_number)
    race_of(16, trainer)
    after = [{(job.replicate, job.after) for job in jobs} for _, jobs, _ in trainer.asked]
    assert after == [{(0, 0)}, {(0, 100), (1, 0)}, {(0, 200), (1, 200), (2, 0), (3, 0)}]


@given(st.integers(1, 24), st.integers(0, 5))
def test_no_state_is_left_and_the_cost_is_not_above_what_was_said(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(size=(count, 4))
    trainer = Fake(lambda loss, replicate, steps: float(values[loss, replicate]))
    race = Race(THREE, ONE, seed)
    said = race.cost(count)
    race.run(0, [entry(i) for i in range(count)], trainer)
    assert not trainer.kept
    counted = sum(steps - job.after for steps, jobs, _ in trainer.asked for job in jobs)
    assert race.spent == counted <= said
    assert race.room(said, 100) >= count
    assert race.room(said - 1, 100) < count or race.cost(count) < said


def test_rungs_of_equal_steps_train_only_the_further_replicates() -> None:
    trainer = Fake(by_number)
    race = Race([Rung(100, 1), Rung(100, 3)], ONE, seed=0)
    race.run(0, [entry(i) for i in range(4)], trainer)
    assert {job.after for _, jobs, _ in trainer.asked for job in jobs} == {0}
    assert race.spent == 4 * 100 + len(trainer.asked[1][1]) // 3 * 2 * 100
    assert {keep for _, _, keep in trainer.asked} == {"nothing"}  # no training goes on from these


def test_replicates_are_pairs_of_learning_rates_in_turn() -> None:
    trainer = Fake(by_number)
    race_of(8, trainer, ROBUST)
    _, jobs, _ = trainer.asked[-1]
    assert {(job.replicate, job.entry.condition) for job in jobs} == {(r, PAIRS[r % 2]) for r in range(4)}


def test_a_failed_training_ranks_last() -> None:
    trainer = Fake(lambda loss, replicate, steps: math.inf if loss < 8 else 1.0 + loss)
    raced = Race(THREE, ONE, seed=1).run(0, [entry(i) for i in range(16)], trainer)
    assert [i for i, each in enumerate(raced) if each.short == 0 and each.values[0] < math.inf][:1] == [8]  # type: ignore[index]


def test_where_the_time_is_up_the_last_whole_rung_counts() -> None:
    trainer = Fake(by_number, most=16 + 5)
    raced = Race(THREE, ONE, seed=0).run(0, [entry(i) for i in range(16)], trainer)
    assert len(trainer.asked) == 2
    assert all(each.values is not None and len(each.values) == 1 and each.short == 2 for each in raced)
    raced = Race(THREE, ONE, seed=0).run(0, [entry(i) for i in range(16)], Fake(by_number, most=5))
    assert [each.values is None for each in raced] == [i >= 5 for i in range(16)]


def test_the_control_group_depends_on_no_result() -> None:
    """What is not among the best, and goes on all the same, was drawn."""
    drawn = []
    for sign in (1, -1):
        trainer = Fake(lambda loss, replicate, steps, sign=sign: 100.0 + sign * loss)  # type: ignore[misc]
        race_of(16, trainer)
        second = {int(job.entry.digest) for job in trainer.asked[1][1]}
        best = set(range(4)) if sign > 0 else set(range(12, 16))
        drawn.append((second, second - best))
    for second, others in drawn:
        assert len(others) <= 2
        assert all(others <= each for each, _ in drawn), second


def test_a_rung_that_foretells_is_kept_and_said_to() -> None:
    race = race_of(16, Fake(by_number), generations=6)
    first, second = race.foretold()
    assert (first.rung, first.following, second.following) == (THREE[0], THREE[1], THREE[2])
    assert first.control == 12 and first.promoted == 24
    assert first.of_control[0] == pytest.approx(1.0) and first.of_promoted[0] == pytest.approx(1.0)
    assert first.dropped is None and second.dropped is None


def test_a_rung_that_foretells_nothing_is_dropped_though_the_promoted_agree() -> None:
    """The first rung's order is turned round, but for two classes of losses, which it tells apart well."""

    def value(loss: int, replicate: int, steps: int) -> float:
        return 1.0 + loss % 100 if steps == 100 else 100.0 - loss % 100

    trainer = Fake(value)
    race = race_of(16, trainer, generations=8)
    first = race.foretold()[0]
    assert first.of_control[0] == pytest.approx(-1.0)
    assert first.dropped is not None and first.control >= ENOUGH
    later = [steps for steps, jobs, _ in trainer.asked if int(jobs[0].entry.digest) // 100 >= first.dropped]
    assert later and 100 not in later
    assert all(job.after != 100 for steps, jobs, _ in trainer.asked[-2:] for job in jobs)


def test_only_the_pair_that_failed_is_said_to_have_failed() -> None:
    """The second rung foretells nothing of the third; once it is dropped, the first is held against the third."""

    def value(loss: int, replicate: int, steps: int) -> float:
        return 1.0 + loss % 100 if steps < 400 else 100.0 - loss % 100

    race = race_of(16, Fake(value), generations=24)
    dropped = {(str(each.rung), str(each.following)): each.dropped is not None for each in race.foretold()}
    assert dropped == {("100x1", "200x2"): False, ("200x2", "400x4"): True, ("100x1", "400x4"): True}


def test_a_rung_of_luck_takes_none_below_it_along() -> None:
    """The second rung is luck; the first foretells the third, and is held against that."""
    luck = np.random.default_rng(1).normal(size=(4000, 4))

    def value(loss: int, replicate: int, steps: int) -> float:
        return 30.0 + (20.0 * luck[loss, replicate] if steps == 200 else loss % 100 + luck[loss, replicate])

    race = race_of(16, Fake(value), generations=40)
    dropped = {str(each.rung): each.dropped is not None for each in race.foretold() if each.following == THREE[2]}
    assert dropped == {"200x2": True, "100x1": False}
    assert race.dropped.keys() == {THREE[1]}


def test_the_control_group_goes_the_whole_way_whatever_it_comes_to() -> None:
    trainer = Fake(lambda loss, replicate, steps: 1.0 + loss)
    race = race_of(16, trainer, generations=6)
    trained = {int(job.entry.digest) for steps, jobs, _ in trainer.asked if steps == 400 for job in jobs}
    behind = [loss for loss in trained if loss % 100 >= 12]  # no result has brought them here
    assert behind
    last = race.foretold()[-1]
    assert last.following == THREE[2]
    assert last.control == 6 * 2
    assert last.of_control[0] == 1.0


def test_a_rung_that_may_yet_foretell_is_kept() -> None:
    """Of ten or twenty losses the rank correlation of a fair rung is often low by chance."""
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        quality, luck = rng.normal(size=4000), rng.normal(size=(4000, 4, 3))

        def value(loss: int, replicate: int, steps: int) -> float:
            return 30.0 + quality[loss] + 0.8 * luck[loss, replicate, steps // 200]  # noqa: B023

        kept += not race_of(16, Fake(value), generations=8).dropped
    assert kept >= 18


def test_luck_that_lasts_foretells_nothing() -> None:
    """A replicate keeps its luck from rung to rung, and the loss has no part in it."""
    luck = np.random.default_rng(0).lognormal(size=(4000, 4))
    race = race_of(16, Fake(lambda loss, replicate, steps: float(luck[loss, replicate])), generations=12)
    assert race.foretold()[0].dropped is not None


def test_a_rung_after_which_all_fail_is_not_shown_to_foretell_nothing() -> None:
    """There is no rank correlation with what nothing trains under."""
    race = race_of(16, Fake(lambda loss, replicate, steps: math.inf if replicate else 1.0 + loss), generations=8)
    assert race.foretold()[0].control >= ENOUGH
    assert not race.dropped


def test_fewer_replicates_that_differ_less_promote_more() -> None:
    scores = [float(i) for i in range(16)]
    alone = np.array(scores)[:, None]
    assert promoted_of(alone, scores) == list(range(4))
    sure = np.array(scores)[:, None] + np.array([0.0, 5.0, -5.0])  # what replicates share is no error
    assert promoted_of(sure, scores) == list(range(2))
    rng = np.random.default_rng(0)
    unsure = np.array(scores)[:, None] + rng.normal(0, 100.0, (16, 3))
    assert promoted_of(unsure, scores) == list(range(4))
    middle = np.array(scores)[:, None] + rng.normal(0, 2.0, (16, 3))
    assert 2 < len(promoted_of(middle, scores)) < 4


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4, unique=True))
def test_rungs_are_read_as_they_are_written(rungs: list[tuple[int, int]]) -> None:
    rungs = [(a, b) for a, b in zip(sorted(a for a, _ in rungs), sorted(b for _, b in rungs), strict=True)]
    rungs = list(dict.fromkeys(rungs))
    assert parse_rungs(",".join(map(str, (Rung(*rung) for rung in rungs)))) == rungs


@pytest.mark.parametrize(
    "text", ["", "500", "500x", "x1", "500x0", "0x1", "500x1,400x2", "500x2,1000x1", "5x1,5x1", "a"]
)
def test_what_is_no_rungs_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="--rungs"):
        parse_rungs(text)
