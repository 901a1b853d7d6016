"""GANomaly's generator (Akcay et al. 2018, arXiv 1805.06725, section 3): encoder, decoder, encoder.

An image is encoded, made anew from its code, and encoded again. Encoders are those of a DCGAN's discriminator with
BatchNorm, the decoder is its generator; the discriminator is DCGAN's.
"""

from torch import Tensor, nn

from lossgen.gan.nets import dcgan


class Encoder(nn.Module):
    """Images (N, channels, size, size) → codes (N, latent), any real numbers."""

    def __init__(self, size: int, channels: int, width: int, latent: int) -> None:
        super().__init__()
        body = dcgan.Discriminator(size, channels, width, latent, "batch")
        self.layers = body.layers
        self.code = nn.Linear(body.score.in_features, latent)

    def forward(self, images: Tensor) -> Tensor:
        codes: Tensor = self.code(self.layers(images))
        return codes


class Generator(nn.Module):
    """Images (N, channels, size, size) → images made anew, of the same shape, in [-1, 1]."""

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        latent: int,
        normalisation: str = "none",
        classes: int = 0,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        del normalisation, classes, spectral_norm  # the discriminator's
        self.encoder = Encoder(size, channels, width, latent)
        self.decoder = dcgan.Generator(size, channels, width, latent)
        self.again = Encoder(size, channels, width, latent)

    def passes(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images made anew, their codes before, and their codes after: (N, channels, size, size), (N, latent) twice."""
        code = self.encoder(images)
        anew = self.decoder(code)
        return anew, code, self.again(anew)

    def forward(self, images: Tensor) -> Tensor:
        return self.passes(images)[0]
