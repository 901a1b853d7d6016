"""A runner that trains nothing, has learning rates and can be continued: its distance is known in a millisecond.

It refuses a state that is not what its training has left, and says what it was asked for in a file.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation


class Options(BaseModel):
    lr_generator: float = Field(3e-3, gt=0, le=1, description="learning rate")
    lr_discriminator: float = Field(3e-3, gt=0, le=1, description="learning rate")
    turns: int = Field(0, description="step until which the order of the losses is turned round")
    pause: float = Field(0.0, description="seconds a training takes")
    marks: str = Field("", description="file that gets a line a training")


class Racing:
    options = Options
    objectives = {"distance": "min"}  # noqa: RUF012
    scale_free = True
    positive = True

    def __init__(self, options: BaseModel) -> None:
        self.chosen = Options.model_validate(options.model_dump())

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        return Preparation({"data": {"name": data.name}})

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        return [self._train(member, budget) for member in members]

    def _train(self, member: Member, budget: Budget) -> Outcome:
        import time

        import torch

        known = json.loads(member.state.read_text()) if member.state else {"step": 0}
        chosen = self.chosen.model_copy(update=dict(member.condition))
        mine = {"name": member.name, "seed": list(member.seed), "condition": dict(member.condition)}
        assert not member.state or known == {**mine, "step": known["step"]}, "a state of something else"
        if chosen.marks:
            with Path(chosen.marks).open("a") as file:
                file.write(f"{member.name} {member.condition} {member.seed[2]} {known['step']} {budget.steps}\n")
        time.sleep(chosen.pause)
        score = torch.linspace(-4, 4, 17)
        value = float(member.criterion().discriminator_loss(score, -score))
        far = math.log1p(abs(value - 1.0)) * (-1 if budget.steps <= chosen.turns else 1)
        rate = abs(math.log10(chosen.lr_generator / 3e-3)) + abs(math.log10(chosen.lr_discriminator / 3e-3))
        luck = np.random.default_rng([*member.seed, budget.steps, int(1e6 * chosen.lr_generator)]).normal()
        distance = math.exp(far + 0.1 * rate + 0.1 * luck + 50.0 / budget.steps)
        files = {}
        if member.keep is not None:
            member.keep.mkdir(parents=True, exist_ok=True)
            files["state"] = member.keep / f"{budget.steps}.state.json"
            files["state"].write_text(json.dumps({**mine, "step": budget.steps}))
        return Outcome("ok", {"distance": distance}, step=budget.steps, files=files)
