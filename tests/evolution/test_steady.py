"""A search that keeps its workers busy: the engine, the race that losses enter one by one, and whole runs."""

import math
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import fine, value
from test_races import SMALL, compared
from test_racing import ONE, THREE

import lossgen
from lossgen.api import Run
from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.archive import CandidateRow
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.clock import Clock
from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import resolve
from lossgen.evolution.engine import Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.flow import Wanted
from lossgen.evolution.racing import Race
from lossgen.evolution.run import create_run
from lossgen.evolution.search import engine_of
from lossgen.evolution.session import Session
from lossgen.evolution.steady import Passed, SteadyRace, SteadySearch
from lossgen.evolution.workers.choice import Workers
from lossgen.evolution.workers.messages import Task
from lossgen.evolution.workers.pool import Ready
from lossgen.evolution.workers.waiting import More, Waiting
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


class Hands:
    """Workers who train nothing, and remember how many trainings each was given as so many had nothing to do."""

    def __init__(self, count: int, together: bool) -> None:
        self.count, self.together, self.given = count, together, list[tuple[int, int]]()

    def run(
        self, tasks: Sequence[Task], on_done: Callable[[Task, Outcome], None], on_step: Any, go_on: Callable[[], bool],
        timeout: Any, on_note: Any, more: More,
    ) -> None:  # fmt: skip
        waiting, hands = Waiting(tasks, self.together), deque[list[Task]]()
        while True:
            for idle in range(self.count - len(hands), 0, -1):
                if found := waiting.next(idle, go_on, more):
                    self.given.append((idle, len(found)))
                    hands.append(found)
            if not hands:
                return
            for task in hands.popleft():
                value = float(len(task.loss))
                on_done(task, Outcome("ok", {"distance": value}, step=task.steps, seconds=1.0))


@pytest.mark.parametrize(("together", "length"), [(False, 1), (True, 4)])
def test_no_worker_waits_for_others_and_lists_are_shares_of_a_generation(
    together: bool, length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"population": 16, "generations": 2, "mode": "steady", "steps": 80, "rungs": [(20, 1), (80, 1)]}
    others = {"kind": "evolve", "runner": "ring", "polish": 0, "audit": 0, "verify_seeds": 2}
    with create_run(tmp_path / "run", resolve(RunConfig.model_validate({**options, **others}))) as run:
        ready, workers = Ready({"distance": "min"}, True, {}, [], together=together), Hands(4, together)
        run.archive.set_meta("objectives", ready.objectives)
        run.archive.set_meta("timing", [0.0, 0.01])
        session = Session(run, cast(Workers, workers), ready, lossgen.Listener(), Clock({}, lambda: 0.0))
        bred = list[int | None]()
        steady = engine_of(session)
        usual = steady.ask

        def ask(count: int | None = None) -> list[Candidate]:
            bred.append(count)
            return usual(count)

        monkeypatch.setattr(steady, "ask", ask)
        SteadySearch(session, steady, session.plan(Entry.of(load_argument("bce").loss), 0)).run()
    assert workers.given[:4] == [(idle, length) for idle in (4, 3, 2, 1)]
    assert bred[0] == (16 if together else 1), "the first worker begins as soon as there is something for it"


def steady_run(folder: Path, name: str = "run", **more: Any) -> Run:
    return lossgen.evolve(out=folder / name, generated=folder / "g", mode="steady", **{**SMALL, **more})


