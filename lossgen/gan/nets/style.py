"""Style-based GAN after StyleGAN2 (Karras et al. 2020, arXiv 1912.04958) for images of 4 to 64 pixels.

The generator maps a latent vector to a style, and builds the image from a constant by convolutions whose weights the
style modulates and that are demodulated again; noise is added at each, and the image is a sum over resolutions (the
paper's skip generator). The discriminator is the paper's residual one. In training, with probability 0.9, two latent
vectors are mixed: one styles the coarse layers, the other the fine ones (Karras et al. 2019, arXiv 1812.04948, section
3.1). All that is random is in the generator's input, so that it is a function: a latent vector, a second one, two
numbers that say whether and where they are mixed, and noise for every layer.

Doubling and halving filter with [1 3 3 1], before the convolution, where the authors' code has strided convolutions; an
image is made by the style of the last layer of its side. Left out of the paper: path length regularisation and lazy
regularisation; where R1 is asked for it is taken at each step.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.gan.nets.equalised import (
    EPS,
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

MAPPING = 8
"""Layers of the mapping network."""
MAPPING_RATE = 0.01
"""Their learning rate, of the others'."""
MIXED = 0.9
"""Part of the images in training that two latent vectors are mixed for."""


def noise_sides(size: int) -> list[int]:
    """Sides of the noise of each styled layer: one at 4 pixels, two at each finer side."""
    return [START, *(START << level for level in range(1, doublings_to(size) + 1) for _ in range(2))]


def noise_dimension(size: int, latent: int) -> int:
    """Numbers that the generator takes for an image."""
    return 2 * latent + 2 + sum(side * side for side in noise_sides(size))


