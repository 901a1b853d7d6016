"""Whether synthetic images help, in words, with an interval that covers the split, the GAN and the classifier.

Every run has its own split, GAN and classifier; what two arms differ by in a run is one number. These numbers are not
independent, since the runs share images: their mean has the variance (1/J + n_left_out / n_train) S² and not S²/J (the
corrected resampled t-test, Nadeau & Bengio 2003, Machine Learning 52, section 3). Where the test split is the same in
all runs, what it would be with other test images is added, by a bootstrap of these. And no interval is narrower than
what the images of the rarest class can show at all: of n images none of which is taken differently, 3 / n might be (the
rule of three, at 95 %).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lossgen.gan.downstream.answers import Answers, Variant, chosen
from lossgen.gan.downstream.folds import Splits
from lossgen.gan.downstream.rates import Floats
from lossgen.stats import CONFIDENCE

Words = Literal["helps", "does not help", "hurts", "cannot be told"]
RESAMPLES = 999


@dataclass(frozen=True)
class Contrast:
    """By how much one choice of arms is above another, in balanced accuracy on test images.

    Attributes:
        differences: of each run.
        mean, low, high: their mean and its 95 % interval.
        rarest: the class with the fewest test images, and how many different ones there are over all runs.
        at_best: half the interval of runs without end, on these images.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    rarest: tuple[int, int]
    at_best: float

    def needed(self, effect: float) -> int:
        """Test images of the rarest class with which the interval would not hold both 0 and `effect`, about, to two
        digits: with many runs, whose part of the width is luck that more of them take away."""
        count = math.ceil(self.rarest[1] * (2 * self.at_best / effect) ** 2)
        unit = int(10 ** max(len(str(count)) - 2, 0))
        return math.ceil(count / unit) * unit

    def words(self, effect: float) -> Words:
        """What the interval says, where a gain below `effect` is none that is asked for."""
        if self.low > 0:
            return "helps"
        if self.high < 0:
            return "hurts"
        return "does not help" if self.high < effect else "cannot be told"


def contrast(
    runs: Sequence[Mapping[str, Answers]], ours: Sequence[Variant], theirs: Sequence[Variant], splits: Splits
) -> Contrast:
    """What `ours` is above `theirs`, a variant a run each."""
    from scipy.stats import t

    values = [[run[v.arm].on_test(v.tuned).balanced_accuracy for run, v in zip(runs, of)] for of in (ours, theirs)]
    differences = np.array(values[0]) - np.array(values[1])
    count, mean = len(differences), float(np.mean(differences))
    spread = float(np.var(differences, ddof=1)) if count > 1 else 0.0
    of_images = splits.left_out * spread + (_of_test_images(runs, ours, theirs, splits) if splits.fixed_test else 0.0)
    variance = spread / count + of_images
    rarest = int(np.argmin(splits.test_counts))
    images = splits.test_counts[rarest]
    half = float(t.ppf((1 + CONFIDENCE) / 2, max(count - 1, 1))) * math.sqrt(variance)
    apart = images if splits.test_patients is None else splits.test_patients[rarest]
    least = 3 / apart / len(splits.test_counts)
    half = max(half, least)
    if count < 2:
        half = math.inf  # one run says nothing of the others
    at_best = max(1.96 * math.sqrt(of_images), least)
    return Contrast(tuple(differences.tolist()), mean, mean - half, mean + half, (rarest, images), at_best)


def choices(runs: Sequence[Mapping[str, Answers]], arms: Sequence[str], otherwise: Sequence[str] = ()) -> list[Variant]:
    """The best of these arms on validation, of each run; of `otherwise` where all of them have failed."""
    return [chosen(run, [arm for arm in arms if arm in run] or otherwise) for run in runs]


def _of_test_images(
    runs: Sequence[Mapping[str, Answers]], ours: Sequence[Variant], theirs: Sequence[Variant], splits: Splits
) -> float:
    """Variance of the mean difference over test images, the same in all runs, that are drawn again class by class.

    Patients are drawn, with all of their images, where they are known.
    """
    labels = runs[0][ours[0].arm].test_labels
    better = np.mean([_right(run, a) - _right(run, b) for run, a, b in zip(runs, ours, theirs)], axis=0)
    groups = splits.runs[0].test.groups if splits.runs else None
    whose = np.arange(len(labels)) if groups is None else groups
    rng = np.random.default_rng(0)
    known = np.unique(labels)
    drawn = np.zeros(RESAMPLES)
    for label in known:
        of_class = labels == label
        number = np.unique(whose[of_class], return_inverse=True)[1]
        sums, counts = np.bincount(number, better[of_class]), np.bincount(number)
        again = rng.integers(0, len(counts), (RESAMPLES, len(counts)))
        drawn += sums[again].sum(1) / counts[again].sum(1) / len(known)
    return float(np.var(drawn, ddof=1))


def _right(run: Mapping[str, Answers], variant: Variant) -> Floats:
    tested = run[variant.arm]
    return np.asarray(tested.taken(variant.tuned) == tested.test_labels, dtype=np.float64)
