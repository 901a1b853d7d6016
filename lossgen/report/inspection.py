"""What `lossgen inspect` says of a loss."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lossgen.algebra.rounding import round_constants
from lossgen.algebra.simplify import derivatives, derived_by, simplify
from lossgen.codegen.card import Card, card
from lossgen.codegen.card_text import card_lines, screen_line
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.mathml import loss_mathml
from lossgen.language.printer import loss_latex, print_loss, to_text


@dataclass(frozen=True)
class Inspection:
    """A loss, seen from all sides.

    Attributes:
        loss: the loss.
        simple: a smaller equal form, or the loss itself.
        slopes: derivative by clause, None where sympy found none that the language can say, or not in time.
        measured: its card.
    """

    loss: Loss
    simple: Loss
    slopes: dict[str, Expression | None]
    measured: Card

    @cached_property
    def rounded(self) -> Loss:
        """The simpler form with its constants rounded, which a search would ship; equal fingerprint, not equal."""
        return round_constants(self.simple)

    def lines(self) -> list[str]:
        """For a terminal."""
        found = [print_loss(self.loss), ""]
        if self.loss.note:
            found += [*self.loss.note.splitlines(), ""]
        if self.simple != self.loss:
            found += [f"simpler: {print_loss(self.simple)}", ""]
        if self.rounded != self.simple:
            found += [f"rounded to an equal fingerprint: {print_loss(self.rounded)}", ""]
        for (name, slope), expression in zip(self.slopes.items(), self.loss.expressions(), strict=True):
            text = to_text(slope) if slope is not None else "none found"
            found.append(f"d {name} / d {derived_by(expression)} = {text}")
        return [*found, "", *loss_latex(self.loss), "", *card_lines(self.measured), screen_line(self.measured)]

    def as_json(self) -> dict[str, Any]:
        """For programs: `card` holds what `Card.as_json` says; a derivative that was not found is null."""
        return {
            "schema": 1,
            "name": self.loss.name,
            "loss": print_loss(self.loss),
            "note": self.loss.note,
            "simplified": print_loss(self.simple),
            "rounded": print_loss(self.rounded),
            "derivatives": {name: to_text(e) if e is not None else None for name, e in self.slopes.items()},
            "latex": loss_latex(self.loss),
            "mathml": loss_mathml(self.loss),
            "digest": self.loss.digest(),
            "card": self.measured.as_json(),
        }


def inspection(loss: Loss) -> Inspection:
    """Look at a loss."""
    return Inspection(loss, simplify(loss), derivatives(loss), card(loss))
