"""DCGAN (Radford et al. 2016) as a benchmark for losses: a plug-in for lossgen, and a script.

    lossgen evolve --runner dcgan --data mnist
    python runners/dcgan.py --loss generated/ganetic.py --data mnist --seed 0 --device cpu --out out/

A small DCGAN is trained with the loss and judged by the Fréchet distance between its samples and images that
neither it nor the feature extractor was trained on. Small means small: numbers compare with one another under one
protocol, and with nothing that was published as FID.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lossgen.errors import InputError
from lossgen.gan.augment import FEW_IMAGES, default_policy, parse_policy
from lossgen.gan.contact_sheet import grid
from lossgen.gan.data import load
from lossgen.gan.features import Judge, load_extractor
from lossgen.gan.members import Task, train
from lossgen.gan.nets import Architecture
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.regularisers import REGULARISERS
from lossgen.gan.sampling import check_device
from lossgen.gan.setting import Setting
from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

LARGEST_UNASKED = 32
"""Pixels of a side up to which --image-size need not be given: 64 take four times as long to train."""


class Options(BaseModel):
    """Networks, optimisers and judging. On the command line each is a flag: lr_generator is --lr-generator."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    width: int = Field(16, ge=1, le=512, description="channels of the layer nearest to the image")
    latent: int = Field(32, ge=1, le=4096, description="dimension of the generator's input")
    generator: Literal["dcgan", "autoencoder"] = Field(
        "dcgan", description="dcgan decodes the latent vector; autoencoder maps it to an image first, and encodes that"
    )
    conditional: bool = Field(False, description="tell both networks the class of each image")
    normalisation: Literal["none", "batch", "group"] = Field("none", description="normalisation in the discriminator")
    spectral_norm: bool = Field(False, description="divide the discriminator's weights by their largest singular value")
    batch_size: int = Field(64, ge=2, le=4096, description="images in a batch")
    n_critic: int = Field(1, ge=1, le=100, description="discriminator updates a generator update")
    lr_generator: float = Field(3e-3, gt=0, le=1, description="Adam's learning rate of the generator")
    lr_discriminator: float = Field(3e-3, gt=0, le=1, description="Adam's learning rate of the discriminator")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's decay rate of the gradient's mean")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's decay rate of the gradient's square")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="decay a step of the generator's running mean")
    recommended: bool = Field(True, description="apply the regularisers that a loss asks for")
    gradient_penalty: float = Field(0.0, ge=0, description="strength of WGAN-GP's penalty; 10 is usual, 0 is none")
    r1: float = Field(0.0, ge=0, description="strength of the penalty on the slope at real images; 0 is none")
    drift: float = Field(0.0, ge=0, description="strength of the penalty on large scores; 0 is none")
    augment: str = Field(
        "auto",
        description="how what the discriminator sees is changed: none, or some of colour,translation,cutout; auto is "
        f"all of them below {FEW_IMAGES} training images",
    )
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the networks' arithmetic")
    extractor: Literal["auto", "classifier", "inception", "random"] = Field(
        "auto", description="whose features are compared; auto is a classifier where there are labels, else random"
    )
    weights: str = Field("", description="file of the Inception network's weights, for FID")
    n_samples: int = Field(1024, ge=128, le=50_000, description="generated images in a Fréchet distance")


def checked(values: Mapping[str, Any]) -> Options:
    """Options of these values by name; InputError for a name that is none, or a value out of bounds."""
    try:
        chosen = Options.model_validate(values)
        if chosen.augment != "auto":
            parse_policy(chosen.augment)
        return chosen
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"option {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


