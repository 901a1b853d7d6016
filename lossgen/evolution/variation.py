"""Variation inside a space: crossover, and mutation of subtrees, points and constants.

Every function takes derivations and gives a derivation of the same space; none of them can leave it.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from lossgen.errors import InputError
from lossgen.evolution.space import CONST, MAX_DEPTH, MAX_SIZE, Derivation, Space
from lossgen.language import expression as language

NEW_DEPTH = 4
ATTEMPTS = 10
FRESH_ATTEMPTS = 100

Path = tuple[int, ...]


def random_individual(space: Space, rng: np.random.Generator) -> Derivation:
    """A fresh individual; its depth limit is drawn first, so that small and large ones both occur.

    Raises:
        InputError: with its macros expanded, whatever is drawn outgrows the loss language.
    """
    for attempt in range(FRESH_ATTEMPTS):
        depth = int(rng.integers(4, 9)) if attempt < ATTEMPTS else 1  # macros in macros: shallow ones must do
        drawn = space.sample(space.start, rng, depth)
        if drawn.size <= language.MAX_SIZE and drawn.depth <= language.MAX_DEPTH:
            return drawn
    raise InputError(
        f"space {space.name}: {FRESH_ATTEMPTS} losses in a row had more than {language.MAX_SIZE} nodes or "
        f"{language.MAX_DEPTH} levels; use smaller macros, or use them in fewer types"
    )


def crossover(space: Space, a: Derivation, b: Derivation, rng: np.random.Generator) -> Derivation:
    """`a` with one of its parts replaced by a part of `b` of the same type (Koza 1992; Montana 1995 for types)."""
    path, part = _pick(a, rng)
    donors = [node for _, node in _nodes(b) if node.type == part.type]
    return _replace(a, path, donors[int(rng.integers(len(donors)))]) if donors else a


def mutate_subtree(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One part replaced by a new one."""
    path, part = _pick(a, rng)
    return _replace(a, path, space.sample(part.type, rng, int(rng.integers(1, NEW_DEPTH + 1))))


def mutate_point(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One node's operator or variable replaced by another of the same type, with the same operand types."""
    path, part = _pick(a, rng)
    shape = tuple(operand.type for operand in part.operands)
    others = [p for p in space.productions[part.type] if p.operands == shape and p.alias != part.alias]
    if not others:
        return a
    chosen = others[int(rng.integers(len(others)))]
    value = chosen.constant.sample(rng) if chosen.constant else 0.0
    return _replace(a, path, Derivation(part.type, chosen.alias, part.operands, value, chosen.macro))


def mutate_constant(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One constant scaled by a log-normal factor, within its bounds, or drawn anew where the space lists its values."""
    constants = [(path, node) for path, node in _nodes(a) if node.alias == CONST]
    if not constants:
        return a
    path, node = constants[int(rng.integers(len(constants)))]
    drawn = max(space.constants_of(node.type), key=lambda distribution: distribution.holds(node.value))
    if drawn.name == "choice":
        value = drawn.sample(rng)
    else:
        value = drawn.nearest(node.value * float(rng.lognormal(0.0, 0.4)))
    return _replace(a, path, Derivation(node.type, CONST, (), value))


def hoist(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One part replaced by a smaller part of itself, of the same type."""
    path, part = _pick(a, rng)
    inner = [node for below, node in _nodes(part) if below and node.type == part.type]
    return _replace(a, path, inner[int(rng.integers(len(inner)))]) if inner else a


Mutation = Callable[[Space, Derivation, np.random.Generator], Derivation]
MUTATIONS: tuple[tuple[str, Mutation, float], ...] = (
    ("subtree", mutate_subtree, 0.35),
    ("point", mutate_point, 0.25),
    ("constant", mutate_constant, 0.25),
    ("hoist", hoist, 0.15),
)
CROSSOVER_RATE = 0.4


def vary(space: Space, a: Derivation, b: Derivation, rng: np.random.Generator) -> tuple[Derivation, str]:
    """A child of `a` (and of `b`, in a crossover) that differs from `a` and is within the limits, and how it came."""
    for _ in range(ATTEMPTS):
        if rng.random() < CROSSOVER_RATE:
            child, how = crossover(space, a, b, rng), "crossover"
        else:
            weights = np.array([weight for _, _, weight in MUTATIONS])
            how, mutate, _ = MUTATIONS[int(rng.choice(len(MUTATIONS), p=weights / weights.sum()))]
            child = mutate(space, a, rng)
        if child != a and child.size <= MAX_SIZE and child.depth <= MAX_DEPTH:
            return child, how
    return random_individual(space, rng), "fresh"


def _nodes(root: Derivation, path: Path = ()) -> Iterator[tuple[Path, Derivation]]:
    yield path, root
    for i, operand in enumerate(root.operands):
        yield from _nodes(operand, (*path, i))


def _pick(root: Derivation, rng: np.random.Generator) -> tuple[Path, Derivation]:
    """A node, operators nine times as likely as leaves (Koza 1992)."""
    nodes = list(_nodes(root))
    weights = np.array([0.9 if node.operands else 0.1 for _, node in nodes])
    return nodes[int(rng.choice(len(nodes), p=weights / weights.sum()))]


def _replace(root: Derivation, path: Path, part: Derivation) -> Derivation:
    if not path:
        return dataclasses.replace(part, type=root.type)
    i, rest = path[0], path[1:]
    operands = (*root.operands[:i], _replace(root.operands[i], rest, part), *root.operands[i + 1 :])
    return dataclasses.replace(root, operands=operands)
