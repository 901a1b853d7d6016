"""Images moved at random before a classifier sees them: the augmentation that synthetic images compete with.

Turned by up to 10 degrees, zoomed by up to a tenth, shifted by up to an eighth of the side, brightness and contrast
changed by up to a fifth. Nothing is mirrored unless that is asked for: a heart stays on its side of a chest X-ray.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ANGLE, ZOOM, SHIFT, LIGHT = math.radians(10.0), 0.1, 0.125, 0.2


def moved(images: Tensor, generator: torch.Generator, mirror: bool = False) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], each moved by itself; what comes in from outside repeats the border.

    Args:
        generator: on the images' device.
        mirror: whether every other image, by chance, is mirrored left to right.
    """
    uniform = torch.rand(len(images), 7, generator=generator, device=images.device) * 2 - 1
    angle, zoom, x, y, brightness, contrast, side = uniform.unbind(1)
    scale = (1 + ZOOM * zoom).reciprocal()
    cosine, sine = torch.cos(ANGLE * angle) * scale, torch.sin(ANGLE * angle) * scale
    sign = torch.where(side < 0, -1.0, 1.0) if mirror else torch.ones_like(side)
    # A grid spans 2 from border to border: a shift of an eighth of the side is a quarter.
    rows = [sign * cosine, -sine, 2 * SHIFT * x, sign * sine, cosine, 2 * SHIFT * y]
    theta = torch.stack(rows, 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    found = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    light = (1 + LIGHT * contrast)[:, None, None, None], (LIGHT * brightness)[:, None, None, None]
    return found * light[0] + light[1]
