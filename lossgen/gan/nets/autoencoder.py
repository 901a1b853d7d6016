"""The generator of GANetic's experiments on CIFAR-10: an encoder and a decoder behind a map of the latent vector.

Akhmedova & Körber (2024, arXiv 2406.05023), layer by layer as in the example that is published with it
(github.com/ZKI-PH-ImageAnalysis/GANetic-Loss, example.py): a linear layer to a map of the image's size, reduced to
the image's channels; an encoder of one convolution and strided ones; a decoder of as many transposed ones and two
more; 3 × 3 kernels, LeakyReLU 0.2, Tanh. For 32 pixels and width 64 the channels are the example's: 64, 128, 128, 256
and back. For other sizes they are ours: the coarsest layer has 4 times `width`, those between have twice.

One departure: each layer but the last has BatchNorm, as DCGAN's generator, and DCGAN's initial weights; the example
has none, and Glorot's. So its first samples differ by a 10⁻⁵ of the range of Tanh (32 pixels, width 64), and trained on
digits (BCE, width 16, 500 steps, learning rates 2e-4 and 2e-3) it drew one image whatever the noise.

The linear layer is the whole cost in memory: latent · 4 · width · size² weights, 26 million in the example.
"""

from itertools import pairwise

from torch import Tensor, nn

from lossgen.gan.nets.dcgan import beside, plan
from lossgen.gan.nets.normalisation import BatchNorm2d


class Generator(nn.Module):
    """Latent vectors (N, latent) → images (N, channels, size, size) in [-1, 1].

    With `classes` it takes labels, too: (N, classes), float, beside the latent vector.
    """

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
        del normalisation, spectral_norm  # the discriminator's
        self.classes = classes
        _, doublings = plan(size)
        widths = [width, *[2 * width] * (doublings - 1), 4 * width]
        coarsest = widths[-1]
        layers: list[nn.Module] = [
            nn.Linear(latent + classes, coarsest * size * size, bias=False),
            nn.Unflatten(1, (coarsest, size, size)),
            *_rectified(coarsest),
        ]
        for before, after in ((coarsest, channels), (channels, width)):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), *_rectified(after)]
        for fine, coarse in pairwise(widths):
            layers += [nn.Conv2d(fine, coarse, 3, stride=2, padding=1, bias=False), *_rectified(coarse)]
        widths.reverse()
        for coarse, fine in pairwise([coarsest, *widths[:-1]]):
            doubling = nn.ConvTranspose2d(coarse, fine, 3, stride=2, padding=1, output_padding=1, bias=False)
            layers += [doubling, *_rectified(fine)]
        layers += [
            nn.ConvTranspose2d(2 * width, width, 3, padding=1, bias=False),
            *_rectified(width),
            nn.ConvTranspose2d(width, channels, 3, padding=1),
            nn.Tanh(),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(beside(latent, labels, self.classes))
        return images


def _rectified(channels: int) -> list[nn.Module]:
    return [BatchNorm2d(channels), nn.LeakyReLU(0.2, inplace=True)]
