"""What benchmarks of image GANs have in common: options, data, judge and setting, but for the networks.

A runner derives from `ImageGAN` and says which networks; a GAN that trains in some other way needs none of this
(`lossgen.runner.Runner` is all that is asked for).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lossgen.errors import InputError
from lossgen.gan.augment import FEW_IMAGES, default_policy, parse_policy
from lossgen.gan.data import Dataset, load
from lossgen.gan.features import Judge, load_extractor
from lossgen.gan.growth import Growth
from lossgen.gan.members import Task, train
from lossgen.gan.nets import Architecture
from lossgen.gan.regularisers import REGULARISERS
from lossgen.gan.sampling import check_device
from lossgen.gan.setting import Setting
from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation


class TrainingOptions(BaseModel):
    """Optimisers and regularisers. On the command line each is a flag: lr_generator is --lr-generator."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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


class GANOptions(TrainingOptions):
    """These, and judging by samples."""

    extractor: Literal["auto", "classifier", "inception", "random"] = Field(
        "auto", description="whose features are compared; auto is a classifier where there are labels, else random"
    )
    weights: str = Field("", description="file of the Inception network's weights, for FID")
    n_samples: int = Field(1024, ge=128, le=50_000, description="generated images in a Fréchet distance")
    checkpoints: str = Field("", description="steps whose generators are kept, too, where the last one is: 500,1000")


Chosen = TypeVar("Chosen", bound=TrainingOptions)


def checked(model: type[Chosen], values: Mapping[str, Any]) -> Chosen:
    """Options of these values by name; InputError for a name that is none, or a value out of bounds."""
    try:
        chosen = model.model_validate(values)
        if chosen.augment != "auto":
            parse_policy(chosen.augment)
        return chosen
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"option {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


