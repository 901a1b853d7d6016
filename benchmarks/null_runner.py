"""A runner on which no loss is better than another: outcomes are luck, a seed's and a training's own."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

BETTER = 0.7
"""What the family's distances are multiplied by where there is one."""


class Options(BaseModel):
    lr_generator: float = Field(3e-3, gt=0, le=1, description="learning rate of the generator")
    lr_discriminator: float = Field(3e-3, gt=0, le=1, description="learning rate of the discriminator")
    luck: float = Field(0.2, ge=0, description="standard deviation, in logarithms, of a seed's and a training's luck")
    planted: bool = Field(False, description="make one family of losses truly better")


class Null:
    """Distances are log-normal around what the learning rates make of 10, which is the same for all losses. With
    `planted`, those of one family are 0.7 times that. Half of a training's own luck is that of its number of steps.

    The family: losses whose discriminator has a slope at a score of 0 that is 1.5 to 6 times as steep for fakes as for
    reals. No baseline of a search belongs to it; of the random losses of `ganetic` that pass the screen, one in seven.
    """

    options = Options
    objectives: Mapping[str, Direction] = {"distance": "min"}
    scale_free = True
    positive = True

    def __init__(self, options: BaseModel) -> None:
        self.chosen = Options.model_validate(options.model_dump())

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """There is nothing to prepare."""
        return Preparation({"options": self.chosen.model_dump()})

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Draw an outcome for each."""
        return [self._drawn(member, budget.steps) for member in members]

    def _drawn(self, member: Member, steps: int) -> Outcome:
        chosen = self.chosen.model_copy(update=dict(member.condition))
        shared = np.random.default_rng([*member.seed, 0]).normal()
        text = int.from_bytes(hashlib.sha256(member.source.encode()).digest()[:8], "big")
        lasting, passing = (np.random.default_rng([*member.seed, text, at]).normal() for at in (0, steps))
        own = (lasting + passing) / math.sqrt(2.0)
        slow = abs(math.log10(chosen.lr_generator / 3e-3)) + abs(math.log10(chosen.lr_discriminator / 3e-3))
        better = math.log(BETTER) if chosen.planted and in_family(member) else 0.0
        logarithm = math.log(10.0) + slow + better + chosen.luck * (shared + own)
        return Outcome("ok", {"distance": math.exp(logarithm)}, step=steps)


def in_family(member: Member) -> bool:
    """Whether a loss is one of those that are better."""
    import torch

    scores = torch.zeros(2, requires_grad=True)
    loss = member.criterion().discriminator_loss(scores[:1], scores[1:])
    if not loss.requires_grad:
        return False
    loss.backward()
    assert scores.grad is not None
    real, fake = scores.grad.abs().tolist()
    return bool(1.5 * real < fake < 6.0 * real)
