"""What a classifier is trained on: real images alone, with one of the usual remedies, or with synthetic ones.

All arms take the same number of gradient steps from the same first weights. Oversampling repeats the real images of a
rare class to the very number that synthetic ones fill it up to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lossgen.errors import InputError
from lossgen.gan.downstream.classifiers import Recipe, fit
from lossgen.gan.raw import Ints
from lossgen.gan.streams import Purpose, stream


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: what it is called.
        weighted: whether the loss of a class is weighted by the inverse of its number of images.
        oversampled: whether images of rare classes are repeated.
        augmented: whether images are moved at random.
        synthetic: whether generated images are added.
    """

    name: str
    weighted: bool = False
    oversampled: bool = False
    augmented: bool = False
    synthetic: bool = False


PLAIN = (
    Arm("real only"),
    Arm("class weights", weighted=True),
    Arm("oversampling", oversampled=True),
    Arm("augmentation", augmented=True),
    Arm("oversampling with augmentation", oversampled=True, augmented=True),
)
"""Those without a GAN."""
SYNTHETIC = (Arm("synthetic", synthetic=True), Arm("synthetic with augmentation", augmented=True, synthetic=True))


def missing(labels: Ints, classes: int, ratio: float) -> Ints:
    """(K,): images that each class lacks of `ratio` times the largest one."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(np.maximum(0, np.ceil(ratio * counts.max()).astype(np.int64) - counts))


def minority(labels: Ints, names: Sequence[str], ratio: float) -> list[int]:
    """The classes that lack images.

    Raises:
        InputError: none does.
    """
    found = np.flatnonzero(missing(labels, len(names), ratio)).tolist()
    if not found:
        counts = np.bincount(labels, minlength=len(names))
        said = ", ".join(f"{count} {name}" for name, count in zip(names, counts))
        about = "all classes have as many" if ratio == 1 else f"no class has fewer than {ratio:g} of the largest"
        raise InputError(f"{about} ({said}): there is nothing to fill up" + "; give a larger --ratio" * (ratio < 1))
    return [int(label) for label in found]


def train_arm(
    arm: Arm,
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    classes: int,
    ratio: float,
    seed: Sequence[int],
    generated: Mapping[int, Tensor] | None = None,
) -> torch.nn.Module:
    """The classifier of an arm.

    Args:
        images, labels: the real training images, uint8 (N, C, H, W), and their classes, on the device to train on.
        ratio: of the largest class, up to which others are filled.
        seed: of the classifier, and of which images are repeated.
        generated: images by class, uint8, as many as `missing` says or more; of synthetic arms.
    """
    of_host = labels.cpu().numpy()
    lacking = missing(of_host, classes, ratio)
    weights = None
    if arm.weighted:
        counts = np.bincount(of_host, minlength=classes)
        weights = torch.from_numpy(len(of_host) / (classes * counts)).float()
    seen, told = [images], [labels]
    if arm.oversampled:
        again = torch.from_numpy(_repeats(of_host, lacking, seed)).to(labels.device)
        seen, told = [images, images[again]], [labels, labels[again]]
    if arm.synthetic:
        assert generated is not None
        for label, made in generated.items():
            seen.append(made[: lacking[label]])
            told.append(torch.full((len(seen[-1]),), label, device=labels.device))
    return fit(recipe, torch.cat(seen), torch.cat(told), seed, classes, weights, arm.augmented)


def _repeats(labels: Ints, lacking: Ints, seed: Sequence[int]) -> Ints:
    """Rows that are to be there once more: each image of a class about as often as the next."""
    generator = stream(seed, Purpose.REPEATS)
    rows: list[int] = []
    for label, count in enumerate(lacking.tolist()):
        members = np.flatnonzero(labels == label)
        while count > 0 and len(members):
            order = torch.randperm(len(members), generator=generator).numpy()[:count]
            rows += members[order].tolist()
            count -= len(order)
    return np.array(rows, dtype=np.int64)
