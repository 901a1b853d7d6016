"""Lowering: the stable form means what the operators' total functions say."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import SURFACE, expressions, full_losses, losses, total_value

from lossgen.language.domain import enclosures
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.interval import Interval
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import NotFiniteError, at_target, lower, lower_loss
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text

SMOOTH = tuple(name for name in SURFACE if name not in ("div", "log", "pow", "exp"))
SCORE, Y_REAL = variable("score"), variable("y_real")
PROBABILITY = apply("sigmoid", SCORE)


def lowered_text(text: str) -> str:
    label = parse_loss(text).label
    assert label is not None
    return to_text(lower(label))


def close(one: float, other: float, scale: float = 1.0) -> bool:
    return abs(one - other) <= 1e-9 * max(scale, abs(one))


@settings(max_examples=400)
@given(
    expressions(operators=SMOOTH, max_leaves=12),
    st.floats(-8.0, 8.0).map(lambda x: round(x, 2)),
    st.sampled_from([0.0, 0.1, 1.0]),
)
def test_lowered_value_is_that_of_the_total_functions(expression: Expression, score: float, y_real: float) -> None:
    """On operators without poles; sqrt's clamp has a slope of 5000 at most. What guards do is below."""
    expected = total_value(expression, score, y_real)
    assume(abs(expected) < 1e9)
    assert close(total_value(lower(expression), score, y_real), expected, 1e3)


@settings(max_examples=400)
@given(expressions(max_leaves=12), st.floats(-8.0, 8.0), st.sampled_from([0.0, 0.1, 1.0]))
def test_lowered_value_with_all_operators_where_it_is_well_conditioned(
    expression: Expression, score: float, y_real: float
) -> None:
    expected = total_value(expression, score, y_real)
    nearby = [total_value(expression, score * (1.0 + bits * 2e-15) + bits * 1e-16, y_real) for bits in (-3, 3)]
    assume(all(close(value, expected) for value in nearby))
    try:
        found = total_value(lower(expression), score, y_real)
    except NotFiniteError:
        assume(False)
    assert close(found, expected)


def test_an_exponent_is_constant_also_where_it_has_to_be_worked_out() -> None:
    assert lowered_text("y_real^square(1)") == "y_real"
    assert lowered_text("score^(6 / 3 - 2)") == lowered_text("score^0")
    assert total_value(parse_loss("y_real^square(1)").label or Y_REAL, 0.0, 0.0) == 0.0


@given(expressions(max_leaves=15))
def test_lowered_forms_use_stable_operators_and_fold_constants(expression: Expression) -> None:
    try:
        lowered = lower(expression)
        targeted = at_target(lowered, 1.0)
    except NotFiniteError:
        return
    assert "y_pred" not in lowered.variables()
    assert targeted.variables() <= {"score"}
    for form in (lowered, targeted):
        for node in form.walk():
            assert node.head != "pow"
            assert not node.operands or not all(operand.is_constant for operand in node.operands)
            assert node.head != "int_pow" or (node.operands[1].is_constant and 0 <= node.operands[1].value <= 1024)
    assert not any(node.head == "log" and node.operands[0] == PROBABILITY for node in lowered.walk())


