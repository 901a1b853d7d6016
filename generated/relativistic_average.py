r"""RelativisticAverage: a GAN loss for PyTorch, in one file.

The loss, in the language of lossgen::

    loss RelativisticAverage(score, mean_real, mean_fake):
        real: softplus(mean_fake - score)
        fake: softplus(score - mean_real)
        generator: softplus(mean_real - score)
        generator_real: softplus(score - mean_fake)

Relativistic average GAN, RaSGAN (Jolicoeur-Martineau 2019, "The relativistic discriminator"): how much more real an
image scores than the other kind does on average. Both players see both kinds of images.

In LaTeX, with y the target, p = sigmoid(s) and s the raw score, \bar{s} its mean over a batch::

    L_\mathrm{real} = \operatorname{softplus}\left(\bar{s}_\mathrm{fake} - s\right)
    L_\mathrm{fake} = \operatorname{softplus}\left(s - \bar{s}_\mathrm{real}\right)
    L_\mathrm{generator} = \operatorname{softplus}\left(\bar{s}_\mathrm{real} - s\right)
    L_\mathrm{generator\_real} = \operatorname{softplus}\left(s - \bar{s}_\mathrm{fake}\right)

Its card, for scores s from -8 to 8, with p = sigmoid(s), and with the means of a batch held at 0. It settles where
gradient descent on s from 0 ends (→: it has no end), and saturates where |dL/ds| is below 1 % of that at p = 0.5,
where training begins (of the steepest, where that is 0)::

                     settles at p  dL/ds at p=0.01      p=0.5     p=0.99   steepest  convex in s  saturates
    real                      → 1            -0.99       -0.5      -0.01          1  yes          s > 5.3
    fake                      → 0             0.01        0.5       0.99          1  yes          s < -5.3
    generator                 → 1            -0.99       -0.5      -0.01          1  yes          s > 5.3
    generator, real           → 0             0.01        0.5       0.99          1  yes          s < -5.3

    settling gap          → 1; real settles at 1
    proper scoring rule   no: it compares the images of a batch
    weight to match BCE   discriminator 0.5, generator 0.5 (slopes at p=0.5, through the means, too)
    elementwise           no: it looks at the means of a batch
    finite in             float64, float32, float16, bfloat16, for scores from -8 to 8 and at -30 and 30

Written by lossgen. Terms: CC0-1.0, use it without conditions.
"""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def real(score: Tensor, mean_fake: Tensor) -> Tensor:
    """Loss of the discriminator on real images, elementwise."""
    return F.softplus(mean_fake - score)


def fake(score: Tensor, mean_real: Tensor) -> Tensor:
    """Loss of the discriminator on generated images, elementwise."""
    return F.softplus(score - mean_real)


def generator(score: Tensor, mean_real: Tensor) -> Tensor:
    """Loss of the generator, elementwise."""
    return F.softplus(mean_real - score)


def generator_real(score: Tensor, mean_fake: Tensor) -> Tensor:
    """Loss of the generator on real images, elementwise; its mean is added to the generator's."""
    return F.softplus(score - mean_fake)


class RelativisticAverage(nn.Module):
    """RelativisticAverage on raw discriminator scores.

    The loss of an image depends on the scores of the whole batch, so that there is no criterion(score, target): call
    discriminator_loss and generator_loss. Scores may have any shape, or be a list of tensors (one a discriminator
    scale), which gives the mean over the list. float16 and bfloat16 scores are computed in float32.

    Args:
        reduction: "mean", "sum", or "none" for the loss of every element.
        input: "score" for raw discriminator outputs; "probability" for those of a discriminator that ends in a sigmoid,
            in float32 or wider: half precision cannot tell probabilities near 1 from 1.
    """

    needs_real = True  # generator_loss takes the real scores, too

    def __init__(self, reduction: str = "mean", input: str = "score") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
        if input not in ("score", "probability"):
            raise ValueError(f"input must be 'score' or 'probability', not {input!r}")
        self.reduction = reduction
        self.input = input
        self._unchecked_calls = 10 if input == "score" else 0
        self._reached_half = False

    def forward(self, score, target):
        """Not defined for this loss: it looks at real and generated images together."""
        raise TypeError(
            "RelativisticAverage looks at real and generated images together: in place of criterion(score, target) "
            "call discriminator_loss(real_score, fake_score) and generator_loss(fake_score, real_score)"
        )

    def discriminator_loss(self, real_score, fake_score):
        """Loss of real plus loss of fake; with reduction "none" the pair (real, fake).

        Batch means are taken over the scores given, scale by scale; gradients flow through them, too.
        """
        if self._unchecked_calls:
            self._check(real_score, fake_score)
        of_real = self._over_scales(lambda r, f: real(r, f.mean()), real_score, fake_score)
        of_fake = self._over_scales(lambda f, r: fake(f, r.mean()), fake_score, real_score)
        return (of_real, of_fake) if self.reduction == "none" else of_real + of_fake

    def generator_loss(self, fake_score, real_score=None):
        """Loss for generated images plus loss for real ones; with reduction "none" the pair (fake, real).

        Batch means are taken over the scores given, scale by scale; gradients flow through them, too.
        """
        if real_score is None:
            raise ValueError("RelativisticAverage needs the real scores, too: generator_loss(fake_score, real_score)")
        if self._unchecked_calls:
            self._check(fake_score, real_score)
        of_fake = self._over_scales(lambda f, r: generator(f, r.mean()), fake_score, real_score)
        of_real = self._over_scales(lambda r, f: generator_real(r, f.mean()), real_score, fake_score)
        return (of_fake, of_real) if self.reduction == "none" else of_fake + of_real

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, input={self.input!r}"

    def _over_scales(self, function, *scores):
        if isinstance(scores[0], (list, tuple)):
            losses = [self._over_scales(function, *scales) for scales in zip(*scores, strict=True)]
            return losses if self.reduction == "none" else sum(losses) / len(losses)
        value = function(*map(self._raw, scores))
        if self.reduction == "none" or value.ndim == 0:
            return value
        return value.mean() if self.reduction == "mean" else value.sum()

    def _raw(self, score):
        if score.dtype in (torch.float16, torch.bfloat16):
            score = score.float()
        return torch.logit(score, eps=1e-7) if self.input == "probability" else score

    def _check(self, *scores) -> None:
        """Warn once when the first 10 eager calls look like probabilities: all in [0, 1], and not all below one half.

        Raw scores of an untrained discriminator may lie in [0, 1] too, but near 0; a sigmoid's start near one half.
        """
        if torch.compiler.is_compiling():
            return
        tensors = scores
        while any(isinstance(t, (list, tuple)) for t in tensors):
            tensors = [s for t in tensors for s in (t if isinstance(t, (list, tuple)) else [t])]
        if not all(isinstance(t, Tensor) for t in tensors):
            raise TypeError("scores must be tensors, or lists of tensors (one a discriminator scale)")
        try:
            in_range = all(bool(((tensor >= 0.0) & (tensor <= 1.0)).all()) for tensor in tensors)
            reaches_half = any(bool((tensor >= 0.5).any()) for tensor in tensors)
        except RuntimeError:
            return  # no values to look at: under vmap, in a trace, on the meta device
        if in_range:
            self._unchecked_calls -= 1
            self._reached_half |= reaches_half
            if self._reached_half and not self._unchecked_calls:
                warnings.warn(
                    f"{type(self).__name__} takes raw scores, but all it was given lies in [0, 1]: does the"
                    " discriminator end in a sigmoid? Remove it, or pass input='probability'.",
                    stacklevel=3,
                )
        else:
            self._unchecked_calls = 0
