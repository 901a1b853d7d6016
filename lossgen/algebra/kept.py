"""What rounding a loss's constants leaves unchanged, judged fast for many losses that differ in constants alone."""

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from lossgen.algebra.simplify import MEANS, SOFT_TARGETS
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.fingerprint import DIGITS, STEP, fingerprint
from lossgen.kernel.screen import GRID, SCORES, Rejection, judge
from lossgen.language.expression import Expression
from lossgen.language.loss import GENERATOR_REAL, ROLES, Loss
from lossgen.language.lower import Known, LoweredLoss, NotFiniteError, lower_loss

Array = NDArray[np.float64]

_SOFT = np.array([target for target in SOFT_TARGETS if 0.0 < target < 1.0])


class Kept:
    """What a loss has that its rounded forms must have, too.

    That is its structure once lowered, the fingerprint with the scale of its gradients, the screen's verdict, and
    the gradients for soft targets and of `generator_real` in the fingerprint's resolution; where it looks at batch
    means, at each of MEANS.
    """

    def __init__(self, loss: Loss) -> None:
        """Look at the loss.

        Raises:
            NotFiniteError: a value or gradient of it is not finite.
        """
        self._known = Known(dict)
        self._curves: dict[Expression, tuple[Array, Array]] = {}
        self._traits = list(self._found(loss))

    def by(self, loss: Loss) -> bool:
        """Whether another loss has it all. The first difference found decides."""
        try:
            return all(one == other for one, other in zip_longest(self._found(loss), self._traits))
        except NotFiniteError:
            return False

    def _found(self, loss: Loss) -> Iterator[str]:
        """What is kept, one trait after another, those first that are fast to find."""
        lowered = lower_loss(loss, self._known)
        expressions = [*lowered.roles.values(), *([lowered.label] if lowered.label is not None else [])]
        yield " ".join(node.head for expression in expressions for node in expression.walk())
        for means in MEANS if lowered.has_batch_terms else MEANS[:1]:
            yield from self._at(loss, lowered.at_means(*means))

    def _at(self, loss: Loss, lowered: LoweredLoss) -> Iterator[str]:
        curves = [self._curve(lowered.roles[role]) for role in ROLES]
        judged = judge(np.stack([value for value, _ in curves]), np.stack([gradient for _, gradient in curves]))
        if judged.rejection is Rejection.NOT_FINITE:
            raise NotFiniteError(judged.detail)
        yield str(judged.rejection)
        yield fingerprint(judged.curves, scale_free=False)
        real, fake, generator = judged.curves.gradient
        if GENERATOR_REAL in lowered.roles:
            yield _rounded(*self._curve(lowered.roles[GENERATOR_REAL]), generator)
        if lowered.label is None:
            return
        if loss.label is None:  # the label form is then t * real + (1 - t) * fake, and finite where these are
            for t in _SOFT:
                value, gradient = (t * one + (1.0 - t) * other for one, other in zip(*curves[:2], strict=True))
                yield _rounded(value, gradient, np.stack([real, fake]))
            return
        targets, scores = np.repeat(_SOFT, len(SCORES)), np.tile(SCORES, len(_SOFT))
        found = (curve.reshape(len(_SOFT), -1) for curve in values_and_gradients([lowered.label], scores, targets))
        for value, gradient in zip(*found, strict=True):
            yield _rounded(value, gradient, np.stack([real, fake]))

    def _curve(self, expression: Expression) -> tuple[Array, Array]:
        """Values and gradients (131,) of a role: a constant stands in few of them, so most are known."""
        if expression not in self._curves:
            value, gradient = values_and_gradients([expression], SCORES)
            self._curves[expression] = value[0], gradient[0]
        return self._curves[expression]


def _rounded(value: Array, gradient: Array, beside: Array) -> str:
    """The gradient curve, rounded as the fingerprint rounds those `beside` it; "not finite" where it or a value is."""
    if not (np.isfinite(value).all() and np.isfinite(gradient).all()):
        return "not finite"
    gradient = gradient[: len(GRID)]
    scale = float(max(np.max(np.abs(beside)), np.max(np.abs(gradient)))) or 1.0
    return str(np.floor(gradient / scale * 10**DIGITS + STEP).astype(int).tolist())
