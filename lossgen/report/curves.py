"""Value and gradient of losses over the discriminator's probability, after figure 4 of the GANetic paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossgen.codegen.load import load_argument
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.language.loss import GENERATOR_REAL, ROLES, Loss
from lossgen.language.lower import lower_loss
from lossgen.language.operators import BATCH_TERMS
from lossgen.language.printer import formula
from lossgen.report.canvas import COLOURS, cut, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

SCORES = np.linspace(-8.0, 8.0, 1025)
TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
STYLES = ("-", "--", "-.", ":")
WHAT = ("value − value at p = 0.5", "gradient dL/ds")
TITLES = {GENERATOR_REAL: "generator, on real images"}
TALL, FLAT, BEYOND = 8.0, 1e-4, 100.0
"""Where the tallest curve is TALL times the lowest, the axis is that of asinh: linear about 0, to the lowest curve's
height (or to FLAT times the subject's), logarithmic beyond; what is BEYOND times the subject's height is cut off."""
FEW = 5
"""Powers of ten alone are ticks where there are so many."""


def loss_curves(losses: Sequence[Loss], path: Path) -> None:
    """Draw `curves_figure`.

    Raises:
        InputError: the picture cannot be written; a constant part of a loss is not finite.
    """
    save(curves_figure(losses), path)


def curves_figure(losses: Sequence[Loss]) -> "Figure":
    """Value and score-gradient of each role over the probability, a line a loss; the first loss is the subject.

    The horizontal axis is logistic, so that p near 0 and near 1, where losses differ most, can be read. The panels of a
    row share their vertical axis: equal functions look equal. The other losses are drawn over the subject, thin and
    dashed: both are seen where they coincide. Batch means are 0. A gap in a curve is where it is not finite.

    Raises:
        InputError: a constant part of a loss is not finite.
    """
    from matplotlib.lines import Line2D

    roles = [role for role in (*ROLES, GENERATOR_REAL) if any(role in ROLES or role in loss.roles for loss in losses)]
    figure = new_figure(3.7 * len(roles), 6.6)
    axes = figure.subplots(2, len(roles), sharex=True, sharey="row", squeeze=False)
    curves = [_curves(loss) for loss in losses]
    for column, role in enumerate(roles):
        for row in range(2):
            axis = axes[row, column]
            shown = [found[role][row] if role in found else None for found in curves]
            for place, curve in enumerate(shown):
                if curve is not None:
                    axis.plot(SCORES, curve, **_look(place))
            _dress(axis, row)
        subject = curves[0].get(role)
        gap = f": finite at {np.isfinite(subject[0]).mean():.0%}" if subject and np.isnan(subject[0]).any() else ""
        axes[0, column].set_title(TITLES.get(role, role) + gap, fontsize=10)
    for row in range(2):
        by_loss = [[found[role][row] for role in roles if role in found] for found in curves]
        note = "\n(asinh scale)" if _scale(axes[row, 0], by_loss) else ""
        axes[row, 0].set_ylabel(WHAT[row] + note)
    for axis in axes[1]:
        axis.set_xlabel("p = sigmoid(score)")
    handles = [Line2D([], [], **_look(place)) for place in range(len(losses))]
    figure.legend(handles, [loss.name for loss in losses], loc="outside lower center", ncols=min(6, len(losses)))
    title = f"{losses[0].name}:  {cut(formula(losses[0]), 32 * len(roles))}"
    if any(loss.variables() & set(BATCH_TERMS) for loss in losses):
        title += "\nwith the means of a batch held at 0"
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def beside_known(loss: Loss) -> list[Loss]:
    """The loss with the two it is drawn beside, BCE and GANetic."""
    known = [load_argument(name).loss for name in ("bce", "ganetic")]
    return [loss, *(other for other in known if other.digest() != loss.digest())]


def _curves(loss: Loss) -> dict[str, tuple[Array, Array]]:
    """Value, less that at p = 0.5, and gradient over SCORES, by role; NaN where one of them is not finite."""
    roles = lower_loss(loss).at_means().roles
    values, gradients = values_and_gradients(list(roles.values()), SCORES)
    finite = np.isfinite(values) & np.isfinite(gradients)
    values, gradients = np.where(finite, values, np.nan), np.where(finite, gradients, np.nan)
    found = {}
    for place, role in enumerate(roles):
        at = np.flatnonzero(finite[place])
        middle = values[place, at[np.argmin(np.abs(SCORES[at]))]] if len(at) else 0.0
        found[role] = (values[place] - middle, gradients[place])
    return found


def _scale(axis: Any, by_loss: Sequence[Sequence[Array]]) -> bool:
    """Limits and a scale that show every curve, those of the first loss before all; whether the scale is asinh's."""
    drawn = [[curve for curve in curves if np.isfinite(curve).any()] for curves in by_loss]
    ends = [(float(np.nanmin(curve)), float(np.nanmax(curve))) for curves in drawn for curve in curves]
    if not ends:
        return False
    heights = [max(abs(low), abs(high)) for low, high in ends]
    subject = max(heights[: len(drawn[0])], default=0.0)
    tall, low = max(heights), min((height for height in heights if height > 0.0), default=1.0)
    bottom, top = min(end[0] for end in ends), max(end[1] for end in ends)
    if tall <= TALL * low:
        margin = 0.06 * (top - bottom) or 1.0
        axis.set_ylim(bottom - margin, top + margin)
        return False
    bound = BEYOND * subject or np.inf
    linear = max(low, FLAT * subject)
    axis.set_yscale("asinh", linear_width=linear)
    bottom, top = (float(np.arcsinh(np.clip(end, -bound, bound) / linear)) for end in (bottom, top))
    margin = 0.06 * (top - bottom)
    axis.set_ylim(linear * np.sinh(bottom - margin), linear * np.sinh(top + margin))
    ticks = _ticks(bottom - margin, top + margin, linear)
    axis.set_yticks(ticks, [_power(tick) for tick in ticks])
    axis.set_yticks([], minor=True)
    return True


def _ticks(bottom: float, top: float, linear: float) -> list[float]:
    """0 and powers of ten, the largest first, for an axis of asinh(y / linear); none too near another.

    Where these are few, 5 and 2 times a power are ticks, too.
    """
    least = int(np.floor(np.log10(linear))) - 1
    powers = range(least + int(max(abs(bottom), abs(top)) / 2.0) + 3, least, -1)
    found = [0.0] if bottom < 0.0 < top else []
    for digit in (1, 5, 2):
        for tick in (float(f"{sign}{digit}e{power}") for power in powers for sign in ("", "-")):
            place = np.arcsinh(tick / linear)
            near = min((abs(place - np.arcsinh(other / linear)) for other in found), default=np.inf)
            if len(found) < FEW + 20 * (digit == 1) and bottom < place < top and near > 0.09 * (top - bottom):
                found.append(tick)
    return sorted(found)


def _power(tick: float) -> str:
    if tick == 0.0 or 1e-3 <= abs(tick) <= 1e3:
        return f"{tick:g}"
    digit, power = f"{tick:.0e}".split("e")
    return f"${digit.removesuffix('1')}{'' if digit.endswith('1') else chr(92) + 'cdot '}10^{{{int(power)}}}$"


def _dress(axis: Any, row: int) -> None:
    if row == 1:
        axis.axhline(0.0, color="0.55", linewidth=0.8, zorder=0.5)
        axis.set_xticks([np.log(p / (1 - p)) for p in TICKS], [f"{p:g}" for p in TICKS], fontsize=8)
    axis.set_xlim(SCORES[0], SCORES[-1])
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(alpha=0.25)


def _look(place: int) -> dict[str, Any]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": STYLES[place % len(STYLES)],
        "linewidth": 1.5 if place else 3.0,
    }
