"""What a search aims at: which trainings of a loss count, and how their results become the one number of its fitness.

A replicate is one seed under one condition, a pair of learning rates; all losses have the same. Known losses differ
little at their own best rates and much in how far they depend on them (Lucic et al. 2018), so `robust` looks at several
pairs, one seed a pair.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lossgen.evolution.candidate import deviation
from lossgen.evolution.conditions import condition_name, condition_of, condition_text, rates
from lossgen.evolution.config import RunConfig
from lossgen.evolution.entry import Entry
from lossgen.runner import Direction, Outcome
from lossgen.settings import ObjectiveKind

LEAST = 1e-12
"""A distance below this counts as this: logarithms have to be finite."""


@dataclass(frozen=True)
class Objective:
    """How outcomes of a loss, one a replicate, become its fitness.

    Attributes:
        kind: "quality", the mean over seeds; "robust", the mean over pairs of learning rates; "stability", the mean and
            the standard deviation over seeds together, so what a seed out of luck comes to.
        metric: name of the runner's first objective.
        direction: of the metric.
        geometric: whether means are of logarithms.
        conditions: texts; replicate i is trained under the i-th, beginning again where they end.
    """

    kind: ObjectiveKind
    metric: str
    direction: Direction
    geometric: bool
    conditions: tuple[str, ...] = ("",)

    def condition(self, replicate: int) -> str:
        """The text of a replicate's condition."""
        return self.conditions[replicate % len(self.conditions)]

    def under(self, entry: Entry, replicate: int) -> Entry:
        """An entry under a replicate's condition, beside its own."""
        condition = condition_of(self.condition(replicate))
        return entry.under({**condition_of(entry.condition), **condition}) if condition else entry

    def apart_from(self, condition: str) -> str:
        """The text of an entry's own condition, of that which it was trained under as a replicate."""
        varied = {name for each in self.conditions for name in condition_of(each)}
        return condition_text({name: value for name, value in condition_of(condition).items() if name not in varied})

    def values(self, outcomes: Sequence[Outcome]) -> list[float]:
        """What each outcome is worth, to be minimised; infinite where a training failed."""
        return [
            self._value(outcome.metrics[self.metric]) if outcome.status == "ok" else math.inf for outcome in outcomes
        ]

    def fitness(self, values: Sequence[float]) -> float:
        """Of values as `values` gives them, to be minimised; infinite where one is not finite, or there is none."""
        if not values or not all(map(math.isfinite, values)):
            return math.inf
        return statistics.fmean(values) + (deviation(values) if self.kind == "stability" else 0.0)

    def spread(self, values: Sequence[float]) -> float:
        """Over the seeds of values as `values` gives them, which a search wants small beside the fitness.

        Only `quality` has one: that of `stability` is in its fitness, and over pairs of learning rates a loss that does
        badly with each has the smallest.
        """
        return deviation(values) if self.kind == "quality" else 0.0

    def shown(self, fitness: float) -> float:
        """A fitness in the metric's own units."""
        value = math.exp(fitness) if self.geometric else fitness
        return value if self.direction == "min" else -value

    def combined(self, outcomes: Sequence[Outcome]) -> Outcome:
        """One outcome of those of the conditions in turn: means over them, geometric where the metric's is and all are
        positive, and the metric under each; the first failure, where there is one. What was kept is the first one's."""
        failed = next((outcome for outcome in outcomes if outcome.status != "ok"), None)
        if failed is not None:
            return failed
        seconds = sum(outcome.seconds for outcome in outcomes)
        shared = [name for name in outcomes[0].metrics if all(name in outcome.metrics for outcome in outcomes)]
        means = {name: self._mean(name, outcomes) for name in shared}
        shown = next(name for name in (f"{self.metric} test", self.metric) if name in means)
        under = zip(map(condition_name, self.conditions), outcomes, strict=True)
        apart = {f"{shown} {name}": outcome.metrics[shown] for name, outcome in under}
        return replace(outcomes[0], metrics=means | apart, seconds=seconds)

    def by_seed(self, outcomes: Mapping[int, Outcome]) -> list[Outcome]:
        """One result a seed, in order, of outcomes by replicate; none of a seed of which some are missing."""
        count = len(self.conditions)
        seeds: dict[int, list[Outcome]] = {}
        for replicate, outcome in sorted(outcomes.items(), key=lambda item: item[0]):
            seeds.setdefault(replicate // count, []).append(outcome)
        return [self.combined(found) if count > 1 else found[0] for found in seeds.values() if len(found) == count]

    def as_json(self) -> dict[str, Any]:
        """As an archive keeps it."""
        return asdict(self)

    def _value(self, value: float) -> float:
        if self.geometric:
            return math.log(max(value, LEAST))
        return value if self.direction == "min" else -value

    def _mean(self, name: str, outcomes: Sequence[Outcome]) -> float:
        values = [outcome.metrics[name] for outcome in outcomes]
        if self.geometric and name.startswith(self.metric) and min(values) > 0:
            return statistics.geometric_mean(values)
        return statistics.fmean(values)


def objective_for(config: RunConfig, metric: str, direction: Direction, positive: bool) -> Objective:
    """The objective of a run.

    Args:
        metric, direction: the runner's first objective.
        positive: whether that is a positive distance.
    """
    kind = config.objective
    pairs = [condition_text(rates(pair)) for pair in config.grid or []] if kind == "robust" else []
    geometric = positive and direction == "min" and kind != "quality"
    return Objective(kind, metric, direction, geometric, tuple(pairs) or ("",))


def objective_from(record: Mapping[str, Any]) -> Objective:
    """An objective as `Objective.as_json` has written it."""
    return Objective(**{**record, "conditions": tuple(record["conditions"])})
