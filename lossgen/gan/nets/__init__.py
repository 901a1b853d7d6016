"""Networks, one file an architecture, and the little that they share: being named, built from a seed, and rebuilt.

A network's constructor arguments are plain values (int, str, bool), so that a file can carry them. Networks are
born without weights, on the meta device, and then filled from a generator of their own: PyTorch's global random
stream is neither read nor moved.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from lossgen.errors import InputError
from lossgen.gan.nets import autoencoder, dcgan, ganomaly, progressive, spectral, style

__all__ = ["ARCHITECTURES", "Architecture", "initialise"]

# name -> (generator class, discriminator class); both take the keywords of `Architecture` but its name
ARCHITECTURES: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "dcgan": (dcgan.Generator, dcgan.Discriminator),
    "dcgan-autoencoder": (autoencoder.Generator, dcgan.Discriminator),
    "ganomaly": (ganomaly.Generator, dcgan.Discriminator),
    "progressive": (progressive.Generator, progressive.Discriminator),
    "style": (style.Generator, style.Discriminator),
}

PLAIN = ("ganomaly", "progressive", "style")
"""Those whose normalisation is fixed, and which take no labels."""


@dataclass(frozen=True)
class Architecture:
    """Which pair of networks, and how large: all that is needed to build them again.

    Attributes:
        name: a key of `ARCHITECTURES`.
        size: side of the square images in pixels.
        channels: 1 for grey, 3 for colour.
        width: channels of the convolution layer nearest to the image; each coarser layer has twice as many.
        latent: dimension of the generator's input.
        normalisation: of the discriminator's hidden layers but the first: "none", "batch" or "group".
        classes: of the labels that both networks take as their second argument, (N, classes); 0 for networks that
            take none.
        spectral_norm: whether the discriminator's weights are divided by their largest singular value.
        grown: how far a progressive network has grown (`progressive.Grown`); None for all of it, and for others.
    """

    name: str
    size: int
    channels: int
    width: int
    latent: int
    normalisation: str = "none"
    classes: int = 0
    spectral_norm: bool = False
    grown: tuple[int, float] | None = None

    @classmethod
    def from_dict(cls, arguments: Mapping[str, Any]) -> "Architecture":
        """The architecture that `to_dict` described, also where that was before there were the last fields.

        Raises:
            InputError: the name is unknown, or the arguments are not those of an architecture.
        """
        try:
            architecture = cls(**arguments)
            if architecture.grown is not None:
                doublings, alpha = architecture.grown
                architecture = replace(architecture, grown=(int(doublings), float(alpha)))
        except (TypeError, ValueError) as error:
            raise InputError(f"not an architecture of this version: {error}") from None
        if architecture.name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise InputError(f"architecture {architecture.name!r} is unknown; known are: {known}")
        return architecture

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        return {**asdict(self), "grown": None if self.grown is None else list(self.grown)}

    @property
    def noise(self) -> int:
        """Dimension of the generator's input, normal numbers: `latent`, or more where layers take their own.

        0 where it takes images.
        """
        if self.name == "ganomaly":
            return 0
        if self.name == "style":
            return style.noise_dimension(self.size, self.latent)
        return self.latent

    def generator(self) -> nn.Module:
        """The generator, (N, noise) → (N, channels, size, size), on the meta device: without weights."""
        return self._empty(0)

    def discriminator(self) -> nn.Module:
        """The discriminator, (N, channels, size, size) → raw scores (N,), on the meta device: without weights."""
        return self._empty(1)

    def _empty(self, part: int) -> nn.Module:
        if self.name in PLAIN and (self.normalisation != "none" or self.classes or self.spectral_norm):
            raise InputError(f"{self.name} networks take no normalisation, labels or spectral norm")
        if self.classes < 0 or self.classes == 1:
            raise InputError(f"a class-conditional network needs at least two classes, not {self.classes}")
        arguments = {key: value for key, value in self.to_dict().items() if key != "name"}
        if self.grown is None:
            del arguments["grown"]
        with torch.device("meta"):
            return ARCHITECTURES[self.name][part](**arguments)


def initialise(net: nn.Module, generator: torch.Generator, std: float = 0.02) -> nn.Module:
    """Fill a network from the meta device with fresh weights, on the CPU, and return it.

    Weights of convolutions and linear layers are drawn from N(0, std), gains of normalisations from N(1, std), and
    biases are zero (Radford et al. 2016, section 4), unless a module says otherwise: its `std` is that of its weights.
    The draw is made on the CPU whatever the training runs on,
    so that a seed means the same initial weights everywhere.
    """
    net.to_empty(device="cpu")
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
            mean = 1.0 if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)) else 0.0
            for name, parameter in module.named_parameters(recurse=False):
                if name == "bias":
                    parameter.zero_()
                else:
                    parameter.normal_(mean, getattr(module, "std", std), generator=generator)
        spectral.begin(net, generator)  # after the weights: they are the same with and without
    return net
