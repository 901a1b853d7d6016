"""Search spaces: typed, abstract grammars that evolution samples from and stays inside."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lark import Lark
from lark.exceptions import LarkError
from lark.grammar import NonTerminal, Terminal

from lossgen.errors import InputError
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import ROLES, Loss
from lossgen.language.operators import OPERATORS, VARIABLES
from lossgen.language.parser import LossSyntaxError
from lossgen.resources import resource_dir

CONST, ROLES_ALIAS = "const", "roles"
_DISTRIBUTIONS = {"lognormal": 2, "normal": 2, "uniform": 2, "choice": None}
_DIGITS = 4  # of a sampled constant: what a person would write, and enough for a search


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
            return p[0] <= p[1]
        return self.name in _DISTRIBUTIONS and 0.0 <= p[1] <= 50.0 and abs(p[0]) <= 300.0

    def holds(self, value: float) -> bool:
        """Whether a constant that someone wrote could have been drawn; of continuous ones any could, or nearly."""
        return self.name != "choice" or value in self.parameters

    def sample(self, rng: np.random.Generator) -> float:
        if self.name == "choice":
            return float(rng.choice(self.parameters))
        value = float(getattr(rng, self.name)(*self.parameters))
        return float(f"{value:.{_DIGITS}g}")


@dataclass(frozen=True)
class Production:
    """One alternative of a nonterminal: an operator, variable or constant, and the types of its operands."""

    alias: str
    operands: tuple[str, ...]
    weight: float
    constant: Distribution | None = None


@dataclass(frozen=True)
class Derivation:
    """How an individual is derived: the type and production of every node.

    Attributes:
        type: the nonterminal.
        alias: the production taken.
        operands: derivations of its operands.
        value: of a constant.
    """

    type: str
    alias: str
    operands: tuple["Derivation", ...] = ()
    value: float = 0.0

    @property
    def size(self) -> int:
        return 1 + sum(operand.size for operand in self.operands)

    @property
    def depth(self) -> int:
        return 1 + max((operand.depth for operand in self.operands), default=0)

    def expression(self) -> Expression:
        if self.alias == CONST:
            return constant(self.value)
        if self.alias in VARIABLES:
            return variable(self.alias)
        return apply(self.alias, *(operand.expression() for operand in self.operands))

    def loss(self, name: str) -> Loss:
        """The loss that this derivation of the start symbol says."""
        if self.alias == ROLES_ALIAS:
            return Loss(name, roles={role: d.expression() for role, d in zip(ROLES, self.operands, strict=True)})
        return Loss(name, label=self.expression())


@dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        name: for the record.
        text: the grammar as it was read.
        start: type of a whole individual.
        productions: alternatives by type.
        min_depth: depth of the shallowest derivation by type.
    """

    name: str
    text: str
    start: str
    productions: Mapping[str, Sequence[Production]]
    min_depth: Mapping[str, int]

    def sample(self, type_: str, rng: np.random.Generator, depth: int) -> Derivation:
        """A random derivation of a type, at most `depth` deep (or as shallow as the type allows)."""
        limit = max(depth, self.min_depth[type_])
        choices = [p for p in self.productions[type_] if self.depth_of(p) <= limit]
        weights = np.array([p.weight for p in choices])
        production = choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
        if production.constant is not None:
            return Derivation(type_, production.alias, (), production.constant.sample(rng))
        operands = tuple(self.sample(operand, rng, limit - 1) for operand in production.operands)
        return Derivation(type_, production.alias, operands)

    def depth_of(self, production: Production) -> float:
        """Depth of the shallowest derivation that begins with this production."""
        return 1 + max((self.min_depth[operand] for operand in production.operands), default=0)

    def derive(self, loss: Loss) -> Derivation:
        """The derivation of a loss that someone wrote.

        Raises:
            InputError: the loss is outside the space.
        """
        found = None
        if loss.label is not None:
            found = self._derive(self.start, loss.label)
        else:
            for production in self.productions[self.start]:
                if production.alias == ROLES_ALIAS:
                    parts = [self._derive(t, loss.roles[r]) for t, r in zip(production.operands, ROLES, strict=True)]
                    if all(part is not None for part in parts):
                        found = Derivation(self.start, ROLES_ALIAS, tuple(p for p in parts if p is not None))
        if found is None:
            outside = sorted(
                {n.head for e in loss.expressions() for n in e.walk() if n.head != "constant"} - self._aliases()
            )
            why = f"it has no {', '.join(outside)}" if outside else "its form cannot be derived there"
            raise InputError(f"loss {loss.name}: outside the search space {self.name}: {why}")
        return found

    def _aliases(self) -> set[str]:
        return {p.alias for alternatives in self.productions.values() for p in alternatives}

    def _derive(self, type_: str, node: Expression) -> Derivation | None:
        alias = CONST if node.is_constant else node.head
        for production in self.productions[type_]:
            if production.alias != alias or len(production.operands) != len(node.operands):
                continue
            if production.constant is not None and not production.constant.holds(node.value):
                continue
            parts = [self._derive(t, operand) for t, operand in zip(production.operands, node.operands, strict=True)]
            if all(part is not None for part in parts):
                return Derivation(type_, alias, tuple(p for p in parts if p is not None), node.value)
        return None


