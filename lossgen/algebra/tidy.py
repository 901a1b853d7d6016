"""Rewriting by rules that hold for the total operators, guards and all: what a person would do without thinking.

A rule makes an expression smaller, or of two forms of one size takes the one that people write. Rules use nothing but
what the total functions are: a magnitude forgets the sign, a quotient is linear in its numerator, numbers can be
worked out. Rounding aside, the value and the derivative stay what they were.
"""

from collections.abc import Callable

from lossgen.algebra.chains import even, power_of, tidy_product, tidy_sum, to_power, unsigned
from lossgen.algebra.guards import LOG_PROBABILITY, surface_enclosures
from lossgen.language.domain import LARGEST_EXPONENT
from lossgen.language.expression import Expression, apply
from lossgen.language.lower import NotFiniteError, fold, lower

_ROUNDS = 20


def tidy(expression: Expression) -> Expression:
    """The expression with all rules applied until none applies (or, at the latest, 20 times); never larger."""
    for _ in range(_ROUNDS):
        tidied = expression.map(_rewritten)
        if tidied == expression:
            break
        expression = tidied
    return expression


def _rewritten(node: Expression) -> Expression:
    if not node.operands:
        return node
    try:
        if all(operand.is_number for operand in node.operands):
            return lower(node)
        folded = fold(node) if node.head != "pow" else node
        rule = _RULES.get(folded.head)
        found = rule(*folded.operands) if rule and folded.operands else folded
    except (NotFiniteError, ArithmeticError):
        return node
    return found if found.size <= node.size and _finite(found) else node


def _finite(expression: Expression) -> bool:
    return all(node.value - node.value == 0.0 for node in expression.walk())


def _square(a: Expression) -> Expression:
    base, n = power_of(unsigned(a))
    return to_power(base, 2 * n) if 2 * n <= LARGEST_EXPONENT else apply("square", a)


def _pow(a: Expression, b: Expression) -> Expression:
    if not b.is_number:
        return apply("pow", a, b)
    n = b.value
    if n != int(n) or abs(n) > LARGEST_EXPONENT or n % 2 == 0:
        a = unsigned(a)  # the first two take the magnitude
    if a.head == "neg" and n > 0:
        return apply("neg", apply("pow", a.operands[0], b))
    base, m = power_of(a)
    if n == int(n) and n > 0 and n * m <= LARGEST_EXPONENT:
        return to_power(base, m * int(n))
    return apply("pow", a, b)


def _log(a: Expression) -> Expression:
    inner = unsigned(a)
    return apply("log", a if inner in LOG_PROBABILITY else inner)  # log(y_pred) is not log(-y_pred): it has no guard


def _abs(a: Expression) -> Expression:
    a = unsigned(a)
    enclosure = surface_enclosures(a)[a]
    if enclosure.lo >= 0.0:
        return a
    return apply("neg", a) if enclosure.hi <= 0.0 else apply("abs", a)


def _min(a: Expression, b: Expression) -> Expression:
    return a if a == b else apply("min", a, b)


def _max(a: Expression, b: Expression) -> Expression:
    return a if a == b else apply("max", a, b)


def _whole(rule: Callable[[Expression], Expression], head: str) -> Callable[..., Expression]:
    return lambda *operands: rule(apply(head, *operands))


_RULES: dict[str, Callable[..., Expression]] = {
    "neg": _whole(tidy_product, "neg"),
    "mul": _whole(tidy_product, "mul"),
    "div": _whole(tidy_product, "div"),
    "add": _whole(tidy_sum, "add"),
    "sub": _whole(tidy_sum, "sub"),
    "square": _square,
    "pow": _pow,
    "abs": _abs,
    "sqrt": even("sqrt"),
    "log": _log,
    "min": _min,
    "max": _max,
}
