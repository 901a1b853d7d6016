"""Whole searches without generations that are waited for: what is handed out, and what a stopped one goes on to."""

import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from test_races import SMALL, compared

import lossgen
from lossgen.api import Run
from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.clock import Clock
from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import resolve
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import create_run
from lossgen.evolution.search import engine_of
from lossgen.evolution.session import Session
from lossgen.evolution.steady import SteadySearch
from lossgen.evolution.workers.choice import Workers
from lossgen.evolution.workers.messages import Task
from lossgen.evolution.workers.pool import Ready
from lossgen.evolution.workers.waiting import More, Waiting
from lossgen.runner import Outcome


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
