"""Expressions and losses to presentation MathML, by way of their LaTeX.

The operator table says how an operator is set, once, as a LaTeX template; this file knows the little LaTeX that the
templates are written in. So MathML has the parentheses that LaTeX has, and a new operator needs nothing here.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.printer import loss_latex, to_latex

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_TOKEN = re.compile(
    r"\\(?:mathrm|operatorname)\{(?P<upright>(?:[A-Za-z0-9 ]|\\_)*)\}"
    r"|\\left(?P<left>[(|\[])|\\right(?P<right>[)|\]])"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<letter>[A-Za-z])|(?P<open>\{)|(?P<close>\})|(?P<script>[\^_])"
    r"|(?P<operator>[-+=,()<>])|(?P<space>\s+)"
)
_FUNCTIONS = frozenset({"log", "ln", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "min", "max"})
_SYMBOLS = {"cdot": "⋅", "times": "×", "le": "≤", "ge": "≥", "infty": "∞", "pm": "±"}
_MINUS = "\u2212"  # browsers draw a hyphen as one
_TAKES = {"frac": ("mfrac", 2), "sqrt": ("msqrt", 1), "bar": ("mover", 1)}
_APPLY = "<mo>&#x2061;</mo>"  # "function application", which nobody sees but a screen reader says


@dataclass
class _Row:
    """Elements side by side, and what was opened before them.

    Attributes:
        fence: the opening bracket, "" for a group in braces.
        elements: finished elements.
        waiting: elements that still take arguments: their tag, where in `elements` their arguments begin, how many
            they take, and their base.
    """

    fence: str = ""
    elements: list[str] = field(default_factory=list)
    waiting: list[tuple[str, int, int]] = field(default_factory=list)
    after_function: bool = False

    def add(self, element: str, is_function: bool = False) -> None:
        self.elements.append(element)
        while self.waiting and len(self.elements) == sum(self.waiting[-1][1:]):
            tag, start, _ = self.waiting.pop()
            inside = "".join(self.elements[start:]) + ("<mo>¯</mo>" if tag == "mover" else "")
            self.elements[start:] = [f"<{tag}>{inside}</{tag}>"]
        self.after_function = is_function

    def takes(self, tag: str, count: int, base: int = 0) -> None:
        self.waiting.append((tag, len(self.elements) - base, count + base))

    def element(self) -> str:
        return self.elements[0] if len(self.elements) == 1 else f"<mrow>{''.join(self.elements)}</mrow>"


def latex_to_mathml(latex: str) -> str:
    """The `math` element of a formula in the LaTeX that operators and variables of the table are written in.

    Raises:
        ValueError: LaTeX that this file does not know, or that is not balanced.
    """
    rows = [_Row()]
    place = 0
    while place < len(latex):
        found = _TOKEN.match(latex, place)
        if found is None:
            raise ValueError(f"no MathML is known for the LaTeX {latex[place : place + 20]!r}")
        place = found.end()
        _read(rows, str(found.lastgroup), found[str(found.lastgroup)])
    if len(rows) != 1 or rows[0].waiting:
        raise ValueError(f"LaTeX that is not balanced: {latex!r}")
    return f'<math xmlns="{NAMESPACE}" display="block">{rows[0].element()}</math>'


def _read(rows: list[_Row], kind: str, text: str) -> None:
    row = rows[-1]
    match kind:
        case "upright":
            name = escape(text.replace(r"\_", "_"))
            row.add(f'<mi mathvariant="normal">{name}</mi>', is_function=True)
        case "number":
            row.add(f"<mn>{text}</mn>")
        case "letter":
            row.add(f"<mi>{text}</mi>")
        case "operator":
            row.add(f"<mo>{escape(_MINUS if text == '-' else text)}</mo>")
        case "script":
            if not row.elements:
                raise ValueError(f"LaTeX with a {text} after nothing")
            row.takes({"^": "msup", "_": "msub"}[text], 1, base=1)
        case "command" if text in _TAKES:
            row.takes(*_TAKES[text])
        case "command" if text in _FUNCTIONS:
            row.add(f"<mi>{text}</mi>", is_function=True)
        case "command" if text in _SYMBOLS:
            row.add(f"<mo>{_SYMBOLS[text]}</mo>")
        case "command":
            row.add(f"<mi>{_greek(text)}</mi>", is_function=True)
        case "open":
            rows.append(_Row())
        case "left":
            if row.after_function:
                row.add(_APPLY)
            rows.append(_Row(fence=text))
        case "close" | "right":
            if len(rows) == 1 or bool(row.fence) != (kind == "right"):
                raise ValueError(f"LaTeX that is not balanced at {text}")
            rows.pop()
            rows[-1].add(_fenced(row, text) if row.fence else row.element())


def _greek(name: str) -> str:
    try:
        return unicodedata.lookup(f"GREEK SMALL LETTER {name}")
    except KeyError:
        raise ValueError(f"no MathML is known for the LaTeX \\{name}") from None


def _fenced(row: _Row, right: str) -> str:
    opening = f'<mo fence="true" form="prefix">{row.fence}</mo>'
    closing = f'<mo fence="true" form="postfix">{right}</mo>'
    return f"<mrow>{opening}{''.join(row.elements)}{closing}</mrow>"


def to_mathml(expression: Expression) -> str:
    """The expression as a `math` element, with p for y_pred, y for y_real, s for score."""
    return latex_to_mathml(to_latex(expression))


def loss_mathml(loss: Loss) -> list[str]:
    """One `math` element for the label form or one a role; then one a named constant."""
    return [latex_to_mathml(line) for line in loss_latex(loss)]
