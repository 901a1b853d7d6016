"""Search spaces: what they hold, and how they are sampled."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark

from lossgen.errors import InputError
from lossgen.evolution.distribution import DISTRIBUTIONS
from lossgen.evolution.space import Space
from lossgen.evolution.space_reader import find_space, read_space
from lossgen.evolution.variation import random_individual
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.resources import resource_dir, zoo_dir

SHIPPED = ("ganetic", "taylor", "score", "roles")
SPACES = {name: find_space(name) for name in SHIPPED}
README = (resource_dir("grammar") / "README.md").read_text(encoding="utf-8").split("\n## A search space\n")[1]


def blocks(text: str) -> list[str]:
    """The indented blocks of a Markdown text, their indentation taken away."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip("\n") for block in found if block.strip()]


def zoo(name: str) -> Loss:
    return parse_loss((zoo_dir() / f"{name}.loss").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_spaces_that_come_with_it_are_lark_grammars(name: str) -> None:
    Lark(SPACES[name].text, parser="earley")


@pytest.mark.parametrize(("name", "least"), [("ganetic", 0.01), ("taylor", 0.03), ("score", 0.04), ("roles", 0.5)])
def test_a_reasonable_share_of_each_space_can_train(name: str, least: float) -> None:
    rng = np.random.default_rng(1)
    drawn = [random_individual(SPACES[name], rng).loss("Drawn") for _ in range(1000)]
    assert np.mean([screening.rejection is None for screening in screen([lower_loss(loss) for loss in drawn])]) > least


def test_the_example_of_the_reference_is_a_space_whose_losses_print_without_macros() -> None:
    text, error = blocks(README)
    space = read_space(text, "my", "my.lark")
    rng = np.random.default_rng(0)
    drawn = [random_individual(space, rng) for _ in range(200)]
    printed = " ".join(print_loss(derivation.loss("Drawn")) for derivation in drawn)
    assert "sigmoid" in printed
    assert "swish" not in printed
    with pytest.raises(InputError) as caught:
        read_space(text.replace("-> swish", "-> swich"), "my", "my.lark")
    assert str(caught.value) == error


def test_the_reference_names_what_there_is() -> None:
    assert all(f"`{name}`" in README for name in SHIPPED)
    assert all(f"{name}(" in README for name in DISTRIBUTIONS)


def test_constants_come_from_their_own_distribution() -> None:
    text = (
        'start: "add" a b -> add | "mul" c c -> mul\na: A -> const\nb: B -> const\nc: C -> const\n'
        "A: /x/\nB: /x/\nC: /x/\n// const B choice(7)\n// const uniform(2, 3)\n// const C normal(0, 0)"
    )
    space, rng = read_space(text, "drawn", "drawn.lark"), np.random.default_rng(0)
    drawn = {type_: {space.sample(type_, rng, 1).value for _ in range(50)} for type_ in "abc"}
    assert drawn["b"] == {7.0}
    assert drawn["c"] == {0.0}
    assert len(drawn["a"]) > 40
    assert all(2.0 <= value <= 3.0 for value in drawn["a"])


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ('start: "score" -> score | "y_pred" -> y_pred\n// weight score 9\n', "score"),
        ('start: "w" p -> twice | "n" p -> neg\np: "p" -> y_pred\n// def twice(x) = x + x\n// weight twice 9', "twice"),
    ],
)
def test_weights_shift_what_is_sampled(text: str, alias: str) -> None:
    space, rng = read_space(text, "two", "two.lark"), np.random.default_rng(0)
    share = np.mean([space.sample("start", rng, 2).alias == alias for _ in range(2000)])
    assert share == pytest.approx(0.9, abs=0.03)


def test_alternatives_that_two_ways_lead_to_count_once() -> None:
    text = 'start: a | b\na: "neg" c -> neg | c\nb: c\nc: "score" -> score | "y_pred" -> y_pred'
    space = read_space(text, "ways", "ways.lark")
    assert [p.alias for p in space.productions["start"]] == ["neg", "score", "y_pred"]


@pytest.mark.parametrize(
    ("space", "text"),
    [
        ("score", "softplus(score) - y_real * score"),
        ("score", "square(score - y_real)"),
        ("score", "relu(1 - -((1 - 2 * y_real) * score))"),
        # TaylorGLO's form about a point, and the expansion of binary cross-entropy about (0.5, 0.5)
        (
            "taylor",
            "0.7*(y_pred-0.2) + 0.5*(y_pred-0.2)^2 - 3*(y_pred-0.2)^3 + 2*((y_real-0.9)*(y_pred-0.2))"
            "+ 0.1*((y_real-0.9)*(y_pred-0.2)^2) + 5*((y_real-0.9)^2*(y_pred-0.2))",
        ),
        ("taylor", "2 * (y_pred - 0.5)^2 - 4 * ((y_real - 0.5) * (y_pred - 0.5))"),
    ],
)
def test_known_forms_lie_in_the_space_that_says_so(space: str, text: str) -> None:
    loss = parse_loss(text)
    assert SPACES[space].derive(loss).loss(loss.name) == loss


