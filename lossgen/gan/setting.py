"""How a GAN is trained, whatever its loss and its luck."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from lossgen.gan.growth import Growth
from lossgen.gan.nets import Architecture
from lossgen.gan.regularisers import recommended


@dataclass(frozen=True)
class Setting:
    """All that decides a training, beside the loss, the seed and the images.

    Attributes:
        architecture: of generator and discriminator.
        batch_size: images in a batch, real and generated alike.
        lr_generator, lr_discriminator: Adam's learning rates.
        betas: Adam's decay rates, the same for both.
        ema_decay: decay a step of the generator's running mean, once it is warm.
        recommended: whether the regularisers that a loss recommends are applied.
        regularisers: strength by name of those that are applied whatever the loss; in place of what it recommends.
        n_critic: discriminator updates a generator update.
        augmentation: differentiable augmentations of all that the discriminator sees, see `augment`.
        growth: schedule of progressive networks; None for those that do not grow.
        terms: weights by name of what is added to the generator's loss, for trainings that add something.
        precision: of the networks; losses, penalties and weights are float32 always.
    """

    architecture: Architecture
    batch_size: int
    lr_generator: float
    lr_discriminator: float
    betas: tuple[float, float]
    ema_decay: float
    recommended: bool = True
    regularisers: tuple[tuple[str, float], ...] = ()
    n_critic: int = 1
    augmentation: tuple[str, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    growth: Growth | None = None
    terms: tuple[tuple[str, float], ...] | None = None

    def strengths(self, criterion: nn.Module) -> dict[str, float]:
        """Regularisers under this setting, by name.

        Raises:
            InputError: the loss recommends what there is not.
        """
        asked = recommended(criterion) if self.recommended else {}
        return {name: value for name, value in {**asked, **dict(self.regularisers)}.items() if value}

    def alike(self, criterion: nn.Module) -> tuple[Any, ...]:
        """What members must have in common to train side by side."""
        needs_real = bool(getattr(criterion, "needs_real", False))  # then the discriminator runs once more
        names = tuple(sorted(self.strengths(criterion)))
        shape = (
            self.architecture,
            self.batch_size,
            self.n_critic,
            self.augmentation,
            self.precision,
            self.growth,
            self.terms,
        )
        return *shape, needs_real, names
