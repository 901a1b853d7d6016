"""Expressions to sympy and back.

sympy knows textbook functions only. An operator enters as such where interval analysis excludes its guard, and as an
opaque function elsewhere: sympy would otherwise collapse what a guard keeps apart, x · 1/x for one.
"""

from typing import Any

import sympy

from lossgen.language.domain import enclosures
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.operators import OPERATORS

SYMBOLS = {
    "score": sympy.Symbol("score", real=True),
    "y_pred": sympy.Symbol("y_pred", positive=True),
    "y_real": sympy.Symbol("y_real", nonnegative=True),
}
_KEPT = frozenset({"sigmoid", "softplus", "logsigmoid", "relu"})
"""Operators that sympy would write out in parts that are no longer stable."""

_LOG_PROBABILITY = {variable("y_pred"), apply("sub", constant(1.0), variable("y_pred"))}


def to_sympy(expression: Expression) -> Any:
    """The sympy form of an expression of the loss language; opaque functions where a guard may act."""
    intervals = enclosures(expression)
    built: dict[Expression, Any] = {}
    for node in expression.walk():
        if node not in built:
            built[node] = _node(node, intervals, [built[operand] for operand in node.operands])
    return built[expression]


def _node(node: Expression, intervals: Any, operands: list[Any]) -> Any:
    if node.is_constant:
        return sympy.Rational(repr(node.value))
    if node.is_variable:
        return SYMBOLS[node.head]
    row = OPERATORS[node.head]
    exact = row.textbook(*(intervals[operand] for operand in node.operands))
    if node.head == "pow" and node.operands[1].is_constant:
        exponent = node.operands[1].value
        exact = exact or (exponent == int(exponent) and exponent >= 0.0)
    if node.head == "log" and node.operands[0] in _LOG_PROBABILITY:
        exact = True  # these logarithms have no guard, by definition
    if node.head in _KEPT or not exact:
        return sympy.Function(node.head, real=True)(*operands)
    return row.sympy(sympy, *operands)


def to_textbook(expression: Expression) -> Any:
    """The sympy form of the textbook's functions, as if no guard could act; for derivatives that people read."""
    built: dict[Expression, Any] = {}
    for node in expression.walk():
        if node.is_constant:
            built[node] = sympy.Rational(repr(node.value))
        elif node.is_variable:
            built[node] = SYMBOLS[node.head]
        else:
            built[node] = OPERATORS[node.head].sympy(sympy, *(built[operand] for operand in node.operands))
    return built[expression]


class NotInLanguageError(ValueError):
    """A sympy expression that the loss language cannot say."""


def from_sympy(expression: Any) -> Expression:
    """The expression of the loss language that a real sympy expression stands for.

    Raises:
        NotInLanguageError: it holds something that the language has no operator for.
    """
    if not expression.free_symbols and not expression.has(sympy.core.function.AppliedUndef):
        value = complex(expression.evalf(25))
        if value.imag != 0.0 or value.real - value.real != 0.0:
            raise NotInLanguageError(str(expression))
        return constant(value.real)
    if isinstance(expression, sympy.Heaviside):  # the derivative of relu, max and min
        x = from_sympy(expression.args[0])
        return apply("div", apply("relu", x), apply("abs", x))
    if isinstance(expression, sympy.sign):
        x = from_sympy(expression.args[0])
        return apply("div", x, apply("abs", x))
    if expression.is_Symbol:
        return variable(expression.name)
    if expression.is_Add:
        return _sum(expression)
    if expression.is_Mul:
        return _product(expression)
    if expression.is_Pow:
        return _power(expression.base, expression.exp)
    name = _NAMES.get(expression.func) or expression.func.__name__
    if name not in OPERATORS:
        raise NotInLanguageError(str(expression))
    operands = [from_sympy(argument) for argument in expression.args]
    if OPERATORS[name].arity == 2 and len(operands) > 2:  # sympy's Max and Min take any number
        first, *others = operands
        for operand in others:
            first = apply(name, first, operand)
        return first
    return apply(name, *operands)


_NAMES = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.Abs: "abs",
    sympy.Max: "max",
    sympy.Min: "min",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tanh: "tanh",
}


def _sum(expression: Any) -> Expression:
    terms = sorted(expression.as_ordered_terms(), key=lambda term: term.could_extract_minus_sign())
    total = from_sympy(terms[0])
    for term in terms[1:]:
        if term.could_extract_minus_sign():
            total = apply("sub", total, from_sympy(-term))
        else:
            total = apply("add", total, from_sympy(term))
    return total


def _product(expression: Any) -> Expression:
    if expression.could_extract_minus_sign():
        coefficient, _ = expression.as_coeff_Mul()
        if coefficient == -1:
            return apply("neg", from_sympy(-expression))
    top, bottom = [], []
    number = sympy.Integer(1)
    for factor in expression.as_ordered_factors():
        if factor.is_number:
            number *= factor
        elif factor.is_Pow and factor.exp.is_number and factor.exp.is_negative:
            bottom.append(factor.base**-factor.exp)
        else:
            top.append(factor)
    if number != 1 or not top:
        top.insert(0, number)
    result = _chain(top)
    return apply("div", result, _chain(bottom)) if bottom else result


def _chain(factors: list[Any]) -> Expression:
    result = from_sympy(factors[0])
    for factor in factors[1:]:
        result = apply("mul", result, from_sympy(factor))
    return result


def _power(base: Any, exponent: Any) -> Expression:
    if base == sympy.E:
        return apply("exp", from_sympy(exponent))
    if exponent.is_number and exponent.is_negative:
        return apply("div", constant(1.0), from_sympy(base**-exponent))
    if exponent == sympy.Rational(1, 2):
        return apply("sqrt", from_sympy(base))
    if exponent == 2:
        return apply("square", from_sympy(base))
    return apply("pow", from_sympy(base), from_sympy(exponent))
