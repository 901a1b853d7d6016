r"""Taylor: a GAN loss for PyTorch, in one file.

The loss, in the language of lossgen::

    const centre = 0.5
    const first = -2
    const second = 2
    const third = -2.6666666666666665
    loss Taylor(y_pred):
        real: (y_pred - centre) * first + (y_pred - centre)^2 * second + (y_pred - centre)^3 * third
        fake: (1 - y_pred - centre) * first + (1 - y_pred - centre)^2 * second + (1 - y_pred - centre)^3 * third
        generator: (y_pred - centre) * first + (y_pred - centre)^2 * second + (y_pred - centre)^3 * third

Third-order Taylor polynomial of -log(p) about p = centre, up to its constant: binary cross-entropy in the form in
which TaylorGLO and TaylorGAN search (Gonzalez & Miikkulainen 2021, arXiv 2002.00059; arXiv 2102.08578). The
coefficients are those of the expansion about 1/2, -2, 2 and -8/3; none of the papers' evolved ones.

In LaTeX, with y the target, p = sigmoid(s) and s the raw score::

    L_\mathrm{real} = \left(p - \mathrm{centre}\right) \cdot \mathrm{first} + {\left(p - \mathrm{centre}\right)}^{2} \cdot \mathrm{second} + {\left(p - \mathrm{centre}\right)}^{3} \cdot \mathrm{third}
    L_\mathrm{fake} = \left(1 - p - \mathrm{centre}\right) \cdot \mathrm{first} + {\left(1 - p - \mathrm{centre}\right)}^{2} \cdot \mathrm{second} + {\left(1 - p - \mathrm{centre}\right)}^{3} \cdot \mathrm{third}
    L_\mathrm{generator} = \left(p - \mathrm{centre}\right) \cdot \mathrm{first} + {\left(p - \mathrm{centre}\right)}^{2} \cdot \mathrm{second} + {\left(p - \mathrm{centre}\right)}^{3} \cdot \mathrm{third}
    \mathrm{centre} = 0.5
    \mathrm{first} = -2
    \mathrm{second} = 2
    \mathrm{third} = -2.6666666666666665

Its card, for scores s from -8 to 8, with p = sigmoid(s). It settles where gradient descent on s from 0 ends (→: it has
no end), and saturates where |dL/ds| is below 1 % of that at p = 0.5, where training begins (of the steepest, where
that is 0)::

                settles at p  dL/ds at p=0.01      p=0.5     p=0.99   steepest  convex in s  saturates
    real                 → 1          -0.0582       -0.5    -0.0194      0.659  no           s < -7.1, s > 6.0
    fake                 → 0           0.0194        0.5     0.0582      0.659  no           s < -6.0, s > 7.1
    generator            → 1          -0.0582       -0.5    -0.0194      0.659  no           s < -7.1, s > 6.0

    settling gap          → 1; real settles at 1
    proper scoring rule   no: where 0.75 of the images are real, the best answer is p = 1.00 instead of 0.75
    weight to match BCE   discriminator 1, generator 1 (slopes at p=0.5)
    elementwise           yes
    finite in             float64, float32, float16, bfloat16, for scores from -8 to 8 and at -30 and 30

Written by lossgen. Terms: CC0-1.0, use it without conditions.
"""

import warnings

import torch
from torch import Tensor, nn


def real(
    score: Tensor,
    *,
    centre: float = 0.5,
    first: float = -2.0,
    second: float = 2.0,
    third: float = -2.6666666666666665,
) -> Tensor:
    """Loss of the discriminator on real images, elementwise."""
    y_pred = torch.sigmoid(score)
    t0 = y_pred - centre
    return t0 * first + t0 ** 2 * second + t0 ** 3 * third


def fake(
    score: Tensor,
    *,
    centre: float = 0.5,
    first: float = -2.0,
    second: float = 2.0,
    third: float = -2.6666666666666665,
) -> Tensor:
    """Loss of the discriminator on generated images, elementwise."""
    t0 = torch.sigmoid(-score) - centre
    return t0 * first + t0 ** 2 * second + t0 ** 3 * third


