"""Losses × seeds × conditions at equal budget: what verification and the compare command share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lossgen.evolution.batch import Job
from lossgen.evolution.conditions import condition_of
from lossgen.evolution.entry import Entry
from lossgen.evolution.objective import Objective
from lossgen.evolution.session import Session
from lossgen.language.loss import Loss
from lossgen.language.printer import format_constant, print_loss
from lossgen.runner import Direction, Outcome
from lossgen.stats import Summary, summarise

Part = Literal["champion", "baseline", "runner-up", "loss", "verified"]


@dataclass(frozen=True)
class Contestant:
    """A loss in a comparison.

    Attributes:
        entry: the loss.
        part: the part it plays.
        given: where a search was given the loss as --seed-loss, how that came out: "given as --seed-loss NAME …".
        needs: the regularisers that its condition has, "" for none; None where it has those that the loss asks for.
        rates: the learning rates that were chosen for it, generator's and discriminator's: "0.001:0.003"; else empty.
    """

    entry: Entry
    part: Part
    given: str = ""
    needs: str | None = None
    rates: str = ""


@dataclass(frozen=True)
class Result:
    """What became of one loss.

    Attributes:
        name: of the loss.
        part: its part.
        loss: text of the trained form.
        digest: of the loss.
        outcomes: by replicate.
        values: of the metric, of those that ended well.
        summary: of the values, None when there is none.
        needs: the regularisers that it was trained with, as "r1(10)"; else empty.
        given, rates: as the contestant has them.
        condition: text of what stood in place of the runner's options.
    """

    name: str
    part: Part
    loss: str
    digest: str
    outcomes: Sequence[Outcome]
    values: Sequence[float]
    summary: Summary | None
    needs: str = ""
    given: str = ""
    rates: str = ""
    condition: str = ""

    @property
    def label(self) -> str:
        """The name with what else was trained: "NSR1 + r1(10)"."""
        return f"{self.name} + {self.needs}" if self.needs else self.name

    @property
    def parts(self) -> str:
        """The part in words: "champion", or "seed, champion" of a loss that the search was given."""
        return f"seed, {self.part}" if self.given else self.part

    @property
    def failed(self) -> int:
        return len(self.outcomes) - len(self.values)

    def as_json(self, metric: str, file: str | None) -> dict[str, Any]:
        s = self.summary
        return {
            "name": self.name, "loss": self.loss, "file": file, "metric": metric,
            "mean": s.mean if s else None, "std": s.std if s else None, "median": s.median if s else None,
            "best": s.best if s else None, "worst": s.worst if s else None,
            "interval": [s.low, s.high] if s else None, "seeds": len(self.outcomes), "failed": self.failed,
            "values": list(self.values), "needs": self.needs, "given": self.given,
            **({"bootstrap": list(s.bootstrap)} if s and s.bootstrap else {}),
            **({"rates": self.rates} if self.rates else {}),
            **({"condition": condition_of(self.condition)} if self.condition else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Results of all contestants, under one metric.

    Attributes:
        metric: its name; where the runner measures against a test split too, the one against that.
        direction: of the metric.
        results: in the order of the contestants.
        steps: of each training; 0 where the runner does not count them.
        interim: whether trainings are missing because the time was up.
    """

    metric: str
    direction: Direction
    results: Sequence[Result]
    steps: int
    interim: bool

    def of(self, *parts: Part) -> list[Result]:
        return [result for result in self.results if result.part in parts]

    def best(self, *parts: Part) -> Result | None:
        """The best mean among those that have one and of which no training failed, else among all that have one."""
        having = [r for r in self.of(*parts) if r.summary is not None]
        sound = [r for r in having if not r.failed] or having
        sign = 1.0 if self.direction == "min" else -1.0
        return min(sound, key=lambda r: sign * (r.summary.mean if r.summary else 0.0), default=None)


def compare(
    session: Session,
    stage: str,
    contestants: Sequence[Contestant],
    seeds: int,
    steps: int,
    reserve: int | None = None,
    objective: Objective | None = None,
) -> Comparison:
    """Train every contestant on the same seeds and summarise.

    Args:
        objective: a result is the mean over all its conditions, each on a fresh seed of its own, and `seeds` says how
            many; without one, each is one training.
    """
    count = len(objective.conditions) if objective else 1
    jobs = {
        contestant.entry.key: [
            Job(objective.under(contestant.entry, replicate) if objective else contestant.entry, replicate)
            for replicate in range(seeds * count)
        ]
        for contestant in contestants
    }
    in_turn = [job for of_all in zip(*jobs.values(), strict=True) for job in of_all]  # so that all have as many
    found = session.train_jobs(stage, in_turn, steps, "all", reserve)
    outcomes = {}
    for key, own in jobs.items():
        trained = {job.replicate: found[job.key] for job in own if job.key in found}
        outcomes[key] = objective.by_seed(trained) if objective else list(trained.values())
    applied = recommended_applied(session.run.config.options) is True
    counted = steps if session.ready.counts_steps else 0
    return summarise_outcomes(session.objective, session.direction, contestants, outcomes, seeds, counted, applied)


def recommended_applied(options: Mapping[str, Any]) -> bool | None:
    """Whether a runner with these options applies the regularisers that losses ask for; None where it does not say."""
    applied = options.get("recommended")
    return applied if isinstance(applied, bool) else None


def needs_text(loss: Loss) -> str:
    """The regularisers that a loss asks for: "r1(10)"."""
    return ", ".join(f"{name}({format_constant(value)})" for name, value in loss.needs.items())


def summarise_outcomes(
    objective: str,
    direction: Direction,
    contestants: Sequence[Contestant],
    outcomes: Mapping[str, Sequence[Outcome]],
    replicates: int,
    steps: int,
    applied: bool = False,
) -> Comparison:
    """The comparison that these outcomes, by `Entry.key`, make.

    Args:
        applied: whether the regularisers that losses ask for were applied.
    """
    all_outcomes = [outcome for group in outcomes.values() for outcome in group]
    metric = report_metric(objective, all_outcomes)
    results = []
    for contestant in contestants:
        entry = contestant.entry
        group = outcomes[entry.key]
        values = [outcome.metrics[metric] for outcome in group if outcome.status == "ok"]
        summary = summarise(values, direction == "min") if values else None
        needs = contestant.needs
        if needs is None:
            needs = needs_text(entry.loss) if applied else ""
        text = print_loss(entry.loss)
        known = (entry.loss.name, contestant.part, text, entry.digest)
        how = (needs, contestant.given, contestant.rates, entry.condition)
        results.append(Result(*known, group, values, summary, *how))
    interim = any(len(result.outcomes) < replicates for result in results)
    return Comparison(metric, direction, results, steps, interim)


def report_metric(objective: str, outcomes: Sequence[Outcome]) -> str:
    """The metric against images that no choice was made on, where the runner has it; else the objective."""
    held_out = f"{objective} test"
    well = [outcome for outcome in outcomes if outcome.status == "ok"]
    return held_out if well and all(held_out in outcome.metrics for outcome in well) else objective
