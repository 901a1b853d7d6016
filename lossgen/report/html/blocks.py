"""What a page is made of."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lossgen.report.canvas import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAIN_INK = "#000000"
"""What axes and letters are drawn in; on the page it is the colour of the text, so that it can be read in the dark."""
_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*pt"| height="[^"]*pt"')


@dataclass(frozen=True)
class Words:
    """Sentences, a paragraph each."""

    kind: ClassVar[str] = "words"
    lines: Sequence[str]
    strong: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table that can be sorted.

    Attributes:
        rows: as many cells as there are columns.
        left: columns that are text.
        best: the row to be marked.
        formulas: MathML that a cell shows in place of its text, by row and column.
    """

    kind: ClassVar[str] = "sheet"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    left: Sequence[int] = (0,)
    best: int | None = None
    formulas: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        drawing: SVG, or an <img> with its pixels in it.
        told: what is to be seen on it, for those who do not see it.
        paper: whether it has colours of its own and stands on white, also in the dark.
    """

    kind: ClassVar[str] = "picture"
    drawing: str
    told: str
    caption: str = ""
    paper: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Text to be copied.

    Attributes:
        file: name to save it under; "" for none.
        folded: whether it is shown at a click.
        aligned: whether what stands below one another belongs together, so that no line is broken.
    """

    kind: ClassVar[str] = "code"
    title: str
    text: str
    file: str = ""
    folded: bool = True
    aligned: bool = False


@dataclass(frozen=True)
class LossCard:
    """A loss with its formula, card and source.

    Attributes:
        part: that it plays, and its numbers, in words.
        formulas: MathML, a clause each.
    """

    kind: ClassVar[str] = "loss"
    name: str
    part: str
    formulas: Sequence[str]
    texts: Sequence[Code]


Block = Words | Sheet | Picture | Facts | Code | LossCard


@dataclass(frozen=True)
class Section:
    """A part of a page, with a place in its table of contents."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        headline: the finding in words, with its uncertainty and the rung of the ladder.
        state: "finished", "interim", "open" or "running", and what that means in a sentence.
        about: one line: what was run, on what.
    """

    title: str
    about: str
    headline: Sequence[str]
    state: tuple[str, str]
    sections: Sequence[Section]


def drawn(figure: "Figure", told: str, caption: str = "", name: str = "") -> Picture:
    """A figure as SVG, in the page's own ink; transparent, and as wide as there is room.

    Args:
        name: of the figure within the page, so that no two have parts of one name.
    """
    import matplotlib

    for legend in (*figure.legends, *(axis.get_legend() for axis in figure.axes)):
        if legend is not None:
            legend.get_frame().set(facecolor="none", edgecolor="0.5")
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": f"lossgen {name}", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None}, dpi=DPI)
    svg = _METADATA.sub("", _PROLOG.sub("", out.getvalue(), count=1))
    width = round(72 * figure.get_size_inches()[0])
    svg = _SIZE.sub(lambda found: found[1] or "", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{_attribute(told)}" style="max-width: {width}pt"', 1)
    return Picture(_own_names(svg.replace(PLAIN_INK, "currentColor"), name), told, caption)


def _own_names(svg: str, name: str) -> str:
    """The SVG with names of its own for its parts: those of all figures of a page lie in one room."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)


def pixels(figure: "Figure", told: str, caption: str = "") -> Picture:
    """A figure as PNG, on paper."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI)
    width = round(96 * figure.get_size_inches()[0])
    data = base64.b64encode(out.getvalue()).decode()
    image = f'<img alt="{_attribute(told)}" style="max-width: {width}px" src="data:image/png;base64,{data}">'
    return Picture(image, told, caption, paper=True)


def _attribute(text: str) -> str:
    from html import escape

    return escape(" ".join(text.split()))
