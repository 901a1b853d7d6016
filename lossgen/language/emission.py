"""Operators to source text: what is written, and which guard is left out, is decided here once for all targets.

A rule gets the operands' text and their intervals, and a `Dialect` that says how one target spells things. So no
target can leave out a guard that another one keeps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lossgen.language import total
from lossgen.language.interval import Interval
from lossgen.language.total import EPS, EXP_MAX

# Precedence of what a piece of text is, from loosest to tightest; the same in the loss language and in Python.
SUM, PRODUCT, UNARY, POWER, ATOM = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Code:
    """A piece of source text, how tightly it binds, and its value where it is a literal number."""

    text: str
    precedence: int = ATOM
    number: float | None = None

    def inside(self, precedence: int) -> str:
        """The text, in parentheses where it binds less tightly than `precedence`."""
        return self.text if self.precedence >= precedence else f"({self.text})"


@dataclass(frozen=True)
class Dialect:
    """How a target spells what the operators need. Infix symbols, powers and numbers are Python's in every target.

    Attributes:
        functions: template of the call by operator, "{}" where the operands go.
        at_least: the text of max(x, bound), from the code of x and the text of the bound.
        at_most: the text of min(x, bound).
        full: the text of a tensor like the scores that holds a number, from the number's text.
        zeros: the text of zeros like the scores.
        tensor: type of scores and losses in signatures, "" where they are not annotated.
        tensors_only: operators of which no operand may be a plain number.
        numbers: whether functions take plain numbers and compute them in float64.
    """

    functions: Mapping[str, str]
    at_least: Callable[[Code, str], str]
    at_most: Callable[[Code, str], str]
    full: Callable[[str], str]
    zeros: str
    tensor: str = ""
    tensors_only: frozenset[str] = frozenset()
    numbers: bool = False

    def call(self, name: str, *args: Code) -> Code:
        """The operator `name` as a call."""
        return Code(self.functions[name].format(", ".join(arg.text for arg in args)))

    def guarded(self, code: Code) -> str:
        """±max(|x|, EPS) with the sign of x: a call of a function that the file defines where it is used."""
        return f"divisor({code.text})"

    def needs_tensors(self, name: str, numbers: Sequence[bool], intervals: Sequence[Interval]) -> Sequence[bool]:
        """Which operands that are plain numbers until the file runs must be made tensors, for the operator's text.

        Args:
            numbers: which operands are numbers.
            intervals: their enclosures; an operand that needs no guard may stay a number.
        """
        if name in self.tensors_only:
            return numbers
        if self.numbers or name in ("add", "sub", "mul", "neg", "int_pow"):
            return [False] * len(numbers)
        if name == "div":
            return [False, numbers[1] and intervals[1].lo < EPS and intervals[1].hi > -EPS]
        if name == "real_pow":
            return [numbers[0] and intervals[0].lo < EPS, False]
        return numbers if all(numbers) else [False] * len(numbers)


Emit = Callable[[Dialect, Sequence[Code], Sequence[Interval]], Code]


def infix(symbol: str, precedence: int) -> Emit:
    """Rule of an infix operator."""

    def emit(_: Dialect, args: Sequence[Code], intervals: Sequence[Interval]) -> Code:
        left, right = args
        return Code(f"{left.inside(precedence)} {symbol} {right.inside(precedence + 1)}", precedence)

    return emit


def call(name: str) -> Emit:
    """Rule of a function that has no guard."""
    return lambda dialect, args, _: dialect.call(name, *args)


def of_magnitude(name: str) -> Emit:
    """Rule of a function of max(|a|, EPS)."""
    return lambda dialect, args, intervals: dialect.call(name, clamped_magnitude(dialect, args[0], intervals[0]))


def clamped_magnitude(dialect: Dialect, arg: Code, enclosure: Interval) -> Code:
    """Source of max(|arg|, EPS), with neither the absolute value nor the clamp where it cannot act."""
    if arg.number is not None:
        return Code(repr(total.magnitude(arg.number)))
    text = arg
    if enclosure.lo < 0.0:
        text = dialect.call("abs", arg)
    if enclosure.lo < EPS and enclosure.hi > -EPS:
        text = Code(dialect.at_least(text, "EPS"))
    return text


def div(dialect: Dialect, args: Sequence[Code], intervals: Sequence[Interval]) -> Code:
    top, bottom = args
    enclosure = intervals[1]
    if bottom.number is not None:
        value = total.divisor(bottom.number)
        guarded = Code(repr(value), UNARY if value < 0.0 else ATOM)
    elif enclosure.lo >= EPS or enclosure.hi <= -EPS:
        guarded = bottom
    elif enclosure.lo >= 0.0:
        guarded = Code(dialect.at_least(bottom, "EPS"))
    else:
        guarded = Code(dialect.guarded(bottom))
    return Code(f"{top.inside(PRODUCT)} / {guarded.inside(UNARY)}", PRODUCT)


def int_pow(_: Dialect, args: Sequence[Code], intervals: Sequence[Interval]) -> Code:
    base, exponent = args
    return Code(f"{base.inside(ATOM)} ** {float(exponent.text):.0f}", POWER)


def real_pow(dialect: Dialect, args: Sequence[Code], intervals: Sequence[Interval]) -> Code:
    base = clamped_magnitude(dialect, args[0], intervals[0])
    return Code(f"{base.inside(ATOM)} ** {args[1].inside(UNARY)}", POWER)


def exp(dialect: Dialect, args: Sequence[Code], intervals: Sequence[Interval]) -> Code:
    if intervals[0].hi <= EXP_MAX:
        return dialect.call("exp", args[0])
    return dialect.call("exp", Code(dialect.at_most(args[0], repr(EXP_MAX))))


def neg(_: Dialect, args: Sequence[Code], intervals: Sequence[Interval]) -> Code:
    return Code(f"-{args[0].inside(UNARY)}", UNARY)
