"""The ladder of verification: what a loss has to stand, one rung after the other, before it may be called better.

Each rung is a comparison, or several, of named losses with baselines that were not chosen by its seeds. A loss passes
where it beats the hardest of the baselines in all of them, by a Mann–Whitney test with Holm's correction for the number
of losses that are verified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.verdict import against_hardest, finding_of, hardest
from lossgen.stats import holm, ratio_interval, smallest_p, summarise

RUNGS: Mapping[str, tuple[str, str]] = {
    "search": ("its search", "is the best of its search"),
    "fresh": ("fresh seeds", "is better than every baseline on fresh seeds"),
    "tuned": ("tuned baselines", "is better than baselines that are tuned on the same grid"),
    "plateau": ("long trainings", "is better in long trainings, too"),
    "judge": ("another judge", "is better by an extractor that no choice was made with, by KID and by coverage, too"),
    "wide": ("twice the width", "is better with a generator of twice the width, too, with and without normalisation"),
    "data": ("other data", "is better on other data, too"),
}
"""By name, lowest first: what a rung is called, and what a loss that has passed it may be said to be."""
TARGETS = (0.9, 0.8, 0.7)
"""Targets for real images among which that of a one-sidedly smoothed BCE is tuned, each a baseline of its own."""


@dataclass(frozen=True)
class Beside:
    """A loss beside the baseline of one comparison that is hardest for it (`verdict.hardest`).

    Attributes:
        loss, baseline: names.
        mean, against: of the metric; None where all trainings failed.
        ratio: of the means, with its 95 % bootstrap interval; None where the metric may be zero or negative.
        delta: Cliff's delta; 1 where each of the loss's trainings is better than each of the baseline's.
        p: two-sided Mann–Whitney p-value, Holm-corrected for the losses that are verified.
        smallest_p: the smallest that so many seeds and losses can reach.
        failed: trainings of the loss that failed.
        finding: as `verdict.finding_of` has it: "better" only where no training failed.
        needs: regularisers that the loss was trained with and the baseline was not, as "r1(10)"; else empty.
    """

    loss: str
    baseline: str
    mean: float | None
    against: float | None
    ratio: tuple[float, float, float] | None
    delta: float
    p: float
    smallest_p: float
    failed: int
    finding: str
    needs: str = ""

    @property
    def subject(self) -> str:
        """The loss, with what it has before the baseline."""
        return f"{self.loss} with {self.needs}" if self.needs else self.loss

    def sentence(self, metric: str) -> str:
        """The finding in words."""
        if self.mean is None:
            return f"{self.subject} failed on all seeds."
        than = {
            "better": "is better than",
            "better where it trains": "is better, where it trains, than",
            "worse": "is worse than",
        }.get(self.finding, "is not shown to differ from")
        against = "which failed" if self.against is None else f"{metric} {self.mean:.4g} against {self.against:.4g}"
        ratio = f", ratio {self.ratio[0]:.2f} ({self.ratio[1]:.2f} – {self.ratio[2]:.2f})" if self.ratio else ""
        how = f"{against}{ratio}, delta {self.delta:+.2f}, p = {self.p:.3g}"
        failed = f"; {self.failed} of its trainings failed" if self.failed else ""
        return f"{self.subject} {than} {self.baseline}: {how}{failed}."


@dataclass(frozen=True)
class Trial:
    """One comparison of a rung.

    Attributes:
        what: what it is of, within its rung: "KID[random]", "normalisation batch"; "" where the rung has one.
        comparison: of the losses, whose part is "verified", and the baselines.
        found: by loss.
        notes: what is to be known of its learning rates.
    """

    what: str
    comparison: Comparison
    found: Mapping[str, Beside]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Step:
    """A rung that was tried, or why it was not.

    Attributes:
        rung: of RUNGS.
        detail: which data, steps or extractor.
        trials: its comparisons; none where it was not tried.
        why_not: why it could not be tried; "" where it was.
    """

    rung: str
    detail: str
    trials: Sequence[Trial]
    why_not: str = ""

    @property
    def passed(self) -> list[str]:
        """Losses that are better in all of its comparisons."""
        if not self.trials:
            return []
        return [loss for loss in self.trials[0].found if all(t.found[loss].finding == "better" for t in self.trials)]

    def as_json(self) -> dict[str, Any]:
        trials = [
            {
                "what": trial.what, "metric": trial.comparison.metric,
                "direction": trial.comparison.direction, "steps": trial.comparison.steps,
                "found": [
                    {**vars(beside), "ratio": list(beside.ratio) if beside.ratio else None}
                    for beside in trial.found.values()
                ],
                "results": [r.as_json(trial.comparison.metric, None) for r in trial.comparison.results],
                "notes": list(trial.notes),
            }
            for trial in self.trials
        ]  # fmt: skip
        return {
            "rung": self.rung, "claim": RUNGS[self.rung][1], "detail": self.detail, "passed": self.passed,
            "why_not": self.why_not, "trials": trials,
        }  # fmt: skip


@dataclass(frozen=True)
class Ladder:
    """How far losses have climbed.

    Attributes:
        losses: names of those that were verified.
        steps: the rungs, lowest first, as far as was climbed.
    """

    losses: Sequence[str]
    steps: Sequence[Step]

    def highest(self, loss: str) -> str | None:
        """The highest rung up to which a loss has passed all that could be tried; None where it fell at the first."""
        passed = None
        for step in self.steps:
            if step.why_not:
                continue
            if loss not in step.passed:
                return passed
            passed = step.rung
        return passed

    def headline(self, loss: str) -> str:
        """What may be said of a loss, and where it fell."""
        highest = self.highest(loss)
        tried = [step for step in self.steps if not step.why_not]
        fell = next((step for step in tried if loss not in step.passed), None)
        needs = next((trial.found[loss].needs for step in tried for trial in step.trials), "")
        named = f"{loss} with {needs}, which the baselines did not have," if needs else loss
        said = f"{named} {RUNGS[highest][1]}" if highest else f"{named} is not shown to be better than the baselines"
        if fell is None:
            return f"{said}: the highest rung that was tried." if highest else f"{said}."
        return f"{said}; the rung that it does not pass: {RUNGS[fell.rung][0]}."


def highest_of_search(finding: str) -> str:
    """The rung that the champion of a search has come to, by the finding of its verification."""
    return "fresh" if finding == "better" else "search"


def headline_of_search(champion: str, finding: str) -> str:
    """What may be said of the champion of a search, and which rung is next."""
    highest = highest_of_search(finding)
    following = "the next rung is" if highest == "fresh" else "the rung that it does not pass is"
    rung = list(RUNGS)[list(RUNGS).index(highest) + 1]
    return f"{champion} {RUNGS[highest][1]}; {following}: {RUNGS[rung][0]}."


def beside_baselines(
    comparison: Comparison, losses: Sequence[str], baselines: Sequence[str] | None = None, what: str = ""
) -> Trial:
    """Test each of the named losses against the hardest baseline of a comparison.

    Args:
        baselines: names of those; a loss among them is held against the others. None for all that are no losses.
    """
    parts = [replace(r, part="verified" if r.name in losses else "baseline") for r in comparison.results]
    comparison = replace(comparison, results=parts)
    verified = comparison.of("verified")
    known = [r for r in parts if (r.part == "baseline" if baselines is None else r.name in baselines)]
    against = [_hardest(loss, [r for r in known if r.name != loss.name], comparison) for loss in verified]
    tests = [
        against_hardest(loss, best, len([r for r in known if r.name != loss.name]), comparison.direction)
        for loss, best in zip(verified, against, strict=True)
    ]
    found = {
        loss.name: _beside(loss, best, comparison, p, delta, len(verified))
        for loss, best, p, (_, delta) in zip(verified, against, holm([p for p, _ in tests]), tests, strict=True)
    }
    return Trial(what, comparison, found)


def _hardest(loss: Result, baselines: Sequence[Result], comparison: Comparison) -> Result:
    """Where none of them trained, the first."""
    return hardest(loss, baselines, comparison.direction) or (baselines or comparison.results)[0]


def under_metric(comparison: Comparison, metric: str, direction: str) -> Comparison:
    """The comparison by another metric that its trainings have."""
    results = []
    for result in comparison.results:
        values = [outcome.metrics[metric] for outcome in result.outcomes if outcome.status == "ok"]
        summary = summarise(values, direction == "min") if values else None
        results.append(replace(result, values=values, summary=summary))
    return replace(comparison, metric=metric, direction=direction, results=results)  # type: ignore[arg-type]


def _beside(champion: Result, best: Result, comparison: Comparison, p: float, delta: float, count: int) -> Beside:
    mean, against = (result.summary.mean if result.summary else None for result in (champion, best))
    positive = all(result.values and min(result.values) > 0 for result in (champion, best))
    ratio = None
    if positive and mean is not None and against is not None:
        ratio = (mean / against, *ratio_interval(champion.values, best.values))
    finding = finding_of(p, delta, champion.failed)
    floor = min(1.0, count * smallest_p(len(champion.outcomes), len(best.outcomes)))
    needs = champion.needs if champion.needs != best.needs else ""
    return Beside(champion.name, best.name, mean, against, ratio, delta, p, floor, champion.failed, finding, needs)
