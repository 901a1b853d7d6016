"""Expressions to the statements of a function: common parts named once, long lines split, the same for every target."""

import re
from collections.abc import Container, Mapping, Sequence

from lossgen.codegen.dag import shared
from lossgen.language.domain import enclosures
from lossgen.language.emission import ATOM, UNARY, Code, Dialect
from lossgen.language.expression import Expression, apply, variable
from lossgen.language.interval import Interval
from lossgen.language.operators import OPERATORS, VARIABLES

WIDTH = 100
PROBABILITY = apply("sigmoid", variable("score"))


def wrapped(line: str, indent: str = "    ") -> str:
    """A return statement of a sum that is too long for a line, in one line a term; any other as it is."""
    first, *others = line.removeprefix(f"{indent}return ").split(" + ")
    if len(line) <= WIDTH or not others:
        return line
    terms = [f"{indent}    {first}", *(f"{indent}    + {term}" for term in others)]
    return "\n".join([f"{indent}return (", *terms, f"{indent})"])


def signature(tensor: str, name: str, parameters: Sequence[str], constants: Mapping[str, float]) -> str:
    """The line with which a function begins, or the lines where one is too long; named constants are keywords.

    Args:
        tensor: type of the parameters and of what is returned, "" for a signature without types.
    """
    typed = [f"{parameter}: {tensor}" if tensor else parameter for parameter in parameters]
    if constants:
        typed.append("*")
    typed += [f"{key}: float = {value!r}" if tensor else f"{key}={value!r}" for key, value in constants.items()]
    end = f") -> {tensor}:" if tensor else "):"
    line = f"def {name}({', '.join(typed)}{end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"def {name}(", *(f"    {part}," for part in typed), end])


def function(
    dialect: Dialect, head: str, about: str, expression: Expression, domains: Mapping[str, Interval] | None = None
) -> str:
    """Source of a function that returns the value of a lowered expression, with the shape of `score`.

    Args:
        head: its signature.
        about: its docstring.
        domains: intervals in place of those of variables and named constants, by name.
    """
    lines = [*head.split("\n"), f'    """{about}"""']
    intervals = enclosures(expression, domains)
    constants = {node.name for node in intervals}
    plain = _plain(dialect, intervals)
    order = {node: place for place, node in enumerate(intervals)}
    named: dict[Expression, Code] = {}
    common = shared(expression)
    if PROBABILITY in intervals and PROBABILITY not in common and expression != PROBABILITY:
        common.insert(0, PROBABILITY)

    def code(node: Expression) -> Code:
        if node in named:
            return named[node]
        if node.name:
            return Code(node.name)
        if node.is_constant:
            return Code(repr(node.value), UNARY if node.value < 0.0 else ATOM, node.value)
        if node.is_variable:
            return Code(node.head)
        operands = [code(operand) for operand in node.operands]
        operands = [
            Code(dialect.full(text.text)) if tensor else text
            for text, tensor in zip(operands, _made_tensors(dialect, node, plain, intervals), strict=True)
        ]
        enclosed = [intervals[operand] for operand in node.operands]
        return OPERATORS[node.head].emit(dialect, operands, enclosed)

    def statements() -> list[tuple[Expression, str]]:
        named.clear()
        found = []
        for node in common:
            if node != expression:
                name = free_name("y_pred" if node == PROBABILITY else f"t{len(named)}", constants)
                found.append((node, f"    {name} = {code(node).text}"))
                named[node] = Code(name)
        result = code(expression).text
        if expression in plain:
            result = dialect.full(result)
        elif expression.variables() and "score" not in expression.variables():
            result += f" + {dialect.zeros}"
        return [*found, (expression, f"    return {result}")]

    # Every line that is too long is split once a round, so that the rounds are few however long the formula is.
    while parts := _to_name([node for node, line in statements() if len(line) > WIDTH], set(common)):
        common = sorted({*common, *parts}, key=order.__getitem__)
    body = [line for _, line in statements()]
    names = [*(code.text for code in named.values()), *VARIABLES]
    return "\n".join([*lines, *_numbered(_guards_named_once(dialect, body, names, constants), constants)])


def _guards_named_once(dialect: Dialect, lines: list[str], names: Sequence[str], taken: Container[str]) -> list[str]:
    """The lines of a function, with a name for each guard of a name that would be computed more than once."""
    for name in names:
        plain = Code(name)
        magnitude = dialect.call("abs", plain)
        for guarded in (dialect.at_least(magnitude, "EPS"), dialect.at_least(plain, "EPS"), dialect.guarded(plain)):
            found = re.compile(rf"(?<![\w.]){re.escape(guarded)}")
            if sum(len(found.findall(line)) for line in lines) < 2:
                continue
            new = free_name(f"t{len(names) + len(lines)}", taken)  # as nothing else here is called
            first = next(i for i, line in enumerate(lines) if found.search(line))
            replaced = [found.sub(new, line) for line in lines[first:]]
            lines = [*lines[:first], f"    {new} = {guarded}", *replaced]
    return lines


def _numbered(lines: list[str], taken: Container[str]) -> list[str]:
    """The lines with the names t0, t1, … in the order in which they are given."""
    given = [found[1] for line in lines if (found := re.match(r" +(t\d+_*) = ", line))]
    new = {name: free_name(f"t{number}", taken) for number, name in enumerate(given)}
    return [re.sub(r"\bt\d+_*\b", lambda found: new.get(found[0], found[0]), line) for line in lines]


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or where a constant has it another one."""
    return name if name not in taken else free_name(f"{name}_", taken)


def _plain(dialect: Dialect, intervals: Mapping[Expression, Interval]) -> set[Expression]:
    """Of nodes, operands before operators, those whose text is a plain number when the file runs, not a tensor."""
    found: set[Expression] = set()
    for node in intervals:
        numbers = all(operand in found for operand in node.operands)
        if not node.is_variable and numbers and not any(_made_tensors(dialect, node, found, intervals)):
            found.add(node)
    return found


def _made_tensors(
    dialect: Dialect, node: Expression, plain: set[Expression], intervals: Mapping[Expression, Interval]
) -> list[bool]:
    """Which operands of a node are plain numbers that its text needs as tensors; a literal's guard is worked out."""
    numbers = [operand in plain for operand in node.operands]
    needed = dialect.needs_tensors(node.head, numbers, [intervals[operand] for operand in node.operands])
    literals = node.head in dialect.tensors_only
    pairs = zip(needed, node.operands, strict=True)
    return [tensor and (literals or not operand.is_number) for tensor, operand in pairs]


def _to_name(statements: Sequence[Expression], named: set[Expression]) -> set[Expression]:
    """The parts to name of statements whose lines are too long."""
    return {part for statement in statements if (part := _next_to_name(statement, named)) is not None}


def _next_to_name(statement: Expression, leaves: set[Expression]) -> Expression | None:
    """The part of a statement to name when its line is too long: the largest one within half of it."""
    weights: dict[Expression, int] = {}

    def weight(node: Expression) -> int:
        if node not in weights:
            weights[node] = 1 + sum(1 if operand in leaves else weight(operand) for operand in node.operands)
        return weights[node]

    half = weight(statement) // 2
    parts: list[Expression] = []
    waiting = list(statement.operands)
    while waiting:
        node = waiting.pop()
        if node.operands and node not in leaves:
            parts.append(node)
            waiting += node.operands
    return max((node for node in parts if weight(node) <= half), key=weight, default=None)