def find_space(name: str) -> Space:
    """The space called `name`: a path to a .lark file, or one of grammar/spaces/.

    Raises:
        InputError: no such space, or a malformed one.
    """
    folder = resource_dir("grammar") / "spaces"
    path = Path(name) if name.endswith(".lark") else folder / f"{name}.lark"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        known = ", ".join(sorted(p.stem for p in folder.glob("*.lark")))
        raise InputError(f"space {name}: not found; give a path to a .lark file, or one of: {known}") from None
    return read_space(text, path.stem, str(path) if name.endswith(".lark") else f"{name}.lark")


def read_space(text: str, name: str, source: str) -> Space:
    """The space that grammar text says.

    Raises:
        InputError: not a Lark grammar, an unknown operator, a wrong number of operands, an infinite production.
    """
    try:
        rules = Lark(text, parser="earley").rules
    except OSError as error:
        raise InputError(f"{source}: imports what is not there: {error.filename}; say it in this file") from None
    except LarkError as error:
        raise _not_a_grammar(error, text, source) from None
    weights, constants = _directives(text, source)
    productions: dict[str, list[Production]] = {}
    passed_on: dict[str, list[str]] = {}
    for rule in rules:
        type_ = str(rule.origin.name)
        operands = tuple(str(symbol.name) for symbol in rule.expansion if isinstance(symbol, NonTerminal))
        if rule.alias is None:
            if len(operands) != 1 or len(rule.expansion) != 1:
                raise _misuse(f"an alternative of {type_} has no alias", text, source, type_)
            passed_on.setdefault(type_, []).append(operands[0])
            continue
        alias = str(rule.alias)
        _check_alias(alias, operands, text, source)
        terminals = [str(symbol.name) for symbol in rule.expansion if isinstance(symbol, Terminal)]
        drawn = constants.get(terminals[0], constants["CONST"]) if alias == CONST and terminals else None
        productions.setdefault(type_, []).append(Production(alias, operands, weights.get(alias, 1.0), drawn))
    productions = _resolve(productions, passed_on)
    min_depth = _min_depths(productions)
    for type_ in productions:
        if min_depth[type_] == math.inf:
            raise _misuse(f"{type_} never ends: each of its alternatives needs {type_} again", text, source, type_)
    for roles in (p for p in productions["start"] if p.alias == ROLES_ALIAS):
        if any(p.alias == "y_real" for type_ in _reachable(productions, roles.operands) for p in productions[type_]):
            raise _misuse("y_real belongs to the label form; a role has its target already", text, source, "y_real")
    return Space(name, text, "start", productions, {t: int(d) for t, d in min_depth.items()})


def _not_a_grammar(error: LarkError, text: str, source: str) -> LossSyntaxError:
    place = re.search(r"at line (\d+),? col(?:umn)? (\d+)", str(error))
    line, column = (int(place[1]), int(place[2])) if place else (1, 1)
    what = f"not a Lark grammar: {str(error).splitlines()[0]}"
    return LossSyntaxError(what, text, line, column, "rules such as: expr: … -> add", source)


