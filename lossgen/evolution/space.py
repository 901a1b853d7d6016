"""Search spaces: what evolution samples from and stays inside.

A space is read from a .lark file by `space_reader.py`. Individuals are derivations: which production made each node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lossgen.errors import InputError
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import GENERATOR_REAL, ROLES, Loss
from lossgen.language.macro import Macro
from lossgen.language.operators import BATCH_TERMS, VARIABLES

CONST, ROLES_ALIAS = "const", "roles"
SEARCHED = tuple(name for name in VARIABLES if name not in BATCH_TERMS)
"""Variables of the losses that are searched."""

MAX_DEPTH = 10
MAX_SIZE = 40
"""A child that outgrows these is not bred; sizes are those of the loss, with its macros expanded."""

DISTRIBUTIONS: Mapping[str, int | None] = {"lognormal": 2, "normal": 2, "uniform": 2, "choice": None}
"""Distributions of constants, and how many numbers each takes; any number of them, where it is None."""
DIGITS = 4
"""Of a sampled constant: what a person would write, and enough for a search."""


@dataclass(frozen=True)
class Distribution:
    """How a constant is drawn."""

    name: str
    parameters: tuple[float, ...]

    @property
    def sensible(self) -> bool:
        """Whether it can be drawn from, and gives finite numbers."""
        p = self.parameters
        if self.name == "choice":
            return bool(p)
        if self.name == "uniform":
            return -1e300 <= p[0] <= p[1] <= 1e300
        return 0.0 <= p[1] <= 50.0 and abs(p[0]) <= 300.0

    def holds(self, value: float) -> bool:
        """Whether a constant that someone wrote could have been drawn; of continuous ones any could, or nearly."""
        return self.name != "choice" or value in self.parameters

    def sample(self, rng: np.random.Generator) -> float:
        if self.name == "choice":
            return float(rng.choice(self.parameters))
        value = float(getattr(rng, self.name)(*self.parameters))
        return float(f"{value:.{DIGITS}g}")


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


_Known = dict[tuple[str, Expression], Derivation | None]


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

    def sample(self, type_: str, rng: np.random.Generator, depth: int) -> Derivation:
        """A random derivation of a type, at most `depth` productions deep (or as shallow as the type allows)."""
        limit = max(depth, self.min_depth[type_])
        choices = [p for p in self.productions[type_] if self.depth_of(p) <= limit]
        weights = np.array([p.weight for p in choices])
        production = choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
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
        known: _Known = {}
        found = None
        if loss.label is not None:
            found = self._derive(self.start, loss.label, known)
        elif GENERATOR_REAL not in loss.roles:
            wanted = [loss.roles[role] for role in ROLES]
            for production in self.productions[self.start]:
                if production.alias == ROLES_ALIAS and found is None:
                    found = self._derived(self.start, production, wanted, 0.0, known)
        if found is None:
            raise InputError(f"loss {loss.name}: outside the search space {self.name}: {self._why_outside(loss)}")
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
        return "its form cannot be derived there" if form in forms else f"it holds no {form}-form losses"

    def _derive(self, type_: str, node: Expression, known: _Known) -> Derivation | None:
        if (type_, node) in known:
            return known[type_, node]
        found = None
        for production in self.productions[type_]:
            operands: Sequence[Expression] | None = node.operands
            if production.macro is not None:
                operands = production.macro.match(node)
            elif production.alias != (CONST if node.is_constant else node.head):
                continue
            if production.constant is not None and not production.constant.holds(node.value):
                continue
            if operands is not None and len(operands) == len(production.operands):
                found = self._derived(type_, production, operands, node.value, known)
            if found is not None:
                break
        known[type_, node] = found
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
