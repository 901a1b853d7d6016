"""Regularisers of the discriminator that stand apart from the loss; an emitted module says which in `recommended`.

Each takes the discriminator, a batch of real and of generated images in [-1, 1], (B, C, H, W), and the scores of the
real ones, (B,), and gives a scalar to be multiplied by its strength and added to the discriminator's loss.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossgen.errors import InputError

Regulariser = Callable[[nn.Module, Tensor, Tensor, Tensor, torch.Generator], Tensor]


def gradient_penalty(
    discriminator: nn.Module, real: Tensor, fake: Tensor, real_score: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean of (|gradient of D| - 1)² at images drawn between real and generated ones (Gulrajani et al. 2017, eq. 3)."""
    share = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device, dtype=real.dtype)
    between = torch.lerp(fake, real, share).requires_grad_()
    return torch.mean((_slopes(discriminator(between), between).norm(dim=1) - 1.0).square())


def r1(discriminator: nn.Module, real: Tensor, fake: Tensor, real_score: Tensor, generator: torch.Generator) -> Tensor:
    """Half the mean of |gradient of D|² at real images (Mescheder et al. 2018, eq. 9)."""
    at = real.detach().clone().requires_grad_()
    return 0.5 * _slopes(discriminator(at), at).square().sum(1).mean()


def drift(
    discriminator: nn.Module, real: Tensor, fake: Tensor, real_score: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean of D² on real images, which keeps the critic's output near zero (Karras et al. 2018, appendix A.1)."""
    return real_score.square().mean()


REGULARISERS: Mapping[str, Regulariser] = {"gradient_penalty": gradient_penalty, "r1": r1, "drift": drift}


def recommended(criterion: nn.Module) -> dict[str, float]:
    """Strength by regulariser that a loss asks for, checked; empty for one that asks for none.

    Raises:
        InputError: its `recommended` is not a mapping of known regularisers to positive numbers.
    """
    asked: Any = getattr(criterion, "recommended", {})
    known = ", ".join(REGULARISERS)
    if not isinstance(asked, Mapping) or not set(asked) <= set(REGULARISERS):
        raise InputError(f"the loss's recommended is {asked!r}; expected strengths by name, of: {known}")
    for name, strength in asked.items():
        if not isinstance(strength, (int, float)) or not 0.0 < strength < math.inf:
            raise InputError(f"the loss recommends {name} of strength {strength!r}; expected a positive number")
    return {name: float(strength) for name, strength in asked.items()}


def _slopes(scores: Tensor, images: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.flatten(1)