@pytest.mark.parametrize(
    ("space", "name"),
    [
        *(("ganetic", name) for name in ("bce", "ganetic", "lsgan_sigmoid")),
        *(("roles", name) for name in ("minimax", "hinge", "logistic", "lsgan", "wasserstein", "non_saturating")),
    ],
)
def test_losses_of_the_zoo_lie_in_the_space_that_says_so(space: str, name: str) -> None:
    loss = zoo(name)
    assert SPACES[space].derive(loss).loss(loss.name).clauses == loss.clauses


def test_a_named_constant_lies_where_its_number_lies() -> None:
    loss = parse_loss("const a = 3\nloss L(y_real, y_pred) = y_real - a * y_pred")
    assert SPACES["ganetic"].derive(loss).loss("L") == parse_loss("loss L(y_real, y_pred) = y_real - 3 * y_pred")


@pytest.mark.parametrize(
    ("space", "text", "why"),
    [
        ("ganetic", "relu(y_pred)", "it has no relu"),
        ("ganetic", "tanh(score) - softplus(y_pred)", "it has no score, softplus, tanh"),
        ("ganetic", "y_pred^2.5", r"the constant 2.5 stands where it draws choice\(2, 3, 4\)"),
        ("ganetic", "-3 * y_pred", r"the constant -3 stands where it draws lognormal\(0, 1\)"),
        ("taylor", "2 * (y_pred - 1.5)", r"the constant 1.5 stands where it draws uniform\(0, 1\)"),
        ("ganetic", "y_pred^y_pred", "its form cannot be derived there"),
        ("ganetic", "loss L(y_pred): real: y_pred fake: y_pred generator: y_pred", "it holds no role-form losses"),
        ("roles", "y_pred", "it holds no label-form losses"),
        ("roles", "loss L(score): real: score fake: score generator: score generator_real: score", "no generator_real"),
        ("roles", "loss L(score, mean_fake): real: -score fake: score generator: mean_fake - score", "no mean_fake"),
    ],
)
def test_a_seed_outside_the_space_is_refused_in_one_line(space: str, text: str, why: str) -> None:
    with pytest.raises(InputError, match=f"outside the search space {space}: .*{why}") as caught:
        SPACES[space].derive(parse_loss(text))
    assert "\n" not in str(caught.value)


MACROS = """
start: "lin" e e -> lin | "deep" e -> deep | e
e: "swish" e -> swish | "sub" e e -> sub | "score" -> score | "y" -> y_real | C -> const
C: /x/
// def swish(x) = x * sigmoid(x)
// def lin(a, b) = a * y_real + (1 - y_real) * b + a
// def deep(x) = swish(swish(x) - 0.5)
// const C choice(0.5, 1)
"""


def test_a_macro_is_recognised_by_what_it_means() -> None:
    space = read_space(MACROS, "macros", "macros.lark")
    for text, alias in [
        ("(score - 1) * sigmoid(score - 1)", "swish"),
        ("score * y_real + (1 - y_real) * (y_real - 1) + score", "lin"),
        ("(score * sigmoid(score) - 0.5) * sigmoid(score * sigmoid(score) - 0.5)", "deep"),
    ]:
        derivation = space.derive(parse_loss(text))
        assert derivation.alias == alias
        assert derivation.expression() == parse_loss(text).label


@pytest.mark.parametrize("text", ["(score - 1) * sigmoid(score - 0.5)", "sigmoid(score)", "score * sigmoid(score) * 1"])
def test_what_a_macro_does_not_mean_is_outside(text: str) -> None:
    with pytest.raises(InputError, match="outside the search space macros"):
        read_space(MACROS, "macros", "macros.lark").derive(parse_loss(text))


@given(seed=st.integers(0, 2**32))
def test_the_size_of_a_derivation_is_that_of_its_loss(seed: int) -> None:
    derivation = random_individual(read_space(MACROS, "macros", "macros.lark"), np.random.default_rng(seed))
    expression = derivation.expression()
    assert (derivation.size, derivation.depth) == (expression.size, expression.depth)


def space_file(folder: Path, content: bytes) -> str:
    path = folder / "my.lark"
    path.write_bytes(content)
    return str(path)


def test_a_mark_at_the_beginning_and_line_ends_of_other_systems_change_nothing(tmp_path: Path) -> None:
    plain = SPACES["roles"]
    found: Space = find_space(space_file(tmp_path, b"\xef\xbb\xbf" + plain.text.replace("\n", "\r\n").encode()))
    assert found.productions == plain.productions
    with pytest.raises(InputError, match=r"my\.lark, line 2, column 10"):
        find_space(space_file(tmp_path, b'\xef\xbb\xbfstart: a\r\na: "" -> x\r\n'))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"start: \xff", r"my\.lark: not a text file in UTF-8 \(byte 7\)"),
        ("start: e".encode("utf-16"), r"my\.lark: not a text file in UTF-8"),
        (b"", r"my\.lark: holds no rules"),
        (b"// nothing here\n\n// but words\n", r"my\.lark: holds no rules"),
        (b"start: e " * 1_200_000, r"my\.lark: larger than 64 KiB"),
        (None, r"my\.lark: is a folder"),
    ],
)
def test_a_file_that_is_no_space_is_refused_in_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is None:
        (tmp_path / "my.lark").mkdir()
        name = str(tmp_path / "my.lark")
    else:
        name = space_file(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        find_space(name)
    assert "\n" not in str(caught.value)


def test_an_unknown_space_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"not found; .* ganetic, roles, score, taylor"):
        find_space("nowhere")
