"""Anomaly detection: which classes are normal, and how well scores tell the others.

Two protocols that never share a table: A, one class is anomalous and all others are normal; B, one class is normal and
all others are anomalous. With both named, the remaining classes are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, ImageSet

RESAMPLES = 1000
USUAL = "normal"
"""Class that is taken for the normal one where none is named."""


@dataclass(frozen=True)
class Roles:
    """What the classes of a data set are to a detector.

    Attributes:
        normal, anomalous: labels.
        protocol: "A", "B", or "" where both are named.
        title: "protocol B, 3 normal".
        description: in a sentence.
    """

    normal: tuple[int, ...]
    anomalous: tuple[int, ...]
    protocol: str
    title: str
    description: str


def roles(data: Dataset, normal: str = "", anomalous: str = "") -> Roles:
    """What the classes of `data` are, by the names of the normal and the anomalous one.

    Raises:
        InputError: a class that there is not, one class only, no labels, or nothing was named where nothing is usual.
    """
    classes = data.classes
    if data.train.labels is None or data.test.labels is None or data.validation.labels is None:
        raise InputError(f"data {data.name}: has no labels that say which images are normal")
    if len(classes) < 2:
        raise InputError(f"data {data.name}: is all of one class; there is nothing to be told from it")
    for flag, name in (("--normal-class", normal), ("--anomalous-class", anomalous)):
        if name and name not in classes:
            raise InputError(f"{flag} {name}: is none of the classes of {data.name}, which are: {', '.join(classes)}")
    if normal and normal == anomalous:
        raise InputError(f"--normal-class and --anomalous-class are both {normal}; give two classes, or one of them")
    if not normal and not anomalous:
        if USUAL not in classes:
            which = "say which class is normal (--normal-class) or anomalous (--anomalous-class), of"
            raise InputError(f"data {data.name}: {which}: {', '.join(classes)}")
        normal = USUAL
    of_normal = [i for i, name in enumerate(classes) if (name == normal if normal else name != anomalous)]
    of_others = [i for i, name in enumerate(classes) if (name == anomalous if anomalous else name != normal)]
    protocol = "" if normal and anomalous else "B" if normal else "A"
    told = f"protocol {protocol}: " * bool(protocol)
    named = [f"protocol {protocol}"] * bool(protocol) + [f"{normal} normal"] * bool(normal)
    named += [f"{anomalous} anomalous"] * bool(anomalous)
    found = Roles(
        tuple(of_normal), tuple(of_others), protocol, ", ".join(named),
        f"Anomaly detection, {told}normal is {_named(classes, of_normal)}, anomalous {_named(classes, of_others)}.",
    )  # fmt: skip
    if not of_kind(data.train, found.normal).any():
        raise InputError(f"data {data.name}: train holds no normal image ({_named(classes, of_normal)})")
    for split, part in (("validation", data.validation), ("test", data.test)):
        for what, labels in (("normal", found.normal), ("anomalous", found.anomalous)):
            if not of_kind(part, labels).any():
                raise InputError(f"data {data.name}: {split} holds no {what} image; AUROC needs both kinds")
    return found


def _named(classes: Sequence[str], labels: Sequence[int]) -> str:
    return ", ".join(classes[i] for i in labels)


def of_kind(split: ImageSet, labels: Sequence[int]) -> NDArray[np.bool_]:
    """(N,): whether an image is of one of the labels."""
    assert split.labels is not None
    return np.isin(split.labels, labels)


@dataclass(frozen=True)
class Detection:
    """How well scores tell anomalous images.

    Attributes:
        auroc: area under the ROC: the probability that an anomalous image scores above a normal one.
        precision: average precision.
        share: part of anomalous images, the average precision of scores that say nothing.
        auroc_interval, precision_interval: 95 % bootstrap intervals over the images.
    """

    auroc: float
    precision: float
    share: float
    auroc_interval: tuple[float, float]
    precision_interval: tuple[float, float]


def rates(scores: NDArray[np.floating], anomalous: NDArray[np.bool_]) -> Mapping[str, float]:
    """AUROC and average precision of scores (N,), higher meaning anomalous."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "AUROC": float(roc_auc_score(anomalous, scores)), "AP": float(average_precision_score(anomalous, scores))
    }  # fmt: skip


def detection(scores: NDArray[np.floating], anomalous: NDArray[np.bool_], seed: int = 0) -> Detection:
    """The same with intervals: normal and anomalous images are drawn again, each as often as there are."""
    return averaged([(scores, anomalous)], seed)


def averaged(tests: Sequence[tuple[NDArray[np.floating], NDArray[np.bool_]]], seed: int = 0) -> Detection:
    """The mean over several tests, scores (N,) and whether an image is anomalous (N,), each drawn again by itself."""
    rng = np.random.default_rng(seed)
    drawn = np.mean([_redrawn(scores, anomalous, rng) for scores, anomalous in tests], 0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    auroc, precision = np.mean([list(rates(*test).values()) for test in tests], 0)
    share = float(np.mean([anomalous.mean() for _, anomalous in tests]))
    return Detection(
        float(auroc), float(precision), share, (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))
    )  # fmt: skip


def _redrawn(
    scores: NDArray[np.floating], anomalous: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2, RESAMPLES): AUROC and average precision of images drawn again, of each kind as many as there are.

    All at once, by how often an image is drawn; what `rates` gives for the drawn ones, a thousand times faster.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    found = []
    for kind in (anomalous, ~anomalous):
        members = np.flatnonzero(kind[order])
        times = np.zeros((RESAMPLES, len(order)))
        times[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), RESAMPLES)
        found.append(times.cumsum(1)[:, last_of_score])
    true, false = found
    hits, misses = (np.diff(each, prepend=0.0) for each in found)
    auroc = (misses * (true - hits / 2)).sum(1) / (true[:, -1] * false[:, -1])
    precision = (hits * true / np.maximum(true + false, 1.0)).sum(1) / true[:, -1]
    return np.stack([auroc, precision])