def steps_of(text: str) -> tuple[int, ...]:
    """The steps in "500,1000".

    Raises:
        InputError: they are none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = next((part for part in parts if not (part.isascii() and part.isdecimal() and int(part) > 0)), None)
    if wrong is not None:
        raise InputError(f"--checkpoints {text}: {wrong!r} is no number of steps; give them as in 500,1000")
    return tuple(sorted({int(part) for part in parts}))


class GANRunner:
    """A runner of GANs, but for how they are judged: `options`, `sizes`, `architecture` and `prepare` are to be said.

    Attributes:
        chosen: the options.
        policy: of the augmentation, once there are data.
    """

    options: ClassVar[type[TrainingOptions]] = TrainingOptions
    scale_free = True  # Adam, and nothing beside the adversarial loss of those that are searched
    together = False  # on a GPU
    alone: ClassVar[bool] = False
    """Whether members are trained one by one on a GPU, too."""
    sizes: ClassVar[Sequence[int]] = ()
    """Sides of images that the networks make, in pixels."""
    largest_unasked: ClassVar[int] = 32
    """Pixels of a side up to which --image-size need not be given: 64 take four times as long to train."""
    nearest: ClassVar[bool] = False
    """Whether images may be enlarged to the size that is nearest to theirs."""

    chosen: TrainingOptions
    data: Dataset
    task: Task

    def __init__(self, options: BaseModel) -> None:
        self.chosen = checked(self.options, options.model_dump())
        self.scale_free = not any(self.strengths(self.chosen).values())
        self.policy: tuple[str, ...] = ()

    def architecture(self, chosen: Any) -> Architecture:
        """The networks under these options, once there are data."""
        raise NotImplementedError

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Load the data and make the `task`."""
        raise NotImplementedError

    def growth(self, chosen: Any) -> Growth | None:
        """The schedule of networks that grow."""
        return None

    def terms(self, chosen: Any) -> tuple[tuple[str, float], ...] | None:
        """Weights of what stands beside the loss of the generator."""
        return None

    def labels(self) -> torch.Tensor | None:
        """One-hot labels (N, classes) of the training images, for networks that take them."""
        return None

    def described(self) -> str:
        """What is to be said of the networks, in the caption of tables."""
        return ""

    def load(self, data: DataSpec, device: str) -> None:
        """Load the images."""
        check_device(device)
        self.together = not (self.alone or device.startswith("cpu"))
        self.place(data)

    def place(self, data: DataSpec) -> None:
        """Read the images, as `Runner` says."""
        sizes = self.sizes if data.image_size else [size for size in self.sizes if size <= self.largest_unasked]
        self.data = load(data, sizes, self.nearest)

    def check_batch(self, count: int, what: str = "training images") -> None:
        """Raise InputError where so many images do not fill a batch."""
        if count < self.chosen.batch_size:
            few = f"the {count} {what} of {self.data.name} do not fill a batch"
            raise InputError(f"--batch-size {self.chosen.batch_size}: {few}; give at most {count}, or more images")

    def data_described(self) -> dict[str, Any]:
        """What the data are, as plain values for the protocol and the model file."""
        return {
            "name": self.data.name, "digest": self.data.digest, "size": self.data.size,
            "channels": self.data.channels, "classes": list(self.data.classes),
        }  # fmt: skip

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Train each member to `budget.steps`, under the options with its condition in place of them."""
        settings = [self.setting(member.condition) for member in members]
        if budget.trial:  # a step of the full-grown networks is the dearest
            settings = [replace(setting, growth=None) for setting in settings]
        return train(members, settings, self.task, budget)

    def setting(self, condition: Mapping[str, float]) -> Setting:
        """How a member is trained."""
        chosen = checked(self.options, {**self.chosen.model_dump(), **condition})
        return Setting(
            self.architecture(chosen), chosen.batch_size, chosen.lr_generator, chosen.lr_discriminator,
            (chosen.beta1, chosen.beta2), chosen.ema_decay, chosen.recommended,
            tuple(self.strengths(chosen).items()), chosen.n_critic, self.policy, chosen.precision,
            self.growth(chosen), self.terms(chosen),
        )  # fmt: skip

    @staticmethod
    def strengths(chosen: TrainingOptions) -> dict[str, float]:
        """Regularisers that are applied whatever the loss, by name."""
        asked = {name: float(getattr(chosen, name)) for name in REGULARISERS}
        return {name: strength for name, strength in asked.items() if strength}

    def policy_for(self, count: int) -> tuple[str, ...]:
        """The augmentation with so many training images."""
        return default_policy(count) if self.chosen.augment == "auto" else parse_policy(self.chosen.augment)

    def augmentation_notes(self, count: int) -> list[str]:
        """What the user should know of it."""
        if not self.policy or self.chosen.augment != "auto":
            return []
        return [
            f"{count} training images: what the discriminator sees of them is changed at random "
            f"({', '.join(self.policy)}; --augment none trains without)."
        ]

    def setting_described(self) -> str:
        """The setting in a line, for the caption of tables."""
        chosen = self.chosen
        regularisers = [f"{name}({strength:g})" for name, strength in self.strengths(chosen).items()]
        regularisers += ["those that a loss asks for"] * chosen.recommended
        own = self.described()
        return (
            f"Adam, learning rates {chosen.lr_generator:g} (generator), {chosen.lr_discriminator:g} (discriminator), "
            f"betas {chosen.beta1:g} and {chosen.beta2:g}, batches of {chosen.batch_size}"
            + f", {own}" * bool(own)
            + f", {chosen.n_critic} discriminator updates each" * (chosen.n_critic > 1)
            + f"; augmentation: {', '.join(self.policy) or 'none'}"
            + f"; regularisers: {', '.join(regularisers) or 'none'}"
        )


class ImageGAN(GANRunner):
    """A runner of image GANs.

    Fitness: the Fréchet distance of the averaged generator, median of the last three checkpoints. What is kept is
    measured besides, once, against the test split: FD∞, KID, precision, recall, density, coverage.
    """

    options: ClassVar[type[GANOptions]] = GANOptions
    objectives: Mapping[str, Direction] = {"FD[classifier]": "min"}  # FD[random] once `prepare` finds no labels
    positive = True  # a Fréchet distance
    chosen: GANOptions

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Load the images, and train or load the extractor that judges."""
        self.load(data, device)
        chosen = self.chosen
        self.check_batch(len(self.data.train))
        labels = self.labels()
        kind = None if chosen.extractor == "auto" else chosen.extractor
        self.extractor = load_extractor(self.data, kind, chosen.weights or None, data.download)
        judge = Judge(self.data, self.extractor, chosen.n_samples, device)
        self.objectives = {judge.metric: "min"}

        described = self.data_described()
        if labels is not None:
            described["class_counts"] = [int(count) for count in labels.sum(0)]
            labels = labels.to(device)
        images = torch.from_numpy(self.data.train.images).to(device)
        self.task = Task(
            images, judge, judge.n_samples, described, labels, judge.full, checkpoints=steps_of(chosen.checkpoints)
        )  # fmt: skip
        self.policy = self.policy_for(len(self.data.train))
        protocol = {
            "data": described, **judge.protocol(), "setting": self.setting_described(),
            "options": chosen.model_dump(mode="json"),
        }  # fmt: skip
        return Preparation(
            protocol, [*self.data.notes, *self.augmentation_notes(len(self.data.train)), judge.description()]
        )
