"""Class imbalance (Ismail et al. 2023) as a benchmark for losses: a plug-in for lossgen, and a script.

    lossgen evolve --runner imbalance --data ham10000_28
    python runners/imbalance.py --loss bce --loss ganetic --data pneumoniamnist --class-counts 0=235,1=127

A DCGAN learns each rare class (`--conditional`: one learns all of them) from the training split alone, and fills it up
to `--ratio` of the largest; a classifier is trained on real and generated images together. Fitness is its balanced
accuracy on the validation split, mean over `--classifiers`.

The script answers another question, whether that helps at all: it holds synthetic images by each loss against real
images only, class weights, oversampling and augmentation, at equal gradient steps and the same seeds, over splits that
are made again and again, and ends with a verdict in words. Generated images never enter validation or test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import click
import numpy as np
import torch
from pydantic import Field

from lossgen.codegen.load import NamedSource
from lossgen.devices import default_workers
from lossgen.errors import InputError
from lossgen.gan.benchmark import GANRunner, TrainingOptions
from lossgen.gan.data import ImageSet
from lossgen.gan.downstream.arms import SYNTHETIC, minority, train_arm
from lossgen.gan.downstream.classifiers import Kind, Recipe, log_probabilities
from lossgen.gan.downstream.folds import Splits, check_classes, check_splits, cut, split_again
from lossgen.gan.downstream.rates import rates
from lossgen.gan.downstream.study import Found, Job, carry_out
from lossgen.gan.downstream.synthesis import Made, Synthesis
from lossgen.gan.nets import Architecture
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.script import Asked, run_script
from lossgen.gan.training import TrainingError
from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

FITNESS = "balanced accuracy"


class Options(TrainingOptions):
    """GANs and classifiers. On the command line each is a flag: class_counts is --class-counts."""

    conditional: bool = Field(False, description="one GAN that is told the classes, in place of one a class")
    ratio: float = Field(1.0, gt=0, le=1, description="of the largest class, up to which the others are filled")
    class_counts: str = Field("", description="cut the training images of classes to so many: 0=235,1=127")
    width: int = Field(16, ge=1, le=512, description="channels of the GANs' layer nearest to the image")
    latent: int = Field(32, ge=1, le=4096, description="dimension of the generators' input")
    classifier: Kind = Field("small", description="resnet18 is for a GPU")
    classifier_steps: int = Field(400, ge=1, description="gradient steps of every classifier")
    lr_classifier: float = Field(2e-3, gt=0, le=1, description="Adam's learning rate of classifiers")
    classifiers: int = Field(3, ge=1, le=100, description="as a fitness: classifiers a training is judged by")
    pretrained: str = Field("", description="resnet18: file of torchvision's weights to begin with")
    mirror: bool = Field(False, description="augmentation mirrors images left to right; never for chest X-rays")


class Imbalance(GANRunner):
    """Fitness: balanced accuracy on validation of classifiers that were given synthetic images.

    Members are trained one by one also on a GPU, since classifiers follow each; `--workers` share the GPU.
    """

    options = Options
    alone = True
    objectives: Mapping[str, Direction] = {FITNESS: "max"}
    sizes: ClassVar[tuple[int, ...]] = tuple(SIZES)
    chosen: Options

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Load the images; GANs and classifiers learn from the training split."""
        self.load_cut(data, device)
        check_splits([self.data])
        minority(self.data.train.known_labels, self.data.classes, self.chosen.ratio)
        self.prepare_data(device)
        synthesis = self.synthesis
        protocol = {
            "data": synthesis.described, "metric": FITNESS, "setting": self.setting_described(),
            "split": "fitness against validation, report against test", "options": self.chosen.model_dump(mode="json"),
        }  # fmt: skip
        return Preparation(protocol, [*self.data.notes, *self.notes()])

    def load_cut(self, data: DataSpec, device: str) -> None:
        """Load the images, and cut classes to what was asked for."""
        if self.chosen.pretrained and self.chosen.classifier != "resnet18":
            raise InputError("--pretrained: is for --classifier resnet18; give that, or leave it out")
        self.load(data, device)
        check_classes(self.data)
        self.data = cut(self.data, counts_of(self.chosen.class_counts), data.seed)

    def prepare_data(self, device: str) -> None:
        """Get ready for the data that are there."""
        self.synthesis = Synthesis(self.data, self.data_described(), self.chosen.ratio, device)
        few = min((self.counts[label] for label in self.synthesis.lacking), default=min(self.counts))
        self.deciding = sum(self.counts) if self.chosen.conditional else few
        self.policy = self.policy_for(self.deciding)

    def jobs(
        self, splits: Splits, losses: Sequence[NamedSource], seed: int, steps: int, device: str
    ) -> list[Job]:  # fmt: skip
        """What a study of these losses has to do; then this runner is ready for the data of the first run."""
        found = []
        for number, data in enumerate(splits.runs):
            one = Imbalance(self.chosen)
            one.data = data
            one.prepare_data(device)
            of_run = Job(number, one.synthesis, one.recipe, (seed, number))
            setting = one.setting({})
            of_losses = [Member(loss.name, loss.source, of_run.seed) for loss in losses]
            found += [of_run, *(replace(of_run, member=each, setting=setting, steps=steps) for each in of_losses)]
        self.data = splits.runs[0]
        if not any(job.synthesis.lacking for job in found):
            minority(self.data.train.known_labels, self.data.classes, self.chosen.ratio)
        self.prepare_data(device)
        return found

    @property
    def counts(self) -> list[int]:
        """Training images of each class."""
        return np.bincount(self.data.train.known_labels, minlength=len(self.data.classes)).tolist()

    def notes(self) -> list[str]:
        """What the user should know of the training split."""
        named = [f"{count} {name}" for name, count in zip(self.data.classes, self.counts)]
        made = [f"{count} {self.data.classes[label]}" for label, count in self.synthesis.lacking.items()]
        trained = "one conditional GAN" if self.chosen.conditional else "a GAN each"
        return [
            f"Training images: {', '.join(named)}. To be generated, by {trained}: {', '.join(made) or 'none'}.",
            *self.augmentation_notes(self.deciding),
        ]

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Train the GANs of each member to `budget.steps`, then classifiers on what they generate."""
        return [self._train(member, budget, i) for i, member in enumerate(members)]

    def _train(self, member: Member, budget: Budget, place: int) -> Outcome:
        on_step = budget.on_step
        told = None if on_step is None else lambda _, step: on_step(place, step)
        setting = self.setting(member.condition)
        outcome, made = self.synthesis.make(member, setting, replace(budget, on_step=told))
        if outcome.status != "ok":
            return outcome
        try:
            found = [self._classified(made, (*member.seed, i)) for i in range(self.chosen.classifiers)]
        except TrainingError as error:
            return replace(outcome, status=error.status, reason=error.reason, metrics={})
        metrics = {name: float(np.mean([each[name] for each in found])) for name in found[0]}
        return replace(outcome, metrics={**metrics, **outcome.metrics})

    def _classified(self, made: Made, seed: Sequence[int]) -> dict[str, float]:
        """What a classifier gets right that has seen generated images, too."""
        device = self.synthesis.device
        images, labels = on_device(self.data.train, device)
        net = train_arm(
            SYNTHETIC[0], self.recipe, images, labels, len(self.data.classes), self.chosen.ratio, seed, made
        )  # fmt: skip
        metrics: dict[str, float] = {}
        for name, split in (("", self.data.validation), (" test", self.data.test)):
            found = rates(log_probabilities(net, on_device(split, device)[0]), split.known_labels)
            metrics |= {f"{metric}{name}": value for metric, value in found.summary().items() if np.isfinite(value)}
        return metrics

    @property
    def recipe(self) -> Recipe:
        """Of the classifiers."""
        chosen = self.chosen
        return Recipe(
            chosen.classifier, chosen.classifier_steps, 64, chosen.lr_classifier, chosen.pretrained, chosen.mirror
        )  # fmt: skip

    def architecture(self, chosen: Options) -> Architecture:
        return Architecture(
            "dcgan", self.data.size, self.data.channels, chosen.width, chosen.latent,
            classes=len(self.data.classes) if chosen.conditional else 0,
        )  # fmt: skip

    def described(self) -> str:
        chosen = self.chosen
        kind = "one conditional DCGAN" if chosen.conditional else "a DCGAN a class"
        return f"{kind}, width {chosen.width}"

    def setting_described(self) -> str:
        chosen = self.chosen
        return (
            f"GANs: {super().setting_described()}. Classifiers: {chosen.classifier}, {chosen.classifier_steps} steps "
            f"of Adam, learning rate {chosen.lr_classifier:g}, batches of 64"
        )


def counts_of(text: str) -> dict[str, int]:
    """Of "0=235,1=127" the numbers by class."""
    found = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, count = part.rpartition("=")
        if not equals or not count.isdecimal() or int(count) < 1:
            raise InputError(f"--class-counts {text}: {part!r} is not a class and its number of images, as in 0=235")
        found[name.strip()] = int(count)
    return found


def on_device(split: ImageSet, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of a split."""
    return torch.from_numpy(split.images).to(device), torch.from_numpy(split.known_labels).to(device)


