"""Layers with an equalised learning rate, and what else progressive and style-based GANs share.

Weights are drawn from N(0, 1) and multiplied by gain / √fan_in each time they are used (Karras et al. 2018, arXiv
1710.10196, section 4.1), so that Adam, whose steps do not know a weight's scale, moves all of them alike.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.errors import InputError

ROOT2 = math.sqrt(2.0)
"""Gain of a layer before a LeakyReLU (He et al. 2015, for a ReLU, as the papers have it)."""
SLOPE = 0.2
"""Of the LeakyReLU on negative values."""
EPS = 1e-8
START = 4
"""Side of the coarsest features, in pixels."""
SIZES = (START, 8, 16, 32, 64)
"""Sides of images that are there, in pixels; each but the first is the one before doubled."""
GROUP = 4
"""Images whose standard deviation the discriminator sees, at least."""


class EqualisedConv2d(nn.Module):
    """A convolution that keeps the side of its input: (N, fine, H, W) → (N, coarse, H, W).

    Attributes:
        std: that its weights are drawn with.
        scale: that they are multiplied by at run time.
    """

    std = 1.0

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = ROOT2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.scale = gain / math.sqrt(inputs * kernel * kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)


class EqualisedLinear(nn.Module):
    """A linear layer: (N, inputs) → (N, outputs).

    Args:
        rate: by which this layer's learning rate is lower than the others' (Karras et al. 2019, appendix C).
        start: value that all biases begin with.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = ROOT2, rate: float = 1.0, start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.std, self.rate, self.start = 1.0 / rate, rate, start
        self.scale = gain * rate / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate + self.start)


class MinibatchDeviation(nn.Module):
    """(N, C, H, W) → (N, C + 1, H, W): beside the features how much they differ within a group of images.

    One number a group, the mean over features and places of the standard deviation over its images (Karras et al. 2018,
    section 3): a discriminator that sees it tells a batch of equal images from a batch of different ones. Of N images
    each N // 4 make a group of those that stand so far apart, as in the authors' code; where 4 does not divide N, some
    groups have more than 4.
    """

    def forward(self, x: Tensor) -> Tensor:
        count = len(x)
        groups = max(1, count // GROUP)
        of = torch.arange(count, device=x.device) % groups
        share = F.one_hot(of, groups).T.to(x.dtype)
        share = share / share.sum(1, keepdim=True)
        flat = x.flatten(1)
        centred = flat - (share @ flat)[of]
        deviation = (share @ centred.square() + EPS).sqrt().mean(1)[of]
        return torch.cat([x, deviation[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


def pixel_norm(x: Tensor) -> Tensor:
    """Features (N, C, …) divided by the root of the mean of their squares over C (Karras et al. 2018, section 4.2)."""
    return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def doublings_to(size: int) -> int:
    """How often 4 pixels are doubled to make `size`.

    Raises:
        InputError: it is none of SIZES.
    """
    if size not in SIZES:
        raise InputError(f"these networks make images of {', '.join(map(str, SIZES))} pixels, not of {size}")
    return SIZES.index(size)


def channels_at(size: int, width: int) -> list[int]:
    """Channels of the features at 4, 8, … `size` pixels: `width` at the finest, twice as many at each coarser side.

    The papers' rule, min(8192 / side, 512) at 1024 pixels: no more than 32 times the finest.
    """
    return [min(width << level, 32 * width) for level in range(doublings_to(size), -1, -1)]
