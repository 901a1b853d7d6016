"""Random streams of one training, and the order of its batches.

Everything random is drawn from `numpy.random.SeedSequence(seed)`, with one child a purpose. A member's seed says
nothing about its loss, so all losses of a seed meet the same initial weights, the same batches and the same noise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Purpose(IntEnum):
    """What a stream is for; the value is its spawn key, so a new purpose goes to the end."""

    GENERATOR = 0
    DISCRIMINATOR = 1
    NOISE = 2
    BATCHES = 3
    EVALUATION = 4
    PENALTY = 5
    AUGMENTATION = 6
    LABELS = 7
    ENCODER = 8
    ENCODER_BATCHES = 9
    CLASSIFIER = 10
    CLASSIFIER_BATCHES = 11
    MOVES = 12
    REPEATS = 13


def stream(seed: int | Sequence[int], purpose: int, device: str = "cpu") -> torch.Generator:
    """A generator on `device` whose draws depend on `seed` and `purpose` alone."""
    entropy = seed if isinstance(seed, int) else list(seed)
    sequence = np.random.SeedSequence(entropy, spawn_key=(int(purpose),))
    word = int(sequence.generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(word >> 1)  # manual_seed wants what fits a signed 64-bit integer


class Batches:
    """Batches of indices without end: the images in a fresh order each epoch, what does not fill a batch left out."""

    def __init__(self, count: int, batch: int, generator: torch.Generator) -> None:
        self.count = count
        self.batch = min(batch, count)
        self.generator = generator
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._before = self.generator.get_state()
        self._order = torch.randperm(self.count, generator=self.generator, device=self.generator.device)
        self._position = 0

    def next(self) -> Tensor:
        """Indices of the next batch, int64 (batch,), on the generator's device."""
        if self._position + self.batch > self.count:
            self._begin_epoch()
        indices = self._order[self._position : self._position + self.batch]
        self._position += self.batch
        return indices

    def state(self) -> dict[str, Any]:
        """Where the stream stands. The order of the epoch is not kept: it is drawn again."""
        return {"generator": self._before.clone(), "position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self._begin_epoch()
        self._position = state["position"]


@contextmanager
def one_thread() -> Iterator[None]:
    """One PyTorch thread inside: sums are split by thread, so only a fixed number gives the same bits everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
