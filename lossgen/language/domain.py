"""Interval analysis of whole expressions over the domains of their variables."""

from collections.abc import Mapping

from lossgen.language.expression import Expression
from lossgen.language.interval import Interval
from lossgen.language.operators import OPERATORS, VARIABLES

REALISTIC_SCORE = Interval(-1e4, 1e4)
"""Scores that a discriminator can be expected to give; beyond, a product with zero is not known to be zero."""


def enclosures(expression: Expression, domains: Mapping[str, Interval] | None = None) -> dict[Expression, Interval]:
    """For every node, an interval that holds its value for all values of the variables in their domains.

    Args:
        domains: intervals in place of the variables' own, by name.
    """
    found: dict[Expression, Interval] = {}
    for node in expression.walk():
        if node in found:
            continue
        if node.is_constant:
            found[node] = Interval(node.value, node.value)
        elif node.is_variable:
            found[node] = (domains or {}).get(node.head, VARIABLES[node.head].domain)
        else:
            found[node] = OPERATORS[node.head].enclose(*(found[operand] for operand in node.operands))
    return found


def enclose(expression: Expression, domains: Mapping[str, Interval] | None = None) -> Interval:
    """The enclosure of the whole expression."""
    return enclosures(expression, domains)[expression]
