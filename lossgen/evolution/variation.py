"""Variation inside a space: crossover, and mutation of subtrees, points and constants.

Every function takes derivations and gives a derivation of the same space; none of them can leave it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lossgen.errors import InputError
from lossgen.evolution.distribution import Distribution
from lossgen.evolution.space import CONST, MAX_DEPTH, MAX_SIZE, Derivation, Space
from lossgen.language import expression as language

NEW_DEPTH = 4
ATTEMPTS = 10
FRESH_ATTEMPTS = 100
FACTOR = 0.4
"""Standard deviation of the logarithm of a factor on a constant."""
STEP = 0.3
"""Standard deviation of a step that a constant takes, as a part of its distribution's scale."""

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
    donors = [node for _, node in parts(b) if node.type == part.type]
    return replaced(a, path, donors[int(rng.integers(len(donors)))]) if donors else a


def mutate_subtree(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One part replaced by a new one."""
    path, part = _pick(a, rng)
    return replaced(a, path, space.sample(part.type, rng, int(rng.integers(1, NEW_DEPTH + 1))))


def mutate_point(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One node's operator or variable replaced by another of the same type, with the same operand types."""
    path, part = _pick(a, rng)
    shape = tuple(operand.type for operand in part.operands)
    others = [p for p in space.productions[part.type] if p.operands == shape and p.alias != part.alias]
    if not others:
        return a
    chosen = others[int(rng.integers(len(others)))]
    value = chosen.constant.sample(rng) if chosen.constant else 0.0
    return replaced(a, path, Derivation(part.type, chosen.alias, part.operands, value, chosen.macro))


def mutate_constant(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One constant scaled by a log-normal factor or moved by a Gaussian step, or drawn anew from a list of values.

    A factor suits constants of any magnitude; a step alone moves 0, or changes a sign. Both stay in the support: a step
    that would make a positive constant negative is reflected at 0.
    """
    constants = [(path, node) for path, node in parts(a) if node.alias == CONST]
    if not constants:
        return a
    path, node = constants[int(rng.integers(len(constants)))]
    drawn = distribution_of(space, node)
    if drawn.name == "choice":
        value = drawn.sample(rng)
    elif rng.random() < 0.5:
        value = drawn.nearest(node.value * float(rng.lognormal(0.0, FACTOR)))
    else:
        moved = node.value + STEP * drawn.scale * float(rng.standard_normal())
        value = drawn.nearest(abs(moved) if drawn.name == "lognormal" else moved)
    return replaced(a, path, dataclasses.replace(node, value=value))


def hoist(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """One part replaced by a smaller part of itself, of the same type."""
    path, part = _pick(a, rng)
    inner = [node for below, node in parts(part) if below and node.type == part.type]
    return replaced(a, path, inner[int(rng.integers(len(inner)))]) if inner else a


Mutation = Callable[[Space, Derivation, np.random.Generator], Derivation]
MUTATIONS: Sequence[tuple[str, Mutation, float]] = (
    ("subtree", mutate_subtree, 0.35),
    ("point", mutate_point, 0.25),
    ("constant", mutate_constant, 0.25),
    ("hoist", hoist, 0.15),
)
"""Names, functions and weights."""
CROSSOVER_RATE = 0.4
Vary = Callable[[Space, Derivation, Derivation, np.random.Generator], tuple[Derivation, str]]
"""From two parents, a child of the same space and how it came: "crossover" of both, "fresh" of none, else of the first.
"""


def vary(
    space: Space,
    a: Derivation,
    b: Derivation,
    rng: np.random.Generator,
    mutations: Sequence[tuple[str, Mutation, float]] = MUTATIONS,
) -> tuple[Derivation, str]:
    """A child of `a` (and of `b`, in a crossover) that differs from `a` and is within the limits, and how it came."""
    for _ in range(ATTEMPTS):
        if rng.random() < CROSSOVER_RATE:
            child, how = crossover(space, a, b, rng), "crossover"
        else:
            weights = np.array([weight for _, _, weight in mutations])
            how, mutate, _ = mutations[int(rng.choice(len(mutations), p=weights / weights.sum()))]
            child = mutate(space, a, rng)
        if child != a and child.size <= MAX_SIZE and child.depth <= MAX_DEPTH:
            return child, how
    return random_individual(space, rng), "fresh"


def distribution_of(space: Space, node: Derivation) -> Distribution:
    """How a constant is drawn where it stands; of several ways the first that may have given it."""
    return max(space.constants_of(node.type), key=lambda distribution: distribution.holds(node.value))


def parts(root: Derivation, path: Path = ()) -> Iterator[tuple[Path, Derivation]]:
    """The derivation and all below it, each with the operand numbers that lead to it."""
    yield path, root
    for i, operand in enumerate(root.operands):
        yield from parts(operand, (*path, i))


def _pick(root: Derivation, rng: np.random.Generator) -> tuple[Path, Derivation]:
    """A node, operators nine times as likely as leaves (Koza 1992)."""
    nodes = list(parts(root))
    weights = np.array([0.9 if node.operands else 0.1 for _, node in nodes])
    return nodes[int(rng.choice(len(nodes), p=weights / weights.sum()))]


def replaced(root: Derivation, path: Path, part: Derivation) -> Derivation:
    """`root` with `part` at a path."""
    if not path:
        return dataclasses.replace(part, type=root.type)
    i, rest = path[0], path[1:]
    operands = (*root.operands[:i], replaced(root.operands[i], rest, part), *root.operands[i + 1 :])
    return dataclasses.replace(root, operands=operands)


def checked_child(made: object) -> tuple[Derivation, str]:
    """What a variation has made, if it is a child and how it came.

    Raises:
        InputError: it is not.
    """
    match made:
        case (Derivation() as child, str() as how):
            return child, how
    raise InputError(
        f'vary: gave {" ".join(repr(made).split()):.60}; give a Derivation and how it came: return child, "mutated"'
    )