@given(losses())
def test_roles_of_a_lowered_loss(loss: Loss) -> None:
    try:
        lowered = lower_loss(loss)
    except NotFiniteError:
        return
    assert tuple(lowered.roles) == ROLES
    assert lowered.label is not None
    assert lowered.label.variables() <= {"score", "y_real"}
    for score in (-3.0, 0.7):
        values = {role: total_value(lowered.roles[role], score, math.nan) for role in ROLES}
        if loss.label is not None:
            assert lowered.roles["generator"] == lowered.roles["real"]
        elif all(map(math.isfinite, values.values())):
            for y_real in (0.0, 0.25, 1.0):
                expected = y_real * values["real"] + (1.0 - y_real) * values["fake"]
                scale = abs(values["real"]) + abs(values["fake"])
                assert abs(total_value(lowered.label, score, y_real) - expected) <= 1e-12 * scale


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y_pred", "sigmoid(score)"),
        ("1 - y_pred", "sigmoid(-score)"),
        ("log(y_pred)", "logsigmoid(score)"),
        ("log(1 - y_pred)", "logsigmoid(-score)"),
        ("log(1 * y_pred + 0)", "logsigmoid(score)"),
        ("log(sigmoid(score))", "logsigmoid(score)"),
        ("log(2 * y_pred)", "log(2 * sigmoid(score))"),
        ("2 * 3 + y_real", "6 + y_real"),
        ("sqrt(-4) * y_real", "2 * y_real"),
        ("1 / 0 * y_real", "100000000 * y_real"),
        ("(2 - 2) * score", "0"),
        ("0 * score^2", "0"),
        ("score + 0", "score"),
        ("0 - score", "-score"),
        ("score - 0", "score"),
        ("1 * score / 1", "score"),
        ("0 / score", "0"),
        ("-(-score)", "score"),
        ("-(3) + score", "-3 + score"),
    ],
)
def test_stable_forms_and_folding(text: str, expected: str) -> None:
    assert lowered_text(text) == expected


def test_zero_times_what_may_overflow_stays() -> None:
    """Infinity times zero is no number, and the screen has to see it."""
    label = parse_loss("0 * square(square(exp(score)))").label
    assert label is not None
    assert lower(label).head == "mul"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score^0", constant(1.0)),
        ("score^1", SCORE),
        ("score^2", apply("int_pow", SCORE, constant(2.0))),
        ("score^(1 + 1)", apply("int_pow", SCORE, constant(2.0))),
        ("score^-1", apply("div", constant(1.0), SCORE)),
        ("score^-2", apply("div", constant(1.0), apply("int_pow", SCORE, constant(2.0)))),
        ("score^1024", apply("int_pow", SCORE, constant(1024.0))),
        ("score^1025", apply("real_pow", SCORE, constant(1025.0))),
        ("score^0.5", apply("real_pow", SCORE, constant(0.5))),
        ("score^-0.5", apply("real_pow", SCORE, constant(-0.5))),
        ("score^1e300", apply("real_pow", SCORE, constant(1e300))),
        ("2^score", apply("real_pow", constant(2.0), SCORE)),
        ("(-2)^3 * score", apply("mul", constant(-8.0), SCORE)),
        ("0^0 * score", SCORE),
    ],
)
def test_powers(text: str, expected: Expression) -> None:
    label = parse_loss(text).label
    assert label is not None
    assert lower(label) == expected


def test_a_whole_target_in_the_exponent_is_no_whole_constant() -> None:
    """A loss means the same whether its target is a number or a tensor."""
    lowered = lower_loss(parse_loss("score^y_real"))
    assert lowered.roles["real"] == apply("real_pow", SCORE, constant(1.0))


@pytest.mark.parametrize("text", ["1e308 * 10 + score", "(-1e200)^3 * score", "2^1e9 - score", "score + exp(60)^12"])
def test_constants_that_overflow_are_refused_with_the_part(text: str) -> None:
    with pytest.raises(NotFiniteError, match=r"a constant part is not a finite number: <.*\d.*>"):
        lower_loss(parse_loss(text))


def test_bce_is_its_role_form_twin() -> None:
    label = lower_loss(parse_loss("-(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))"))
    roles = lower_loss(
        parse_loss("loss B(y_pred):\n real: -log(y_pred)\n fake: -log(1 - y_pred)\n generator: -log(y_pred)")
    )
    assert label.roles == roles.roles


def test_neutral_elements_of_every_operator() -> None:
    for name, row in OPERATORS.items():
        if row.arity == 2 and name not in ("pow", "real_pow"):
            for number in (0.0, 1.0):
                node = apply(name, PROBABILITY, constant(number))
                assert close(total_value(lower(node), 0.3, 0.0), row.function(1 / (1 + math.exp(-0.3)), number)), name


