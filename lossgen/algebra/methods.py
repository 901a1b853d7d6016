"""What is tried on an expression: ways of sympy to write it, each with a name."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy

from lossgen.algebra.back import from_sympy
from lossgen.algebra.bridge import SYMBOLS, NotInLanguageError, to_sympy, to_textbook
from lossgen.algebra.tidy import tidy
from lossgen.language.expression import Expression

LONGEST = 40
"""Forms of more terms than this, multiplied out, are not: nobody would find the result simple."""
FAILURES = (
    NotInLanguageError,
    sympy.PolynomialError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What sympy's functions raise where they have no answer; the other methods may have one."""


def forms(expression: Expression, derive_by: str = "") -> Iterator[tuple[str, Expression]]:
    """Equal forms of an expression, or of its derivative, each with the name of the method; quick methods first.

    Args:
        derive_by: the variable of the derivative, which is that of the textbook's functions; "" for the expression
            itself.
    """
    constants = {node.name: node.value for node in expression.walk() if node.name}
    if not derive_by:
        yield "tidy", tidy(expression)
    try:
        start = sympy.diff(to_textbook(expression), SYMBOLS[derive_by]) if derive_by else to_sympy(expression)
    except FAILURES:
        return
    for name, method in METHODS.items():
        try:
            yield name, written(method(start, constants), constants)
        except FAILURES:
            continue


def written(form: Any, constants: Mapping[str, float]) -> Expression:
    """A form of sympy in the loss language, tidied."""
    return tidy(from_sympy(form, constants))


def smallest(form: Any, constants: Mapping[str, float]) -> Any:
    """The form with every part, from the innermost outwards, in the shortest of a few ways to write it."""
    if not form.args or form.is_number:
        return form
    form = form.func(*(smallest(argument, constants) for argument in form.args))
    if not (form.is_Add or form.is_Mul or form.is_Pow):
        return form
    best, least = form, _size(form, constants)
    for change in (sympy.factor_terms, _if_short(_expanded_here), _rationally(sympy.factor), _if_short(_collected)):
        try:
            other = change(form)
        except FAILURES:
            continue
        size = _size(other, constants)
        if size < least:
            best, least = other, size
    return best


def terms(form: Any) -> float:
    """About how many terms the form has when it is multiplied out."""
    if form.is_Add:
        return sum(terms(argument) for argument in form.args)
    if form.is_Mul:
        return math.prod(terms(argument) for argument in form.args)
    if form.is_Pow and form.exp.is_Integer:
        n, k = abs(int(form.exp)), terms(form.base)
        return float("inf") if k > 1 and n > LONGEST else math.comb(int(k) + n - 1, n)
    return max((terms(argument) for argument in form.args), default=1)


def _if_short(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The change where its working stays short, else none; so that it is not the time limit that decides."""
    return lambda form: change(form) if terms(form) <= LONGEST else form


def _rationally(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The change with symbols in place of exponentials: to sympy's polynomials exp(x + 3.933) has degree 3933."""

    def changed(form: Any) -> Any:
        found = sorted(form.atoms(sympy.exp), key=sympy.default_sort_key)
        names = {function: sympy.Symbol(f"exp_{i}", positive=True) for i, function in enumerate(found)}
        return change(form.xreplace(names)).xreplace({symbol: function for function, symbol in names.items()})

    return _if_short(changed)


def _expanded_here(form: Any) -> Any:
    return sympy.expand(form, deep=False)


def _collected(form: Any) -> Any:
    """Collected by whichever symbol occurs in most terms."""
    form = sympy.expand(form)
    counts = {symbol: sum(term.has(symbol) for term in form.args) for symbol in form.free_symbols}
    return sympy.collect(form, max(sorted(counts, key=str), key=lambda symbol: counts[symbol]))


def _size(form: Any, constants: Mapping[str, float]) -> float:
    try:
        return written(form, constants).size
    except FAILURES:
        return float("inf")


Method = Callable[[Any, Mapping[str, float]], Any]


def _plain(function: Callable[[Any], Any]) -> Method:
    return lambda form, constants: function(form)


METHODS: Mapping[str, Method] = {
    "as it is": _plain(lambda form: form),
    "factor_terms": _plain(sympy.factor_terms),
    "expand": _plain(_rationally(sympy.expand)),
    "cancel": _plain(_rationally(sympy.cancel)),
    "factor": _plain(_rationally(sympy.factor)),
    "smallest": smallest,
    "simplify": _plain(_if_short(lambda form: sympy.simplify(form, ratio=1.0))),
}
