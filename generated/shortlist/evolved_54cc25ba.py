r"""Evolved_54cc25ba: a GAN loss for PyTorch, in one file.

The loss, in the language of lossgen::

    loss Evolved_54cc25ba(y_real, y_pred) = y_pred * (y_pred - y_real) / (-1.091 * sqrt(y_real) - (y_pred + y_real * y_pred) / (0.8882 - y_pred - y_real) / (2 * y_pred - y_real - exp(y_real - 0.2556)))

Found by lossgen evolve on digits, seed 4.
Searched as: y_pred / (-(1.091 * abs(sqrt(y_real))) - (y_pred + y_real * y_pred) / (0.8882 - y_pred - y_real) / (y_pred + (y_pred - y_real) - exp(y_real - 0.2556))) * (abs(y_pred) - y_real)
On fresh seeds (docs/discovered.md): 1.12 of BCE's distance over four pairs of learning rates, 1000 steps; not shown to
differ.

In LaTeX, with y the target, p = sigmoid(s) and s the raw score::

    L(y, p) = \frac{p \cdot \left(p - y\right)}{-1.091 \cdot \sqrt{y} - \frac{\frac{p + y \cdot p}{0.8882 - p - y}}{2 \cdot p - y - e^{y - 0.2556}}}

Its card, for scores s from -8 to 8, with p = sigmoid(s). It settles where gradient descent on s from 0 ends (→: it has
no end), and saturates where |dL/ds| is below 1 % of that at p = 0.5, where training begins (of the steepest, where
that is 0)::

                settles at p  dL/ds at p=0.01      p=0.5     p=0.99   steepest  convex in s  saturates
    real                 → 1          0.00811    -0.0183   -0.00365     0.0547  no           –
    fake              0.6822          0.00631    -0.0907      0.015     0.0974  no           s < -6.6, s > 7.5
    generator            → 1          0.00811    -0.0183   -0.00365     0.0547  no           –

    settling gap          → 0.3178; real settles at 1
    proper scoring rule   no: where 0.95 of the images are real, the best answer is p = 0.00 instead of 0.95
    weight to match BCE   discriminator 9.17, generator 27.3 (slopes at p=0.5)
    elementwise           yes
    finite in             float64, float32, float16, bfloat16, for scores from -8 to 8 and at -30 and 30

Written by lossgen. Terms: CC0-1.0, use it without conditions.
"""

import warnings

import torch
from torch import Tensor, nn

EPS = 1e-8  # divisors, roots and logarithms are guarded below this magnitude, nowhere else


def divisor(b: Tensor) -> Tensor:
    """±max(|b|, EPS), with the sign of b."""
    return torch.where(b < 0.0, b.clamp(max=-EPS), b.clamp(min=EPS))


def real(score: Tensor) -> Tensor:
    """Loss of the discriminator on real images, elementwise."""
    y_pred = torch.sigmoid(score)
    t0 = (y_pred + y_pred) / (0.8882 - y_pred - 1.0)
    return y_pred * (y_pred - 1.0) / (-1.091 - t0 / (2.0 * y_pred - 1.0 - 2.105177949203376))


def fake(score: Tensor) -> Tensor:
    """Loss of the discriminator on generated images, elementwise."""
    y_pred = torch.sigmoid(score)
    t0 = 2.0 * y_pred - 0.7744516875193811
    return y_pred * y_pred / divisor(-0.0001091 - y_pred / divisor(0.8882 - y_pred) / divisor(t0))


def generator(score: Tensor) -> Tensor:
    """Loss of the generator, elementwise."""
    return real(score)


def loss(score: Tensor, y_real: Tensor) -> Tensor:
    """Loss for any target, elementwise: 1 for real, 0 for fake, or soft."""
    y_pred = torch.sigmoid(score)
    t0 = y_pred * (y_pred - y_real)
    t1 = (y_pred + y_real * y_pred) / divisor(0.8882 - y_pred - y_real)
    t2 = 2.0 * y_pred - y_real - torch.exp(y_real - 0.2556)
    return t0 / divisor(-1.091 * torch.sqrt(y_real.clamp(min=EPS)) - t1 / divisor(t2))


class Evolved_54cc25ba(nn.Module):
    """Evolved_54cc25ba on raw discriminator scores.

    Called as criterion(score, target) it stands in for nn.BCEWithLogitsLoss. Scores may have any shape, or be a list
    of tensors (one a discriminator scale), which gives the mean over the list. float16 and bfloat16 scores are
    computed in float32.

    Args:
        reduction: "mean", "sum", or "none" for the loss of every element.
        input: "score" for raw discriminator outputs; "probability" for those of a discriminator that ends in a sigmoid,
            in float32 or wider: half precision cannot tell probabilities near 1 from 1.
    """

    needs_real = False  # generator_loss makes no use of the real scores

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
        """Loss of scores for a target: a float, or a tensor that broadcasts to the scores."""
        if self._unchecked_calls:
            self._check(score)

        def of(s):
            alike = isinstance(target, Tensor) and target.shape == s.shape and target.dtype == s.dtype
            y_real = target if alike else torch.as_tensor(target, dtype=s.dtype, device=s.device).expand_as(s)
            return loss(s, y_real)

        return self._over_scales(of, score)

    def discriminator_loss(self, real_score, fake_score):
        """Loss of real plus loss of fake; with reduction "none" the pair (real, fake)."""
        if self._unchecked_calls:
            self._check(real_score, fake_score)
        of_real, of_fake = self._over_scales(real, real_score), self._over_scales(fake, fake_score)
        return (of_real, of_fake) if self.reduction == "none" else of_real + of_fake

    def generator_loss(self, fake_score, real_score=None):
        """Loss of the generator for the scores of its images."""
        if self._unchecked_calls:
            self._check(fake_score)
        return self._over_scales(generator, fake_score)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, input={self.input!r}"

    def _over_scales(self, function, score):
        if isinstance(score, (list, tuple)):
            losses = [self._over_scales(function, scale) for scale in score]
            return losses if self.reduction == "none" else sum(losses) / len(losses)
        if score.dtype in (torch.float16, torch.bfloat16):
            score = score.float()
        if self.input == "probability":
            score = torch.logit(score, eps=1e-7)
        value = function(score)
        if self.reduction == "none" or value.ndim == 0:
            return value
        return value.mean() if self.reduction == "mean" else value.sum()

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
