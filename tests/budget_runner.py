"""A runner that trains nothing and can be continued: its distances are known for every loss, pair, seed and step.

After `turns` steps a loss is as good as its place in LOSSES says; before, the order is the other way round. Seeds add
luck, which is independent at each step.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation

LOSSES = ["bce", "lsgan", "hinge", "ganetic", "minimax", "taylor"]
NAMES = ["BCE", "LSGAN", "Hinge", "GANetic", "Minimax", "Taylor"]


class Options(BaseModel):
    lr_generator: float = Field(3e-3, gt=0, le=1, description="learning rate")
    lr_discriminator: float = Field(3e-3, gt=0, le=1, description="learning rate")
    turns: int = Field(200, description="step from which on the order is the right one")
    luck: float = Field(0.0, description="standard deviation of the seed's factor, in logarithms")
    fails: str = Field("", description="name of a loss whose trainings fail from step 200 on")
    collapses: str = Field("", description="name of a loss whose samples are alike until step 100")
    marks: str = Field("", description="file that gets a line a training")


class Budgeted:
    options = Options
    objectives = {"distance": "min"}  # noqa: RUF012
    scale_free = True

    def __init__(self, options: BaseModel) -> None:
        self.chosen = Options.model_validate(options.model_dump())

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        return Preparation({"data": {"name": data.name}})

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        return [self._train(member, budget) for member in members]

    def _train(self, member: Member, budget: Budget) -> Outcome:
        begun = json.loads(member.state.read_text())["step"] if member.state else 0
        if self.chosen.marks:
            with Path(self.chosen.marks).open("a") as file:
                file.write(f"{member.name} {member.condition} {member.seed[2]} {begun} {budget.steps}\n")
        if member.name == self.chosen.fails and budget.steps >= 200:
            return Outcome("diverged", reason="as it was told", step=200)
        place = NAMES.index(member.name)
        order = place if budget.steps >= self.chosen.turns else len(NAMES) - place
        rate = member.condition.get("lr_generator", self.chosen.lr_generator)
        draw = np.random.default_rng([*member.seed, place, budget.steps, int(1e6 * rate)])
        log = order / 10 + abs(math.log10(rate / 3e-3)) - math.log10(budget.steps) + self.chosen.luck * draw.normal()
        files = {}
        if member.keep is not None:
            member.keep.mkdir(parents=True, exist_ok=True)
            files["state"] = member.keep / f"{budget.steps}.state.json"
            files["state"].write_text(json.dumps({"step": budget.steps}))
        if member.name == self.chosen.collapses and budget.steps < 100:
            return Outcome("collapsed", reason="as it was told", step=budget.steps, files=files)
        metrics = {"distance": math.exp(log), "distance test": math.exp(log), "coverage": -log}
        return Outcome("ok", metrics, step=budget.steps, files=files, seconds=budget.steps - begun)