def test_named_constants_are_not_folded_and_make_real_exponents() -> None:
    label = parse_loss("const a = 2\nconst b = 3\na * b * 1 + y_pred^a + 2 * 3").label
    assert label is not None
    text = to_text(lower(label).map(lambda n: apply("pow", *n.operands) if n.head == "real_pow" else n))
    assert text == "a * b + sigmoid(score)^a + 6"
    assert "real_pow" in {node.head for node in lower(label).walk()}


def test_a_named_constant_times_target_0_is_0() -> None:
    loss = parse_loss("const a = 3.985\ny_pred^3 + sqrt(a * y_real / y_pred)")
    assert lower_loss(loss).roles["fake"] == lower_loss(parse_loss("y_pred^3 + sqrt(0)")).roles["fake"]


def test_batch_means_are_put_in_as_numbers() -> None:
    text = "loss A(score, mean_real, mean_fake):\n real: {}\n fake: {}\n generator: 2 * mean_real"
    lowered = lower_loss(parse_loss(text.format("score - mean_fake", "score - mean_real")))
    assert lowered.label is None
    put = lowered.at_means(mean_real=0.5, mean_fake=0.0).roles
    assert [to_text(put[role]) for role in ROLES] == ["score", "score - 0.5", "1"]
    assert lower_loss(parse_loss(text.format("score", "-score"))).label is not None


@given(full_losses(), st.floats(0.1, 10.0))
def test_tuned_constants_stay_in_their_enclosures(loss: Loss, factor: float) -> None:
    """What the emitter concludes from an interval holds for every value that a named constant may be given."""
    for expression in loss.expressions():
        intervals = enclosures(expression, {"score": Interval(-3.0, 3.0), "mean_real": Interval(0.5, 0.5)})
        tuned = expression.map(lambda node: constant(node.value * factor) if node.name else node)
        for before, after in zip(expression.walk(), tuned.walk(), strict=True):
            if "mean_fake" in after.variables() or "pow" in {node.head for node in before.walk()}:
                continue  # no number to put in; a named exponent is another power than a number
            value = total_value(after.map(lambda n: constant(0.5) if n.head == "mean_real" else n), 1.5, 0.9)
            interval = intervals[before]
            slack = 1e-9 * max(1.0, abs(value)) if math.isfinite(value) else 0.0
            assert math.isnan(value) or interval.lo - slack <= value <= interval.hi + slack


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))", "bce_with_logits(score, y_real)"),
        ("-y_real * log(y_pred) - (1 - y_real) * log(1 - y_pred)", "bce_with_logits(score, y_real)"),
        ("-(log(1 - y_pred) * (1 - y_real) + log(y_pred) * y_real)", "bce_with_logits(score, y_real)"),
        ("log(1 - y_pred) * (1 - y_real) + log(y_pred) * y_real", "-bce_with_logits(score, y_real)"),
        ("y_real * softplus(-score) + (1 - y_real) * softplus(score)", "bce_with_logits(score, y_real)"),
        ("y_real * softplus(-sin(score)) + (1 - y_real) * softplus(sin(score))", "bce_with_logits(sin(score), y_real)"),
        ("y_real * log(y_pred) - (1 - y_real) * log(y_pred)", "y_real * logsigmoid(score) - (1 - y_real) * logsigmoid(score)"),  # noqa: E501
        ("y_real * tanh(y_pred) + (1 - y_real) * log(y_pred)", "y_real * tanh(sigmoid(score)) + (1 - y_real) * logsigmoid(score)"),  # noqa: E501
        ("-log(y_pred)", "softplus(-score)"),
        ("-log(1 - y_pred)", "softplus(score)"),
    ],
)  # fmt: skip
def test_cross_entropy_is_one_operator(text: str, expected: str) -> None:
    label = parse_loss(text).label
    assert label is not None
    assert to_text(lower(label)) == expected


@given(st.floats(-30.0, 30.0), st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0, 2.0]))
def test_cross_entropy_at_a_number_is_what_it_is_at_a_target(score: float, target: float) -> None:
    label = parse_loss("-(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))").label
    assert label is not None
    lowered = lower(label)
    whole = total_value(lowered, score, target)
    assert total_value(at_target(lowered, target), score, math.nan) == pytest.approx(whole, rel=1e-12, abs=1e-12)
