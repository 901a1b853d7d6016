"""Copies, memorisation, repeats, duplicates and membership: what is checked of generated images, pixel by pixel.

A generator that has learnt its training images by heart draws images that are closer to these than to other images of
their kind (Meehan et al. 2020, arXiv 2004.05675). What is usual is measured on real images in their place, since
training images and others may differ in kind, too, and then even new images of the one kind are closer to the one:

nearer to training      share of generated images whose closest real image is a training image, above what it is for
                        training images themselves, each left out in turn; as a part of what there is above that
repeats                 share of generated images that another one is, pixel by pixel, of all that there are
duplicates              share of generated images that are closer to another one than 99 % of training images are
membership              AUROC of telling training from other images by how close a generated one is (the "full
                        black-box" attack of GAN-Leaks, Chen et al. 2020, arXiv 1909.03935, section 5.1), beside that
                        by how close one of as many real training images is, that are then not to be told

With classes each is taken within a class; all generated images count alike, but for membership, where classes do.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossgen.gan.detection import averaged
from lossgen.gan.duplicates import fingerprint
from lossgen.gan.nearest import nearest
from lossgen.stats import proportion_interval

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

NEARER, LEAKS, DUPLICATES, REPEATS = 0.1, 0.05, 0.05, 0.01
"""How far above what is usual a share, or an AUROC, may be, at the lower end of its interval."""
CLOSE = 0.01
"""Share of training images that count as closer to another one than usual."""
PAIRS = 8
RESAMPLES = 1000
CONTROLS = 5
"""Draws of training images that stand in for generated ones."""
LEAST = 0.05
"""Room that there must be above what is usual, or nothing could show."""


@dataclass(frozen=True)
class Kind:
    """Images of one class, uint8 (N, C, H, W).

    Attributes:
        name: the class, None where there are none.
        training: what the generator was trained on.
        others: real images that it was not trained on.
        fakes: what it has generated.
    """

    name: str | None
    training: Bytes
    others: Bytes
    fakes: Bytes


@dataclass(frozen=True)
class Check:
    """One of the things that are checked.

    Attributes:
        name: what it is called.
        value, low, high: what was measured, with its 95 % interval.
        usual: what it is where nothing is wrong.
        limit: what the lower end must not be above.
        meaning: what it is.
        judged: False where these images could not show that something is wrong.
    """

    name: str
    value: float
    low: float
    high: float
    usual: float
    limit: float
    meaning: str
    judged: bool = True

    @property
    def passed(self) -> bool:
        return self.judged and self.low <= self.limit

    @property
    def word(self) -> str:
        return "cannot be judged" if not self.judged else "passed" if self.passed else "FAILED"


@dataclass(frozen=True)
class Pairs:
    """The generated images that are closest to a training image.

    Attributes:
        images: (3, n, C, H, W): these, the training images, and the closest of the others.
        to_training, to_others: (n,), distances in grey levels.
        usual: (n,), what a hundredth of the other real images of the same class are closer than to a training image.
    """

    images: Bytes
    to_training: NDArray[np.float64]
    to_others: NDArray[np.float64]
    usual: NDArray[np.float64]


def checks(kinds: Sequence[Kind], seed: int = 0) -> list[Check]:
    """All of them; `seed` is of the training images that stand in for generated ones."""
    rng = np.random.default_rng(seed)
    total, others = (sum(len(part) for part in parts) for parts in zip(*((k.fakes, k.others) for k in kinds)))
    copies, usual = (sum(each) for each in zip(*((_copies(k, k.fakes), _copies(k, k.others)) for k in kinds)))
    repeats, usual_repeats = (sum(each) for each in zip(*((_repeats(k.fakes), _repeats(k.training)) for k in kinds)))
    training = sum(len(kind.training) for kind in kinds)
    most = proportion_interval(usual, others)[1] if usual else 0.0
    leaks = averaged([_membership(kind.training, kind.others, kind.fakes) for kind in kinds])
    controls = [averaged([_control(kind, rng) for kind in kinds]).auroc for _ in range(CONTROLS)]
    control = float(np.mean(controls))
    nearer, room = _nearer(kinds)
    return [
        Check(
            "copies", copies / total, *proportion_interval(copies, total), usual / others, most,
            f"{copies} of {total} are a training image, pixel by pixel",
        ),
        Check(
            "nearer to training", *nearer, 0.0, NEARER,
            "share whose closest real image is a training image, above what is usual for real images", room >= LEAST,
        ),
        Check(
            "repeats", repeats / total, *proportion_interval(repeats, total), usual_repeats / training,
            usual_repeats / training + REPEATS, f"{repeats} of {total} are another generated image, pixel by pixel",
        ),
        Check(
            "duplicates", *_twins(kinds, rng), CLOSE, CLOSE + DUPLICATES,
            "share closer to another generated image than 99 % of as many training images are to one another",
        ),
        Check(
            "membership", leaks.auroc, *leaks.auroc_interval, control, control + LEAKS,
            "AUROC of telling training images from others by the closest generated one, mean over classes",
            1 - control >= 2 * LEAST,
        ),
    ]  # fmt: skip


def closest(kinds: Sequence[Kind], count: int = PAIRS) -> Pairs:
    """The generated images that are closest to a training image, of all that there are of their class."""
    found = []
    for kind in kinds:
        to_training, which = nearest(kind.fakes, kind.training)
        to_others, other = nearest(kind.fakes, kind.others)
        usual = float(np.quantile(nearest(kind.others, kind.training)[0], CLOSE))
        for i in np.argsort(to_training, kind="stable")[:count]:
            images = np.stack([kind.fakes[i], kind.training[which[i]], kind.others[other[i]]])
            found.append((float(to_training[i]), float(to_others[i]), usual, images))
    found = sorted(found, key=lambda pair: pair[0])[:count]
    distances = [np.array(each) for each in zip(*(pair[:3] for pair in found))]
    return Pairs(np.stack([pair[3] for pair in found], 1), *distances)


def _copies(kind: Kind, images: Bytes) -> int:
    known = {fingerprint(image) for image in kind.training}
    return sum(fingerprint(image) in known for image in images)


def _repeats(images: Bytes) -> int:
    """How many of them another one is."""
    counts = Counter(fingerprint(image) for image in images)
    return sum(count for count in counts.values() if count > 1)


def _twins(kinds: Sequence[Kind], rng: np.random.Generator) -> tuple[float, float, float]:
    """Share of generated images that have another closer than is usual among as many training images; its interval.

    Both are drawn again: of few images the hundredth that is closest is little known.
    """
    drawn, total = np.zeros(RESAMPLES + 1), 0
    for kind in kinds:
        count = min(len(kind.training), len(kind.fakes))
        apart = []
        for part in (kind.training, kind.fakes):
            few = part[rng.permutation(len(part))[:count]]
            apart.append(nearest(few, few, itself=True)[0])
        whole = np.arange(count)
        for place in range(RESAMPLES + 1):
            real, made = (rng.integers(0, count, count) if place else whole for _ in range(2))
            usual = np.quantile(apart[0][real], CLOSE)
            of_fakes = apart[1][made]
            drawn[place] += int(((of_fakes < usual) | (of_fakes == 0)).sum())
        total += count
    shares = drawn / total
    low, high = np.quantile(shares[1:], [0.025, 0.975])
    return float(shares[0]), float(low), float(high)


def _membership(training: Bytes, others: Bytes, fakes: Bytes) -> tuple[Floats, NDArray[np.bool_]]:
    """How close real images are to a generated one, and whether they are training images."""
    closeness = -np.concatenate([nearest(real, fakes)[0] for real in (training, others)])
    return closeness, np.arange(len(closeness)) < len(training)


def _control(kind: Kind, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """The same with training images for generated ones: told are the others of these."""
    order = rng.permutation(len(kind.training))
    count = min(len(kind.fakes), len(order) // 2)
    return _membership(kind.training[order[count:]], kind.others, kind.training[order[:count]])


def _nearer(kinds: Sequence[Kind]) -> tuple[tuple[float, float, float], float]:
    """Share of generated images that are nearer to training than is usual, its interval, and the room for it.

    Real images are drawn again, and not generated ones: it is few of these that decide, however many were generated.
    """
    rng = np.random.default_rng(0)
    of_fakes = [_attracted(kind, kind.fakes) for kind in kinds]
    usual = [_attracted(kind, None) for kind in kinds]
    times = [
        [np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), RESAMPLES)]) for n in map(len, pair)]
        for pair in ((kind.training, kind.others) for kind in kinds)
    ]
    above, room = np.zeros(RESAMPLES + 1), np.zeros(RESAMPLES + 1)
    for kind, ours, theirs, drawn in zip(kinds, of_fakes, usual, times):
        shares = []
        for attracted in (ours, theirs):
            counts = [each @ part for each, part in zip(drawn, attracted)]
            shares.append(counts[0] / np.maximum(counts[0] + counts[1], 1e-9))
        above += len(kind.fakes) * (shares[0] - shares[1])
        room += len(kind.fakes) * (1 - shares[1])
    found = above / np.maximum(room, 1e-9)
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return (float(found[0]), float(low), float(high)), float(room[0] / sum(len(kind.fakes) for kind in kinds))


def _attracted(kind: Kind, images: Bytes | None) -> tuple[Floats, Floats]:
    """How many of the images each training image, and each other one, is nearest to; draws count half for either.

    Of the training images themselves where None, each of which is then none of those that are looked among.
    """
    given = kind.training if images is None else images
    (to_training, which), (to_others, other) = (
        nearest(given, kind.training, images is None),
        nearest(given, kind.others),
    )
    for_training = np.where(to_training < to_others, 1.0, np.where(to_training == to_others, 0.5, 0.0))
    counted = (
        np.bincount(which, for_training, len(kind.training)),
        np.bincount(other, 1 - for_training, len(kind.others)),
    )
    return counted[0].astype(np.float64), counted[1].astype(np.float64)
