"""Search spaces: what evolution samples from and stays inside.

A space is read from a .lark file by `space_reader.py`. Individuals are derivations: which production made each node.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lossgen.errors import InputError
from lossgen.evolution.distribution import Distribution
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import GENERATOR_REAL, ROLES, Loss
from lossgen.language.macro import Macro
from lossgen.language.operators import BATCH_TERMS, VARIABLES
from lossgen.language.printer import to_text

CONST, ROLES_ALIAS = "const", "roles"
SEARCHED = tuple(name for name in VARIABLES if name not in BATCH_TERMS)
"""Variables of the losses that are searched."""

MAX_DEPTH = 10
MAX_SIZE = 40
"""A child that outgrows these is not bred; sizes are those of the loss, with its macros expanded."""


@dataclass(frozen=True)
class Production:
    """One alternative of a type: an operator, macro, variable or constant, and the types of its operands."""

    alias: str
    operands: tuple[str, ...]
    weight: float = 1.0
    constant: Distribution | None = None
    macro: Macro | None = None


@dataclass(frozen=True)
class Derivation:
    """How an individual is derived: the type and production of every node.

    Attributes:
        type: the nonterminal.
        alias: the production taken.
        operands: derivations of its operands.
        value: of a constant.
        macro: what the alias means where it is a macro's name.
    """

    type: str
    alias: str
    operands: tuple["Derivation", ...] = ()
    value: float = 0.0
    macro: Macro | None = None

    @cached_property
    def size(self) -> int:
        """Nodes of the expression, with macros expanded."""
        sizes = [operand.size for operand in self.operands]
        return int(self.macro.size(sizes)) if self.macro else 1 + sum(sizes)

    @cached_property
    def depth(self) -> int:
        """Depth of the expression, with macros expanded."""
        depths = [operand.depth for operand in self.operands]
        return int(self.macro.depth(depths)) if self.macro else 1 + max(depths, default=0)

    def walk(self) -> Iterator["Derivation"]:
        """This node and all below it, operands last."""
        yield self
        for operand in self.operands:
            yield from operand.walk()

    def expression(self) -> Expression:
        """The expression in the loss language, which has no macros."""
        if self.alias == CONST:
            return constant(self.value)
        if self.alias in VARIABLES:
            return variable(self.alias)
        operands = [operand.expression() for operand in self.operands]
        return self.macro.expand(*operands) if self.macro else apply(self.alias, *operands)

    def loss(self, name: str) -> Loss:
        """The loss that this derivation of the start symbol says."""
        if self.alias == ROLES_ALIAS:
            return Loss(name, roles={role: d.expression() for role, d in zip(ROLES, self.operands, strict=True)})
        return Loss(name, label=self.expression())


@dataclass(frozen=True)
class _Known:
    """Derivations by type and expression, and whether constants count that are not drawn where they stand."""

    any_constant: bool
    found: dict[tuple[str, Expression], Derivation | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        name: for the record.
        text: the grammar as it was read.
        start: type of a whole individual.
        productions: alternatives by type.
        min_depth: depth of the shallowest derivation by type; a macro counts as one level.
    """

    name: str
    text: str
    start: str
    productions: Mapping[str, Sequence[Production]]
    min_depth: Mapping[str, int]

    @cached_property
    def _choices(self) -> dict[tuple[str, int], tuple[list[Production], list[float]]]:
        """Alternatives by type and depth, once they were asked for: each with the sum of the chances up to it."""
        return {}

    def sample(self, type_: str, rng: np.random.Generator, depth: int) -> Derivation:
        """A random derivation of a type, at most `depth` productions deep (or as shallow as the type allows)."""
        limit = max(depth, self.min_depth[type_])
        if (type_, limit) not in self._choices:
            fitting = [p for p in self.productions[type_] if self.depth_of(p) <= limit]
            weights = np.array([p.weight for p in fitting])
            steps = (weights / weights.sum()).cumsum()
            self._choices[type_, limit] = fitting, (steps / steps[-1]).tolist()
        choices, steps = self._choices[type_, limit]
        production = choices[bisect_right(steps, rng.random())]  # as Generator.choice draws, and much faster
        if production.constant is not None:
            return Derivation(type_, production.alias, (), production.constant.sample(rng))
        operands = tuple(self.sample(operand, rng, limit - 1) for operand in production.operands)
        return Derivation(type_, production.alias, operands, macro=production.macro)

    def depth_of(self, production: Production) -> float:
        """Depth of the shallowest derivation that begins with this production."""
        return 1 + max((self.min_depth[operand] for operand in production.operands), default=0)

    def derive(self, loss: Loss) -> Derivation:
        """The derivation of a loss that someone wrote. Where it holds what a macro means, that may be the macro.

        Raises:
            InputError: the loss is outside the space.
        """
        found = self._whole(loss, any_constant=False)
        if found is None:
            raise InputError(f"loss {loss.name}: outside the search space {self.name}: {self._why_outside(loss)}")
        return found

    def constants_of(self, type_: str) -> list[Distribution]:
        """How constants of a type are drawn; several ways where it hands on to several types."""
        return [p.constant for p in self.productions[type_] if p.constant is not None]

    def _whole(self, loss: Loss, any_constant: bool) -> Derivation | None:
        """The derivation of a loss; perhaps with constants that are not drawn where they stand."""
        known = _Known(any_constant)
        if loss.label is not None:
            return self._derive(self.start, loss.label, known)
        if GENERATOR_REAL in loss.roles:
            return None
        wanted, found = [loss.roles[role] for role in ROLES], None
        for production in self.productions[self.start]:
            if production.alias == ROLES_ALIAS and found is None:
                found = self._derived(self.start, production, wanted, 0.0, known)
        return found

    def _why_outside(self, loss: Loss) -> str:
        productions = [p for alternatives in self.productions.values() for p in alternatives]
        inside = {p.alias for p in productions} | {n.head for p in productions if p.macro for n in p.macro.body.walk()}
        outside = sorted({n.head for e in loss.expressions() for n in e.walk() if not n.is_constant} - inside)
        if outside:
            return f"it has no {', '.join(outside)}"
        if GENERATOR_REAL in loss.roles:
            return f"it has no {GENERATOR_REAL} clause"
        forms = {"role" if p.alias == ROLES_ALIAS else "label" for p in self.productions[self.start]}
        form = "role" if loss.label is None else "label"
        if form not in forms:
            return f"it holds no {form}-form losses"
        near = self._whole(loss, any_constant=True)
        for node in near.walk() if near is not None else ():
            drawn = self.constants_of(node.type) if node.alias == CONST else []
            if drawn and not any(distribution.holds(node.value) for distribution in drawn):
                return (
                    f"the constant {to_text(constant(node.value))} stands where it draws {' or '.join(map(str, drawn))}"
                )
        return "its form cannot be derived there"

    def _derive(self, type_: str, node: Expression, known: _Known) -> Derivation | None:
        if (type_, node) in known.found:
            return known.found[type_, node]
        found = None
        for production in self.productions[type_]:
            operands: Sequence[Expression] | None = node.operands
            if production.macro is not None:
                operands = production.macro.match(node)
            elif production.alias != (CONST if node.is_constant else node.head):
                continue
            if production.constant is not None and not (known.any_constant or production.constant.holds(node.value)):
                continue
            if operands is not None and len(operands) == len(production.operands):
                found = self._derived(type_, production, operands, node.value, known)
            if found is not None:
                break
        known.found[type_, node] = found
        return found

    def _derived(
        self, type_: str, production: Production, operands: Sequence[Expression], value: float, known: _Known
    ) -> Derivation | None:
        parts: list[Derivation] = []
        for operand_type, operand in zip(production.operands, operands, strict=True):
            part = self._derive(operand_type, operand, known)
            if part is None:
                return None
            parts.append(part)
        return Derivation(type_, production.alias, tuple(parts), value, production.macro)
