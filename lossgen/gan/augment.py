"""Differentiable augmentation of all that the discriminator sees (Zhao et al. 2020, arXiv 2006.10738, "DiffAugment").

Real and generated images alike are changed at random before the discriminator judges them, and the generator learns
through the change: a discriminator that has few images cannot learn them by heart, and the generator is not asked to
make changed ones. Three parts, with the paper's strengths, always in this order:

    colour:      brightness ± 0.5 (of a range of 2), saturation × 0 to 2, contrast × 0.5 to 1.5, not clipped
    translation: by whole pixels, up to 1/8 of the side each way
    cutout:      a square of half the side, its centre anywhere in the image

Nothing is ever mirrored or turned: a digit stays that digit, and a heart stays on its side of a chest X-ray.

What moves in from outside, and what is cut out, is 0, mid-grey, as in the paper, and not -1, black. Zero is what the
convolutions' own padding puts around an image. And on digits and X-rays, whose frame is black, the grey bar says how
far an image was moved: with black, a moved digit would be as good as one that is off its place, and the generator
would learn to move them.

A change is all in the numbers that `draw` gives; `apply` draws nothing. They are one uniform number a part and image,
so that drawing is one launch of a kernel for each stream, and the rest is done for the images of all members at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lossgen.errors import InputError

Policy = tuple[str, ...]

FEW_IMAGES = 5000
"""Training images below which augmentation is on by default."""

SHIFT = 1 / 8  # of the side
HOLE = 1 / 2  # of the side


@dataclass(frozen=True)
class Draws:
    """How each of N images is to be changed.

    Attributes:
        policy: the parts, in the order of `PARTS`.
        uniform: (N, numbers), float32 in [0, 1), where each part has as many columns as `PARTS` says. A colour or a
            translation of 0.5 leaves an image as it is.
    """

    policy: Policy
    uniform: Tensor


def parse_policy(text: str) -> Policy:
    """The parts that a comma-separated text names, in the order of `PARTS`; empty for "none".

    Raises:
        InputError: a name is unknown, or "none" stands beside others.
    """
    names = ["colour" if name.strip() == "color" else name.strip() for name in text.split(",")]
    if names == ["none"]:
        return ()
    for name in names:
        if name not in PARTS:
            raise InputError(f"augmentation {text!r}: {name!r} is unknown; give none, or some of {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in names)


def default_policy(n_images: int) -> Policy:
    """All parts below `FEW_IMAGES` training images, where they help most; none from there on."""
    return tuple(PARTS) if n_images < FEW_IMAGES else ()


def draw(policy: Policy, count: int, generator: torch.Generator) -> Draws:
    """The changes of `count` images, drawn image by image, on the generator's device."""
    numbers = sum(PARTS[name][0] for name in policy)
    return Draws(policy, torch.rand(count, numbers, generator=generator, device=generator.device))


def cat(draws: Sequence[Draws]) -> Draws:
    """The changes of several batches one after another; they must be of one policy."""
    (policy,) = {each.policy for each in draws}
    return Draws(policy, torch.cat([each.uniform for each in draws]))


def apply(images: Tensor, draws: Draws) -> Tensor:
    """Square images (N, C, H, W), float in [-1, 1], changed: of the same shape, differentiable, each by its own row.

    Colour may leave [-1, 1]; a generator's gradient would vanish where it was clipped.
    """
    first = 0
    for name in draws.policy:
        numbers, change = PARTS[name]
        images = change(images, draws.uniform[:, first : first + numbers])
        first += numbers
    return images


def _colour(images: Tensor, uniform: Tensor) -> Tensor:
    """Columns: brightness, saturation, contrast. They could be applied in any order: the result is the same."""
    brightness, saturation, contrast = uniform.to(images.dtype)[:, :, None, None, None].unbind(1)
    if images.shape[1] > 1:  # a grey image is its own mean over channels
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5) + (brightness - 0.5)


def _translation(images: Tensor, uniform: Tensor) -> Tensor:
    """Columns: down, right."""
    side = images.shape[-1]
    most = _pixels(side, SHIFT)
    source = _steps_from(side, _whole(uniform, -most, most))
    inside = _square((source >= 0) & (source < side))
    rows, columns = source.clamp(0, side - 1).unbind(2)
    flat = (rows[:, :, None] * side + columns[:, None]).flatten(1)
    moved = images.flatten(2).gather(2, flat[:, None].expand(-1, images.shape[1], -1)).view_as(images)
    return torch.where(inside, moved, 0.0)


def _cutout(images: Tensor, uniform: Tensor) -> Tensor:
    """Columns: vertical, horizontal place. At the border the square is cut off by the image's edge."""
    side = images.shape[-1]
    hole = _pixels(side, HOLE)
    place = _steps_from(side, _whole(uniform, -(hole // 2), side - (hole + 1) // 2))
    return torch.where(_square((place >= 0) & (place < hole)), 0.0, images)


def _pixels(side: int, share: float) -> int:
    """A share of the side in pixels, to the nearest and at least one."""
    return max(1, int(side * share + 0.5))


def _whole(uniform: Tensor, low: int, high: int) -> Tensor:
    """Numbers in [0, 1) → whole numbers from low to high, all as likely."""
    return (uniform * (high - low + 1)).long() + low


def _steps_from(side: int, first: Tensor) -> Tensor:
    """(N, side, 2): how far each row and each column of an image lies behind a first row and column, (N, 2)."""
    return torch.arange(side, device=first.device)[:, None] - first[:, None]


def _square(lines: Tensor) -> Tensor:
    """Which rows and which columns, (N, side, 2) → which pixels, (N, 1, side, side): those in both."""
    rows, columns = lines.unbind(2)
    return (rows[:, :, None] & columns[:, None])[:, None]


PARTS: dict[str, tuple[int, Callable[[Tensor, Tensor], Tensor]]] = {
    "colour": (3, _colour),
    "translation": (2, _translation),
    "cutout": (2, _cutout),
}
"""Name -> (how many numbers an image it draws, images (N, C, H, W) and these (N, numbers) → images)."""
