"""Tests of what was compared: a champion against the hardest baseline, or every loss against the best of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossgen.evolution.compare import Comparison, Result
from lossgen.runner import Direction
from lossgen.stats import cliffs_delta, holm, mann_whitney, smallest_p

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Verdict:
    """Of a champion against the baseline that is hardest for it.

    Attributes:
        champion, baseline: names.
        p: two-sided Mann–Whitney p-value, times the verifications; None where it cannot be had.
        smallest_p: the smallest that so many seeds can reach.
        ratio: champion's mean over the baseline's; None for metrics that may be zero or negative.
        finding: "better", "better where it trains" (some trainings failed), "worse" or "no significant difference".
        sentence: the finding in words.
    """

    champion: str
    baseline: str
    p: float | None
    smallest_p: float | None
    ratio: float | None
    finding: str
    sentence: str


def to_rank(result: Result, direction: Direction) -> list[float]:
    """The values as a test takes them: lower is better, and a training that failed is worse than any."""
    sign = 1.0 if direction == "min" else -1.0
    return [sign * value for value in result.values] + [float("inf")] * result.failed


@dataclass(frozen=True)
class Standing:
    """How losses of which none was named before stand against the best of them.

    Attributes:
        best: the best mean, which was chosen by the very seeds that it is tested on.
        p: two-sided Mann–Whitney p-value of each other loss, by label, with Holm's correction for all of them.
        smallest_p: the smallest that so many seeds and losses can reach.
    """

    best: Result
    p: Mapping[str, float]
    smallest_p: float


def standing(comparison: Comparison) -> Standing | None:
    """Test each loss against the best; None where one was named before, or there are no two to be compared."""
    trained = [result for result in comparison.of("loss") if result.outcomes]
    best = comparison.best("loss")
    if best is None or len(trained) < 2:
        return None
    others = [result for result in trained if result is not best]
    ours = to_rank(best, comparison.direction)
    found = holm([mann_whitney(to_rank(result, comparison.direction), ours) for result in others])
    most = max(len(result.outcomes) for result in others)
    floor = min(1.0, len(others) * smallest_p(most, len(ours)))
    return Standing(best, {result.label: p for result, p in zip(others, found, strict=True)}, floor)


def hardest(loss: Result, baselines: Sequence[Result], direction: Direction) -> Result | None:
    """The baseline that a loss is least surely better than: it is better than all where it is better than that one.

    So no correction is due for their number (intersection-union test; Berger 1982). Of equals it is the one of the best
    mean; None where no baseline trained.
    """
    sign = 1.0 if direction == "min" else -1.0
    ours = to_rank(loss, direction)

    def sureness(baseline: Result) -> tuple[float, float]:
        theirs = to_rank(baseline, direction)
        delta, mean = cliffs_delta(ours, theirs), baseline.summary.mean if baseline.summary else 0.0
        return math.copysign(1.0 - mann_whitney(ours, theirs), delta), sign * mean

    return min((baseline for baseline in baselines if baseline.summary is not None), key=sureness, default=None)


def against_hardest(loss: Result, best: Result, baselines: int, direction: Direction) -> tuple[float, float]:
    """Two-sided Mann–Whitney p-value of a loss beside its hardest baseline; Cliff's delta, above 0 where it is better.

    Args:
        baselines: of how many that is the hardest. To be worse than one of several is easier than to be worse than one
            that was named before, so that p is then multiplied by their number (Bonferroni).
    """
    ours, theirs = to_rank(loss, direction), to_rank(best, direction)
    p, delta = mann_whitney(ours, theirs), cliffs_delta(ours, theirs)
    return (min(1.0, baselines * p) if delta < 0 else p), delta


def finding_of(p: float, delta: float, failed: int) -> str:
    """The finding of a test in words, as `Verdict.finding` has it; only what trains on all seeds is better.

    Args:
        failed: trainings of the loss that failed.
    """
    if p >= SIGNIFICANT or not delta:
        return "no significant difference"
    if delta < 0:
        return "worse"
    return "better where it trains" if failed else "better"


def judge(comparison: Comparison, champion: Result, verifications: int = 1) -> Verdict | None:
    """Test the champion against the hardest of the baselines; None where there is nothing to test against.

    Args:
        verifications: of this search so far, of this champion or others: each had its chance to be lucky, so p is
            multiplied by their number (Bonferroni).
    """
    baselines = comparison.of("baseline")
    against = hardest(champion, baselines, comparison.direction)
    if against is None or against.summary is None:
        return None
    given = f" {champion.name} was {champion.given}." if champion.given else ""
    if champion.summary is None:
        sentence = f"{champion.name} failed on all of its fresh seeds; {against.name} is better.{given}"
        return Verdict(champion.name, against.name, None, None, None, "worse", sentence)
    ours, theirs = champion.summary, against.summary
    raw, delta = against_hardest(champion, against, len(baselines), comparison.direction)
    p = min(1.0, verifications * raw)
    seeds = [len(result.outcomes) for result in (champion, against)]
    floor = min(1.0, verifications * smallest_p(*seeds))
    ratio = ours.mean / theirs.mean if ours.mean > 0 and theirs.mean > 0 else None
    of_mean = f"mean {comparison.metric} {ours.mean:.4g} against {theirs.mean:.4g}"
    test = f"Mann–Whitney p = {p:.3g} over {seeds[0]} and {seeds[1]} fresh seeds"
    test += f", corrected for the {verifications} verifications of this search" if verifications > 1 else ""
    finding = finding_of(p, delta, champion.failed)
    said, where = {
        "no significant difference": ("is not shown to be better than", ""),
        "better where it trains": ("is better than", " on the seeds where it trains"),
        "better": ("is better than", " under this setting"),
        "worse": ("is worse than", ""),
    }[finding]
    sentence = f"{champion.name} {said} {against.name}{where}: {of_mean}, {test}."
    if champion.failed:
        sentence += (
            f" {champion.failed} of its {len(champion.outcomes)} trainings failed; the test has them as the worst."
        )
    sentence += given
    return Verdict(champion.name, against.name, p, floor, ratio, finding, sentence)
