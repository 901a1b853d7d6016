"""Where a guard of a total operator may act, by interval analysis; where none may, the operator is the textbook's."""

from collections.abc import Mapping

from lossgen.language import interval
from lossgen.language.domain import LARGEST_EXPONENT, enclose, enclose_operator, enclosures
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.interval import Interval
from lossgen.language.lower import lower
from lossgen.language.operators import OPERATORS
from lossgen.language.total import EPS

LOG_PROBABILITY = {variable("y_pred"), apply("sub", constant(1.0), variable("y_pred"))}
"""Arguments whose logarithm has no guard: `log` of these is logsigmoid of the score."""


def whole_exponent(node: Expression) -> int | None:
    """The exponent of a power that lowering reads as a whole number; None of another power."""
    exponent = node.operands[1]
    if exponent.operands and not any(part.is_variable or part.name for part in exponent.walk()):
        exponent = lower(exponent)
    n = exponent.value
    return int(n) if exponent.is_number and n == int(n) and abs(n) <= LARGEST_EXPONENT else None


def surface_enclosures(expression: Expression) -> dict[Expression, Interval]:
    """As `domain.enclosures`, for an expression that is not lowered, with what lowering knows of powers."""
    found: dict[Expression, Interval] = {}
    for node in expression.walk():
        if node in found:
            continue
        operands = [found[operand] for operand in node.operands]
        if not operands:
            found[node] = enclose(node)
        elif node.head != "pow":
            found[node] = enclose_operator(node, operands)
        elif (n := whole_exponent(node)) is None:
            found[node] = interval.real_pow(*operands)
        else:
            power = interval.int_pow(operands[0], Interval(abs(n), abs(n)))
            found[node] = power if n >= 0 else interval.div(Interval(1.0, 1.0), power)
    return found


def may_act(node: Expression, intervals: Mapping[Expression, Interval]) -> bool:
    """Whether the operator of `node` may differ from the textbook's function.

    Args:
        intervals: an enclosure of each operand.
    """
    operands = [intervals[operand] for operand in node.operands]
    if node.head == "log" and node.operands[0] in LOG_PROBABILITY:
        return False  # these logarithms have no guard, by definition
    if node.head == "pow" and (n := whole_exponent(node)) is not None:
        if n >= 0:
            return False
        power = interval.int_pow(operands[0], Interval(-n, -n))  # what the quotient is taken by
        return not (power.lo >= EPS or power.hi <= -EPS)
    return not OPERATORS[node.head].textbook(*operands)


def guards(expression: Expression) -> int:
    """The number of different operations in an expression, once lowered, whose guard may act."""
    intervals = enclosures(lower(expression))
    return sum(1 for node in intervals if node.operands and may_act(node, intervals))
