"""Tiny data and hand-written losses for the tests of the training room."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.members import Task
from lossgen.gan.nets import Architecture
from lossgen.gan.setting import Setting
from lossgen.gan.streams import one_thread

LOSS = """
import torch
from torch import nn
from torch.nn import functional as F

class Written(nn.Module):
    def discriminator_loss(self, real_score, fake_score):
        return ({real}){reduce} + ({fake}){reduce}

    def generator_loss(self, fake_score, real_score=None):
        return ({generator}){reduce}
"""


def written(
    real: str = "F.softplus(-real_score)",
    fake: str = "F.softplus(fake_score)",
    generator: str = "F.softplus(-fake_score)",
    reduce: str = ".mean()",
) -> str:
    """Text of a loss module; without arguments it is binary cross-entropy."""
    return LOSS.format(real=real, fake=fake, generator=generator, reduce=reduce)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """One thread: tests run side by side, and what they compute is small."""
    with one_thread():
        yield


@pytest.fixture(name="written")
def _written() -> Callable[..., str]:
    return written


def bars(count: int, size: int, channels: int, seed: int) -> ImageSet:
    """Images of a bright bar, upright (class 0) or lying (class 1), at a random place on a noisy ground."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, channels, size, size), dtype=np.uint8)
    labels = random.integers(0, 2, count)
    for image, label, place in zip(images, labels, random.integers(0, size, count)):
        image[(slice(None), slice(None), place) if label == 0 else (slice(None), place)] = 230
    return ImageSet(images, labels.astype(np.int64))


@pytest.fixture
def dataset() -> Callable[..., Dataset]:
    def build(size: int = 8, channels: int = 1, labelled: bool = True) -> Dataset:
        splits = [bars(count, size, channels, seed) for seed, count in enumerate((256, 96, 96))]
        if not labelled:
            splits = [ImageSet(split.images, None) for split in splits]
        classes = ("upright", "lying") if labelled else ()
        return Dataset("bars", *splits, classes=classes, digest=f"bars-{size}-{channels}-{labelled}", notes=())

    return build


@pytest.fixture
def setting() -> Setting:
    return Setting(Architecture("dcgan", 8, 1, 8, 16), 32, 2e-3, 2e-3, (0.5, 0.99), 0.999)


@pytest.fixture
def task(dataset: Callable[..., Dataset]) -> Task:
    """Bars, judged by how bright they are: quick, and enough to see whether two generators are the same."""
    images = torch.from_numpy(dataset().train.images)
    return Task(images, lambda made: {"brightness": float(made.float().mean())}, 64, {"digest": "bars"})
