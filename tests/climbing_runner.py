"""A runner that trains nothing, on which the loss Good is better than all others up to a rung of the ladder."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation

USUAL = 3e-3


class Options(BaseModel):
    lr_generator: float = Field(USUAL, gt=0, le=1, description="learning rate")
    lr_discriminator: float = Field(USUAL, gt=0, le=1, description="learning rate")
    width: int = Field(16, ge=1, description="channels")
    normalisation: str = Field("none", description="none or batch")
    falls: str = Field("", description="rung on which Good is not better: fresh, tuned, plateau, wide, batch or data")
    marks: str = Field("", description="file that gets a line a training")


class Climbing:
    options = Options
    objectives = {"distance": "min"}  # noqa: RUF012
    scale_free = True
    positive = True

    def __init__(self, options: BaseModel) -> None:
        self.chosen = Options.model_validate(options.model_dump())

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        self.data = data.name
        return Preparation({"data": {"name": data.name}})

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        return [self._train(member, budget) for member in members]

    def _train(self, member: Member, budget: Budget) -> Outcome:
        chosen = self.chosen.model_copy(update=dict(member.condition))
        where = {
            "fresh": not member.condition, "tuned": bool(member.condition), "plateau": budget.steps > 10,
            "wide": chosen.width > 16, "batch": chosen.normalisation == "batch", "data": self.data == "other",
        }  # fmt: skip
        if chosen.marks:
            with Path(chosen.marks).open("a") as file:
                file.write(f"{member.name} {budget.steps} {chosen.width} {chosen.normalisation} {self.data}\n")
        good = member.name.startswith("Good") and not where.get(self.chosen.falls, False)
        off = abs(math.log10(chosen.lr_generator / USUAL)) + abs(math.log10(chosen.lr_discriminator / USUAL))
        luck = np.random.default_rng([*member.seed, *member.name.encode()]).normal()
        return Outcome("ok", {"distance": (0.5 if good else 1.0) * math.exp(off + 0.02 * luck)}, step=budget.steps)