class DCGAN:
    """Fitness: the Fréchet distance of the averaged generator, median of the last three checkpoints.

    What is kept is measured besides, once, against the test split: FD∞, KID, precision, recall, density, coverage.
    """

    options = Options
    objectives: Mapping[str, Direction] = {"FD[classifier]": "min"}  # FD[random] once `prepare` finds no labels
    scale_free = True  # Adam, and nothing beside the adversarial loss of those that are searched
    together = False  # on a GPU
    positive = True  # a Fréchet distance
    sizes: ClassVar[tuple[int, ...]] = tuple(SIZES)

    def __init__(self, options: BaseModel) -> None:
        self.chosen = checked(options.model_dump())
        self.scale_free = not any(self._strengths(self.chosen).values())

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Load the images, and train or load the extractor that judges."""
        check_device(device)
        self.together = not device.startswith("cpu")
        sizes = self.sizes if data.image_size else [size for size in self.sizes if size <= LARGEST_UNASKED]
        self.data = load(data, sizes)
        count = len(self.data.train)
        if count < self.chosen.batch_size:
            few = f"the {count} training images of {self.data.name} do not fill a batch"
            raise InputError(f"--batch-size {self.chosen.batch_size}: {few}; give at most {count}, or more images")
        labels = self._labels() if self.chosen.conditional else None
        chosen = self.chosen
        kind = None if chosen.extractor == "auto" else chosen.extractor
        extractor = load_extractor(self.data, kind, chosen.weights or None, data.download)
        judge = Judge(self.data, extractor, chosen.n_samples, device)
        self.objectives = {judge.metric: "min"}

        described = {
            "name": self.data.name, "digest": self.data.digest, "size": self.data.size,
            "channels": self.data.channels, "classes": list(self.data.classes),
        }  # fmt: skip
        if labels is not None:
            described["class_counts"] = [int(count) for count in labels.sum(0)]
            labels = labels.to(device)
        images = torch.from_numpy(self.data.train.images).to(device)
        self.task = Task(images, judge, judge.n_samples, described, labels, judge.full)
        self.policy = self._policy()
        protocol = {
            "data": described, **judge.protocol(), "setting": self._described(),
            "options": chosen.model_dump(mode="json"),
        }  # fmt: skip
        return Preparation(protocol, [*self.data.notes, *self._notes(), judge.description()])

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Train each member to `budget.steps`, under the options with its condition in place of them."""
        settings = [self._setting(member.condition) for member in members]
        return train(members, settings, self.task, budget)

    def _setting(self, condition: Mapping[str, float]) -> Setting:
        chosen = checked({**self.chosen.model_dump(), **condition})
        architecture = Architecture(
            "dcgan-autoencoder" if chosen.generator == "autoencoder" else "dcgan",
            self.data.size, self.data.channels, chosen.width, chosen.latent, chosen.normalisation,
            len(self.data.classes) if chosen.conditional else 0, chosen.spectral_norm,
        )  # fmt: skip
        return Setting(
            architecture, chosen.batch_size, chosen.lr_generator, chosen.lr_discriminator,
            (chosen.beta1, chosen.beta2), chosen.ema_decay, chosen.recommended,
            tuple(self._strengths(chosen).items()), chosen.n_critic, self.policy, chosen.precision,
        )  # fmt: skip

    @staticmethod
    def _strengths(chosen: Options) -> dict[str, float]:
        """Regularisers that are applied whatever the loss, by name."""
        asked = {name: float(getattr(chosen, name)) for name in REGULARISERS}
        return {name: strength for name, strength in asked.items() if strength}

    def _labels(self) -> torch.Tensor:
        """One-hot labels (N, classes) of the training images."""
        labels, classes = self.data.train.labels, len(self.data.classes)
        if labels is None or classes < 2:
            why = "has no labels" if labels is None else "is all of one class"
            raise InputError(f"--conditional: data {self.data.name} {why}; leave it out, or give labelled images")
        return torch.nn.functional.one_hot(torch.from_numpy(labels), classes).float()

    def _policy(self) -> tuple[str, ...]:
        if self.chosen.augment == "auto":
            return default_policy(len(self.data.train))
        return parse_policy(self.chosen.augment)

    def _notes(self) -> list[str]:
        if not self.policy or self.chosen.augment != "auto":
            return []
        return [
            f"{len(self.data.train)} training images: what the discriminator sees of them is changed at random "
            f"({', '.join(self.policy)}; --augment none trains without)."
        ]

    def _described(self) -> str:
        """The setting in a line, for the caption of tables."""
        chosen = self.chosen
        regularisers = [f"{name}({strength:g})" for name, strength in self._strengths(chosen).items()]
        regularisers += ["those that a loss asks for"] * chosen.recommended
        return (
            f"Adam, learning rates {chosen.lr_generator:g} (generator), {chosen.lr_discriminator:g} (discriminator), "
            f"betas {chosen.beta1:g} and {chosen.beta2:g}, batches of {chosen.batch_size}, width {chosen.width}"
            + f", {chosen.n_critic} discriminator updates each" * (chosen.n_critic > 1)
            + ", conditional" * chosen.conditional
            + ", spectral norm" * chosen.spectral_norm
            + f"; augmentation: {', '.join(self.policy) or 'none'}"
            + f"; regularisers: {', '.join(regularisers) or 'none'}"
        )


