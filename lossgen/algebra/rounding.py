"""Constants rounded to as few digits as leave the fingerprint unchanged.

Rounding changes a loss, if only by what no training would notice, so it is a step of its own, apart from
simplification: what it keeps is not the values but the fingerprint (scale included), the gradients for soft targets
and at several batch means in the same resolution, the screen's verdict, and the structure once lowered.
"""

from collections.abc import Iterator

import numpy as np

from lossgen.algebra.numbers import digits
from lossgen.algebra.simplify import MEANS, SOFT_TARGETS
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.fingerprint import DIGITS, STEP, fingerprint
from lossgen.kernel.screen import FAR, GRID, Rejection, screen
from lossgen.language.expression import Expression, constant
from lossgen.language.loss import GENERATOR_REAL, Loss
from lossgen.language.lower import LoweredLoss, NotFiniteError, lower_loss

Kept = tuple[str, ...]


def round_constants(loss: Loss) -> Loss:
    """The loss with its unnamed constants rounded; the loss itself where no digit can be spared, or it is not finite.

    One constant after another, that with most digits first (of equals, the one that stands first in the loss), gets
    the fewest significant digits that leave all that is kept unchanged; a constant that occurs more than once is
    rounded everywhere alike. That is repeated until no digit more can be spared, so rounding twice changes nothing.
    No constant becomes 0.
    """
    kept = _kept(loss)
    if kept is None:
        return loss
    while (shorter := _shortened(loss, kept)) is not None:
        loss = shorter
    return loss


def _shortened(loss: Loss, kept: Kept) -> Loss | None:
    """The loss with every constant rounded as far as can be; None where none can."""
    start = loss
    values = dict.fromkeys(n.value for e in loss.expressions() for n in e.walk() if n.is_number)
    for value in sorted(values, key=lambda v: -digits(v)):  # the sort is stable
        for rounded in _roundings(value):
            candidate = loss.with_clauses({c: _replaced(e, value, rounded) for c, e in loss.clauses.items()})
            if _kept(candidate) == kept:
                loss = candidate
                break
    return loss if loss is not start else None


def _roundings(value: float) -> Iterator[float]:
    """The value with fewer significant digits, fewest first."""
    for count in range(1, digits(value)):
        rounded = float(f"{value:.{count}g}")
        if rounded != 0.0 and rounded - rounded == 0.0:
            yield rounded


def _replaced(expression: Expression, value: float, rounded: float) -> Expression:
    return expression.map(lambda node: constant(rounded) if node.is_number and node.value == value else node)


def _kept(loss: Loss) -> Kept | None:
    """What rounding leaves unchanged; None of a loss that is not finite."""
    try:
        lowered = lower_loss(loss)
    except NotFiniteError:
        return None
    found = [" ".join(node.head for expression in _lowered(lowered) for node in expression.walk())]
    for means in MEANS if lowered.has_batch_terms else MEANS[:1]:
        at = lowered.at_means(*means)
        judged = screen([at])[0]
        if judged.rejection is Rejection.NOT_FINITE:
            return None
        found += [str(judged.rejection), fingerprint(judged.curves, scale_free=False)]
        if GENERATOR_REAL in at.roles:
            found.append(_rounded_curve(at.roles[GENERATOR_REAL], 0.0, judged.curves.gradient[2]))
        if at.label is not None:
            soft = [target for target in SOFT_TARGETS if 0.0 < target < 1.0]
            found += [_rounded_curve(at.label, target, judged.curves.gradient[:2]) for target in soft]
    return tuple(found)


def _lowered(lowered: LoweredLoss) -> Iterator[Expression]:
    yield from lowered.roles.values()
    if lowered.label is not None:
        yield lowered.label


def _rounded_curve(expression: Expression, target: float, beside: "np.ndarray") -> str:
    """The gradient curve, rounded as the fingerprint rounds those `beside` it; "not finite" where it or a value is."""
    curves = values_and_gradients([expression], np.concatenate([GRID, FAR]), target)
    if not np.isfinite(curves).all():
        return "not finite"
    gradient = curves[1][0, : len(GRID)]
    scale = float(max(np.max(np.abs(beside)), np.max(np.abs(gradient)))) or 1.0
    return str(np.floor(gradient / scale * 10**DIGITS + STEP).astype(int).tolist())