WAYS: dict[str, dict[str, Any]] = {
    "rungs": {},
    "the last two on the same steps": {"rungs": [(20, 1), (80, 1), (80, 4)], "generations": 4},
    "a rung that foretells nothing": {"rungs": [(20, 1), (40, 1), (80, 4)], "turns": 20, "generations": 16},
    "no race": {"rungs": [(80, 4)]},
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return {name: steady_run(tmp_path_factory.mktemp("alone"), **more) for name, more in WAYS.items()}


def test_no_training_is_made_twice_and_states_are_forgotten(tmp_path: Path) -> None:
    run = steady_run(tmp_path, marks=str(tmp_path / "marks"), workers=2)
    lines = [line.rsplit(maxsplit=2) for line in (tmp_path / "marks").read_text().splitlines() if "Evolved" in line]
    assert len(set(map(tuple, lines))) == len(lines)
    ways = Counter((int(begun), int(steps)) for _, begun, steps in lines)
    assert {(0, 20), (20, 40), (0, 40), (40, 80), (0, 80)} <= set(ways)
    assert not list((run.path / "models").rglob("*[24]0.state.json"))
    assert not run.record()["reproducible"]
    searched = [row for row in run.candidates if row.fate == "trained" and row.origin != "polish"]
    assert Counter(row.generation for row in searched) == {0: 8, 1: 8, 2: 8}
    assert run.finished


def test_with_one_worker_it_is_the_same_twice(alone: dict[str, Run], tmp_path: Path) -> None:
    assert alone["rungs"].record()["reproducible"]
    assert compared(steady_run(tmp_path, workers=1)) == compared(alone["rungs"])


def test_a_rung_that_foretells_nothing_is_left_out(alone: dict[str, Run]) -> None:
    foretold = alone["a rung that foretells nothing"].record()["foretold"]
    assert any(each["dropped"] is not None for each in foretold)


class StopAfter(lossgen.Listener):
    def __init__(self, trainings: int) -> None:
        self.left = trainings

    def trained(self, *told: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise lossgen.Stopped


class KnownAlready(lossgen.Listener):
    """Counts what a search has been told to know already."""

    count = 0

    def stage(self, name: str, total: int, done: int) -> None:
        self.count += done * (name == "search")


@pytest.mark.parametrize(
    ("way", "part"),
    [
        ("rungs", 0.0), ("rungs", 0.4), ("the last two on the same steps", 0.3),
        ("the last two on the same steps", 1.0), ("a rung that foretells nothing", 0.7),
        ("a rung that foretells nothing", 1.0), ("no race", 0.2),
    ],
)  # fmt: skip
def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    alone: dict[str, Run], way: str, part: float, tmp_path: Path
) -> None:
    """Stopped in the search, in the polish and in the verification."""
    made = len([key for key, _, _ in alone[way].outcomes if key.stage != "timing"])
    run = steady_run(tmp_path, callbacks=[StopAfter(1 + int(part * (made - 2)))], **WAYS[way])
    assert not run.finished
    searched = sum(key.stage == "search" for key, _, _ in run.outcomes)
    known = KnownAlready()
    again = lossgen.evolve(resume=run.path, generated=tmp_path / "g", quiet=True, callbacks=[known])
    assert again.finished
    assert known.count == searched
    assert compared(again) == compared(alone[way])
    assert [(r.name, r.value) for r in again.hall_of_fame] == [(r.name, r.value) for r in alone[way].hall_of_fame]


@pytest.mark.parametrize("limit", [{"max_trainings": 60, "workers": 2}, {"max_steps": 5000}, {"max_candidates": 120}])
def test_limits_are_kept(limit: dict[str, int], tmp_path: Path) -> None:
    run = steady_run(tmp_path, generations=None, polish=0, audit=0, **limit)
    steps, begun = 0, dict[tuple[str, int, str], int]()
    for key, _, _ in sorted(run.outcomes, key=lambda each: each[0].steps):
        steps += key.steps - begun.get((key.digest, key.replicate, key.condition), 0)
        begun[key.digest, key.replicate, key.condition] = key.steps
    assert run.finished and run.champion is not None
    if "max_candidates" in limit:
        assert run.waterfall["proposed"] <= 120
    else:
        assert steps <= limit.get("max_steps", 80 * limit.get("max_trainings", 0))


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=re.escape("mode")):
        lossgen.evolve(mode="eager", runner="ring", quiet=True)  # type: ignore[arg-type]