def main() -> None:
    """Train one loss and show what it draws."""
    import click
    from PIL import Image

    from lossgen.codegen.load import load_argument

    @click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
    @click.option("--loss", required=True, help="file (.loss or .py), zoo name, or expression")
    @click.option("--data", default="digits", help="data set: name, .npz file or folder")
    @click.option("--data-dir", default=None, help="folder that data names are looked up in")
    @click.option("--download", is_flag=True, help="fetch the data set if it is absent")
    @click.option("--seed", default=0, type=click.IntRange(min=0))
    @click.option("--steps", default=1500, type=click.IntRange(min=1), help="generator updates")
    @click.option("--device", default="cpu")
    @click.option("--out", default="dcgan-out", type=click.Path(path_type=Path), help="folder to write to")
    def command(
        loss: str, data: str, data_dir: str | None, download: bool, seed: int, steps: int, device: str, out: Path,
        **options: Any,
    ) -> None:  # fmt: skip
        source = load_argument(loss)
        runner = DCGAN(checked(options))
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {out}: cannot make this folder: {error.strerror}") from None
        preparation = runner.prepare(DataSpec(data, root=data_dir, download=download), device)
        for note in preparation.notes:
            click.echo(note)
        with click.progressbar(length=steps, label=f"{source.name} on {data}") as bar:
            budget = Budget(steps, on_step=lambda _, step: bar.update(step - bar.pos), on_note=click.echo)
            (outcome,) = runner.train([Member(source.name, source.source, (seed,), keep=out)], budget)
            bar.update(steps - bar.pos)

        report = {
            "schema": 1, "loss": source.name, "status": outcome.status, "reason": outcome.reason, "step": outcome.step,
            "seed": seed, "metrics": dict(outcome.metrics), "curve": [list(point) for point in outcome.curve],
            "seconds": round(outcome.seconds, 2), "protocol": preparation.protocol,
        }  # fmt: skip
        (out / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        written = [out / "metrics.json", *outcome.files.values()]
        if "samples" in outcome.files:
            picture = Image.fromarray(grid(np.load(outcome.files["samples"])["images"]))
            scale = max(1, 560 // picture.width)
            enlarged = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
            enlarged.save(out / "samples.png")
            written.insert(0, out / "samples.png")
        said = ", ".join(f"{name} {value:.3g}" for name, value in outcome.metrics.items()) or outcome.reason
        click.echo(f"{outcome.status} at step {outcome.step} after {outcome.seconds:.1f} s: {said}")
        click.echo("wrote " + "\n      ".join(map(str, written)))

    for name, field in reversed(Options.model_fields.items()):
        flag = name.replace("_", "-")
        flag = f"--{flag}/--no-{flag}" if field.annotation is bool else f"--{flag}"
        command = click.option(flag, default=field.default, help=field.description)(command)
    try:
        command(standalone_mode=True)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