def generator(
    score: Tensor,
    *,
    centre: float = 0.5,
    first: float = -2.0,
    second: float = 2.0,
    third: float = -2.6666666666666665,
) -> Tensor:
    """Loss of the generator, elementwise."""
    y_pred = torch.sigmoid(score)
    t0 = y_pred - centre
    return t0 * first + t0 ** 2 * second + t0 ** 3 * third


def loss(
    score: Tensor,
    y_real: Tensor,
    *,
    centre: float = 0.5,
    first: float = -2.0,
    second: float = 2.0,
    third: float = -2.6666666666666665,
) -> Tensor:
    """Loss for any target, elementwise: 1 for real, 0 for fake, or soft."""
    return (
        y_real * real(score, centre=centre, first=first, second=second, third=third)
        + (1.0 - y_real) * fake(score, centre=centre, first=first, second=second, third=third)
    )


class Taylor(nn.Module):
    """Taylor on raw discriminator scores.

    Called as criterion(score, target) it stands in for nn.BCEWithLogitsLoss. Scores may have any shape, or be a list
    of tensors (one a discriminator scale), which gives the mean over the list. float16 and bfloat16 scores are
    computed in float32.

    Args:
        reduction: "mean", "sum", or "none" for the loss of every element.
        input: "score" for raw discriminator outputs; "probability" for those of a discriminator that ends in a sigmoid,
            in float32 or wider: half precision cannot tell probabilities near 1 from 1.
        centre: a constant of the loss; a finite number.
        first: a constant of the loss; a finite number.
        second: a constant of the loss; a finite number.
        third: a constant of the loss; a finite number.
    """

    needs_real = False  # generator_loss makes no use of the real scores

    def __init__(
        self,
        reduction: str = "mean",
        input: str = "score",
        *,
        centre: float = 0.5,
        first: float = -2.0,
        second: float = 2.0,
        third: float = -2.6666666666666665,
    ) -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
        if input not in ("score", "probability"):
            raise ValueError(f"input must be 'score' or 'probability', not {input!r}")
        self.reduction = reduction
        self.input = input
        for key, value in {"centre": centre, "first": first, "second": second, "third": third}.items():
            if not abs(value) < float("inf"):
                raise ValueError(f"{key} must be a finite number, not {value!r}")
        self.centre = float(centre)
        self.first = float(first)
        self.second = float(second)
        self.third = float(third)
        self._unchecked_calls = 10 if input == "score" else 0
        self._reached_half = False

    def forward(self, score, target):
        """Loss of scores for a target: a float, or a tensor that broadcasts to the scores."""
        if self._unchecked_calls:
            self._check(score)

        def of(s):
            alike = isinstance(target, Tensor) and target.shape == s.shape and target.dtype == s.dtype
            y_real = target if alike else torch.as_tensor(target, dtype=s.dtype, device=s.device).expand_as(s)
            return loss(s, y_real, centre=self.centre, first=self.first, second=self.second, third=self.third)

        return self._over_scales(of, score)

    def discriminator_loss(self, real_score, fake_score):
        """Loss of real plus loss of fake; with reduction "none" the pair (real, fake)."""
        if self._unchecked_calls:
            self._check(real_score, fake_score)
        of_real = self._over_scales(
            lambda r: real(r, centre=self.centre, first=self.first, second=self.second, third=self.third),
            real_score,
        )
        of_fake = self._over_scales(
            lambda f: fake(f, centre=self.centre, first=self.first, second=self.second, third=self.third),
            fake_score,
        )
        return (of_real, of_fake) if self.reduction == "none" else of_real + of_fake

    def generator_loss(self, fake_score, real_score=None):
        """Loss of the generator for the scores of its images."""
        if self._unchecked_calls:
            self._check(fake_score)
        return self._over_scales(
            lambda f: generator(f, centre=self.centre, first=self.first, second=self.second, third=self.third),
            fake_score,
        )

    def extra_repr(self) -> str:
        return (
            f"reduction={self.reduction!r}, input={self.input!r}"
            f", centre={self.centre!r}"
            f", first={self.first!r}"
            f", second={self.second!r}"
            f", third={self.third!r}"
        )

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