class _Modulated(nn.Module):
    """A convolution whose weights a style scales by input channel (paper, equations 1 and 3).

    It is done to what goes in and comes out in place of the weights, which is the same. Where `demodulated`, each
    output's weights are brought back to length 1 for every image.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, latent: int, demodulated: bool) -> None:
        super().__init__()
        self.style = EqualisedLinear(latent, inputs, gain=1.0, start=1.0)
        # Demodulation takes the scale out again; without it the gain is 1.
        self.convolution = EqualisedConv2d(inputs, outputs, kernel, gain=1.0)
        self.demodulated = demodulated

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        styles = self.style(w)
        weight = self.convolution.weight * self.convolution.scale
        out = F.conv2d(x * styles[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if self.demodulated:
            lengths = F.linear(styles.square(), weight.square().sum((2, 3)))
            out = out * (lengths + EPS).rsqrt()[:, :, None, None]
        if noise is not None:
            out = out + noise
        return out + self.convolution.bias[:, None, None]


class _Layer(nn.Module):
    """A styled convolution with noise and LeakyReLU, doubled before where it is the first of its side."""

    def __init__(self, inputs: int, outputs: int, latent: int, up: bool) -> None:
        super().__init__()
        self.modulated = _Modulated(inputs, outputs, 3, latent, demodulated=True)
        self.strength = nn.Parameter(torch.empty(1))
        self.up = up

    std = 0.0  # noise begins with strength 0

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = doubled(x) if self.up else x
        return ROOT2 * leaky(self.modulated(x, w, noise * self.strength))


class Generator(nn.Module):
    """Noise (N, noise_dimension) → images (N, channels, size, size), about in [-1, 1]."""

    std = 1.0  # of the constant

    def __init__(self, size: int, channels: int, width: int, latent: int, **_: object) -> None:
        super().__init__()
        self.size, self.latent = size, latent
        each = channels_at(size, width)
        self.mapping = nn.ModuleList(EqualisedLinear(latent, latent, rate=MAPPING_RATE) for _ in range(MAPPING))
        self.constant = nn.Parameter(torch.empty(each[0], START, START))
        layers = [_Layer(each[0], each[0], latent, up=False)]
        for coarse, fine in pairwise(each):
            layers += [_Layer(coarse, fine, latent, up=True), _Layer(fine, fine, latent, up=False)]
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(_Modulated(count, channels, 1, latent, demodulated=False) for count in each)

    def mapped(self, latent: Tensor) -> Tensor:
        """Styles w (N, latent) of latent vectors z (N, latent)."""
        w = pixel_norm(latent)
        for layer in self.mapping:
            w = leaky(layer(w))
        return w

    def styles(self, noise: Tensor) -> Tensor:
        """The style of each layer, (N, layers, latent): in training of two latent vectors, mixed at random."""
        first, second, draws = torch.split(noise, [self.latent, self.latent, noise.shape[1] - 2 * self.latent], 1)
        count = len(self.layers)
        w = self.mapped(first)[:, None].expand(-1, count, -1)
        if not self.training or count < 2:
            return w
        # Normal numbers to uniform ones: whether two are mixed, and after which layer.
        uniform = 0.5 * (1.0 + torch.erf(draws[:, :2] / math.sqrt(2.0)))
        cut = 1 + (uniform[:, 1] * (count - 1)).floor().clamp(max=count - 2)
        cut = torch.where(uniform[:, 0] < MIXED, cut, torch.full_like(cut, count))
        coarse = torch.arange(count, device=noise.device) < cut[:, None]
        return torch.where(coarse[:, :, None], w, self.mapped(second)[:, None])

    def forward(self, noise: Tensor) -> Tensor:
        w = self.styles(noise)
        sides = noise_sides(self.size)
        planes = torch.split(noise[:, 2 * self.latent + 2 :], [side * side for side in sides], 1)
        x = self.constant.expand(len(noise), -1, -1, -1)
        image: Tensor | None = None
        for place, (layer, side, plane) in enumerate(zip(self.layers, sides, planes)):
            x = layer(x, w[:, place], plane.view(-1, 1, side, side))
            if place % 2 == 0:  # the last of its side
                own: Tensor = self.to_image[place // 2](x, w[:, place])
                image = own if image is None else doubled(image) + own
        assert image is not None
        return image


class _Residual(nn.Module):
    """Two convolutions and a shortcut, both halved: (N, fine, H, W) → (N, coarse, H/2, W/2)."""

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(fine, fine, 3)
        self.second = EqualisedConv2d(fine, coarse, 3)
        self.shortcut = EqualisedConv2d(fine, coarse, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = leaky(self.second(halved(leaky(self.first(x)))))
        out: Tensor = (y + self.shortcut(halved(x))) / ROOT2
        return out


class Discriminator(nn.Module):
    """Images (N, channels, size, size) → raw scores (N,)."""

    def __init__(self, size: int, channels: int, width: int, latent: int, **_: object) -> None:
        super().__init__()
        del latent  # the generator's
        each = channels_at(size, width)
        self.begin = EqualisedConv2d(channels, each[-1], 1)
        self.blocks = nn.ModuleList(_Residual(fine, coarse) for fine, coarse in pairwise(reversed(each)))
        self.deviation = MinibatchDeviation()
        self.last = EqualisedConv2d(each[0] + 1, each[0], 3)
        self.hidden = EqualisedLinear(each[0] * START * START, each[0])
        self.score = EqualisedLinear(each[0], 1, gain=1.0)

    def features(self, images: Tensor) -> Tensor:
        """What the last, linear layer sees: (N, channels of the coarsest features)."""
        x = leaky(self.begin(images))
        for block in self.blocks:
            x = block(x)
        x = leaky(self.last(self.deviation(x)))
        hidden: Tensor = leaky(self.hidden(x.flatten(1)))
        return hidden

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.score(self.features(images)).flatten()
        return scores


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, 2H, 2W), filtered by [1 3 3 1]."""
    twice: Tensor = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return twice


def halved(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, H/2, W/2), filtered by [1 3 3 1]."""
    planes = x.reshape(-1, 1, *x.shape[2:])
    half = F.conv2d(planes, _kernel([1.0, 3.0, 3.0, 1.0], x), stride=2, padding=1)
    return half.view(*x.shape[:2], *half.shape[2:])


def _kernel(taps: Sequence[float], like: Tensor) -> Tensor:
    row = torch.tensor(taps, dtype=like.dtype, device=like.device) / sum(taps)
    return (row[:, None] * row)[None, None]
