"""Losses on a page: formula, card and source, curves."""

from collections.abc import Sequence

from lossgen.codegen.card import card
from lossgen.codegen.card_text import card_lines, screen_line, title_lines
from lossgen.codegen.torch_module import emit_torch
from lossgen.errors import InputError
from lossgen.language.loss import Loss
from lossgen.language.mathml import loss_mathml
from lossgen.language.printer import print_loss
from lossgen.report.curves import curves_figure
from lossgen.report.html.blocks import Block, Code, LossCard, Words, drawn

WIDEST = 5
"""Losses in one figure of curves."""


def loss_card(loss: Loss, part: str, source: str = "") -> LossCard:
    """A loss with all that it takes to judge and to use it.

    Args:
        source: of its module; else as lossgen writes it.
    """
    measured = card(loss)
    text = "\n".join([*title_lines(measured), "", *card_lines(measured), screen_line(measured)])
    source = source or emit_torch(loss)
    texts = [Code("Source", source, f"{loss.name.lower()}.py"), Code("Card", text), Code("Loss text", print_loss(loss))]
    return LossCard(loss.name, part, loss_mathml(loss), texts)


def curves_of(losses: Sequence[Loss]) -> list[Block]:
    """Value and gradient of the first loss, beside the others."""
    losses = list({loss.digest(): loss for loss in losses}.values())[:WIDEST]
    try:
        figure = curves_figure(losses)
    except InputError as error:
        return [Words([f"No curves: {error}"])]
    names = ", ".join(loss.name for loss in losses[1:])
    told = f"Value and score-gradient of {losses[0].name} over the discriminator's probability, beside {names}"
    return [drawn(figure, told, "Above the value, below the gradient that a score receives, by role.", "curves")]
