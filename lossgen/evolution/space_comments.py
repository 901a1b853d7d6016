"""What the comments of a search space say: `// weight …`, `// const …` and `// def …`.

A comment says something if its first word is one of these three; any other is for people.
"""

import difflib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lark import Token

from lossgen.evolution.distribution import DISTRIBUTIONS, Distribution
from lossgen.evolution.space import CONST, MAX_DEPTH, MAX_SIZE, ROLES_ALIAS
from lossgen.language.expression import Expression
from lossgen.language.macro import Macro, parameter
from lossgen.language.operators import BATCH_TERMS, OPERATORS, VARIABLES
from lossgen.language.parser import LossSyntaxError, parse_loss

LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e6
NOT_SEARCHED = "{} is for losses that people write (the zoo, lossgen compile); it is not searched"

_WEIGHT_FORM = "// weight NAME NUMBER"
_CONST_FORM = "// const TERMINAL DISTRIBUTION, with lognormal(m, s), normal(m, s), uniform(a, b) or choice(a, b, …)"
_DEF_FORM = "// def NAME(PARAMETER, …) = EXPRESSION"
_RESERVED = frozenset({*OPERATORS, *VARIABLES, CONST, ROLES_ALIAS, "constant", "loss", "needs"})

_COMMENTS = re.compile(r'"(?:\\.|[^"\\\n])*"|/(?!/)(?:\\.|[^/\\\n])*/|//(?P<comment>[^\n]*)')
_SAYING = re.compile(r"\s*(?P<kind>weight|const|def)(?=\s|$)\s*(?P<rest>.*?)\s*$")
_ALMOST = re.compile(r"\s*(?P<word>[A-Za-z]+)(?:\s*[:=])?\s+(?P<rest>.*?)\s*$")
_WEIGHT = re.compile(r"(?P<name>\S+)\s+(?P<number>\S+)$")
_CONST = re.compile(r"(?:(?P<terminal>_?[A-Z][_A-Z0-9]*)\s+)?(?P<name>\w+)\s*\((?P<numbers>[^()]*)\)$")
_DEF = re.compile(r"(?P<name>\w+)\s*\((?P<parameters>[^()=]*)\)\s*=(?P<body>.*)$")


