"""Progressively grown GAN (Karras et al. 2018, arXiv 1710.10196) for images of 4 to 64 pixels.

Both networks have all their layers from the start, and use those of the resolution that training has come to
(`grown`, which training sets by a schedule, see `growth`). While a resolution fades in with weight α, the generator's
image is (1 - α) · the coarser image doubled + α · the finer one, and the discriminator does the same with its features;
real images are faded alike by whoever trains. In training a generator's images have the side that it has grown to, in
evaluation the full one. After the paper: equalised learning rate, pixelwise normalisation in the generator, nearest
neighbours to double and means of four to halve, minibatch standard deviation, no activation at the generator's end.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.gan.nets.equalised import (
    ROOT2,
    START,
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchDeviation,
    channels_at,
    doublings_to,
    leaky,
    pixel_norm,
)


class Grown(NamedTuple):
    """How far networks have grown.

    Attributes:
        doublings: of the coarsest side, the resolution that fades in among them.
        alpha: weight of that resolution; 1 where it stands alone.
    """

    doublings: int
    alpha: float = 1.0

    @property
    def side(self) -> int:
        """Of the images, in pixels."""
        return START << self.doublings

    @property
    def phase(self) -> str:
        """In words: "8 fading in"."""
        return f"{self.side}" + " fading in" * (self.alpha < 1.0)


def enlarged(images: Tensor, times: int) -> Tensor:
    """(…, H, W) → (…, times · H, times · W), nearest neighbours."""
    return images.repeat_interleave(times, -1).repeat_interleave(times, -2)


def doubled(images: Tensor) -> Tensor:
    """(…, H, W) → (…, 2H, 2W), nearest neighbours."""
    return enlarged(images, 2)


def halved(images: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, H/2, W/2), means of four."""
    return F.avg_pool2d(images, 2)


def shrunk(images: Tensor, grown: Grown) -> Tensor:
    """Images (N, C, size, size) as networks that have grown so far are to see them, faded as the generator's are."""
    side = grown.side
    if images.shape[-1] > side:
        images = F.avg_pool2d(images, images.shape[-1] // side)
    if grown.alpha < 1.0 and grown.doublings:
        images = torch.lerp(doubled(halved(images)), images, grown.alpha)
    return images


class _Block(nn.Module):
    """Two convolutions of a resolution, each with LeakyReLU and, in the generator, pixelwise normalisation."""

    def __init__(self, first: EqualisedConv2d, second: EqualisedConv2d, normal: bool) -> None:
        super().__init__()
        self.first, self.second, self.normal = first, second, normal

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.second):
            x = leaky(layer(x))
            x = pixel_norm(x) if self.normal else x
        return x


class Generator(nn.Module):
    """Latent vectors (N, latent) → images (N, channels, side, side), about in [-1, 1]; the side: see the module."""

    def __init__(
        self, size: int, channels: int, width: int, latent: int, grown: tuple[int, float] | None = None, **_: object
    ) -> None:
        super().__init__()
        self.size = size
        self.grown = Grown(*grown) if grown is not None else Grown(doublings_to(size))
        each = channels_at(size, width)
        # The first layer's gain is a quarter of the others', as in the authors' code.
        self.begin = EqualisedLinear(latent, each[0] * START * START, gain=ROOT2 / 4)
        self.first = EqualisedConv2d(each[0], each[0], 3)
        blocks = [_Block(EqualisedConv2d(a, b, 3), EqualisedConv2d(b, b, 3), True) for a, b in pairwise(each)]
        self.blocks = nn.ModuleList(blocks)
        self.to_image = nn.ModuleList([EqualisedConv2d(count, channels, 1, gain=1.0) for count in each])

    def forward(self, latent: Tensor) -> Tensor:
        doublings, alpha = self.grown
        x = self.begin(pixel_norm(latent)).unflatten(1, (-1, START, START))
        x = pixel_norm(leaky(x))
        x = pixel_norm(leaky(self.first(x)))
        before = x
        for block in list(self.blocks)[:doublings]:
            before, x = x, block(doubled(x))
        images: Tensor = self.to_image[doublings](x)
        if doublings and alpha < 1.0:
            images = torch.lerp(doubled(self.to_image[doublings - 1](before)), images, alpha)
        if not self.training and images.shape[-1] < self.size:
            images = enlarged(images, self.size // images.shape[-1])
        return images


class Discriminator(nn.Module):
    """Images (N, channels, side, side) of the side that it has grown to → raw scores (N,)."""

    def __init__(
        self, size: int, channels: int, width: int, latent: int, grown: tuple[int, float] | None = None, **_: object
    ) -> None:
        super().__init__()
        del latent  # the generator's
        self.grown = Grown(*grown) if grown is not None else Grown(doublings_to(size))
        each = channels_at(size, width)
        blocks = [_Block(EqualisedConv2d(b, b, 3), EqualisedConv2d(b, a, 3), False) for a, b in pairwise(each)]
        self.blocks = nn.ModuleList(blocks)
        self.from_image = nn.ModuleList([EqualisedConv2d(channels, count, 1) for count in each])
        self.deviation = MinibatchDeviation()
        self.last = EqualisedConv2d(each[0] + 1, each[0], 3)
        self.hidden = EqualisedLinear(each[0] * START * START, each[0])
        self.score = EqualisedLinear(each[0], 1, gain=1.0)

    def features(self, images: Tensor) -> Tensor:
        """What the last, linear layer sees: (N, channels of the coarsest features)."""
        doublings, alpha = self.grown
        x = leaky(self.from_image[doublings](images))
        for level in range(doublings, 0, -1):
            x = halved(self.blocks[level - 1](x))
            if level == doublings and alpha < 1.0:
                x = torch.lerp(leaky(self.from_image[level - 1](halved(images))), x, alpha)
        x = leaky(self.last(self.deviation(x)))
        hidden: Tensor = leaky(self.hidden(x.flatten(1)))
        return hidden

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.score(self.features(images)).flatten()
        return scores
