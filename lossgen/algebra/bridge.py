"""Expressions of the loss language to sympy.

sympy knows textbook functions only. An operator enters as such where interval analysis excludes its guard, and as an
opaque function elsewhere: sympy would otherwise collapse what a guard keeps apart, x · 1/x for one. What is known of
the total functions, guards and all, is said here: a guarded quotient is its numerator times an opaque reciprocal;
guarded roots and logarithms do not see their argument's sign; an operand whose sign, or order, intervals know needs no
abs, relu, min or max.
"""

from collections.abc import Mapping
from typing import Any

import sympy

from lossgen.algebra.guards import may_act, surface_enclosures, whole_exponent
from lossgen.language.domain import LARGEST_EXPONENT
from lossgen.language.expression import Expression, apply, constant
from lossgen.language.interval import Interval
from lossgen.language.lower import NotFiniteError, lower
from lossgen.language.operators import OPERATORS, VARIABLES

_SIGNS = {"y_pred": {"positive": True}, "y_real": {"nonnegative": True}}
SYMBOLS = {name: sympy.Symbol(name, **_SIGNS.get(name, {"real": True})) for name in VARIABLES}
RECIPROCAL = "reciprocal"
"""The opaque function b -> 1 / b, with the guard of division."""
_EVEN = frozenset({"log", "sqrt", "pow"})
"""Operators that take the magnitude of their first operand, where it is guarded."""
_RATIONAL = frozenset({"add", "sub", "mul", "neg", "square", "abs", "min", "max", "relu"})
"""Operators whose value on rational numbers sympy knows exactly, and as a rational number."""
_LOG_PROBABILITY = (SYMBOLS["y_pred"], 1 - SYMBOLS["y_pred"])
"""What the language's `log` of has no guard, other than `log` of the negative of it."""
_KEPT = frozenset({"sigmoid", "softplus", "logsigmoid"})
"""Operators that sympy would write out in parts that are no longer stable."""


class NotInLanguageError(ValueError):
    """A form that the loss language cannot say, or sympy cannot be told."""


def to_sympy(expression: Expression) -> Any:
    """The sympy form of an expression; opaque functions where a guard may act.

    Raises:
        NotInLanguageError: a constant part overflows.
    """
    intervals = surface_enclosures(expression)
    built: dict[Expression, Any] = {}
    for node in expression.walk():
        if node not in built:
            built[node] = _node(node, intervals, [built[operand] for operand in node.operands])
    return built[expression]


def to_textbook(expression: Expression) -> Any:
    """The sympy form of the textbook's functions, as if no guard could act; for derivatives that people read."""
    built: dict[Expression, Any] = {}
    for node in expression.walk():
        operands = [built[operand] for operand in node.operands]
        if not operands:
            built[node] = _leaf(node)
        elif node.head in _KEPT:
            built[node] = STABLE[node.head](*operands)
        else:
            built[node] = OPERATORS[node.head].sympy(sympy, *operands)
    return built[expression]


class sigmoid(sympy.Function):  # type: ignore[misc]  # noqa: N801  named as the language names it
    """1 / (1 + exp(-x)), and its derivative as people write it."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> Any:
        return self * (1 - self)


class softplus(sympy.Function):  # type: ignore[misc]  # noqa: N801
    """log(1 + exp(x))."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(self.args[0])


class logsigmoid(sympy.Function):  # type: ignore[misc]  # noqa: N801
    """-log(1 + exp(-x))."""

    is_negative = True

    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(-self.args[0])


STABLE = {"sigmoid": sigmoid, "softplus": softplus, "logsigmoid": logsigmoid}


def _leaf(node: Expression) -> Any:
    if node.is_variable:
        return SYMBOLS[node.head]
    if node.name:  # whatever value it is given later has its sign (`domain.tunable`)
        return sympy.Symbol(node.name, **({"positive": True} if node.value > 0.0 else {"real": True}))
    return sympy.Rational(repr(node.value))


def _node(node: Expression, intervals: Mapping[Expression, Interval], operands: list[Any]) -> Any:
    if not operands:
        return _leaf(node)
    if all(operand.is_Rational for operand in operands) and not _stays_rational(node, intervals):
        return _folded(node.head, operands)
    known = _by_interval(node, intervals, operands)
    if known is not None:
        return known
    if node.head in _KEPT:
        return STABLE[node.head](*operands)
    if node.head == "relu":
        return _opaque("relu", operands[0])
    if not may_act(node, intervals):
        return OPERATORS[node.head].sympy(sympy, *operands)
    if node.head == "div" or (node.head == "pow" and whole_exponent(node) is not None):
        top, bottom = (operands[0], operands[1]) if node.head == "div" else (1, operands[0] ** -operands[1])
        if (-bottom).is_positive:  # the guarded reciprocal is odd, except at 0
            return -top * _opaque(RECIPROCAL, -bottom)
        return top * _opaque(RECIPROCAL, bottom)
    if node.head == "pow" and operands[1].is_Integer and abs(operands[1]) <= LARGEST_EXPONENT:
        # It was not whole until sympy had cancelled; it means a power of the magnitude, which a whole one does not.
        raise NotInLanguageError(f"a power of a magnitude: {node!r}")
    if node.head in _EVEN:
        unsigned = _unsigned(operands[0])
        if node.head != "log" or unsigned not in _LOG_PROBABILITY:
            operands[0] = unsigned
    return _opaque(node.head, *operands)


def _opaque(name: str, *operands: Any) -> Any:
    return sympy.Function(name, real=True)(*operands)


def _stays_rational(node: Expression, intervals: Mapping[Expression, Interval]) -> bool:
    if node.head == "div":
        return not may_act(node, intervals)
    return node.head in _RATIONAL


def _folded(head: str, operands: list[Any]) -> Any:
    """An operator on numbers as lowering folds it: by the total function, to one number."""
    try:
        folded = lower(apply(head, *(constant(float(operand)) for operand in operands)))
    except (NotFiniteError, OverflowError) as error:
        raise NotInLanguageError(str(error)) from None
    return sympy.Rational(repr(folded.value))


def _by_interval(node: Expression, intervals: Mapping[Expression, Interval], operands: list[Any]) -> Any:
    """The form of an abs, relu, min or max that intervals decide, else None."""
    a, *rest = (intervals[operand] for operand in node.operands)
    if node.head in ("abs", "relu"):
        if a.lo >= 0.0:
            return operands[0]
        if a.hi <= 0.0:
            return -operands[0] if node.head == "abs" else sympy.Integer(0)
    if node.head in ("min", "max"):
        (b,) = rest
        if a.hi <= b.lo:
            return operands[0] if node.head == "min" else operands[1]
        if b.hi <= a.lo:
            return operands[1] if node.head == "min" else operands[0]
    return None


def _unsigned(form: Any) -> Any:
    """The form without what its magnitude does not depend on: a leading minus, absolute values of factors."""
    factors = [factor.args[0] if isinstance(factor, sympy.Abs) else factor for factor in sympy.Mul.make_args(form)]
    form = sympy.Mul(*factors)
    return -form if form.could_extract_minus_sign() else form
