"""Macros: names for expressions with parameters. They stand in search spaces; a loss only ever holds what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lossgen.language.expression import Expression


def parameter(name: str) -> Expression:
    """The place in a macro's body that an operand is put into. It is no expression of the loss language."""
    return Expression(name)


@dataclass(frozen=True)
class Macro:
    """A name for an expression with parameters.

    Attributes:
        name: as a search space calls it.
        parameters: each stands in the body; none is called as an operator or a variable.
        body: an operator applied to operands, with `parameter` nodes where the operands go.
    """

    name: str
    parameters: tuple[str, ...]
    body: Expression = field(repr=False)  # what is no loss cannot be printed as one

    @property
    def arity(self) -> int:
        return len(self.parameters)

    def expand(self, *operands: Expression) -> Expression:
        """The body with operands in place of the parameters."""
        bound = dict(zip(self.parameters, operands, strict=True))
        return self.body.map(lambda node: bound.get(node.head, node))

    def match(self, expression: Expression) -> tuple[Expression, ...] | None:
        """The operands whose expansion is `expression`, each strictly inside it; None where there are none."""
        bound: dict[str, Expression] = {}
        return tuple(bound[name] for name in self.parameters) if _match(self.body, expression, bound, self) else None

    def size(self, sizes: Sequence[float]) -> float:
        """Nodes of an expansion, from those of its operands."""
        return self.body.size + sum(n * (size - 1) for n, size in zip(self._uses, sizes, strict=True))

    def depth(self, depths: Sequence[float]) -> float:
        """Depth of an expansion, from those of its operands."""
        return max(self.body.depth, *(above + depth for above, depth in zip(self._levels, depths, strict=True)))

    @cached_property
    def _uses(self) -> tuple[int, ...]:
        """How often each parameter stands in the body."""
        heads = [node.head for node in self.body.walk()]
        return tuple(heads.count(name) for name in self.parameters)

    @cached_property
    def _levels(self) -> tuple[int, ...]:
        """How many levels of the body lie above each parameter, where it stands deepest."""
        found: dict[str, int] = {}
        waiting = [(self.body, 0)]
        while waiting:
            node, above = waiting.pop()
            found[node.head] = max(above, found.get(node.head, 0))
            waiting += [(operand, above + 1) for operand in node.operands]
        return tuple(found[name] for name in self.parameters)


def _match(pattern: Expression, expression: Expression, bound: dict[str, Expression], macro: Macro) -> bool:
    if pattern.head in macro.parameters:
        return bound.setdefault(pattern.head, expression) == expression
    return (
        pattern.head == expression.head
        and pattern.value == expression.value
        and len(pattern.operands) == len(expression.operands)
        and all(_match(p, e, bound, macro) for p, e in zip(pattern.operands, expression.operands, strict=True))
    )