class Place:
    """The text of a space and what messages call it: makes errors that point into it."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source

    def token(self, word: str, offset: int) -> Token:
        """A word of the text, with its place."""
        line = self.text.count("\n", 0, offset) + 1
        return Token("WORD", word, offset, line, offset - self.text.rfind("\n", 0, offset))

    def error(self, what: str, token: Token, expected: str = "") -> LossSyntaxError:
        return LossSyntaxError(what, self.text, token.line or 1, token.column or 1, expected, self.source)


@dataclass
class Comments:
    """What the comments of a space say, each with the word that an error about it points at.

    Attributes:
        weights: by alias.
        constants: distribution by terminal; "" is for the terminals without one.
        macros: by name, in the order of the text.
        used: macros that stand in another one's body.
        words: where each weight ("weight", alias), distribution ("const", terminal) and macro ("def", name) stands.
    """

    weights: dict[str, float] = field(default_factory=dict)
    constants: dict[str, Distribution] = field(default_factory=dict)
    macros: dict[str, Macro] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    words: dict[tuple[str, str], Token] = field(default_factory=dict)


def read_comments(place: Place) -> Comments:
    """What the comments say.

    Raises:
        LossSyntaxError: one that begins as if it said something does not, or one says something but for its first word.
    """
    found = Comments()
    for match in _COMMENTS.finditer(place.text):
        saying = _SAYING.match(match["comment"] or "")
        offset = match.start("comment")
        if not saying:
            _refuse_almost(place, match["comment"] or "", offset)
        else:
            read = {"weight": _read_weight, "const": _read_const, "def": _read_def}[saying["kind"]]
            kind = place.token(saying["kind"], offset + saying.start("kind"))
            read(place, found, kind, saying["rest"], offset + saying.start("rest"))
    return found


def _refuse_almost(place: Place, comment: str, offset: int) -> None:
    """Refuse a comment that would say something if its first word were spelt right: it would be without effect."""
    almost = _ALMOST.match(comment)
    if not almost:
        return
    weight, drawn = _WEIGHT.match(almost["rest"]), _CONST.match(almost["rest"])
    shapes = {
        "weight": weight is not None
        and _number(weight["number"]) is not None
        and re.search(rf"->\s*{re.escape(weight['name'])}(?!\w)", place.text) is not None,
        "const": drawn is not None and drawn["name"] in DISTRIBUTIONS,
        "def": _DEF.match(almost["rest"]) is not None,
    }
    meant = [kind for kind, shaped in shapes.items() if shaped]
    for kind in difflib.get_close_matches(almost["word"].lower(), meant, n=1, cutoff=0.65):
        word = place.token(almost["word"], offset + almost.start("word"))
        raise place.error(f"almost a {kind}, and without effect", word, f"// {kind} and a blank, or another comment")


def _read_weight(place: Place, found: Comments, kind: Token, rest: str, offset: int) -> None:
    shape = _WEIGHT.match(rest)
    if not shape:
        raise place.error("not a weight", kind, _WEIGHT_FORM)
    name = place.token(shape["name"], offset)
    value = _number(shape["number"])
    if value is None or not LEAST_WEIGHT <= value <= MOST_WEIGHT:
        number = place.token(shape["number"], offset + shape.start("number"))
        raise place.error(f"not a weight: {number}", number, f"a number from {LEAST_WEIGHT:f} to {MOST_WEIGHT:.0f}")
    _note(place, found, kind, name)
    found.weights[str(name)] = value


def _read_const(place: Place, found: Comments, kind: Token, rest: str, offset: int) -> None:
    shape = _CONST.match(rest)
    if not shape:
        raise place.error("not a distribution of constants", kind, _CONST_FORM)
    name = place.token(shape["name"], offset + shape.start("name"))
    if name not in DISTRIBUTIONS:
        raise place.error(f"unknown distribution {str(name)!r}", name, f"one of: {', '.join(DISTRIBUTIONS)}")
    words = list(_split(place, shape["numbers"], offset + shape.start("numbers")))
    for word in words:
        if _number(word) is None:
            raise place.error("not a finite number", word, _CONST_FORM)
    wanted = DISTRIBUTIONS[name]
    if len(words) != (wanted or len(words)) or not words:
        raise place.error(f"{name} takes {wanted or 'some'} numbers, not {len(words)}", name, _CONST_FORM)
    drawn = Distribution(str(name), tuple(float(word) for word in words))
    if not drawn.sensible:
        expected = "uniform(a, b) with a ≤ b, else s from 0 to 50 and m from -300 to 300"
        raise place.error(f"nothing to draw from {name}({shape['numbers'].strip()})", name, expected)
    terminal = place.token(shape["terminal"] or "", offset if shape["terminal"] else int(kind.start_pos or 0))
    _note(place, found, kind, terminal)
    found.constants[str(terminal)] = drawn


def _read_def(place: Place, found: Comments, kind: Token, rest: str, offset: int) -> None:
    shape = _DEF.match(rest)
    if not shape:
        raise place.error("not a macro", kind, _DEF_FORM)
    name = place.token(shape["name"], offset)
    if name in _RESERVED:
        raise place.error(f"{str(name)!r} has a meaning already", name, "another name for the macro")
    if not re.fullmatch(r"_?[a-z][_a-z0-9]*", name):
        raise place.error(f"{str(name)!r} cannot be an alias", name, "small letters, digits and _")
    _note(place, found, kind, name)
    parameters = list(_split(place, shape["parameters"], offset + shape.start("parameters")))
    if not parameters:
        raise place.error(f"the macro {name} has no parameter", name, _DEF_FORM)
    for i, word in enumerate(parameters):
        if not (word.isascii() and word.isidentifier()):
            raise place.error("not a parameter", word, _DEF_FORM)
        if word in _RESERVED or word in found.macros:
            raise place.error(f"{str(word)!r} has a meaning already", word, "another name for the parameter")
        if word in parameters[:i]:
            raise place.error(f"the parameter {word} stands twice", word, "each parameter once")
    start = offset + shape.start("body")
    names = {str(word): parameter(str(word)) for word in parameters}
    body = _body(place, found, str(name), names, start, shape["body"])
    heads = {node.head for node in body.walk()}
    for word in parameters:
        if word not in heads:
            raise place.error(f"the parameter {word} is never used", word, "a body that uses it, or no such parameter")
    if body.size > MAX_SIZE or body.depth > MAX_DEPTH:
        what = f"the macro {name} has {body.size} nodes and depth {body.depth}"
        raise place.error(what, name, f"at most {MAX_SIZE} nodes and depth {MAX_DEPTH}, as a loss of a search has")
    found.macros[str(name)] = Macro(str(name), tuple(str(word) for word in parameters), body)


def _body(place: Place, found: Comments, name: str, names: dict[str, Expression], start: int, text: str) -> Expression:
    """The expression of a macro's body, read by the loss language's own parser."""
    first = start + len(text) - len(text.lstrip())
    for word in re.finditer(r"[A-Za-z_][A-Za-z_0-9]*", text):
        token = place.token(word.group(), start + word.start())
        if token in BATCH_TERMS:
            raise place.error(NOT_SEARCHED.format(token), token)
        if token in ("loss", "const") and token.start_pos == first:
            raise place.error("a macro's body is one expression", token, _DEF_FORM)
        if token in found.macros:
            found.used.add(str(token))
        if token == name:
            raise place.error(f"the macro {name} uses itself", token, "operators and macros of earlier lines")
    if not text.strip():
        raise place.error("the macro has no body", place.token("", start), _DEF_FORM)
    # Blanks in place of all that stands before let the parser count lines and columns as this file does.
    blanked = re.sub(r"[^\n]", " ", place.text[:start]) + text
    try:
        body = parse_loss(blanked, place.source, names, found.macros).label
    except LossSyntaxError as error:
        what, expected = error.what, error.expected
        raise LossSyntaxError(what, place.text, error.line, error.column, expected, place.source) from None
    if body is None or not body.operands:
        raise place.error("the macro does nothing", place.token("", first), "an operator applied to the parameters")
    return body


def _note(place: Place, found: Comments, kind: Token, word: Token) -> None:
    key = (str(kind), str(word))
    if key in found.words:
        what = {"weight": "the weight of {}", "const": "the distribution of {}", "def": "the macro {}"}[str(kind)]
        first = f"first in line {found.words[key].line}"
        raise place.error(f"{what.format(word or 'other constants')} is said twice ({first})", word)
    found.words[key] = word


def _split(place: Place, text: str, offset: int) -> Iterator[Token]:
    """The words between commas, each with its place."""
    if not text.strip():
        return
    for part in re.finditer(r"[^,]+|(?<=,)(?=,|$)|^(?=,)", text):
        word = part.group()
        yield place.token(word.strip(), offset + part.start() + len(word) - len(word.lstrip()))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
