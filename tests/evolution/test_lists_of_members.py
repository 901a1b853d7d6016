"""Trainings that advance together: lists of them to a worker, and the same record as one by one."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from test_search import SMALL, TOY, lossgen

from lossgen.codegen.load import load_argument
from lossgen.evolution.workers.messages import Task
from lossgen.evolution.workers.serving import Server
from lossgen.evolution.workers.waiting import Waiting
from lossgen.language.printer import print_loss
from lossgen.runner import Budget, Direction, Member, Outcome


def tasks(count: int, steps: int = 10, check: Any = "") -> list[Task]:
    return [Task(f"{steps} {check} {i}", Member("m", "", (i,)), "", steps, check) for i in range(count)]


def keys(found: list[Task]) -> list[str]:
    return [task.key for task in found]


def test_one_by_one_where_members_do_not_advance_together() -> None:
    waiting = Waiting(tasks(3), together=False)
    assert [len(waiting.take(2)) for _ in range(3)] == [1, 1, 1]
    assert not waiting


def test_a_list_is_shared_out_among_workers_in_order() -> None:
    given = tasks(7)
    waiting = Waiting(given, together=True)
    found = [waiting.take(3), waiting.take(2), waiting.take(1)]
    assert [len(each) for each in found] == [3, 2, 2]
    assert keys([task for each in found for task in each]) == keys(given)


def test_a_list_is_of_one_length_and_holds_no_checks() -> None:
    short, long, checks = tasks(3, 10), tasks(2, 20), tasks(2, 0, "full")
    waiting = Waiting([checks[0], short[0], long[0], checks[1], *short[1:], long[1]], together=True)
    found = []
    while waiting:
        found.append(keys(waiting.take(1)))
    assert found == [keys(checks[:1]), keys(short), keys(long[:1]) + keys(long[1:]), keys(checks[1:])]


def test_whose_fault_a_death_was_is_found_by_halves() -> None:
    given = tasks(8)
    waiting = Waiting(given, together=True)
    bad, lists, given_up = given[5].key, [], []
    while waiting:
        found = waiting.take(1)
        lists.append(len(found))
        if bad in keys(found) and not waiting.give_back(found):
            given_up += keys(found)
    assert given_up == [bad]
    assert lists == [8, 4, 4, 2, 1, 1, 1, 2]  # the bad one is tried once more by itself


def search(cwd: Path, out: str, *more: str) -> dict[str, Any]:
    lossgen("evolve", "--runner", TOY, *SMALL, "--out", out, *more, cwd=cwd)
    found: dict[str, Any] = json.loads(lossgen("show", out, "--json", cwd=cwd))
    found["config"]["options"].pop("together")
    return found


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return search(tmp_path_factory.mktemp("search"), "run", "--workers", "1")


def test_a_search_together_has_the_record_of_one_by_one(one_by_one: dict[str, Any], tmp_path: Path) -> None:
    assert search(tmp_path, "run", "--together", "--workers", "2") == one_by_one


def test_a_population_goes_to_one_worker_and_its_notes_come_back(tmp_path: Path) -> None:
    said = lossgen("evolve", "--runner", TOY, *SMALL, "--together", "--workers", "1", "--out", "run", cwd=tmp_path)
    lists = [int(count) for count in re.findall(r"a list of (\d+)", said)]
    assert lists.count(4) >= 3  # a generation
    assert max(lists) >= 15  # the verification


COUNTING = """
from pathlib import Path
from pydantic import BaseModel
from lossgen.runner import Outcome, Preparation

class Options(BaseModel):
    pass

class Counting:
    options, objectives, scale_free = Options, {"value": "min"}, True

    def __init__(self, options):
        pass

    def prepare(self, data, device):
        return Preparation({})

    def train(self, members, budget):
        with Path("trials").open("a") as file:
            file.write(f"{budget.steps} {budget.trial}\\n")
        return [Outcome("ok", {"value": 1.0}, step=budget.steps) for _ in members]
"""


def test_a_runner_is_told_which_trainings_are_for_their_price(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    lossgen(
        "compare", "bce", "--runner", "counting.py", "--steps", "60", "--seeds", "2", "--workers", "0", cwd=tmp_path
    )
    assert (tmp_path / "trials").read_text().split("\n") == [
        "20 True", "20 True", "60 True", "60 False", "60 False", "",
    ]  # fmt: skip


def test_a_member_that_kills_its_worker_is_told_from_the_others_in_its_list(tmp_path: Path) -> None:
    command = ["compare", "bce", "loss Evolved_x(y_real, y_pred) = square(y_pred - y_real)", "hinge", "--runner", TOY]
    flags = ["--steps", "10", "--seeds", "2", "--together", "--workers", "1", "--misbehave", "die", "--out", "run"]
    lossgen(*command, *flags, cwd=tmp_path)
    outcomes = json.loads(lossgen("show", "run", "--json", cwd=tmp_path))["outcomes"]
    reasons = {(each["name"], each["replicate"]): each["reason"] for each in outcomes}
    died = "its worker died twice (exit code 7)"
    assert reasons == {
        (name, r): died * (name == "Evolved_x") for name in ("BCE", "Evolved_x", "Hinge") for r in (0, 1)
    }


class Picky:
    """Raises where it is given a member called bad, whoever else is in the list."""

    objectives: ClassVar[Mapping[str, Direction]] = {"m": "min"}

    def __init__(self) -> None:
        self.lists: list[int] = []

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        self.lists.append(len(members))
        if any(member.name == "bad" for member in members):
            raise RuntimeError("broken")
        return [Outcome("ok", {"m": 1.0}) for _ in members]


def test_what_a_runner_raises_over_a_list_is_the_outcome_of_one_member() -> None:
    runner, sources = Picky(), ("good", "bad", "good")
    given = [Task(str(i), Member(name, "", (i,)), "", 10) for i, name in enumerate(sources)]
    found = Server(runner=runner).train(given)  # type: ignore[arg-type]  # what it does not call, it needs not have
    assert [outcome.status for outcome in found] == ["ok", "crashed", "ok"]
    assert found[1].reason == "RuntimeError: broken"
    assert runner.lists == [3, 1, 1, 1]


def test_a_module_that_is_not_its_loss_is_not_trained_and_the_others_are() -> None:
    runner = Picky()
    hinge, bce = (load_argument(name) for name in ("hinge", "bce"))
    sound = Task("sound", Member("Hinge", hinge.source, (0,)), print_loss(hinge.loss), 10)
    other = Task("other", Member("BCE", hinge.source, (0,)), print_loss(bce.loss), 10)
    found = Server(runner=runner).train([other, sound])  # type: ignore[arg-type]  # as above
    assert [outcome.status for outcome in found] == ["crashed", "ok"]
    assert found[0].reason.startswith("ill-conditioned: ")
    assert runner.lists == [1]


def test_as_many_outcomes_as_members_are_asked_for() -> None:
    class Forgetful(Picky):
        def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
            return super().train(members, budget)[1:]

    found = Server(runner=Forgetful()).train(tasks(2))  # type: ignore[arg-type]  # as above
    assert [outcome.reason for outcome in found] == ["ValueError: train gives 0 outcomes for 1 members"] * 2
