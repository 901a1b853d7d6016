"""Progressive and style-based GANs (Karras et al. 2018, 2020) as a benchmark for losses: a plug-in, and a script.

    lossgen compare wasserstein ganetic bce --runner progressive --data pneumoniamnist --steps 3000
    python runners/progressive.py --loss ganetic --data pneumoniamnist --device cpu --out out/

`--architecture progressive` grows from 4 pixels to the full side, each resolution fading in over --fade-images real
images and standing for --stable-images; it is judged at the end as a DCGAN is, and before it is complete with its small
images enlarged. `--architecture style` has StyleGAN2's networks at the full side from the start. The loss is the only
thing that is exchanged; regularisers are flags, and hold for all losses. The original of the former is `wasserstein`
with `--gradient-penalty 10 --drift 0.001`, of the latter `non_saturating` with `--r1 10`.

The script trains a loss, with the regularisers of its flags and those that it asks for, beside the original with its
paper's at the same seed, and writes what both draw at the end of each phase, with FD and KID at the side that they have
come to.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import click
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan.benchmark import GANOptions, ImageGAN
from lossgen.gan.data import ImageSet
from lossgen.gan.features import Judge
from lossgen.gan.growth import Growth
from lossgen.gan.nets import Architecture
from lossgen.gan.nets.equalised import GROUP, SIZES, doublings_to
from lossgen.gan.nets.progressive import Grown, enlarged, shrunk
from lossgen.gan.regularisers import REGULARISERS
from lossgen.gan.sampling import sample, to_bytes, to_unit
from lossgen.gan.script import Asked, run_script, write_picture
from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation

ORIGINAL: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "progressive": ("wasserstein", {"gradient_penalty": 10.0, "drift": 0.001}),
    "style": ("non_saturating", {"r1": 10.0}),
}
"""Of each architecture: the loss that its paper trains it with, and what that comes with."""


class Options(GANOptions):
    """Networks, schedule, optimisers and judging. On the command line each is a flag: --fade-images."""

    architecture: Literal["progressive", "style"] = Field("progressive", description="which networks")
    width: int = Field(16, ge=1, le=512, description="channels at the finest side; twice as many at each coarser one")
    latent: int = Field(64, ge=1, le=4096, description="dimension of the latent vector")
    fade_images: int = Field(8000, ge=1, description="real images that a resolution fades in over")
    stable_images: int = Field(8000, ge=0, description="real images that a resolution then stands for")
    batch_size: int = Field(32, ge=2, le=4096, description="images in a batch")
    lr_generator: float = Field(2e-3, gt=0, le=1, description="Adam's learning rate of the generator")
    lr_discriminator: float = Field(2e-3, gt=0, le=1, description="Adam's learning rate of the discriminator")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's decay rate of the gradient's mean")


class Progressive(ImageGAN):
    """Fitness, data and optimisers are those of all image GANs."""

    options = Options
    sizes: ClassVar[tuple[int, ...]] = SIZES[1:]
    nearest = True  # 28 pixels are trained at 32, not at 16

    def __init__(self, options: BaseModel) -> None:
        super().__init__(options)
        self.told: set[int] = set()  # steps of which it was said that they are too few

    def architecture(self, chosen: Options) -> Architecture:
        return Architecture(chosen.architecture, self.data.size, self.data.channels, chosen.width, chosen.latent)

    def growth(self, chosen: Options) -> Growth | None:
        if chosen.architecture == "style":
            return None
        return Growth(doublings_to(self.data.size), chosen.fade_images, chosen.stable_images)

    def described(self) -> str:
        chosen, growth = self.chosen, self.growth(self.chosen)
        grown = f", fading in over {growth.fade} images and standing for {growth.stable}" if growth else ""
        return f"{chosen.architecture} networks of width {chosen.width}{grown}"

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        if self.chosen.batch_size < GROUP:
            raise InputError(
                f"--batch-size {self.chosen.batch_size}: the discriminator compares the images of a batch in groups of "
                f"{GROUP}; give at least {GROUP}"
            )
        return super().prepare(data, device)

    def train(self, members: Any, budget: Budget) -> list[Outcome]:
        growth = self.growth(self.chosen)
        incomplete = growth is not None and (budget.steps - 1) * self._shown < growth.complete
        if growth is not None and incomplete and not budget.trial and budget.steps not in self.told:
            self.told.add(budget.steps)
            grown = growth.at((budget.steps - 1) * self._shown)
            budget.note(
                f"{budget.steps} steps end at {grown.side} of {self.data.size} pixels"
                + f", faded in to {grown.alpha:.0%}" * (grown.alpha < 1.0)
                + f"; {math.ceil(growth.complete / self._shown) + 1} steps complete the networks"
            )
        return super().train(members, budget)

    @property
    def _shown(self) -> int:
        """Real images in a step."""
        return self.chosen.batch_size * self.chosen.n_critic

    def ends(self, steps: int) -> list[tuple[str, int, int]]:
        """Phases on the way to `steps`: name, side and last step of each."""
        growth = self.growth(self.chosen)
        if growth is None:
            return [(str(self.data.size), self.data.size, steps)]
        ends = {math.ceil(end / self._shown) for end in growth.ends()}
        known = sorted({*(end for end in ends if 0 < end < steps), steps})
        lasts = [(growth.at((step - 1) * self._shown), step) for step in known]
        return [(last.phase, last.side, step) for last, step in lasts]

    def judge_at(self, side: int, device: str) -> Judge:
        """What judges images that were enlarged from `side`, by real ones that were made as small and enlarged."""
        if side == self.data.size:
            return self.task.judge  # type: ignore[return-value]
        held_out = {name: _blurred(getattr(self.data, name), side) for name in ("validation", "test")}
        data = replace(self.data, **held_out)
        return Judge(data, self.extractor, self.chosen.n_samples, device)


def _blurred(split: ImageSet, side: int) -> ImageSet:
    """The images reduced to `side` pixels and enlarged again."""
    small = shrunk(to_unit(torch.from_numpy(split.images)), Grown(doublings_to(side)))
    return ImageSet(to_bytes(enlarged(small, split.images.shape[-1] // side)).numpy(), split.labels)


def beside_the_original(asked: Asked) -> None:
    """Train the loss and the original one through all phases; write grids and numbers at the end of each."""
    asked.prepare()
    runner: Progressive = asked.runner
    text, own = ORIGINAL[runner.chosen.architecture]
    original = load_argument(text)
    condition = {name: own.get(name, 0.0) for name in REGULARISERS}
    members = [Member(f"{original.name} (original)", original.source, (asked.seed,), condition, keep=asked.out)]
    members.append(asked.member)
    rows: list[tuple[str, ...]] = []
    drawn: dict[str, list[NDArray[np.uint8]]] = {member.name: [] for member in members}
    ends = runner.ends(asked.steps)
    for phase, side, step in ends:
        judge = runner.judge_at(side, asked.device)
        training, members = members, []
        for member in training:
            (outcome,) = runner.train([member], Budget(step))  # that it is not complete is known
            if outcome.status != "ok":
                click.echo(f"{member.name} {outcome.status} at step {outcome.step}: {outcome.reason}")
                rows.append((member.name, phase, str(step), outcome.status, "", ""))
                continue
            members.append(replace(member, state=outcome.files["state"]))
            images = sample(outcome.files["model"], runner.chosen.n_samples, device=asked.device)
            drawn[member.name].append(images[:16])
            found = measured(judge, torch.from_numpy(images).to(asked.device))
            rows.append((member.name, phase, str(step), outcome.status, *(f"{each:.4g}" for each in found.values())))
            said = ", ".join(f"{title} {value:.4g}" for title, value in found.items())
            click.echo(f"{member.name}, {phase} pixels, step {step}: {said}")
    numbers = asked.out / "phases.csv"
    with numbers.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("loss", "phase", "step", "status", f"{judge.metric} test", "KID test"), *rows])
    written = [numbers]
    for name, grids in drawn.items():
        if grids:
            file = "original" if "(original)" in name else name
            written.append(write_picture(np.concatenate(grids), asked.out / f"{file}.png", columns=16))
    phases = ", ".join(phase for phase, _, _ in ends)
    click.echo(f"a row of a picture has what a phase ends with, from the top: {phases}")
    click.echo("wrote " + "\n      ".join(map(str, written)))


def measured(judge: Judge, images: torch.Tensor) -> dict[str, float]:
    """FD and KID of generated images against the test split, by name."""
    found = {**judge(images), **judge.full(images)}
    return {title: found[title] for title in (f"{judge.metric} test", f"{judge.extractor.title('KID')} test")}


if __name__ == "__main__":
    run_script(Progressive, steps=3000, out="progressive-out", go=beside_the_original)
