"""A runner that trains nothing: its outcome is a function of the loss's values and the seed, in a millisecond.

It misbehaves on request, so that the engine's ways with misbehaviour can be tested.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation


class Options(BaseModel):
    pause: float = Field(0.0, description="seconds a training takes")
    misbehave: str = Field("", description="die, die-once, hang or raise: what trainings of found losses do")
    marks: str = Field("", description="file that gets a line a training")
    together: bool = Field(False, description="say that members of a list advance together")


class Toy:
    options = Options
    objectives = {"distance": "min"}  # noqa: RUF012
    scale_free = True

    def __init__(self, options: BaseModel) -> None:
        self.chosen = Options.model_validate(options.model_dump())

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        self.together = self.chosen.together
        options = self.chosen.model_dump(exclude={"together"})
        return Preparation({"data": {"name": data.name}, "options": options}, ["a toy"])

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        if self.together:
            budget.note(f"a list of {len(members)}")
        return [self._train(number, member, budget) for number, member in enumerate(members)]

    def _train(self, number: int, member: Member, budget: Budget) -> Outcome:
        import torch  # not where the file is loaded: who starts a run has no other use for it

        if self.chosen.marks:
            with Path(self.chosen.marks).open("a") as file:
                file.write(f"{member.name} {member.seed}\n")
        if member.name.startswith("Evolved"):
            self._misbehave(member)
        time.sleep(self.chosen.pause)
        if budget.on_step:
            budget.on_step(number, budget.steps)
        score = torch.linspace(-4, 4, 17)
        value = float(member.criterion().discriminator_loss(score, -score))
        luck = (sum(member.seed) * 7919 % 101) / 1000
        distance = abs(value - 1.0) + luck
        return Outcome("ok", {"distance": distance}, step=budget.steps, seconds=0.001, curve=[(budget.steps, {})])

    def _misbehave(self, member: Member) -> None:
        match self.chosen.misbehave:
            case "die":
                os._exit(7)
            case "die-once":
                mark = Path(self.chosen.marks + ".died")
                if not mark.exists():
                    mark.touch()
                    os._exit(7)
            case "hang":
                time.sleep(3600)
            case "raise":
                raise RuntimeError("the toy is broken")
