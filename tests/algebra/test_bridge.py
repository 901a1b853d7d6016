"""Expressions to sympy and back: equal by the kernel, guards respected."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from strategies import SURFACE, expressions

from lossgen.algebra.back import from_sympy
from lossgen.algebra.bridge import SYMBOLS, NotInLanguageError, to_sympy, to_textbook
from lossgen.algebra.guards import guards
from lossgen.algebra.simplify import agrees
from lossgen.kernel.evaluate import values
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text

SCORE, Y_PRED, Y_REAL = (SYMBOLS[name] for name in ("score", "y_pred", "y_real"))
GRID = np.linspace(-3.0, 3.0, 25)
SMOOTH = tuple(name for name in SURFACE if name not in ("log", "div", "pow", "exp"))


def label(text: str) -> Expression:
    found = parse_loss(text).label
    assert found is not None
    return found


def finite(expression: Expression) -> bool:
    try:
        found = values([lower(expression)], GRID, 0.5)
    except NotFiniteError:
        return False
    return bool((np.abs(found) < 1e6).all())


@settings(max_examples=60)
@given(expressions(operators=SMOOTH, max_leaves=8))
def test_a_round_trip_is_equal_by_the_kernel(expression: Expression) -> None:
    assume(finite(expression))
    back = from_sympy(to_sympy(expression))
    found, expected = values([lower(back), lower(expression)], GRID, 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "-(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))",
        "y_pred^3 + sqrt(3.985 * y_real / y_pred)",
        "relu(1 - (2 * y_real - 1) * score)",
        "square(score - y_real)",
        "score / score",
        "1 / score",
        "log(score) + log(abs(score))",
        "sqrt(score)^2",
        "score^0.5 * score^0.5",
        "score^-2",
        "(1 + y_pred)^-2.5",
        "exp(score) * exp(-score)",
        "exp(log(1 + square(score)))",
        "max(score, min(1, y_real)) - max(score, 2)",
        "sigmoid(score) - softplus(-score) * logsigmoid(score)",
        "tanh(sin(cos(score)))",
        "abs(score)^3",
        "1e22 * score - 1e-7 / (2 + y_pred)",
    ],
)
def test_round_trips_of_every_kind(text: str) -> None:
    loss = Loss("A", label=label(text))
    back = Loss("A", label=from_sympy(to_sympy(label(text))))
    assert agrees(loss, back), to_text(back.label or constant(0.0))


@pytest.mark.parametrize("name", [name for name in SURFACE if OPERATORS[name].arity == 1])
def test_every_function_comes_back(name: str) -> None:
    expression = apply(name, variable("score"))
    assert from_sympy(to_sympy(expression)) == expression


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("score / score", True),
        ("y_pred / y_pred", True),
        ("sqrt(y_pred)^2", True),
        ("exp(log(score))", True),
        ("log(exp(score))", True),
        ("(1 + y_pred) / (1 + y_pred)", False),
        ("y_pred - y_pred", False),
        ("exp(log(1 + y_pred))", False),
        ("log(exp(y_pred))", False),
        ("score * y_real - y_real * score", False),
    ],
)
def test_sympy_may_not_collapse_what_a_guard_keeps_apart(text: str, kept: bool) -> None:
    form = to_sympy(label(text))
    assert bool(form.has(sympy.core.function.AppliedUndef)) is kept
    assert (form == to_textbook(label(text))) is not kept


@pytest.mark.parametrize("name", OPERATORS)
def test_the_sympy_form_is_the_total_function_where_textbook(name: str) -> None:
    row = OPERATORS[name]
    for operands in [(0.75, 2.0), (2.5, 3.0), (1.25, 1.0)]:
        exact = sympy.N(row.sympy(sympy, *(sympy.Rational(str(x)) for x in operands[: row.arity])), 20)
        assert row.function(*operands[: row.arity]) == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (SCORE - 1, "score - 1"),
        (1 - SCORE, "1 - score"),
        (-SCORE, "-score"),
        (2 * SCORE / 3, "score / 1.5"),
        (SCORE / 7, "score / 7"),
        (-SCORE / 3, "-(score / 3)"),
        (2 * SCORE / 5, "0.4 * score"),
        (-((SCORE - Y_PRED) ** 2), "-square(score - y_pred)"),
        (-3 * SCORE / Y_PRED, "-3 * score / y_pred"),
        (sympy.exp(2 * Y_PRED), "square(exp(y_pred))"),
        (sympy.sqrt(2) + sympy.pi + SCORE, "score + 4.555806215962888"),
        (Y_PRED ** sympy.Rational(-3, 2), "1 / y_pred^1.5"),
        (SCORE / Y_PRED, "score / y_pred"),
        (1 / Y_PRED**2, "1 / square(y_pred)"),
        (sympy.sqrt(Y_PRED), "sqrt(y_pred)"),
        (1 / sympy.sqrt(Y_PRED), "1 / sqrt(y_pred)"),
        (SCORE**3, "score^3"),
        (SCORE**2, "square(score)"),
        (sympy.exp(SCORE), "exp(score)"),
        (sympy.E**2 + SCORE, "score + 7.38905609893065"),
        (sympy.pi * SCORE, "3.141592653589793 * score"),
        (sympy.Max(SCORE, Y_REAL, 1), None),
        (sympy.Integer(3), "3"),
        (sympy.Rational(-1, 2), "-0.5"),
    ],
)
def test_forms_of_sympy_in_the_language(form: sympy.Expr, text: str | None) -> None:
    found = from_sympy(form)
    assert text is None or to_text(found) == text
    numeric = sympy.lambdify((SCORE, Y_PRED, Y_REAL), form, "math")
    for score in (-1.5, 0.25, 2.0):
        p = 1.0 / (1.0 + np.exp(-score))
        assert values([lower(found)], [score], 0.5)[0, 0] == pytest.approx(numeric(score, p, 0.5), rel=1e-12)


def test_the_derivative_of_kinks_can_be_said() -> None:
    for text in ("relu(score)", "abs(score)", "max(score, 1)"):
        slope = from_sympy(sympy.diff(to_textbook(label(text)), SCORE))
        for score in (-2.0, 0.5, 3.0):
            expected = {"relu(score)": score > 0, "abs(score)": np.sign(score), "max(score, 1)": score > 1}[text]
            assert values([lower(slope)], [score])[0, 0] == float(expected)


@pytest.mark.parametrize(
    "form",
    [
        sympy.zoo,
        sympy.nan,
        sympy.oo,
        sympy.I,
        sympy.I * SCORE,
        sympy.oo * SCORE,
        sympy.gamma(SCORE),
        sympy.tan(SCORE),
        sympy.log(SCORE, evaluate=False).func(SCORE, 2, evaluate=False),
        sympy.Integral(SCORE, SCORE),
        sympy.Integral(sympy.exp(SCORE**2), (SCORE, 0, 1)),
        sympy.Derivative(sympy.Function("f")(SCORE), SCORE),
        sympy.Piecewise((SCORE, SCORE > 0), (0, True)),
        sympy.DiracDelta(SCORE),
        sympy.re(sympy.Symbol("z")),
        sympy.im(sympy.Symbol("z")),
        sympy.arg(sympy.Symbol("z")),
        sympy.Symbol("unknown"),
        sympy.Function("int_pow")(SCORE, 2),
        sympy.Function("exp", real=True)(SCORE, SCORE),
        SCORE > 0,
        sympy.Tuple(SCORE),
    ],
    ids=str,
)
def test_what_the_language_cannot_say(form: sympy.Basic) -> None:
    with pytest.raises(NotInLanguageError):
        from_sympy(form)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("abs(1 - y_pred)", 1 - Y_PRED),
        ("abs(y_pred - 2)", 2 - Y_PRED),
        ("relu(y_pred - 1)", sympy.Integer(0)),
        ("max(y_pred, 2 + y_real)", 2 + Y_REAL),
        ("min(y_pred, 2 + y_real)", Y_PRED),
        ("sqrt(-y_pred)", sympy.Function("sqrt", real=True)(Y_PRED)),
        ("log(abs(score))", sympy.Function("log", real=True)(SCORE)),
        ("y_real / -y_pred", -Y_REAL * sympy.Function("reciprocal", real=True)(Y_PRED)),
        ("log(0)", sympy.Rational("-18.420680743952367")),
        ("exp(100 + y_pred - y_pred)", sympy.Rational(repr(math.exp(60.0)))),
    ],
)
def test_what_is_known_of_the_total_functions(text: str, form: sympy.Expr) -> None:
    assert to_sympy(label(text)) == form


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("(y_pred + 0.001)^-3", True),  # the guard is that of the quotient, 1e-9 of it
        ("(y_pred + 0.1)^-3", False),
        ("(y_pred - 2)^-3", False),
        ("score^3000", True),  # beyond the whole exponents: of the magnitude
        ("score^(1 + 1)", False),
        ("score^(y_pred - y_pred + 2)", None),
        ("log(y_pred) + log(1 - y_pred)", False),
        ("log(-y_pred)", True),
        ("exp(y_pred^3)", False),
        ("const a = 3\nloss A(y_pred) = y_pred^a", True),
        ("const a = 3\nloss A(y_pred) = y_pred / a", False),
    ],
)
def test_guards_are_seen_where_they_may_act(text: str, guarded: bool | None) -> None:
    if guarded is None:
        with pytest.raises(NotInLanguageError):
            to_sympy(label(text))
        return
    assert bool(to_sympy(label(text)).has(sympy.core.function.AppliedUndef)) is guarded
    assert bool(guards(label(text))) is guarded


def test_named_constants_stay() -> None:
    expression = label("const a = 3.985\nloss A(score) = a * score + a * score + 0 * a")
    assert to_text(from_sympy(to_sympy(expression), {"a": 3.985})) == "2 * a * score"
    with pytest.raises(NotInLanguageError):
        from_sympy(to_sympy(expression))
