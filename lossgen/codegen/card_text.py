"""The loss card as text, for docstrings and terminals.

Emitted files are to be the same to the byte on every machine, so numbers have few digits, and none of those that
closed forms give (0.1875 for one) lies on the edge between two texts.
"""

import math
import textwrap
from collections.abc import Sequence

from lossgen.codegen.card import FINE, Card
from lossgen.codegen.properties import Properness

NUDGE = 1e-9
NOISE = 1e-9
"""A slope below this part of the steepest is shown as 0: what is left of a difference that vanishes."""
END = float(FINE[-1])
SHOWN = 2
"""Stretches of saturation named before the rest is counted."""
WIDTHS = (13, 17, 11, 11, 11)
TITLES = ("settles at p", "dL/ds at p=0.01", "p=0.5", "p=0.99", "steepest")
CONVEX = "convex in s"


def title_lines(card: Card) -> list[str]:
    """What the numbers of the card are, to stand above it; ends without a colon."""
    means = "" if card.elementwise else ", and with the means of a batch held at 0"
    text = (
        f"Its card, for scores s from -8 to 8, with p = sigmoid(s){means}. It settles where gradient descent on s from"
        " 0 ends (→: it has no end), and saturates where |dL/ds| is below 1 % of that at p = 0.5, where training"
        " begins (of the steepest, where that is 0)"
    )
    return textwrap.wrap(text, 119)


def card_lines(card: Card) -> list[str]:
    """The card as a table of its roles, and a line for each thing else."""
    labels = {role: role.replace("_", ", ") for role in card.settles}
    width = max(11, *(len(label) + 1 for label in labels.values()))
    lines = [_row("".ljust(width), TITLES, CONVEX, "saturates")]
    for role, label in labels.items():
        steepest = card.steepest[role]
        noise = NOISE * steepest if math.isfinite(steepest) else 0.0
        slopes = [number(0.0 if abs(slope) < noise else slope, ".3g") for slope in card.slopes[role]]
        numbers = [_settles(card, role), *slopes, number(steepest, ".3g")]
        lines.append(
            _row(label.ljust(width), numbers, "yes" if card.convex[role] else "no", _stretches(card.saturates[role]))
        )
    return [*lines, "", *(_fact(label, text) for label, text in _facts(card).items())]


def screen_line(card: Card) -> str:
    """What the screen says of the loss, to stand below the card."""
    return _fact("screen", f"rejected, {card.verdict}" if card.verdict else "passed")


def _fact(label: str, text: str) -> str:
    return f"{label:<22}{text}"


def _settles(card: Card, role: str) -> str:
    if card.endless[role]:
        return f"→ {_limit(card, role):g}"
    return number(card.settles[role], ".4f")


def _limit(card: Card, role: str) -> float:
    """Where y_pred goes."""
    return float(round(card.settles[role])) if card.endless[role] else card.settles[role]


def _row(label: str, cells: Sequence[str], convex: str, saturates: str) -> str:
    return (
        label
        + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS))
        + f"  {convex:<{len(CONVEX)}}  {saturates}"
    )


def _facts(card: Card) -> dict[str, str]:
    weights = [f"{whose} {number(weight, '.3g')}" for whose, weight in card.weights.items() if weight is not None]
    held = [dtype for dtype, holds in card.finite.items() if holds]
    settling = "real settles at 1" if card.real_settles_at_one else "real does not settle at 1"
    gap = number(card.gap, ".4f")
    if card.endless["real"] or card.endless["fake"]:
        gap = "→ " + number(_limit(card, "real") - _limit(card, "fake"), ".4g")
    through = "" if card.elementwise else ", through the means, too"
    return {
        "settling gap": f"{gap}; {settling}",
        "proper scoring rule": _proper(card.proper, card.elementwise),
        "weight to match BCE": f"{', '.join(weights)} (slopes at p=0.5{through})" if weights else "–",
        "elementwise": "yes" if card.elementwise else "no: it looks at the means of a batch",
        "finite in": f"{', '.join(held) or 'no dtype'}, for scores from -8 to 8 and at -30 and 30",
    }


def _proper(found: Properness | None, elementwise: bool) -> str:
    if found is None:
        return "–" if elementwise else "no: it compares the images of a batch"
    if found.kind == "no":
        p, q = number(found.p, ".2f"), number(found.q, ".2f")
        return f"no: where {q} of the images are real, the best answer is p = {p} instead of {q}"
    return "yes" if found.kind == "strictly" else "yes, but other answers do as well"


def _stretches(stretches: Sequence[tuple[float, float]]) -> str:
    texts = []
    for lo, hi in stretches[:SHOWN]:
        low, high = number(lo, ".1f"), number(hi, ".1f")
        if lo == -END:
            texts.append("everywhere" if hi == END else f"s < {high}")
        else:
            texts.append(f"s > {low}" if hi == END else f"{low} < s < {high}")
    more = [f"{len(stretches) - SHOWN} more"] if len(stretches) > SHOWN else []
    return ", ".join([*texts, *more]) or "–"


def number(value: float, form: str) -> str:
    """The number in a format with few digits: ties away from zero whatever the last bit, no minus before zero."""
    if not math.isfinite(value):
        return "–"
    text = f"{value * (1.0 + NUDGE):{form}}"
    return text.removeprefix("-") if float(text) == 0.0 else text
