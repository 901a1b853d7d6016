"""Losses to text and LaTeX."""

import io
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from strategies import ANY_CONSTANT, NAMES, expressions, full_losses, losses

from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import Loss
from lossgen.language.operators import OPERATORS, VARIABLES
from lossgen.language.parser import parse_loss
from lossgen.language.printer import format_constant, formula, loss_latex, print_loss, to_latex, to_text

SCORE = variable("score")
THREE, MINUS_THREE = constant(3.0), constant(-3.0)


@given(expressions(constants=ANY_CONSTANT, max_leaves=25))
@example(apply("neg", THREE))
@example(apply("neg", apply("neg", MINUS_THREE)))
@example(apply("pow", MINUS_THREE, constant(2.0)))
@example(apply("neg", apply("pow", THREE, constant(2.0))))
@example(apply("pow", apply("neg", THREE), MINUS_THREE))
@example(apply("pow", SCORE, apply("neg", apply("pow", MINUS_THREE, SCORE))))
@example(apply("sub", SCORE, apply("neg", apply("mul", MINUS_THREE, constant(1e22)))))
def test_text_reads_back_as_the_same_expression(expression: Expression) -> None:
    found = parse_loss(to_text(expression)).label
    assert found == expression
    assert to_text(found) == to_text(expression)


@given(losses(constants=ANY_CONSTANT, names=NAMES))
def test_text_reads_back_as_the_same_loss(loss: Loss) -> None:
    found = parse_loss(print_loss(loss))
    assert found == loss
    assert hash(found) == hash(loss)
    assert found.digest() == loss.digest()


@given(full_losses())
def test_text_reads_back_with_named_constants_batch_terms_and_needs(loss: Loss) -> None:
    found = parse_loss(print_loss(loss))
    assert found == loss
    assert hash(found) == hash(loss)
    assert found.digest() == loss.digest()
    assert found.constants == loss.constants
    assert "\n" not in formula(loss)


def test_all_clauses_constants_and_needs_are_printed() -> None:
    clauses = {"real": apply("mul", constant(0.5, "slope"), SCORE), "fake": SCORE, "generator": SCORE}
    loss = Loss("A", roles={**clauses, "generator_real": variable("mean_fake")}, needs={"r1": 10.0})
    lines = ["const slope = 0.5", "loss A(score, mean_fake):", "    real: slope * score", "    fake: score",
             "    generator: score", "    generator_real: mean_fake", "    needs: r1(10)"]  # fmt: skip
    assert print_loss(loss) == "\n".join(lines)
    assert formula(loss).startswith("real: slope * score; fake: score;")
    assert formula(loss).endswith("needs: r1(10); const slope = 0.5")
    assert loss_latex(loss)[-2:] == [r"L_\mathrm{generator\_real} = \bar{s}_\mathrm{fake}", r"\mathrm{slope} = 0.5"]


@given(ANY_CONSTANT)
def test_constants_are_printed_exactly_and_shortly(value: float) -> None:
    text = format_constant(value)
    assert float(text) == value
    assert len(text) <= len(repr(value))
    assert text[-2:] != ".0"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("((score))+(((1)))", "score + 1"),
        ("(score-1)-(y_pred-2)", "score - 1 - (y_pred - 2)"),
        ("(score/2)/(y_pred/2)", "score / 2 / (y_pred / 2)"),
        ("(score*2)*(y_pred*2)", "score * 2 * (y_pred * 2)"),
        ("(2^3)^4", "(2^3)^4"),
        ("2^(3^4)", "2^3^4"),
        ("-(3^2)", "-3^2"),
        ("2^(-3)", "2^-3"),
        ("-(-3)", "-(-3)"),
        ("-(score*2)", "-(score * 2)"),
        ("1E5 + 1e22", "100000 + 1e+22"),
        ("max( score,2 )", "max(score, 2)"),
    ],
)
def test_printed_with_no_more_parentheses_than_needed(text: str, printed: str) -> None:
    label = parse_loss(text).label
    assert label is not None
    assert to_text(label) == printed


