"""Immutable expression trees: nodes, size, depth, traversal, canonical order, hash."""

import hashlib
from collections.abc import Callable, Iterator

from lossgen.language.operators import OPERATORS, VARIABLES

MAX_DEPTH = 100
MAX_SIZE = 1000


class Expression:
    """A node and everything below it: a constant, a variable, or an operator applied to operands.

    Build one with `constant`, `variable` and `apply`. Equality and hash are structural.

    Attributes:
        head: "constant", the variable's name, or the operator's name.
        operands: the operands, left to right; empty for constants and variables.
        value: the constant's value; 0.0 for other nodes.
        name: the constant's name, "" for one without and for other nodes.
        size: number of nodes.
        depth: number of nodes on the longest path from here to a leaf.
    """

    __slots__ = ("_hash", "depth", "head", "name", "operands", "size", "value")

    head: str
    operands: tuple["Expression", ...]
    value: float
    name: str
    size: int
    depth: int

    def __init__(self, head: str, operands: tuple["Expression", ...] = (), value: float = 0.0, name: str = "") -> None:
        self.head = head
        self.operands = operands
        self.value = value + 0.0  # -0.0 and 0.0 are one constant
        self.name = name
        self.size = self.depth = 1
        for operand in operands:
            self.size += operand.size
            self.depth = max(self.depth, 1 + operand.depth)
        self._hash = hash((head, self.value, name, operands))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            return NotImplemented
        return self is other or (
            self._hash == other._hash
            and self.head == other.head
            and self.value == other.value
            and self.name == other.name
            and self.operands == other.operands
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        from lossgen.language.printer import to_text

        return f"<{to_text(self)}>"

    @property
    def is_constant(self) -> bool:
        return self.head == "constant"

    @property
    def is_number(self) -> bool:
        """Whether this is a constant whose value is fixed, for it has no name."""
        return self.head == "constant" and not self.name

    @property
    def is_variable(self) -> bool:
        return self.head in VARIABLES

    def walk(self) -> Iterator["Expression"]:
        """This node and all below it, operands before the operators that use them (postfix order)."""
        found, waiting = list[Expression](), [self]
        while waiting:  # the root, then its operands from the right: the reverse of postfix order
            node = waiting.pop()
            found.append(node)
            waiting.extend(node.operands)
        return reversed(found)

    def variables(self) -> frozenset[str]:
        return frozenset(node.head for node in self.walk() if node.is_variable)

    def map(
        self, change: Callable[["Expression"], "Expression"], known: dict["Expression", "Expression"] | None = None
    ) -> "Expression":
        """The tree with `change` applied to every node, operands first.

        Args:
            change: what each node becomes, given its changed operands.
            known: what trees have become under the same change; they are looked up there, and added.
        """
        if known is not None and self in known:
            return known[self]
        operands = tuple(operand.map(change, known) for operand in self.operands)
        same = all(new is old for new, old in zip(operands, self.operands, strict=True))
        changed = change(self if same else Expression(self.head, operands, self.value))
        if known is not None:
            known[self] = changed
        return changed

    def substitute(self, name: str, replacement: "Expression") -> "Expression":
        """The tree with the variable `name` replaced."""
        return self.map(lambda node: replacement if node.head == name else node)

    def canonical(self) -> "Expression":
        """The same expression with the operands of commutative operators in a fixed order."""

        def order(node: Expression) -> Expression:
            if not node.operands or not OPERATORS[node.head].commutative:
                return node
            return Expression(node.head, tuple(sorted(node.operands, key=_sort_key)))

        return self.map(order)

    def digest(self) -> str:
        """Hash (hex) of the canonical tree: equal for trees that differ in the order of commutative operands only."""
        return hashlib.sha256(_sort_key(self.canonical()).encode()).hexdigest()


def _sort_key(node: Expression) -> str:
    if node.is_constant:
        return f"{node.name}={node.value!r}" if node.name else repr(node.value)
    return node.head + ("(" + ",".join(_sort_key(operand) for operand in node.operands) + ")" if node.operands else "")


def constant(value: float, name: str = "") -> Expression:
    """The constant `value`, a finite float; with a name it can be tuned in the emitted module."""
    return Expression("constant", (), float(value), name)


def variable(name: str) -> Expression:
    """The variable `name`, one of `operators.VARIABLES`."""
    return Expression(VARIABLES[name].name)


def apply(name: str, *operands: Expression) -> Expression:
    """The operator `name`, one of `operators.OPERATORS`, applied to operands."""
    if len(operands) != OPERATORS[name].arity:
        raise ValueError(f"{name} takes {OPERATORS[name].arity} operands, not {len(operands)}")
    return Expression(name, operands)
