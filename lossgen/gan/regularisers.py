"""Regularisers of the discriminator that stand apart from the loss; an emitted module says which in `recommended`.

Each takes what scores images, a batch of real and of generated images in [-1, 1], (…, B, C, H, W), the scores of the
real ones, (…, B), and where between the two the gradient penalty is taken, (…, B, 1, 1, 1) in [0, 1]. It gives a
number a batch, (…), to be multiplied by its strength and added to the discriminator's loss.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossgen.errors import InputError

Scorer = Callable[[Tensor], Tensor]
Regulariser = Callable[[Scorer, Tensor, Tensor, Tensor, Tensor], Tensor]


def gradient_penalty(score: Scorer, real: Tensor, fake: Tensor, real_score: Tensor, share: Tensor) -> Tensor:
    """Mean of (|gradient of D| - 1)² at images drawn between real and generated ones (Gulrajani et al. 2017, eq. 3)."""
    between = torch.lerp(fake.detach(), real.detach(), share).requires_grad_()
    lengths = torch.linalg.vector_norm(_slopes(score(between), between), dim=-1)
    return torch.mean((lengths - 1.0).square(), -1)


def r1(score: Scorer, real: Tensor, fake: Tensor, real_score: Tensor, share: Tensor) -> Tensor:
    """Half the mean of |gradient of D|² at real images (Mescheder et al. 2018, eq. 9)."""
    at = real.detach().clone().requires_grad_()
    return 0.5 * _slopes(score(at), at).square().sum(-1).mean(-1)


def drift(score: Scorer, real: Tensor, fake: Tensor, real_score: Tensor, share: Tensor) -> Tensor:
    """Mean of D² on real images, which keeps the critic's output near zero (Karras et al. 2018, appendix A.1)."""
    return real_score.square().mean(-1)


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
    return gradient.flatten(-3)
