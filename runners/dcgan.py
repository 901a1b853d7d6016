"""DCGAN (Radford et al. 2016) as a benchmark for losses: a plug-in for lossgen, and a script.

    lossgen evolve --runner dcgan --data mnist
    python runners/dcgan.py --loss generated/ganetic.py --data mnist --seed 0 --device cpu --out out/

A small DCGAN is trained with the loss and judged by the Fréchet distance between its samples and images that
neither it nor the feature extractor was trained on. Small means small: numbers compare with one another under one
protocol, and with nothing that was published as FID.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from lossgen.errors import InputError
from lossgen.gan.benchmark import GANOptions, ImageGAN
from lossgen.gan.nets import Architecture
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.script import run_script


class Options(GANOptions):
    """Networks, optimisers and judging. On the command line each is a flag: lr_generator is --lr-generator."""

    width: int = Field(16, ge=1, le=512, description="channels of the layer nearest to the image")
    latent: int = Field(32, ge=1, le=4096, description="dimension of the generator's input")
    generator: Literal["dcgan", "autoencoder"] = Field(
        "dcgan", description="dcgan decodes the latent vector; autoencoder maps it to an image first, and encodes that"
    )
    conditional: bool = Field(False, description="tell both networks the class of each image")
    normalisation: Literal["none", "batch", "group"] = Field("none", description="normalisation in the discriminator")
    spectral_norm: bool = Field(False, description="divide the discriminator's weights by their largest singular value")


class DCGAN(ImageGAN):
    """A DCGAN: fitness, data and optimisers are those of all image GANs."""

    options = Options
    sizes: ClassVar[tuple[int, ...]] = tuple(SIZES)

    def architecture(self, chosen: Options) -> Architecture:
        return Architecture(
            "dcgan-autoencoder" if chosen.generator == "autoencoder" else "dcgan",
            self.data.size, self.data.channels, chosen.width, chosen.latent, chosen.normalisation,
            len(self.data.classes) if chosen.conditional else 0, chosen.spectral_norm,
        )  # fmt: skip

    def labels(self) -> torch.Tensor | None:
        if not self.chosen.conditional:
            return None
        labels, classes = self.data.train.labels, len(self.data.classes)
        if labels is None or classes < 2:
            why = "has no labels" if labels is None else "is all of one class"
            raise InputError(f"--conditional: data {self.data.name} {why}; leave it out, or give labelled images")
        return torch.nn.functional.one_hot(torch.from_numpy(labels), classes).float()

    def described(self) -> str:
        chosen = self.chosen
        return f"width {chosen.width}" + ", conditional" * chosen.conditional + ", spectral norm" * chosen.spectral_norm


if __name__ == "__main__":
    run_script(DCGAN, steps=1500, out="dcgan-out")
