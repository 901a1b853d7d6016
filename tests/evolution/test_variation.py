"""Variation: whatever is sampled, crossed or mutated stays in its space, and within the limits."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.evolution.space import CONST, MAX_DEPTH, MAX_SIZE, Derivation, Space
from lossgen.evolution.space_reader import find_space, read_space
from lossgen.evolution.variation import FACTOR, MUTATIONS, STEP, crossover, mutate_constant, random_individual, vary
from lossgen.language import expression as language
from lossgen.language.expression import apply, constant
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss

TYPED = """
start: real fake generator -> roles
real: "relu" term -> relu | "leaky" term -> leaky | term
fake: term
generator: "gate" term small -> gate | term
term: "sub" term term -> sub | "mul" small term -> mul | "swish" term -> swish | "score" -> score | C -> const
small: SMALL -> const
C: /x/
SMALL: /x/
// def swish(x) = x * sigmoid(x)
// def leaky(x) = max(x, 0.2 * x)
// def gate(x, y) = y * swish(x) + (1 - y) * leaky(x) - y_pred
// weight score 4
// const uniform(-2, 2)
// const SMALL choice(0.25, 0.5)
"""
SPACES = [*map(find_space, ("ganetic", "taylor", "score", "roles")), read_space(TYPED, "macros", "macros.lark")]


def made_by_productions(space: Space, node: Derivation) -> bool:
    """Whether each node is made by an alternative of its type."""
    types = tuple(operand.type for operand in node.operands)
    return any(
        (p.alias, p.operands, p.macro) == (node.alias, types, node.macro)
        and (p.constant is None or p.constant.holds(node.value))
        for p in space.productions[node.type]
    ) and all(made_by_productions(space, operand) for operand in node.operands)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_sampled_or_varied_is_derivable_in_its_space(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_individual(space, rng), random_individual(space, rng)
    bred = [vary(space, a, b, rng) for _ in range(3)]
    steps = [crossover(space, a, b, rng), *(mutate(space, a, rng) for _, mutate, _ in MUTATIONS)]
    for individual in [a, b, *(child for child, _ in bred), *steps]:
        assert individual.type == space.start
        assert made_by_productions(space, individual)
        loss = individual.loss("Drawn")
        again = space.derive(loss)
        assert made_by_productions(space, again)
        assert again.loss("Drawn") == loss
    for child, how in bred:
        if how != "fresh":
            assert child != a
            assert child.size <= MAX_SIZE
            assert child.depth <= MAX_DEPTH
    for individual in (a, b, *(child for child, _ in bred)):
        loss = individual.loss("Drawn")
        assert loss.size <= language.MAX_SIZE
        assert parse_loss(print_loss(loss)) == loss


GROWING = """
start: "b" a -> big | "n" c -> neg
a: "b" b -> big
b: "b" leaf -> big
c: "n" d -> neg
d: "n" leaf -> neg
leaf: "s" -> score
// def two(x) = x + x
// def big(x) = two(two(two(two(x))))
"""


def test_losses_whose_macros_outgrow_the_language_are_drawn_anew() -> None:
    space, rng = read_space(GROWING, "growing", "growing.lark"), np.random.default_rng(0)
    assert {random_individual(space, rng).alias for _ in range(40)} == {"neg"}
    never = read_space(f"{GROWING}// weight neg 0.000001", "never", "never.lark")
    with pytest.raises(InputError, match="space never: 100 losses in a row had more than 1000 nodes"):
        random_individual(never, rng)


def test_role_form_spaces_give_role_form_losses() -> None:
    loss = random_individual(SPACES[-1], np.random.default_rng(1)).loss("Roles")
    assert loss.label is None
    assert set(loss.roles) == {"real", "fake", "generator"}


def test_a_mutated_constant_stays_among_the_listed() -> None:
    space = read_space('start: "m" c -> neg\nc: C -> const\nC: /x/\n// const choice(3, 5)', "listed", "listed.lark")
    rng = np.random.default_rng(0)
    changed = [mutate_constant(space, random_individual(space, rng), rng) for _ in range(40)]
    assert {child.operands[0].value for child in changed} == {3.0, 5.0}
    assert all(child.operands[0].alias == CONST for child in changed)


SUPPORTS = {
    "uniform(-2, -0.123456)": lambda x: -2.0 <= x <= -0.123456,
    "uniform(0.9999996, 1.0000004)": lambda x: 0.9999996 <= x <= 1.0000004,
    "uniform(0, 1)": lambda x: 0.0 <= x <= 1.0,
    "lognormal(0, 2)": lambda x: x > 0.0,
    "choice(-1, 0.12345)": lambda x: x in (-1.0, 0.12345),
    "normal(0, 1)": math.isfinite,
}


@pytest.mark.parametrize("drawn", SUPPORTS)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_a_mutated_constant_stays_in_its_support(drawn: str, seed: int) -> None:
    space = read_space(f'start: "m" c -> neg\nc: C -> const\nC: /x/\n// const {drawn}', "drawn", "drawn.lark")
    rng = np.random.default_rng(seed)
    individual = random_individual(space, rng)
    for _ in range(20):
        assert SUPPORTS[drawn](individual.operands[0].value)
        assert space.derive(individual.loss("Drawn")).operands[0].value == individual.operands[0].value
        individual = mutate_constant(space, individual, rng)


def constants_bred(drawn: str, value: float, count: int = 3000) -> np.ndarray:
    space = read_space(f'start: "m" c -> neg\nc: C -> const\nC: /x/\n// const {drawn}', "drawn", "drawn.lark")
    individual = space.derive(Loss("Bred", label=apply("neg", constant(value))))
    rng = np.random.default_rng(0)
    return np.array([mutate_constant(space, individual, rng).operands[0].value for _ in range(count)])


@pytest.mark.parametrize("drawn", ["normal(1, 2)", "uniform(-2, 4)"])
def test_zero_moves_by_steps_that_fit_its_distribution(drawn: str) -> None:
    bred = constants_bred(drawn, 0.0)
    moved = bred[bred != 0.0]
    assert len(moved) / len(bred) == pytest.approx(0.5, abs=0.04)  # the others were scaled
    width = 2.0 if drawn.startswith("normal") else 6.0 / math.sqrt(12.0)
    assert moved.std() == pytest.approx(STEP * width, rel=0.06)
    assert moved.mean() == pytest.approx(0.0, abs=0.1 * width)


def test_a_step_may_change_a_sign_where_the_space_has_both() -> None:
    assert np.mean(constants_bred("normal(0, 1)", 0.1) < 0.0) == pytest.approx(0.5 * 0.369, abs=0.03)
    bred = constants_bred("lognormal(0, 1)", 0.1)
    assert bred.min() > 1e-5  # reflected, not left at the edge of the support
    assert np.mean(bred > 0.3) == pytest.approx(0.5 * (0.2525 + 0.0912 + 0.003), abs=0.03)


def test_half_of_the_mutated_are_scaled_whatever_their_magnitude() -> None:
    bred = constants_bred("normal(0, 1)", 1e6)
    ratios = np.log(bred / 1e6)
    assert np.mean(np.abs(ratios) > 1e-4) == pytest.approx(0.5, abs=0.04)
    assert ratios[np.abs(ratios) > 1e-4].std() == pytest.approx(FACTOR, rel=0.06)


@pytest.mark.parametrize(("drawn", "outside"), [("uniform(-2, 2)", 2.1), ("lognormal(0, 1)", -1), ("choice(3, 5)", 4)])
def test_what_is_outside_its_support_cannot_be_derived(drawn: str, outside: float) -> None:
    space = read_space(f'start: "m" c -> neg\nc: C -> const\nC: /x/\n// const {drawn}', "drawn", "drawn.lark")
    with pytest.raises(InputError, match=f"the constant {outside} stands where it draws {re.escape(drawn)}"):
        space.derive(Loss("Out", label=apply("neg", constant(outside))))


def test_mutations_of_ones_own_may_be_fewer_or_more() -> None:
    space = find_space("ganetic")
    rng = np.random.default_rng(0)
    a, b = random_individual(space, rng), random_individual(space, rng)
    for count in (1, 9):
        mine = [(f"mine {i}", MUTATIONS[0][1], 1.0) for i in range(count)]
        made = {vary(space, a, b, rng, mine)[1] for _ in range(200)}
        assert made - {"crossover", "fresh"} == {name for name, *_ in mine}
