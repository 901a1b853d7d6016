"""A runner that trains nothing and has regularisers and learning rates: its outcome is a function of these.

Each loss is best at a pair of learning rates of its own, where its distance is 1; a regulariser halves what is above 1.
"""

from collections.abc import Sequence
from math import log10
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation

BEST = {"BCE": (1e-3, 1e-3), "LSGAN": (3e-3, 1e-3), "Hinge": (1e-3, 3e-4)}


class Options(BaseModel):
    lr_generator: float = Field(1e-2, gt=0, le=1, description="learning rate")
    lr_discriminator: float = Field(1e-2, gt=0, le=1, description="learning rate")
    recommended: bool = Field(True, description="apply what a loss asks for")
    r1: float = Field(0.0, ge=0, description="strength")
    gradient_penalty: float = Field(0.0, ge=0, description="strength")
    drift: float = Field(0.0, ge=0, description="strength")
    spectral_norm: bool = Field(False, description="switch")
    fails: str = Field("", description="name of a loss whose trainings fail at its best pair")
    marks: str = Field("", description="file that gets a line a training")


class Crossed:
    options = Options
    objectives = {"distance": "min"}  # noqa: RUF012
    scale_free = True

    def __init__(self, options: BaseModel) -> None:
        self.options_ = options.model_dump()

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        return Preparation({"data": {"name": data.name}})

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        return [self._train(member, budget) for member in members]

    def _train(self, member: Member, budget: Budget) -> Outcome:
        chosen = Options.model_validate({**self.options_, **member.condition})
        if chosen.marks:
            with Path(chosen.marks).open("a") as file:
                file.write(f"{member.name} {member.seed} {sorted(member.condition.items())}\n")
        best, now = BEST[member.name], (chosen.lr_generator, chosen.lr_discriminator)
        if member.name == chosen.fails and best == now:
            return Outcome("diverged", reason="as it was told", step=budget.steps)
        off = sum(abs(log10(a / b)) for a, b in zip(best, now))
        off += sum(member.seed) % 7 / 100
        strengths = (chosen.r1, chosen.gradient_penalty, chosen.drift, float(chosen.spectral_norm))
        distance = 1 + off / 2 ** sum(map(bool, strengths))
        files = {}
        if member.keep is not None:
            member.keep.mkdir(parents=True, exist_ok=True)
            files["samples"] = member.keep / "samples.npz"
            np.savez(files["samples"], images=np.zeros((4, 1, 8, 8), np.uint8))
        # The test split says the opposite: what is chosen by it would show.
        metrics = {"distance": distance, "distance test": 10 - distance}
        return Outcome("ok", metrics, step=budget.steps, files=files)
