"""How well a classifier tells classes of unequal sizes apart, and where its thresholds lie.

Accuracy alone says nothing where one class is rare: who never names it is nearly always right. So recall counts for
each class alike, in balanced accuracy and in the g-mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

REACH, POINTS = 4.0, 81
"""Offsets of log-probabilities that are tried: from -4 to 4, in so many points."""
SWEEPS = 2


@dataclass(frozen=True)
class Rates:
    """What became of the images of a split.

    Attributes:
        confusion: (K, K), images by true class (rows) and by the class they were taken for (columns).
        auroc: macro-averaged area under the ROC, of each class against the rest; of two classes that of the second.
            nan where a class has no image.
    """

    confusion: Ints
    auroc: float

    @property
    def recall(self) -> Floats:
        """(K,), share of a class's images that are found; nan of a class without images."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(1), np.nan)

    @property
    def precision(self) -> Floats:
        """(K,), share of what is taken for a class that is of it; 0 where nothing is taken for it."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(0), 0.0)

    @property
    def f1(self) -> Floats:
        """(K,), harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * np.diag(self.confusion), self.confusion.sum(0) + self.confusion.sum(1), 0.0)

    @property
    def accuracy(self) -> float:
        """Share of images that are taken for what they are."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes."""
        return float(np.nanmean(self.recall))

    @property
    def g_mean(self) -> float:
        """Geometric mean of the recalls: 0 where a class is never found."""
        recall = self.recall[np.isfinite(self.recall)]
        return float(np.prod(recall) ** (1 / len(recall)))

    def summary(self) -> dict[str, float]:
        """The numbers that do not go by class."""
        return {
            "balanced accuracy": self.balanced_accuracy, "g-mean": self.g_mean, "macro-F1": float(self.f1.mean()),
            "AUROC": self.auroc, "accuracy": self.accuracy,
        }  # fmt: skip

    def as_json(self) -> dict[str, object]:
        """All of it as JSON values."""
        by_class = {name: getattr(self, name).tolist() for name in ("precision", "recall", "f1")}
        return {**self.summary(), **by_class, "confusion": self.confusion.tolist()}


def rates(log_probabilities: NDArray[np.floating], labels: Ints, offsets: Floats | None = None) -> Rates:
    """What a classifier gets right.

    Args:
        log_probabilities: (N, K).
        labels: (N,), in 0..K-1.
        offsets: (K,), added to the log-probabilities before the largest is taken; none where None.
    """
    classes = log_probabilities.shape[1]
    taken = decided(log_probabilities, offsets)
    confusion = np.bincount(labels * classes + taken, minlength=classes**2).reshape(classes, classes)
    return Rates(confusion.astype(np.int64), _auroc(log_probabilities, labels))


def decided(log_probabilities: NDArray[np.floating], offsets: Floats | None = None) -> Ints:
    """(N,): the class that each image is taken for."""
    shifted = log_probabilities if offsets is None else log_probabilities + offsets
    return np.asarray(shifted.argmax(1), dtype=np.int64)


def tuned_offsets(log_probabilities: NDArray[np.floating], labels: Ints) -> Floats:
    """(K,): offsets under which balanced accuracy on these images is highest, those nearest to none among equals.

    Of two classes this is the threshold of the second; of more, one class after the other is moved, twice over. It is
    for a validation split: what is tuned on the images that are reported flatters.
    """
    classes = log_probabilities.shape[1]
    offsets = np.zeros(classes)
    grid = np.linspace(-REACH, REACH, POINTS)
    grid = grid[np.argsort(np.abs(grid), kind="stable")]  # so that the first of equals is the nearest to none
    for _ in range(SWEEPS if classes > 2 else 1):
        for moved in range(1, classes):
            tried = np.tile(offsets, (POINTS, 1))
            tried[:, moved] = grid
            offsets = tried[int(np.argmax([_balanced(log_probabilities, labels, each) for each in tried]))]
    return offsets


def needed_images(effect: float, recall: float) -> int:
    """Images of a class whose recall is then known to within `effect`, either way (95 %, binomial)."""
    return int(np.ceil(1.96**2 * recall * (1 - recall) / effect**2))


def mean_rates(found: Mapping[str, Rates]) -> Rates:
    """Of several splits together: their confusion matrices added up, the mean of their AUROCs."""
    several = list(found.values())
    return Rates(
        np.sum([each.confusion for each in several], axis=0), float(np.nanmean([each.auroc for each in several]))
    )  # fmt: skip


def _balanced(log_probabilities: NDArray[np.floating], labels: Ints, offsets: Floats) -> float:
    right = decided(log_probabilities, offsets) == labels
    counts = np.bincount(labels, minlength=log_probabilities.shape[1])
    return float(np.mean(np.bincount(labels, right, len(counts))[counts > 0] / counts[counts > 0]))


def _auroc(log_probabilities: NDArray[np.floating], labels: Ints) -> float:
    from sklearn.metrics import roc_auc_score

    classes = log_probabilities.shape[1]
    if len(np.unique(labels)) < classes:
        return float("nan")
    if classes == 2:
        return float(roc_auc_score(labels, log_probabilities[:, 1] - log_probabilities[:, 0]))
    each = [roc_auc_score(labels == label, log_probabilities[:, label]) for label in range(classes)]
    return float(np.mean(each))


def _ratio(above: NDArray[np.integer], below: NDArray[np.integer], otherwise: float) -> Floats:
    found = np.full(len(above), otherwise)
    np.divide(above, below, out=found, where=below > 0)
    return found
