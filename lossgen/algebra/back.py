"""Forms of sympy back to the loss language, as a person would write them."""

from collections.abc import Mapping
from typing import Any

import sympy

from lossgen.algebra.bridge import RECIPROCAL, NotInLanguageError
from lossgen.algebra.numbers import digits
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.operators import OPERATORS, VARIABLES
from lossgen.language.total import EPS

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


def from_sympy(form: Any, constants: Mapping[str, float] | None = None) -> Expression:
    """The expression of the loss language that a real sympy form stands for.

    Args:
        constants: value by name of the named constants.

    Raises:
        NotInLanguageError: it holds something that the language has no operator for: infinities, nan, imaginary
            parts, cases, distributions, unevaluated integrals.
    """
    return _Reader(constants or {}).read(form)


class _Reader:
    def __init__(self, constants: Mapping[str, float]) -> None:
        self.constants = constants

    def read(self, form: Any) -> Expression:
        if not isinstance(form, sympy.Expr):
            raise NotInLanguageError(str(form))
        if not form.free_symbols and not form.has(sympy.core.function.AppliedUndef, *_LATE):
            return _number(form)
        if form.is_Symbol:
            if form.name in VARIABLES:
                return variable(form.name)
            if form.name in self.constants:
                return constant(self.constants[form.name], form.name)
            raise NotInLanguageError(str(form))
        if form.is_Add:
            return self._sum(form)
        if form.is_Mul:
            return self._product(form)
        if form.is_Pow:
            return self._power(form.base, form.exp)
        if isinstance(form, sympy.Heaviside):  # the derivative of relu, max and min
            x = self.read(form.args[0])
            return apply("div", apply("relu", x), apply("abs", x))
        if isinstance(form, sympy.sign):
            x = self.read(form.args[0])
            return apply("div", x, apply("abs", x))
        return self._function(form)

    def _function(self, form: Any) -> Expression:
        if isinstance(form, sympy.exp):
            coefficient, rest = form.args[0].as_coeff_Mul()
            if coefficient == 2:  # sympy knows no square of an exponential
                return apply("square", self.read(sympy.exp(rest)))
        name = _NAMES.get(form.func) or form.func.__name__
        if name == RECIPROCAL:
            return apply("div", constant(1.0), self.read(form.args[0]))
        if name not in OPERATORS or not OPERATORS[name].surface:
            raise NotInLanguageError(str(form))
        operands = [self.read(argument) for argument in form.args]
        row = OPERATORS[name]
        if row.arity == 2 and len(operands) >= 2:  # sympy's Max and Min take any number
            first, *others = operands
            for operand in others:
                first = apply(name, first, operand)
            return first
        if len(operands) != row.arity:  # a logarithm to another base, for one
            raise NotInLanguageError(str(form))
        return apply(name, *operands)

    def _sum(self, form: Any) -> Expression:
        """Positive terms first, all numbers in one."""
        numbers = [term for term in form.args if term.is_number]
        terms = [term for term in form.as_ordered_terms() if not term.is_number]
        offset = _number(sympy.Add(*numbers)).value if numbers else 0.0
        if offset:
            terms.append(sympy.Float(offset, 17))
        terms.sort(key=lambda term: bool(term.could_extract_minus_sign()))
        total = self._term(terms[0])
        for term in terms[1:]:
            if term.could_extract_minus_sign():
                total = apply("sub", total, self._term(-term))
            else:
                total = apply("add", total, self._term(term))
        return total

    def _term(self, term: Any) -> Expression:
        return constant(float(term)) if term.is_Float else self.read(term)

    def _product(self, form: Any) -> Expression:
        coefficient, _ = form.as_coeff_Mul()
        if coefficient == -1:
            return apply("neg", self.read(-form))
        top: list[Any] = []
        bottom: list[Any] = []
        guarded: list[Any] = []
        number = sympy.Integer(1)
        for factor in form.as_ordered_factors():
            if factor.is_number:
                number *= factor
            elif factor.is_Pow and factor.exp.is_number and factor.exp.is_negative:
                bottom.append(factor.base**-factor.exp)
            elif factor.func.__name__ == RECIPROCAL:
                guarded.append(factor.args[0])
            else:
                top.append(factor)
        value = _number(number).value
        if 0.0 < abs(value) <= 1.0 / EPS and 2 * digits(1.0 / value) <= digits(value):  # x / 3, not 0.333… * x
            bottom.insert(0, sympy.Rational(repr(abs(1.0 / value))))
            number = sympy.Integer(1 if value > 0.0 else -1)
        if number == -1 and top:
            return apply("neg", self._quotient(top, bottom, guarded))
        if number != 1 or not top:
            top.insert(0, number)
        return self._quotient(top, bottom, guarded)

    def _quotient(self, top: list[Any], bottom: list[Any], guarded: list[Any]) -> Expression:
        """Guarded divisors stay apart: the guard is each one's own."""
        result = self._chain(top)
        if bottom:
            result = apply("div", result, self._chain(bottom))
        for divisor in guarded:
            result = apply("div", result, self.read(divisor))
        return result

    def _chain(self, factors: list[Any]) -> Expression:
        result = self.read(factors[0])
        for factor in factors[1:]:
            result = apply("mul", result, self.read(factor))
        return result

    def _power(self, base: Any, exponent: Any) -> Expression:
        if base == sympy.E:
            return apply("exp", self.read(exponent))
        if exponent.is_number and exponent.is_negative:
            return apply("div", constant(1.0), self.read(base**-exponent))
        if exponent == sympy.Rational(1, 2):
            return apply("sqrt", self.read(base))
        if exponent == 2:
            return apply("square", self.read(base))
        return apply("pow", self.read(base), self.read(exponent))


_LATE = (sympy.Integral, sympy.Derivative, sympy.Limit, sympy.Sum, sympy.Product)
"""What evalf would try to work out, at whatever length."""


def _number(form: Any) -> Expression:
    try:
        value = complex(form.evalf(25))
    except TypeError:  # an infinity without direction, or what evalf cannot evaluate
        raise NotInLanguageError(str(form)) from None
    if value.imag != 0.0 or value.real - value.real != 0.0:
        raise NotInLanguageError(str(form))
    return constant(value.real)
