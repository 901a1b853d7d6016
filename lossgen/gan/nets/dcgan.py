"""DCGAN (Radford, Metz & Chintala 2016, arXiv 1511.06434) for images of 8 to 64 pixels.

The paper's recipe: no pooling, strided convolutions in the discriminator and fractionally strided ones in the
generator, ReLU in the generator and LeakyReLU 0.2 in the discriminator, Tanh at the end; channels double with each
halving of the side, so that 64 pixels have the paper's 1, 2, 4 and 8 times `width`. Two departures, both said
out loud: the discriminator has no BatchNorm unless it is asked for, since it would tie the scores of a batch to
one another, and returns raw scores, since a sigmoid belongs to the loss.
A convolution before a normalisation has no bias: the normalisation would subtract it again, and its gradient,
which is truly zero, would be rounding noise that Adam blows up to full steps.

With `classes` both take labels: one-hot rows, or any other mixture of classes. The generator reads them beside the
latent vector (Mirza & Osindero 2014, arXiv 1411.1784), and the discriminator adds their projection on what its last
layer sees (Miyato & Koyama 2018, arXiv 1802.05637, equation 3; on all of the coarsest feature map, not on its sum).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.nets import spectral
from lossgen.gan.nets.normalisation import BatchNorm2d, normalisation_of

# image size -> (side of the coarsest feature map, number of doublings from there to the image)
SIZES: dict[int, tuple[int, int]] = {8: (2, 2), 16: (4, 2), 28: (7, 2), 32: (4, 3), 48: (6, 3), 64: (4, 4)}


def plan(size: int) -> tuple[int, int]:
    """Side of the coarsest feature map, and the number of doublings from there to the image.

    Raises:
        InputError: there are no networks for images of this size.
    """
    if size not in SIZES:
        raise InputError(f"DCGAN makes images of {', '.join(map(str, SIZES))} pixels, not of {size}")
    return SIZES[size]


def _widths(doublings: int, width: int) -> list[int]:
    """Channels of each layer from the finest to the coarsest."""
    return [width * 2**level for level in range(doublings)]


class Generator(nn.Module):
    """Latent vectors (N, latent) → images (N, channels, size, size) in [-1, 1].

    With `classes` it takes labels, too: (N, classes), float.
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
        del normalisation, spectral_norm  # the discriminator's; the generator has BatchNorm always, as in the paper
        self.classes = classes
        base, doublings = plan(size)
        widths = _widths(doublings, width)
        widths.reverse()
        layers: list[nn.Module] = [
            nn.Linear(latent + classes, widths[0] * base * base, bias=False),
            nn.Unflatten(1, (widths[0], base, base)),
            BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for coarse, fine in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(coarse, fine, kernel_size=4, stride=2, padding=1, bias=False),
                BatchNorm2d(fine),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], channels, kernel_size=4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(beside(latent, labels, self.classes))
        return images


class Discriminator(nn.Module):
    """Images (N, channels, size, size) → raw scores (N,), any real number; higher means 'real'.

    With `classes` it takes labels, too: (N, classes), float. `features` gives what the last, linear layer sees:
    (N, coarsest channels · base²). `spectral_norm` divides every weight by its largest singular value, whatever the
    normalisation of what lies between.
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
        del latent  # the generator's
        self.classes = classes
        base, doublings = plan(size)
        widths = _widths(doublings, width)
        layers: list[nn.Module] = []
        for level, (fine, coarse) in enumerate(zip([channels, *widths], widths)):
            # The first layer sees pixels and stays without normalisation (Radford et al. 2016).
            normal = normalisation_of(normalisation, coarse) if level else None
            layers.append(nn.Conv2d(fine, coarse, kernel_size=4, stride=2, padding=1, bias=normal is None))
            layers += [normal] if normal is not None else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.score = nn.Linear(widths[-1] * base * base, 1)
        if classes:
            self.projection = nn.Linear(classes, widths[-1] * base * base, bias=False)
        if spectral_norm:
            spectral.normalise(self)

    def features(self, images: Tensor) -> Tensor:
        hidden: Tensor = self.layers(images)
        return hidden

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(labels, len(images), self.classes)
        hidden = self.features(images)
        scores: Tensor = self.score(hidden).flatten()
        if labels is None:
            return scores
        projected: Tensor = (self.projection(labels) * hidden).sum(1)
        return scores + projected


def beside(latent: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Latent vectors with their labels behind them, (N, latent + classes).

    Raises:
        TypeError, ValueError: as `check_labels`.
    """
    check_labels(labels, len(latent), classes)
    return latent if labels is None else torch.cat([latent, labels], dim=1)


def check_labels(labels: Tensor | None, rows: int, classes: int) -> None:
    """Hold labels against what a network was built for.

    Raises:
        TypeError: labels are missing, or given to a network that takes none.
        ValueError: they are not of shape (rows, classes).
    """
    if labels is None:
        if classes:
            raise TypeError(f"a class-conditional network needs labels, of shape ({rows}, {classes})")
    elif not classes:
        raise TypeError("a network that is not class-conditional takes no labels")
    elif labels.shape != (rows, classes):
        raise ValueError(f"labels of shape {tuple(labels.shape)}; expected one-hot rows of shape ({rows}, {classes})")
