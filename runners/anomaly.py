"""Anomaly detection by GANs as a benchmark for losses: f-AnoGAN and GANomaly; a plug-in for lossgen, and a script.

    lossgen compare bce wasserstein ganetic --runner anomaly --data pneumoniamnist --normal-class 0
    python runners/anomaly.py --loss ganetic --data odir5k_64 --normal-class normal --anomalous-class glaucoma

The GAN is trained on normal images alone. `--model fanogan`: the loss trains a DCGAN, and an encoder finds each image
in what that draws; `--model ganomaly`: the loss is the adversarial part of a generator that makes images anew. Protocol
A (`--anomalous-class`, all others are normal) and protocol B (`--normal-class`, all others are anomalous) never share a
table; with both, the remaining classes are left out. Fitness is the AUROC on the validation split; what is measured on
the test split ("AUROC test") is there to be looked at when all choices are made. Tests are in evaluation mode.

The script says how well the anomalous images are told, with intervals, and draws the ROC and the images that score
highest and lowest; `--in-turn normal` (or `anomalous`) takes each class in turn, and averages.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import click
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan import fanogan, ganomaly
from lossgen.gan.benchmark import GANRunner, TrainingOptions, checked
from lossgen.gan.data import ImageSet
from lossgen.gan.detection import Detection, averaged, detection, of_kind, rates, roles
from lossgen.gan.members import Task
from lossgen.gan.nets import Architecture
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.sampling import to_bytes, to_unit
from lossgen.gan.script import Asked, run_script, write_picture
from lossgen.gan.training import TrainingError
from lossgen.gan.watch import diversity
from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

SHOWN = 8
"""Images of each kind that are shown with their scores."""
WHOLE = ("model", "normal_class", "anomalous_class", "width", "latent", "encoder_steps", "lr_encoder")
"""Options that hold for all trainings, since they decide how these are tested."""


class Options(TrainingOptions):
    """What is normal, networks and optimisers. On the command line each is a flag: normal_class is --normal-class."""

    model: Literal["fanogan", "ganomaly"] = Field("fanogan", description="how a GAN becomes a detector")
    normal_class: str = Field("", description="protocol B: the one class that is normal [a class called normal]")
    anomalous_class: str = Field("", description="protocol A: the one class that is anomalous")
    width: int = Field(16, ge=1, le=512, description="channels of the layer nearest to the image")
    latent: int = Field(64, ge=1, le=4096, description="dimension of codes and of the generator's input")
    encoder_steps: int = Field(1000, ge=1, description="fanogan: updates of the encoder, after the GAN")
    lr_encoder: float = Field(1e-3, gt=0, le=1, description="fanogan: Adam's learning rate of the encoder")
    contextual_weight: float = Field(
        ganomaly.WEIGHTS["contextual"], ge=0, description="ganomaly: of the distance of images made anew"
    )
    encoder_weight: float = Field(
        ganomaly.WEIGHTS["encoder"], ge=0, description="ganomaly: of the distance of their codes"
    )


class Anomaly(GANRunner):
    """Fitness: AUROC on the validation split; of GANomaly the median of the last three checkpoints.

    Members are trained one by one also on a GPU, since an encoder, or a decoder, of each takes as long as its GAN;
    `--workers` share the GPU.
    """

    options = Options
    alone = True
    objectives: Mapping[str, Direction] = {"AUROC": "max"}
    sizes: ClassVar[tuple[int, ...]] = tuple(SIZES)
    chosen: Options

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        # Beside GANomaly's other terms the scale of the adversarial loss matters.
        self.scale_free = self.scale_free and self.chosen.model == "fanogan"
        self.tested: tuple[NDArray[np.float64], NDArray[np.uint8]] | None = None
        self.keeps_tests = False  # whether the scores of the last training are to be had, with what was made anew

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Load the images, and leave out of train all that is not normal."""
        self.load(data, device)
        return self.prepare_roles(device)

    def prepare_roles(self, device: str) -> Preparation:
        """As `prepare`, with the data that are there."""
        chosen = self.chosen
        self.roles = roles(self.data, chosen.normal_class, chosen.anomalous_class)
        images = _images(self.data.train, self.roles.normal, device)
        self.check_batch(len(images), "normal training images")
        both = (*self.roles.normal, *self.roles.anomalous)
        self.held_out = {
            split: (_images(part, both, device), of_kind(_only(part, both), self.roles.anomalous))
            for split, part in (("", self.data.validation), (" test", self.data.test))
        }
        self.policy = self.policy_for(len(images))
        counts = {
            "train": {"normal": len(images)},
            **{
                split.strip() or "validation": {"normal": int((~odd).sum()), "anomalous": int(odd.sum())}
                for split, (_, odd) in self.held_out.items()
            },
        }
        roles_of = asdict(self.roles)
        # What is trained on and told apart belongs to what a kept state is the state of.
        digest = hashlib.sha256(json.dumps([self.data.digest, roles_of], sort_keys=True).encode()).hexdigest()
        described = self.data_described() | {"roles": roles_of, "counts": counts, "digest": digest}
        self.task = (
            Task(images, _nothing, 64, described, last=self._by_encoder)
            if chosen.model == "fanogan"
            else Task(
                images, _nothing, 64, described, networks=self._by_codes, training=ganomaly.Ganomaly,
                inputs=to_unit(self.held_out[""][0][:64]),
            )
        )  # fmt: skip
        protocol = {
            "data": described, "metric": "AUROC", "protocol": self.roles.protocol, "setting": self.setting_described(),
            "split": "fitness against validation, report against test", "options": chosen.model_dump(mode="json"),
        }  # fmt: skip
        said = ", ".join(
            f"{split}: " + " and ".join(f"{count} {kind}" for kind, count in each.items())
            for split, each in counts.items()
        )
        notes = [*self.data.notes, self.roles.description, f"Images: {said}.", *self.augmentation_notes(len(images))]
        return Preparation(protocol, notes)

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Train each member to `budget.steps`, under the options with its condition in place of them."""
        apart = next((name for member in members for name in member.condition if name in WHOLE), None)
        if apart is not None:
            raise InputError(f"option {apart}: cannot differ from training to training; give it for all")
        return super().train(members, budget)

    def architecture(self, chosen: Options) -> Architecture:
        name = "dcgan" if chosen.model == "fanogan" else "ganomaly"
        return Architecture(name, self.data.size, self.data.channels, chosen.width, chosen.latent)

    def terms(self, chosen: Options) -> tuple[tuple[str, float], ...] | None:
        if chosen.model == "fanogan":
            return None
        return ("contextual", chosen.contextual_weight), ("encoder", chosen.encoder_weight)

    def described(self) -> str:
        chosen = self.chosen
        kind = f"GANomaly of width {chosen.width}, weights {chosen.contextual_weight:g} and {chosen.encoder_weight:g}"
        if chosen.model == "fanogan":
            encoder = f"encoder of {chosen.encoder_steps} steps at {chosen.lr_encoder:g}"
            kind = f"f-AnoGAN of width {chosen.width}, {encoder}"
        return f"{self.roles.title}; {kind}"

    def _by_encoder(self, generator: nn.Module, discriminator: nn.Module, seed: Sequence[int]) -> dict[str, float]:
        chosen = self.chosen
        encoder = fanogan.train_encoder(
            generator, discriminator, self.task.images, (chosen.width, chosen.latent), seed, chosen.encoder_steps,
            chosen.batch_size, chosen.lr_encoder,
        )  # fmt: skip
        return self._told(lambda images: fanogan.scores(generator, discriminator, encoder, images))[0]

    def _by_codes(self, generator: nn.Module, discriminator: nn.Module, seed: Sequence[int]) -> dict[str, float]:
        found, anew = self._told(lambda images: ganomaly.scores(generator, images))
        return found | {"diversity": diversity(to_bytes(anew)) / diversity(self.held_out[""][0])}

    def _told(self, score: Any) -> tuple[dict[str, float], Tensor]:
        """AUROC and AP on both held-out splits; what was made anew of the validation images."""
        found: dict[str, float] = {}
        made: dict[str, Tensor] = {}
        for split, (images, odd) in self.held_out.items():
            scores, made[split] = score(images)
            values = scores.cpu().double().numpy()
            if self.keeps_tests and split == " test":
                self.tested = values, to_bytes(made[split]).cpu().numpy()
            if not np.isfinite(values).all():
                raise TrainingError("diverged", f"{int((~np.isfinite(values)).sum())} scores are not finite", 0)
            found |= {f"{name}{split}": value for name, value in rates(values, odd).items()}
        return found, made[""]


def _nothing(images: Tensor) -> dict[str, float]:
    """Samples are not judged."""
    return {}


def _only(split: ImageSet, labels: Sequence[int]) -> ImageSet:
    return split.take(of_kind(split, labels))


def _images(split: ImageSet, labels: Sequence[int], device: str) -> Tensor:
    return torch.from_numpy(_only(split, labels).images).to(device)


def detect(asked: Asked) -> None:
    """Train the loss, once or with each class in turn, and say how well anomalies are told on the test split."""
    turns = _turns(asked)
    tests: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {}
    report: dict[str, Any] = {
        "schema": 1, "loss": asked.loss.name, "seed": asked.seed, "steps": asked.steps, "tests": {}, "failed": {},
        "protocols": {runner.roles.title: preparation.protocol for runner, preparation in turns},
    }  # fmt: skip
    numbers, roc = asked.out / "detection.json", asked.out / "roc.png"
    written = [numbers]
    click.echo("\n".join(turns[0][1].notes))
    for place, (runner, _) in enumerate(turns):
        title = runner.roles.title
        if place:
            click.echo(runner.roles.description)
        runner.keeps_tests = True
        outcome = replace(asked, runner=runner).train(asked.member)
        if outcome.status != "ok" or runner.tested is None:
            report["failed"][title] = f"{outcome.status} at step {outcome.step}: {outcome.reason}"
            click.echo(f"{title}: {report['failed'][title]}")
        else:
            scores, anew = runner.tested
            images, odd = runner.held_out[" test"]
            tests[title] = scores, odd
            found = detection(scores, odd)
            report["tests"][title] = asdict(found) | {"metrics": dict(outcome.metrics)}
            shown, caption = _extremes(images.cpu().numpy(), anew, scores, odd)
            path = asked.out / (f"extremes-{place + 1}.png" if len(turns) > 1 else "extremes.png")
            written.append(write_picture(shown, path, columns=len(shown) // 3))
            click.echo(f"{title}: {_said(found)}\n{path.name}: {caption}")
        if len(tests) > 1:
            mean = averaged(list(tests.values()))
            report["average"] = asdict(mean)
        numbers.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if len(tests) > 1:
        click.echo(f"average over {len(tests)} classes: {_said(mean)}")
    if tests:
        written.append(draw_roc(tests, roc))
    click.echo("wrote " + "\n      ".join(map(str, written)))


def _turns(asked: Asked) -> list[tuple[Anomaly, Preparation]]:
    """What is to be trained, all of it checked before any is, and what the user should know."""
    runner, in_turn = asked.runner, asked.others["in_turn"]
    if in_turn is None:
        return [(runner, runner.prepare(asked.data, asked.device))]
    if runner.chosen.normal_class or runner.chosen.anomalous_class:
        raise InputError("--in-turn takes every class: leave out --normal-class and --anomalous-class")
    runner.load(asked.data, asked.device)
    found = []
    for name in runner.data.classes or ("",):
        one = Anomaly(checked(Options, runner.chosen.model_dump() | {f"{in_turn}_class": name}))
        one.data = runner.data
        found.append((one, one.prepare_roles(asked.device)))
    return found


def _said(found: Detection) -> str:
    (low, high), (least, most) = found.auroc_interval, found.precision_interval
    return (
        f"AUROC {found.auroc:.3f} ({low:.3f} – {high:.3f}), average precision {found.precision:.3f} ({least:.3f} – "
        f"{most:.3f}; {found.share:.3f} without any knowledge)"
    )


def _extremes(
    images: NDArray[np.uint8], anew: NDArray[np.uint8], scores: NDArray[np.float64], odd: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], str]:
    """The test images that score highest and lowest, these made anew, and how far the two are apart; and a caption."""
    order, count = np.argsort(-scores, kind="stable"), min(SHOWN, len(scores) // 2)
    rows = np.concatenate([order[:count], order[-count:]])
    apart = np.abs(images[rows].astype(np.int16) - anew[rows].astype(np.int16)).astype(np.uint8)
    high, low = (int(odd[part].sum()) for part in (order[:count], order[-count:]))
    caption = (
        f"the {count} test images that score highest, of which {high} are anomalous, and the {count} lowest, of which "
        f"{low} are; under each its image made anew, and under that the difference"
    )
    return np.concatenate([images[rows], anew[rows], apart]), caption


def draw_roc(tests: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]], path: Path) -> Path:
    """The receiver operating characteristic of each test, as a picture."""
    from sklearn.metrics import roc_curve

    from lossgen.report.canvas import COLOURS, new_figure, save  # training needs no pictures

    figure = new_figure(4.6, 4.4)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle=":")
    for place, (name, (scores, odd)) in enumerate(tests.items()):
        false, true, _ = roc_curve(odd, scores)
        axes.plot(false, true, color=COLOURS[place % len(COLOURS)], linewidth=1.4, label=name)
    axes.set(xlabel="normal images called anomalous", ylabel="anomalous images called so", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    save(figure, path)
    return path


if __name__ == "__main__":
    turns = click.Choice(["normal", "anomalous"])
    asked_for = click.option("--in-turn", type=turns, default=None, help="take each class in turn as this one")
    run_script(Anomaly, steps=1500, out="anomaly-out", go=detect, more=[asked_for])
