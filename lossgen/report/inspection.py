"""What `lossgen inspect` says of a loss."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lossgen.algebra.rounding import round_constants
from lossgen.algebra.simplify import derivatives, derived_by, simplify
from lossgen.codegen.card import Card, card
from lossgen.codegen.card_text import card_lines, screen_line, title_lines
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
        title = [*title_lines(self.measured), ""]
        title[-2] += ":"
        found += ["", *loss_latex(self.loss), "", *title]
        return [*found, *card_lines(self.measured), screen_line(self.measured)]

    def as_json(self) -> dict[str, Any]:
        """For programs. Numbers that are not finite are null in what `lossgen inspect --json` prints.

        - schema: 1.
        - name, note: of the loss.
        - loss, simplified, rounded: text in the language; of the loss as given, in a smaller equal form, and that with
          its constants rounded so that the fingerprint stays the same (a search would ship it).
        - derivatives: text by clause ("L" for the label form, else the roles), by y_pred or score as `lines` says;
          null where none was found.
        - latex: list of equations. mathml: list of MathML elements, as text.
        - digest: SHA-256 (hex) of what the loss is, whatever its name and the order of commutative operands.
        - card: what `Card.as_json` says.
        """
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