def study(asked: Asked) -> None:
    """Hold all arms against one another over many splits, and say whether synthetic images help."""
    from lossgen.report.imbalance import Report  # training needs no tables

    runner, others = asked.runner, asked.others
    names = [loss.name for loss in asked.losses]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"--loss: two losses are called {double}; give each a name, in a file: loss NAME(y_real, y_pred) = …"
        )
    runner.load_cut(asked.data, asked.device)
    uncut = not runner.chosen.class_counts
    splits = split_again(runner.data, others["protocol"], asked.seed, others["repeats"], uncut)
    jobs = runner.jobs(splits, asked.losses, asked.seed, asked.steps, asked.device)
    for note in [*splits.notes, f"Design: {splits.description}.", *runner.notes()]:
        click.echo(note)
    report = Report(others["effect"], runner.setting_described())
    for line in report.beforehand(splits):
        click.echo(line)

    def said(done: int, job: Job, found: Found) -> None:
        ending = found.failure or "done"
        click.echo(f"{done} of {len(jobs)}: {job.title}: {ending} ({found.seconds:.0f} s)")

    workers = others["workers"] or max(1, default_workers(asked.device))
    found = carry_out(splits, jobs, asked.out / "jobs", workers, said)
    for line in report.lines(found):
        click.echo(line)
    written = report.write(found, asked.out, jobs[0].recipe)
    click.echo("wrote " + "\n      ".join(map(str, written)))


if __name__ == "__main__":
    more = [
        click.option(
            "--protocol", type=click.Choice(["folds", "paper"]), default="folds",
            help="how images are split: cross-validation, or the paper's 8:1:1",
        ),
        click.option("--repeats", type=click.IntRange(min=1), default=None, help="of the cross-validation, or splits"),
        click.option("--effect", type=click.FloatRange(0.001, 0.5), default=0.05, help="gain that is asked for"),
        click.option("--workers", type=click.IntRange(min=1), default=None, help="processes; else one a core"),
    ]  # fmt: skip
    run_script(Imbalance, steps=1500, out="imbalance-out", go=study, more=more, several=True)
