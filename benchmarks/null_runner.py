"""A runner on which no loss is better than another: outcomes are luck, a seed's and a training's own."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

BETTER = 0.7
"""What the family's distances are multiplied by where there is one."""


class Options(BaseModel):
    luck: float = Field(0.1, ge=0, description="standard deviation, in logarithms, of a seed's and a training's luck")
    planted: bool = Field(False, description="make one family of losses truly better")


class Null:
    """Distances are log-normal around 10. With `planted`, those of one family are 0.7 times that.

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
        shared = np.random.default_rng([*member.seed, 0]).normal()
        text = int.from_bytes(hashlib.sha256(member.source.encode()).digest()[:8], "big")
        own = np.random.default_rng([*member.seed, text]).normal()
        factor = BETTER if self.chosen.planted and in_family(member) else 1.0
        return Outcome("ok", {"distance": 10.0 * factor * float(np.exp(self.chosen.luck * (shared + own)))}, step=steps)


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
