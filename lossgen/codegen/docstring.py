"""The docstring of an emitted file: the loss itself, where it comes from, LaTeX, and its card."""

from collections.abc import Iterator

from lossgen.codegen.card import card
from lossgen.codegen.card_text import card_lines, screen_line, title_lines
from lossgen.language.loss import NEEDS, Loss
from lossgen.language.operators import BATCH_TERMS
from lossgen.language.printer import loss_latex, print_loss

MARKER = "The loss, in the language of lossgen::"
BEFORE_LATEX = "In LaTeX, with y the target"


def docstring(loss: Loss, title: str) -> str:
    """A module's docstring, from which `load.read_emitted` reads the loss again."""
    lines = [f"{loss.name}: {title}", "", MARKER, ""]
    lines += [f"    {line}" for line in print_loss(loss).splitlines()]
    lines += [""]
    if loss.note:
        lines += [*_safe(loss.note), ""]
    batch = r", \bar{s} its mean over a batch" if loss.variables() & set(BATCH_TERMS) else ""
    lines += [f"{BEFORE_LATEX}, p = sigmoid(s) and s the raw score{batch}::", ""]
    lines += [f"    {line}" for line in loss_latex(loss)]
    if loss.needs:
        lines += [
            "",
            "It is meant to be trained with, as a mean over the batch beside it in the discriminator's loss::",
            "",
        ]
        lines += [f"    {NEEDS[name]}, c = {strength:g}" for name, strength in loss.needs.items()]
    found = card(loss)
    lines += ["", *title_lines(found)]
    lines[-1] += "::"
    shown = [*card_lines(found), *([screen_line(found)] if found.verdict else [])]
    lines += ["", *(f"    {line}".rstrip() for line in shown)]
    lines += ["", "Written by lossgen. Terms: CC0-1.0, use it without conditions."]
    return 'r"""' + "\n".join(lines) + '\n"""'


def _safe(note: str) -> Iterator[str]:
    """The note's lines with nothing in them that could end a docstring."""
    for line in note.splitlines():
        yield "".join(c if c.isprintable() else " " for c in line).replace('"""', "'''").replace("\\", "/").rstrip()
