"""Search spaces: what is read, what is refused, what is sampled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.space import Space
from lossgen.evolution.space_reader import find_space, read_space
from lossgen.evolution.variation import MAX_DEPTH, MAX_SIZE, MUTATIONS, crossover, random_individual, vary

GANETIC = find_space("ganetic")
TYPED = read_space(
    """
start: real fake generator -> roles
real: "relu" term -> relu | term
fake: term
generator: term
term: "sub" term term -> sub | "mul" NUMBER_PLACE term -> mul | "score" -> score | CONST -> const
NUMBER_PLACE: "x"
CONST: /[0-9]+/
// weight score 4
// const uniform(-2, 2)
""".replace('"mul" NUMBER_PLACE term -> mul', '"mul" small term -> mul').replace(
        'NUMBER_PLACE: "x"', "small: SMALL -> const\nSMALL: /x/\n// const SMALL choice(0.25, 0.5)"
    ),
    "typed",
    "typed.lark",
)


def derivable(space: Space, derivation: object) -> bool:
    """Whether every node is one of the productions of its type."""

    def ok(node) -> bool:  # type: ignore[no-untyped-def]
        types = tuple(operand.type for operand in node.operands)
        return any(p.alias == node.alias and p.operands == types for p in space.productions[node.type]) and all(
            ok(operand) for operand in node.operands
        )

    return ok(derivation) and derivation.type == space.start  # type: ignore[attr-defined]


@pytest.mark.parametrize("space", [GANETIC, TYPED], ids=["ganetic", "typed"])
@given(seed=st.integers(0, 2**32))
def test_whatever_is_sampled_or_varied_stays_in_the_space(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_individual(space, rng), random_individual(space, rng)
    children = [a, b, crossover(space, a, b, rng), vary(space, a, b, rng)[0]]
    children += [mutate(space, a, rng) for _, mutate, _ in MUTATIONS]
    assert all(derivable(space, child) for child in children)


@given(seed=st.integers(0, 2**32))
def test_a_varied_child_differs_and_keeps_the_limits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_individual(GANETIC, rng), random_individual(GANETIC, rng)
    child, how = vary(GANETIC, a, b, rng)
    if how != "fresh":
        assert child != a
        assert child.size <= MAX_SIZE
        assert child.depth <= MAX_DEPTH


@given(seed=st.integers(0, 2**32))
def test_a_sampled_loss_derives_back_to_itself(seed: int) -> None:
    derivation = random_individual(GANETIC, np.random.default_rng(seed))
    assert GANETIC.derive(derivation.loss("Sampled")) == derivation


def test_constants_come_from_their_own_distribution() -> None:
    rng = np.random.default_rng(0)
    drawn = [TYPED.sample("small", rng, 1).value for _ in range(50)]
    assert set(drawn) == {0.25, 0.5}


def test_weights_shift_what_is_sampled() -> None:
    text = 'start: "score" -> score | "y_pred" -> y_pred\n// weight score 9\n'
    space = read_space(text, "two", "two.lark")
    rng = np.random.default_rng(0)
    share = np.mean([space.sample("start", rng, 1).alias == "score" for _ in range(2000)])
    assert share == pytest.approx(0.9, abs=0.03)


def test_role_form_spaces_give_role_form_losses() -> None:
    loss = random_individual(TYPED, np.random.default_rng(1)).loss("Roles")
    assert loss.label is None
    assert set(loss.roles) == {"real", "fake", "generator"}


@pytest.mark.parametrize("name", ["ganetic", "bce"])
def test_known_losses_lie_in_the_space_that_says_so(name: str) -> None:
    loss = load_argument(name).loss
    assert GANETIC.derive(loss).loss(loss.name) == loss


@pytest.mark.parametrize("name", ["hinge", "lsgan", "wasserstein", "minimax"])
def test_a_seed_outside_the_space_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="outside the search space ganetic") as caught:
        GANETIC.derive(load_argument(name).loss)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('start: "sqr" start -> sqr | "score" -> score', "unknown operator 'sqr'", 1),
        ('start: "add" start -> add | "score" -> score', "add takes 2 operands, not 1", 1),
        ('start: other\nother: "neg" other -> neg', "never ends", 1),
        ("start: \n  -> ->", "not a Lark grammar", 2),
        ('start: "score" -> score\n// weight score zero', "not a weight", 2),
        ('start: "score" -> score\n// const cauchy(0, 1)', "not a distribution", 2),
        ('start: "score" -> score\n// const uniform(0)', "not a distribution", 2),
        ('start: "score" "score"', "has no alias", 1),
        ('start: "score" -> score\n// weight scroe 5', "unknown operator 'scroe'", 2),
        ('start: "score" -> score\n// const choice 2, 3', "not a distribution", 2),
        ('start: "score" -> score\n// const normal(0, -1)', "not a distribution", 2),
        ('start: "score" -> score\n// const lognormal(900, 1)', "not a distribution", 2),
        ("start: expr\nexpr: expr", "never ends", 1),
        ('start: e e e -> roles\ne: "y_real" -> y_real', "belongs to the label form", 2),
    ],
)
def test_a_malformed_space_says_what_and_where(text: str, message: str, line: int) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_space(text, "bad", "bad.lark")
    assert f"bad.lark, line {line}" in str(caught.value)


def test_an_unknown_nonterminal_is_refused() -> None:
    with pytest.raises(InputError, match=r"bad\.lark"):
        read_space('start: "neg" nowhere -> neg', "bad", "bad.lark")


@pytest.mark.parametrize("text", ["y_pred^2.5", "(-3)^7"])
def test_a_constant_that_the_space_would_not_draw_is_outside(text: str) -> None:
    with pytest.raises(InputError, match="outside the search space"):
        GANETIC.derive(load_argument(text).loss)


def test_an_unknown_space_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="ganetic"):
        find_space("nowhere")
