"""Expressions to the statements of a function: common parts named once, long lines split, the same for every target."""

from collections.abc import Callable
from dataclasses import dataclass

from lossgen.codegen.dag import shared
from lossgen.language.domain import enclosures
from lossgen.language.emission import ATOM, UNARY, Code, Dialect
from lossgen.language.expression import Expression, apply, variable
from lossgen.language.operators import OPERATORS

WIDTH = 100
PROBABILITY = apply("sigmoid", variable("score"))


@dataclass(frozen=True)
class Target:
    """What functions look like in a target.

    Attributes:
        dialect: how it spells the operators.
        tensor: type of scores and losses, "" where they are not annotated.
        full: a tensor like the scores, from the text of a number.
        zeros: zeros like the scores.
        tensors_only: operators that take no plain number as an operand.
    """

    dialect: Dialect
    tensor: str
    full: Callable[[str], str]
    zeros: str
    tensors_only: frozenset[str] = frozenset()

    def signature(self, name: str, parameters: tuple[str, ...]) -> str:
        """The line with which a function begins."""
        if not self.tensor:
            return f"def {name}({', '.join(parameters)}):"
        return f"def {name}({', '.join(f'{p}: {self.tensor}' for p in parameters)}) -> {self.tensor}:"


def function(target: Target, name: str, parameters: tuple[str, ...], about: str, expression: Expression) -> str:
    """Source of a function that returns the value of a lowered expression, with the shape of `score`."""
    lines = [target.signature(name, parameters), f'    """{about}"""']
    intervals = enclosures(expression)
    named: dict[Expression, Code] = {}
    common = shared(expression)
    if PROBABILITY in intervals and PROBABILITY not in common and expression != PROBABILITY:
        common.insert(0, PROBABILITY)

    def code(node: Expression) -> Code:
        if node in named:
            return named[node]
        if node.is_constant:
            return Code(repr(node.value), UNARY if node.value < 0.0 else ATOM, node.value)
        if node.is_variable:
            return Code(node.head)
        operands = [code(operand) for operand in node.operands]
        if node.head in target.tensors_only:
            operands = [
                Code(target.full(text.text)) if operand.is_constant else text
                for operand, text in zip(node.operands, operands, strict=True)
            ]
        return OPERATORS[node.head].emit(target.dialect, operands, [intervals[operand] for operand in node.operands])

    def statements() -> list[str]:
        named.clear()
        found = []
        for node in common:
            if node != expression:
                name = "y_pred" if node == PROBABILITY else f"t{len(named)}"
                found.append(f"    {name} = {code(node).text}")
                named[node] = Code(name)
        result = code(expression).text
        if expression.is_constant:
            result = target.full(result)
        elif "score" not in expression.variables():
            result += f" + {target.zeros}"
        return [*found, f"    return {result}"]

    while max(map(len, lines + statements())) > WIDTH and (part := _next_to_name(expression, common)):
        common = _in_order(expression, [*common, part])
    return "\n".join(lines + statements())


def _next_to_name(expression: Expression, named: list[Expression]) -> Expression | None:
    """The part to name when a line is too long: the largest one within half of the longest statement."""
    leaves = set(named)

    def weight(node: Expression) -> int:
        return 1 + sum(1 if operand in leaves else weight(operand) for operand in node.operands)

    statement = max([*named, expression], key=weight)
    half = weight(statement) // 2
    parts: list[Expression] = []
    waiting = list(statement.operands)
    while waiting:
        node = waiting.pop()
        if node.operands and node not in leaves:
            parts.append(node)
            waiting += node.operands
    return max((node for node in parts if weight(node) <= half), key=weight, default=None)


def _in_order(expression: Expression, parts: list[Expression]) -> list[Expression]:
    order = {node: place for place, node in reversed(list(enumerate(expression.walk())))}
    return sorted(parts, key=order.__getitem__)
