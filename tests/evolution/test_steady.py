"""A search that keeps its workers busy: the engine, and the race that losses enter one by one."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import fine, value
from test_racing import ONE, THREE

from lossgen.errors import InputError
from lossgen.evolution.archive import CandidateRow
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.engine import Engine
from lossgen.evolution.flow import Wanted
from lossgen.evolution.racing import Race
from lossgen.evolution.steady import Passed, SteadyRace
from lossgen.runner import Outcome

SIZE = 5


def engine(**more: Any) -> Engine:
    return Engine("ganetic", SIZE, 7, check=fine, steady=True, **more)


def test_asks_while_candidates_are_open_and_selects_at_each_telling() -> None:
    steady = engine()
    first = steady.ask(4)
    more = [steady.ask()[0] for _ in range(3)]
    assert [c.generation for c in [*first, *more]] == [0] * 5 + [1] * 2
    assert len({(c.generation, c.number) for c in [*first, *more]}) == 7
    steady.tell([more[0]], [0.5])
    assert [i.entry.digest for i in steady.population] == [more[0].digest]
    steady.tell([first[2]], [0.25])
    assert steady.population[0].entry.digest == first[2].digest
    with pytest.raises(InputError, match="told twice"):
        steady.tell([first[2]], [0.25])
    with pytest.raises(InputError, match="5 candidates are open"):
        steady.offer([], "polish", "")


def test_what_comes_further_is_told_of_again_and_is_preferred() -> None:
    steady = engine()
    a, b = steady.ask(2)
    steady.tell([a, b], [1.0, 2.0], short=[1, 1])
    assert steady.best is not None and steady.best.entry.digest == a.digest
    steady.tell([b], [9.0], short=[0])
    assert [i.entry.digest for i in steady.population] == [b.digest, a.digest]
    assert [(i.fitness, i.short) for i in steady.trained] == [(1.0, 1), (9.0, 0)]
    assert steady.best.entry.digest == b.digest
    with pytest.raises(InputError, match="told twice"):
        steady.tell([b], [9.0])


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.booleans()), min_size=1, max_size=25), st.data())
@settings(max_examples=20, deadline=None)
def test_the_best_is_the_first_of_the_ranking_whatever_is_told(
    told: list[tuple[float, bool, bool]], data: st.DataObject
) -> None:
    steady, open_ = engine(), list[tuple[Candidate, int]]()
    for fitness, fails, goes_on in told:
        if not open_ or len(open_) < 3:
            open_ += [(candidate, 2) for candidate in steady.ask(2)]
        candidate, short = open_.pop(data.draw(st.integers(0, len(open_) - 1)))
        steady.tell([candidate], [math.nan if fails else fitness], short=[short])
        if goes_on and short:
            open_.append((candidate, short - 1))
        assert steady.best == next(iter(steady.ranking()), None)
        places = [(i.candidate.generation, i.candidate.number) for i in steady.trained]
        assert places == sorted(set(places))
        assert len({i.entry.digest for i in steady.population}) == len(steady.population) <= SIZE


def test_reopened_and_told_in_the_same_order_it_knows_the_same() -> None:
    kept: dict[tuple[int, int], CandidateRow] = {}

    def record(rows: list[CandidateRow]) -> None:
        kept.update({(row.generation, row.number): row for row in rows})

    one, order = engine(record=record), list[Candidate]()
    rng = np.random.default_rng(3)
    open_ = one.ask(3)
    for _ in range(17):
        candidate = open_.pop(int(rng.integers(len(open_))))
        one.tell([candidate], [value(candidate)])
        order.append(candidate)
        open_ += one.ask()
    other = engine()
    again = {candidate.digest: candidate for candidate in other.reopen(list(kept.values()))}
    assert set(again) == {c.digest for c in [*order, *open_]}
    for candidate in order:
        other.tell([again[candidate.digest]], [value(candidate)])
    assert [i.entry.digest for i in other.population] == [i.entry.digest for i in one.population]
    assert (other.generation, other.proposed, other.accepted) == (one.generation, one.proposed, one.accepted)
    assert [c.digest for c in one.ask(4)] == [c.digest for c in other.ask(4)]


class Known:
    """A candidate that is a number."""

    def __init__(self, number: int, like: Candidate) -> None:
        import dataclasses

        self.digest = f"{number:04d}"
        self.entry = dataclasses.replace(like.entry, digest=self.digest)
        self.generation, self.number = number // 8, number


def race(seed: int = 0, room: int = 8) -> SteadyRace:
    return SteadyRace(Race(THREE, ONE, seed), room)


def went(steady: SteadyRace, wanted: Wanted, value: float) -> Passed | None:
    well = math.isfinite(value)
    return steady.heard(wanted, Outcome("ok", {"distance": value}) if well else Outcome("diverged", reason="so"))


def through(values: list[float], steady: SteadyRace) -> tuple[dict[int, int], set[int], int]:
    """How far each came, one after another; who was drawn; how many trainings were to be forgotten."""
    like, short, control, forgotten = engine().ask()[0], dict[int, int](), set[int](), 0
    for number in range(len(values)):
        known: Any = Known(number, like)
        queue = list(steady.begin(known))
        if steady._racers[known.digest].control:
            control.add(number)
        while queue:
            wanted = queue.pop(0)
            of = int(wanted.job.entry.digest)
            passed = went(steady, wanted, values[of])
            if passed:
                short[of] = passed.short
                queue += passed.following
                forgotten += len(passed.left)
    return short, control, forgotten


def test_a_quarter_goes_on_and_those_that_were_drawn() -> None:
    values = [float(each) for each in np.random.default_rng(0).permutation(160)]
    steady = race()
    short, control, _ = through(values, steady)
    by_merit = {number for number, rungs in short.items() if rungs < 2} - control
    assert 20 <= len(by_merit) <= 40 and 10 <= len(control) <= 32
    assert all(short[number] == 0 for number in control)
    assert np.mean([values[number] for number in by_merit]) < 45
    assert {0, 1, 2} == set(short.values())
    (first_rung, _) = steady.foretold()
    assert first_rung.control == len(control)
    assert not steady.under_way


def test_the_first_ones_go_on_too_once_there_are_enough_to_tell() -> None:
    for place in range(4):
        values = [5.0, 6.0, 7.0, 8.0]
        values[place] = 1.0
        short, control, _ = through(values, race(seed=3))
        assert {number for number, rungs in short.items() if rungs == 1} - control == {place}


def test_those_that_fail_are_not_promoted_though_all_do() -> None:
    short, control, _ = through([math.inf] * 40, race())
    assert {number for number, rungs in short.items() if rungs < 2} == control


def test_states_of_those_that_are_not_among_the_last_any_more_are_forgotten() -> None:
    values = [float(number) for number in range(60)]  # each is worse than all before
    steady = race()
    short, _, forgotten = through(values, steady)
    waiting = sum(racer.at.replicates for racer in steady._racers.values())
    stayed = sum({2: 1, 1: 2, 0: 0}[rungs] for rungs in short.values())
    assert forgotten == stayed - waiting and len(steady._racers) <= 16


def test_nobody_goes_on_to_what_there_are_no_steps_for() -> None:
    like, most = engine().ask()[0], 2050
    steady = SteadyRace(Race(THREE, ONE, 0), 8, most)
    values = np.random.default_rng(1).permutation(100)
    number, short = 0, set[int]()
    while steady.spent + steady.entering() <= most:
        known: Any = Known(number, like)
        queue = list(steady.begin(known))
        while queue:
            wanted = queue.pop(0)
            passed = went(steady, wanted, float(values[int(wanted.job.entry.digest)]))
            assert steady.spent <= most
            if passed:
                short.add(passed.short)
                queue += passed.following
        number += 1
    assert steady.spent > most - 100 and short >= {2, 1}
    assert not steady.promote_anyway()


def test_one_goes_the_whole_way_though_it_is_not_among_the_better() -> None:
    steady = race(seed=1)
    short, control, _ = through([3.0, 1.0, 2.0], steady)
    assert not control and set(short.values()) == {2} and not steady.whole
    order = []
    while queue := list(steady.promote_anyway()):
        for wanted in queue:
            order.append(int(wanted.job.entry.digest))
            went(steady, wanted, 1.0)
        if steady.whole:
            break
    assert order == [1] * 6 and steady.whole == 1


def test_steps_are_counted_as_they_are_handed_out() -> None:
    like, steady = engine().ask()[0], race()
    known: Any = Known(0, like)
    wanted = steady.begin(known)
    assert (steady.spent, steady.entering(), [each.steps for each in wanted]) == (100, 100, [100])
    steady._racers[known.digest].control = True
    passed = went(steady, wanted[0], 1.0)
    assert passed is not None
    assert [(each.job.after, each.steps, each.keep) for each in passed.following] == [
        (100, 200, "state"), (0, 200, "state"),
    ]  # fmt: skip
    assert steady.spent == 100 + 100 + 200


def test_what_the_rungs_foretell_is_asked_by_the_generation_and_then_ever_more_seldom() -> None:
    like, steady, asked, number = engine().ask()[0], race(), list[int](), 0
    while steady._passed < 600:
        known: Any = Known(number, like)
        queue = list(steady.begin(known))
        while queue:
            passed = went(steady, queue.pop(0), float(number % 7))
            if passed:
                queue += passed.following
                asked += [steady._passed] * passed.asked
        number += 1
    between = np.diff([0, *asked])
    assert set(between[:20]) == {8}, "a generation"
    assert all(between >= np.floor(np.array(asked) / 20)) and 20 < between[-1] <= 1 + 600 / 20