def _check_alias(alias: str, operands: tuple[str, ...], text: str, source: str) -> None:
    if alias == ROLES_ALIAS:
        arity = len(ROLES)
    elif alias == CONST or alias in VARIABLES:
        arity = 0
    elif alias in OPERATORS and OPERATORS[alias].surface:
        arity = OPERATORS[alias].arity
    else:
        raise _misuse(f"unknown operator {alias!r}", text, source, alias, f"one of: {', '.join(_known_aliases())}")
    if len(operands) != arity:
        raise _misuse(f"{alias} takes {arity} operands, not {len(operands)}", text, source, alias)


def _known_aliases() -> list[str]:
    return [*(name for name, row in OPERATORS.items() if row.surface), *VARIABLES, CONST, ROLES_ALIAS]


def _resolve(productions: dict[str, list[Production]], passed_on: dict[str, list[str]]) -> dict[str, list[Production]]:
    """Give a type that only hands on to others (`start: expr`) their alternatives."""

    def alternatives(type_: str, seen: frozenset[str]) -> list[Production]:
        found = list(productions.get(type_, []))
        for other in passed_on.get(type_, []):
            if other not in seen:
                found += alternatives(other, seen | {other})
        return found

    return {type_: alternatives(type_, frozenset({type_})) for type_ in {*productions, *passed_on}}


def _reachable(productions: Mapping[str, Sequence[Production]], types: Sequence[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(types)
    while waiting:
        type_ = waiting.pop()
        if type_ not in found:
            found.add(type_)
            waiting += [operand for production in productions[type_] for operand in production.operands]
    return found


def _min_depths(productions: Mapping[str, Sequence[Production]]) -> dict[str, float]:
    depths: dict[str, float] = dict.fromkeys(productions, math.inf)
    changed = True
    while changed:
        changed = False
        for type_, alternatives in productions.items():
            best = min(
                (1 + max((depths.get(operand, math.inf) for operand in p.operands), default=0) for p in alternatives),
                default=math.inf,
            )
            if best < depths[type_]:
                depths[type_], changed = best, True
    return depths


_DIRECTIVE = re.compile(r"^\s*//\s*(weight|const)\s+(.*?)\s*$")
_CONST = re.compile(r"^(?:([A-Z_]+)\s+)?([a-z]+)\(([^)]*)\)$")


def _directives(text: str, source: str) -> tuple[dict[str, float], dict[str, Distribution]]:
    """Weights and constant distributions, from the comment lines that say them."""
    weights: dict[str, float] = {}
    constants = {"CONST": Distribution("lognormal", (0.0, 1.0))}
    for number, line in enumerate(text.splitlines(), 1):
        found = _DIRECTIVE.match(line)
        if not found:
            continue
        kind, rest = found.groups()
        parts = rest.split()
        if kind == "weight":
            value = _number(parts[1]) if len(parts) == 2 else None
            if value is None or value <= 0.0:
                raise LossSyntaxError("not a weight", text, number, 1, "// weight OPERATOR POSITIVE_NUMBER", source)
            if parts[0] not in _known_aliases():
                expected = f"one of: {', '.join(_known_aliases())}"
                raise LossSyntaxError(f"unknown operator {parts[0]!r}", text, number, 1, expected, source)
            weights[parts[0]] = value
        else:
            shape = _CONST.match(rest)
            terminal, name, arguments = shape.groups() if shape else (None, "", "")
            numbers = [_number(part) for part in arguments.split(",")]
            wanted = _DISTRIBUTIONS.get(name, 0)
            drawn = Distribution(name, tuple(n for n in numbers if n is not None))
            if None in numbers or (wanted and len(numbers) != wanted) or not drawn.sensible:
                raise LossSyntaxError(
                    "not a distribution", text, number, 1, "lognormal(m, s), normal(m, s), uniform(a, b) or choice(…)",
                    source,
                )  # fmt: skip
            constants[terminal or "CONST"] = drawn
    return weights, constants


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _misuse(what: str, text: str, source: str, word: str, expected: str = "") -> LossSyntaxError:
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(rf"\b{re.escape(word)}\b", line)
        if found and not line.lstrip().startswith("//"):
            return LossSyntaxError(what, text, number, found.start() + 1, expected, source)
    return LossSyntaxError(what, text, 1, 1, expected, source)
