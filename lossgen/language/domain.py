"""Interval analysis of whole expressions over the domains of their variables."""

from collections.abc import Mapping, Sequence

from lossgen.language.expression import Expression
from lossgen.language.interval import INF, REALS, Interval, div, int_pow, real_pow, square
from lossgen.language.operators import BATCH_TERMS, OPERATORS, VARIABLES
from lossgen.language.total import EPS

LARGEST_EXPONENT = 1024.0
"""Up to here a constant whole exponent is lowered to the textbook's power."""
REALISTIC_SCORE = Interval(-1e4, 1e4)
"""Scores that a discriminator can be expected to give; beyond, a product with zero is not known to be zero."""


def enclosures(expression: Expression, domains: Mapping[str, Interval] | None = None) -> dict[Expression, Interval]:
    """For every node, an interval that holds its value for all values of the variables in their domains.

    Args:
        domains: intervals in place of those of variables and named constants, by name.
    """
    found: dict[Expression, Interval] = {}
    for node in expression.walk():
        if node in found:
            continue
        if node.is_number:
            found[node] = Interval(node.value, node.value)
        elif node.is_constant:
            found[node] = (domains or {}).get(node.name, tunable(node.value))
        elif node.is_variable:
            found[node] = (domains or {}).get(node.head, VARIABLES[node.head].domain)
        else:
            found[node] = enclose_operator(node, [found[operand] for operand in node.operands])
    return found


def enclose_operator(node: Expression, operands: Sequence[Interval]) -> Interval:
    """The enclosure of an operator's value, from those of its operands: x * x is a square, and x - x is 0.

    A power that is not lowered is enclosed as what lowering makes of it, where its exponent says so.
    """
    if node.head == "pow":
        return _enclose_power(node.operands[1], *operands)
    if len(operands) == 2 and node.operands[0] == node.operands[1]:
        if node.head == "mul":
            return square(operands[0])
        if node.head == "sub":
            return Interval(0.0, 0.0)
    return OPERATORS[node.head].enclose(*operands)


def _enclose_power(exponent: Expression, base: Interval, values: Interval) -> Interval:
    if exponent.is_number and exponent.value == int(exponent.value) and abs(exponent.value) <= LARGEST_EXPONENT:
        power = int_pow(base, Interval(abs(exponent.value), abs(exponent.value)))
        return power if exponent.value >= 0.0 else div(Interval(1.0, 1.0), power)
    is_worked_out = bool(exponent.operands) and not exponent.variables()  # and may come to a whole number
    return REALS if is_worked_out else real_pow(base, values)


def tunable(value: float) -> Interval:
    """The values that a named constant may be given in place of its own: those of its sign, any where it is near 0."""
    if abs(value) < EPS:
        return REALS
    return Interval(EPS, INF) if value > 0.0 else Interval(-INF, -EPS)


def realistic(expression: Expression) -> dict[str, Interval]:
    """Domains of what is in `expression` in a training: scores, their means and tuned constants of moderate size."""
    domains = dict.fromkeys(("score", *BATCH_TERMS), REALISTIC_SCORE)
    for node in expression.walk():
        if node.name:
            free, limit = tunable(node.value), max(REALISTIC_SCORE.hi, abs(node.value))
            domains[node.name] = Interval(max(free.lo, -limit), min(free.hi, limit))
    return domains


def enclose(expression: Expression, domains: Mapping[str, Interval] | None = None) -> Interval:
    """The enclosure of the whole expression."""
    return enclosures(expression, domains)[expression]
