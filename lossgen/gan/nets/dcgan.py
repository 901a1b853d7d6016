"""DCGAN (Radford, Metz & Chintala 2016, arXiv 1511.06434) for images of 8, 16, 28 and 32 pixels.

The paper's recipe: no pooling, strided convolutions in the discriminator and fractionally strided ones in the
generator, ReLU in the generator and LeakyReLU 0.2 in the discriminator, Tanh at the end. Two departures, both said
out loud: the discriminator has no BatchNorm unless it is asked for, since it would tie the scores of a batch to
one another, and returns raw scores, since a sigmoid belongs to the loss.
A convolution before a normalisation has no bias: the normalisation would subtract it again, and its gradient,
which is truly zero, would be rounding noise that Adam blows up to full steps.
"""

from itertools import pairwise

from torch import Tensor, nn

from lossgen.errors import InputError

# image size -> (side of the coarsest feature map, number of doublings from there to the image)
SIZES: dict[int, tuple[int, int]] = {8: (2, 2), 16: (4, 2), 28: (7, 2), 32: (4, 3)}


def _plan(size: int, width: int) -> tuple[int, list[int]]:
    """Side of the coarsest feature map, and the channels of each layer from the finest to the coarsest."""
    if size not in SIZES:
        raise InputError(f"DCGAN makes images of {', '.join(map(str, SIZES))} pixels, not of {size}")
    base, doublings = SIZES[size]
    return base, [width * 2**level for level in range(doublings)]


class Generator(nn.Module):
    """Latent vectors (N, latent) → images (N, channels, size, size) in [-1, 1]."""

    def __init__(self, size: int, channels: int, width: int, latent: int, normalisation: str = "none") -> None:
        super().__init__()
        del normalisation  # the discriminator's; the generator has BatchNorm always, as in the paper
        base, widths = _plan(size, width)
        widths.reverse()
        layers: list[nn.Module] = [
            nn.Linear(latent, widths[0] * base * base, bias=False),
            nn.Unflatten(1, (widths[0], base, base)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for coarse, fine in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(coarse, fine, kernel_size=4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(fine),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], channels, kernel_size=4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        images: Tensor = self.layers(latent)
        return images


class Discriminator(nn.Module):
    """Images (N, channels, size, size) → raw scores (N,), any real number; higher means 'real'.

    `features` gives what the last, linear layer sees: (N, coarsest channels · base²).
    """

    def __init__(self, size: int, channels: int, width: int, latent: int, normalisation: str = "none") -> None:
        super().__init__()
        del latent  # the generator's
        base, widths = _plan(size, width)
        layers: list[nn.Module] = []
        for level, (fine, coarse) in enumerate(zip([channels, *widths], widths)):
            # The first layer sees pixels and stays without normalisation (Radford et al. 2016).
            normal = _normalisation(normalisation, coarse) if level else None
            layers.append(nn.Conv2d(fine, coarse, kernel_size=4, stride=2, padding=1, bias=normal is None))
            layers += [normal] if normal is not None else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.score = nn.Linear(widths[-1] * base * base, 1)

    def features(self, images: Tensor) -> Tensor:
        hidden: Tensor = self.layers(images)
        return hidden

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.score(self.features(images))
        return scores.flatten()


def _normalisation(kind: str, channels: int) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(_groups(channels), channels)
    raise InputError(f"normalisation {kind!r} is unknown; known are: none, batch, group")


def _groups(channels: int) -> int:
    """As many groups as divide the channels, up to eight."""
    return next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0)
