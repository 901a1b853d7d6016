"""What the search of a run came to, loss by loss, as its archive has it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lossgen.evolution.archive import Archive, CandidateRow
from lossgen.evolution.objective import Objective, objective_from
from lossgen.runner import Outcome

STAGES = ("search", "polish")
"""Stages whose losses compete."""
TOLD_STEPS = 0
"""Steps of a training that ran elsewhere, in the archive: how many there were is not known."""
OBJECTIVE = "objective"
"""In the archive: the objective of a search, with the steps and replicates of what is trained the whole way."""


@dataclass(frozen=True)
class Searched:
    """What became of a loss in search and polish.

    Attributes:
        steps: that its longest trainings were asked for.
        outcomes: of those, by replicate.
        status: "ok", or what else trainings of it came to.
        fitness: to be minimised; infinite where a training failed.
        value: the fitness in the metric's units; None where a training failed.
        whole: whether that is of the steps and replicates that decide.
    """

    steps: int
    outcomes: Sequence[Outcome]
    status: str
    fitness: float
    value: float | None
    whole: bool


def objective_of(archive: Archive) -> Objective:
    """The objective of a run's search; of one that has kept none, the mean over seeds."""
    kept = archive.meta(OBJECTIVE)
    if kept:
        return objective_from(kept["objective"])
    metric, direction = next(iter(archive.meta("objectives", {"fitness": "min"}).items()))
    return Objective("quality", metric, direction, False)


def keep_objective(archive: Archive, objective: Objective, steps: int, replicates: int) -> None:
    """Write down what a search aims at, and what a loss is trained for that goes the whole way."""
    archive.set_meta(OBJECTIVE, {"objective": objective.as_json(), "steps": steps, "replicates": replicates})


def searched(archive: Archive) -> dict[str, Searched]:
    """By digest, all of which anything was trained."""
    objective, kept = objective_of(archive), archive.meta(OBJECTIVE)
    trainings: dict[str, dict[int, list[tuple[int, Outcome]]]] = {}
    for key, _, outcome in (found for stage in STAGES for found in archive.outcomes(stage)):
        trainings.setdefault(key.digest, {}).setdefault(key.steps, []).append((key.replicate, outcome))
    found = {}
    for digest, by_steps in trainings.items():
        steps = max(by_steps)
        outcomes = [outcome for _, outcome in sorted(by_steps[steps], key=lambda pair: pair[0])]
        fitness = objective.fitness(objective.values(outcomes))
        status = " ".join(sorted({outcome.status for outcome in outcomes}))
        whole = not kept or (steps in (kept["steps"], TOLD_STEPS) and len(outcomes) >= kept["replicates"])
        value = objective.shown(fitness) if status == "ok" else None
        found[digest] = Searched(steps, outcomes, status, fitness, value, whole)
    return found


def ranking(archive: Archive) -> list[tuple[CandidateRow, Searched]]:
    """The losses that were trained the whole way without a failure, the best first."""
    known = searched(archive)
    rows = {row.digest: row for row in archive.candidates() if row.fate == "trained" and row.digest in known}
    found = [(row, known[digest]) for digest, row in rows.items()]
    whole = [(row, each) for row, each in found if each.whole and math.isfinite(each.fitness)]
    return sorted(whole, key=lambda pair: (pair[1].fitness, pair[0].size, pair[0].digest))