def test_definitions() -> None:
    assert print_loss(parse_loss("y_pred * y_real - 1")) == "loss Loss(y_real, y_pred) = y_pred * y_real - 1"
    assert print_loss(parse_loss("loss C() = 2")) == "loss C() = 2"
    text = "loss W(score):\n    real: -score\n    fake: score\n    generator: -score"
    assert print_loss(parse_loss(text)) == text


def compiles(latex: str) -> bool:
    """Whether matplotlib can set it."""
    MathTextParser("agg").parse(f"${latex}$")
    return True


SHAPES = [
    pytest.param(name, operands, id=f"{name}-{number}")
    for name, row in OPERATORS.items()
    for number, operands in enumerate(
        [
            (variable("y_pred"), variable("y_real")),
            (constant(-1.5e-9), constant(-2.0)),
            (apply("sub", SCORE, constant(1.0)), apply("neg", SCORE)),
            (apply("pow", SCORE, constant(2.0)), apply("exp", apply("exp", SCORE))),
            (apply("div", SCORE, constant(2.0)), apply("abs", apply("sqrt", SCORE))),
        ]
    )
    for operands in [operands[: row.arity]]
]


@pytest.mark.parametrize(("name", "operands"), SHAPES)
def test_latex_of_every_operator_compiles(name: str, operands: tuple[Expression, ...]) -> None:
    assert compiles(to_latex(apply(name, *operands)))


@given(losses(constants=ANY_CONSTANT, max_leaves=12))
def test_latex_of_any_loss_compiles(loss: Loss) -> None:
    assert all(compiles(line) for line in loss_latex(loss))


def test_latex_that_does_not_compile_is_noticed() -> None:
    with pytest.raises(ValueError, match="Parse"):
        compiles(r"\sqrt{p")


def test_latex_is_drawn() -> None:
    figure = Figure()
    figure.text(0.1, 0.5, f"${to_latex(parse_loss('y_pred^3 + sqrt(3.985 * y_real / y_pred)').label or SCORE)}$")
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("(-3)^2", r"{\left(-3\right)}^{2}"),
        ("-3^2", "-{3}^{2}"),
        ("-(score - 1)", r"-\left(s - 1\right)"),
        ("score - (1 - y_pred)", r"s - \left(1 - p\right)"),
        ("(score / 2)^2", r"{\left(\frac{s}{2}\right)}^{2}"),
        ("square(score + 1)", r"{\left(s + 1\right)}^{2}"),
        ("square(exp(score))", r"{\left(e^{s}\right)}^{2}"),
        ("1e22^score", r"{\left(1 \cdot 10^{22}\right)}^{s}"),
        ("2 * (score + 1)", r"2 \cdot \left(s + 1\right)"),
    ],
)
def test_latex_keeps_the_meaning(text: str, latex: str) -> None:
    label = parse_loss(text).label
    assert label is not None
    assert to_latex(label) == latex


def test_every_variable_has_its_letter() -> None:
    letters = [to_latex(variable(name)) for name in VARIABLES]
    assert len(set(letters)) == len(VARIABLES)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_repr_of_an_expression_is_its_text(value: float) -> None:
    assert repr(constant(value)) == f"<{format_constant(value + 0.0)}>"
    assert not math.copysign(1.0, value + 0.0) < 0.0 or value < 0.0


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("(y_real - sigmoid(score))^1.5", r"L(y, s) = {\left|y - \sigma\left(s\right)\right|}^{1.5}"),
        ("sqrt(y_real - y_pred)", r"L(y, p) = \sqrt{\left|y - p\right|}"),
        ("log(score)", r"L(s) = \log\left(\left|s\right|\right)"),
        ("log(1 - y_pred)", r"L(p) = \log\left(1 - p\right)"),
        ("sqrt(y_pred^3)", r"L(p) = \sqrt{{p}^{3}}"),
        ("score^3 + score^(1 + 1)", r"L(s) = {s}^{3} + {s}^{1 + 1}"),
        ("sqrt(score * score)", r"L(s) = \sqrt{s \cdot s}"),
        ("3", "L = 3"),
    ],
)
def test_latex_says_where_a_magnitude_is_taken_and_what_the_loss_is_of(text: str, latex: str) -> None:
    assert loss_latex(parse_loss(text)) == [latex]
