"""The peers of benchmarks/codegen.py: losses as a person writes them in PyTorch, and as sympy's lambdify does."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FOCAL = """loss Focal(y_real, y_pred) =
    -(y_real * square(1 - y_pred) * log(y_pred) + (1 - y_real) * square(y_pred) * log(1 - y_pred))"""
EVOLVED = """loss Evolved(y_real, y_pred) = square(y_real - y_pred) * (1.7 + exp(-y_pred))
    + sqrt(square(y_real - y_pred) + 0.01) - 0.5 * log(0.1 + y_pred * y_real) / (1 + exp(-y_pred))"""


class HandWritten(nn.Module):
    """The three calls of a loss, each as short and as fast as its formula allows."""

    def forward(self, score: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        raise NotImplementedError

    def generator_loss(self, fake: Tensor) -> Tensor:
        raise NotImplementedError


class HandBCE(HandWritten):
    def forward(self, score, target):
        return F.binary_cross_entropy_with_logits(score, target)

    def discriminator_loss(self, real, fake):
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator_loss(self, fake):
        return F.softplus(-fake).mean()


class HandLSGAN(HandWritten):
    def forward(self, score, target):
        return (target * (score - 1).square() + (1 - target) * score.square()).mean()

    def discriminator_loss(self, real, fake):
        return (real - 1).square().mean() + fake.square().mean()

    def generator_loss(self, fake):
        return (fake - 1).square().mean()


class HandHinge(HandWritten):
    def forward(self, score, target):
        return (target * F.relu(1 - score) + (1 - target) * F.relu(1 + score)).mean()

    def discriminator_loss(self, real, fake):
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator_loss(self, fake):
        return -fake.mean()


class HandGANetic(HandWritten):
    def forward(self, score, target):
        p = torch.sigmoid(score)
        return (p**3 + (3.985 * target / p.clamp(min=1e-8)).clamp(min=1e-8).sqrt()).mean()

    def discriminator_loss(self, real, fake):
        return self.generator_loss(real) + (torch.sigmoid(fake) ** 3 + 1e-4).mean()

    def generator_loss(self, fake):
        p = torch.sigmoid(fake)
        return (p**3 + (3.985 / p.clamp(min=1e-8)).sqrt()).mean()


class HandFocal(HandWritten):
    def forward(self, score, target):
        p = torch.sigmoid(score)
        return (target * (1 - p).square() * F.softplus(-score) + (1 - target) * p.square() * F.softplus(score)).mean()

    def discriminator_loss(self, real, fake):
        return self.generator_loss(real) + (torch.sigmoid(fake).square() * F.softplus(fake)).mean()

    def generator_loss(self, fake):
        return (torch.sigmoid(-fake).square() * F.softplus(-fake)).mean()


class HandEvolved(HandWritten):
    def forward(self, score, target):
        p = torch.sigmoid(score)
        e, d = torch.exp(-p), (target - p).square()
        return (d * (1.7 + e) + (d + 0.01).sqrt() - 0.5 * torch.log(0.1 + p * target) / (1 + e)).mean()

    def discriminator_loss(self, real, fake):
        p = torch.sigmoid(fake)
        e, d = torch.exp(-p), p.square()
        of_fake = d * (1.7 + e) + (d + 0.01).sqrt() - 0.5 * math.log(0.1) / (1 + e)
        return self.generator_loss(real) + of_fake.mean()

    def generator_loss(self, fake):
        p = torch.sigmoid(fake)
        e, d = torch.exp(-p), (1 - p).square()
        return (d * (1.7 + e) + (d + 0.01).sqrt() - 0.5 * torch.log(0.1 + p) / (1 + e)).mean()


class Lambdified(HandWritten):
    """The textbook's formula, turned into torch by sympy: p = 1/(1 + exp(-s)), no guard, no stable form."""

    def __init__(self, formula: Callable[[Any, Any, Any], Any]) -> None:
        import sympy

        super().__init__()
        s, t = sympy.symbols("s t")
        label = formula(sympy, s, t)

        def function(symbols: Any, expression: Any) -> Callable[..., Tensor]:
            greatest = {"max": lambda bound, x: torch.clamp(x, min=bound)}
            return sympy.lambdify(symbols, expression, modules=[greatest, "torch"], cse=True)

        self.loss = function((s, t), label)
        self.real, self.fake = (function((s,), label.subs(t, target)) for target in (1, 0))
        self.generator = function((s,), -s) if formula is hinge else self.real

    def forward(self, score, target):
        return self.loss(score, target).mean()

    def discriminator_loss(self, real, fake):
        return self.real(real).mean() + self.fake(fake).mean()

    def generator_loss(self, fake):
        return self.generator(fake).mean()


def sigmoid(sympy, s):
    return 1 / (1 + sympy.exp(-s))


def bce(sympy, s, t):
    p = sigmoid(sympy, s)
    return -(t * sympy.log(p) + (1 - t) * sympy.log(1 - p))


def lsgan(sympy, s, t):
    return t * (s - 1) ** 2 + (1 - t) * s**2


def hinge(sympy, s, t):
    return t * sympy.Max(0, 1 - s) + (1 - t) * sympy.Max(0, 1 + s)


def ganetic(sympy, s, t):
    p = sigmoid(sympy, s)
    return p**3 + sympy.sqrt(3.985 * t / p)


def focal(sympy, s, t):
    p = sigmoid(sympy, s)
    return -(t * (1 - p) ** 2 * sympy.log(p) + (1 - t) * p**2 * sympy.log(1 - p))


def evolved(sympy, s, t):
    p = sigmoid(sympy, s)
    log = sympy.log(0.1 + p * t)
    return (t - p) ** 2 * (1.7 + sympy.exp(-p)) + sympy.sqrt((t - p) ** 2 + 0.01) - 0.5 * log / (1 + sympy.exp(-p))


class WithTargets(HandWritten):
    """nn.BCEWithLogitsLoss, as a training calls it: with tensors of ones and zeros that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = nn.BCEWithLogitsLoss()
        self.ones = self.zeros = torch.empty(0)

    def resize(self, n: int) -> None:
        self.ones, self.zeros = torch.ones(n), torch.zeros(n)

    def forward(self, score, target):
        return self.loss(score, target)

    def discriminator_loss(self, real, fake):
        return self.loss(real, self.ones) + self.loss(fake, self.zeros)

    def generator_loss(self, fake):
        return self.loss(fake, self.ones)


LOSSES = {
    "bce": ("bce", HandBCE, bce),
    "lsgan": ("lsgan", HandLSGAN, lsgan),
    "hinge": ("hinge", HandHinge, hinge),
    "ganetic": ("ganetic", HandGANetic, ganetic),
    "focal": (FOCAL, HandFocal, focal),
    "evolved": (EVOLVED, HandEvolved, evolved),
}
