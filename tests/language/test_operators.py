"""The operator table: each row's total function against the textbook, each derivative against differences."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special

from lossgen.codegen.torch_module import TORCH
from lossgen.language.emission import Code, clamped_magnitude
from lossgen.language.interval import REALS, Interval
from lossgen.language.operators import FUNCTIONS, INFIX, OPERATORS, Operator
from lossgen.language.total import EPS, EXP_MAX

TEXTBOOK = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "pow": np.power, "int_pow": np.power, "real_pow": np.power, "square": np.square, "sqrt": np.sqrt, "exp": np.exp,
    "log": np.log, "abs": np.abs, "relu": lambda a: np.maximum(a, 0.0), "sigmoid": special.expit,
    "softplus": lambda a: np.logaddexp(0.0, a), "logsigmoid": special.log_expit, "tanh": np.tanh, "sin": np.sin,
    "cos": np.cos, "min": np.minimum, "max": np.maximum,
    "bce_with_logits": lambda a, t: -t * special.log_expit(a) - (1.0 - t) * special.log_expit(-a),
}  # fmt: skip
ROWS = [pytest.param(row, id=name) for name, row in OPERATORS.items()]
POINT = st.one_of(st.floats(-30.0, 30.0), st.floats(-2.0, 2.0), st.sampled_from([0.0, 1.0, -1.0, 60.0, 709.0, -745.0]))


def point(row: Operator, data: st.DataObject) -> tuple[float, ...]:
    drawn = [data.draw(POINT) for _ in range(row.arity)]
    if row.name == "int_pow":
        drawn[1] = float(data.draw(st.integers(0, 7)))
    if row.name == "bce_with_logits":  # beyond these targets its terms cancel
        drawn[1] = data.draw(st.floats(0.0, 1.0))
    return tuple(drawn)


def test_the_textbook_covers_the_table() -> None:
    assert set(TEXTBOOK) == set(OPERATORS)
    assert {row.symbol for row in INFIX.values()} == set("+-*/^")
    assert set(FUNCTIONS).isdisjoint({"int_pow", "real_pow", "add", "neg"})
    for row in OPERATORS.values():
        assert len(row.partials) == row.arity


@pytest.mark.parametrize("row", ROWS)
@settings(max_examples=100)
@given(data=st.data())
def test_where_no_guard_can_act_it_is_the_textbooks_function(row: Operator, data: st.DataObject) -> None:
    operands = point(row, data)
    assume(row.textbook(*(Interval(x, x) for x in operands)))
    with np.errstate(over="ignore"):
        expected = float(TEXTBOOK[row.name](*map(np.float64, operands)))
    assume(math.isfinite(expected))
    assert row.function(*operands) == pytest.approx(expected, rel=1e-14, abs=1e-300)


@pytest.mark.parametrize("row", ROWS)
@settings(max_examples=100)
@given(data=st.data())
def test_sympy_form_is_the_total_function_where_textbook(row: Operator, data: st.DataObject) -> None:
    operands = tuple(round(x, 3) for x in point(row, data))
    assume(row.textbook(*(Interval(x, x) for x in operands)) and all(abs(x) <= 100.0 for x in operands))
    exactly = [sympy.Float(x, 40) if x % 1 else sympy.Integer(int(x)) for x in operands]  # not the decimal beside it
    exact = sympy.sympify(row.sympy(sympy, *exactly)).evalf(25)
    assert row.function(*operands) == pytest.approx(float(exact), rel=1e-13, abs=1e-300)


KINKS = {
    "div": ((), (0.0, EPS, -EPS)), "pow": ((0.0, EPS, -EPS), ()), "real_pow": ((0.0, EPS, -EPS), ()),
    "sqrt": ((0.0, EPS, -EPS),), "log": ((0.0, EPS, -EPS),), "exp": ((EXP_MAX,),), "abs": ((0.0,),), "relu": ((0.0,),),
}  # fmt: skip


def is_smooth_near(row: Operator, operands: tuple[float, ...], reach: float) -> bool:
    if row.name in ("min", "max") and abs(operands[0] - operands[1]) <= 2.0 * reach:
        return False
    kinks = KINKS.get(row.name, ((),) * row.arity)
    return all(abs(x - kink) > reach for x, at in zip(operands, kinks, strict=True) for kink in at)


POLE_AT_ZERO = {("div", 1), ("pow", 0), ("real_pow", 0), ("sqrt", 0), ("log", 0)}


@pytest.mark.parametrize("row", ROWS)
@settings(max_examples=100)
@given(data=st.data())
def test_partials_are_central_differences_away_from_kinks(row: Operator, data: st.DataObject) -> None:
    operands = point(row, data)
    if row.name in ("pow", "real_pow"):
        operands = (operands[0], data.draw(st.floats(-4.0, 4.0)))
    assume(all(abs(x) <= 100.0 for x in operands))
    for number, partial in enumerate(row.partials):
        if row.name == "int_pow" and number == 1:
            assert partial(*operands) == 0.0  # the exponent is a constant
            continue
        h = 1e-3 * (abs(operands[number]) if (row.name, number) in POLE_AT_ZERO else 1.0)
        if h == 0.0 or not is_smooth_near(row, operands, 3.0 * h):
            continue
        moved = [(*operands[:number], operands[number] + k * h, *operands[number + 1 :]) for k in (-2, -1, 1, 2)]
        values = [row.function(*at) for at in moved]
        expected = (values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * h)
        rounding = 1e-15 * max(map(abs, values)) / h
        found = partial(*operands)
        assert abs(found - expected) <= 1e-8 * abs(expected) + 4.0 * rounding + 1e-10, (operands, number, found)


@pytest.mark.parametrize(
    ("name", "operands", "value", "partials"),
    [
        ("div", (3.0, 0.0), 3.0 / EPS, (1.0 / EPS, 0.0)),
        ("div", (3.0, -0.0), 3.0 / EPS, (1.0 / EPS, 0.0)),
        ("div", (3.0, -1e-12), -3.0 / EPS, (-1.0 / EPS, 0.0)),
        ("div", (3.0, EPS), 3.0 / EPS, (1.0 / EPS, 0.0)),
        ("div", (3.0, -2 * EPS), -1.5 / EPS, (-0.5 / EPS, -0.75 / EPS**2)),
        ("log", (0.0,), math.log(EPS), (0.0,)),
        ("log", (-2.0,), math.log(2.0), (-0.5,)),
        ("log", (EPS,), math.log(EPS), (0.0,)),
        ("log", (2 * EPS,), math.log(2 * EPS), (0.5 / EPS,)),
        ("log", (EPS / 2,), math.log(EPS), (0.0,)),
        ("sqrt", (0.0,), 1e-4, (0.0,)),
        ("sqrt", (-4.0,), 2.0, (-0.25,)),
        ("sqrt", (EPS,), 1e-4, (0.0,)),
        ("sqrt", (4 * EPS,), 2e-4, (2500.0,)),
        ("exp", (60.0,), math.exp(60.0), (0.0,)),
        ("exp", (59.9,), math.exp(59.9), (math.exp(59.9),)),
        ("exp", (61.0,), math.exp(60.0), (0.0,)),
        ("exp", (1e308,), math.exp(60.0), (0.0,)),
        ("real_pow", (0.0, 0.5), 1e-4, (0.0, 1e-4 * math.log(EPS))),
        ("real_pow", (-4.0, 0.5), 2.0, (-0.25, 2.0 * math.log(4.0))),
        ("int_pow", (0.0, 0.0), 1.0, (0.0, 0.0)),
        ("int_pow", (0.0, 1.0), 0.0, (1.0, 0.0)),
        ("int_pow", (-2.0, 3.0), -8.0, (12.0, 0.0)),
        ("abs", (0.0,), 0.0, (0.0,)),
        ("relu", (0.0,), 0.0, (0.0,)),
        ("min", (1.0, 1.0), 1.0, (0.5, 0.5)),
        ("max", (1.0, 1.0), 1.0, (0.5, 0.5)),
        ("min", (1.0, 2.0), 1.0, (1.0, 0.0)),
        ("max", (1.0, 2.0), 2.0, (0.0, 1.0)),
        ("sigmoid", (-800.0,), 0.0, (0.0,)),
        ("softplus", (800.0,), 800.0, (1.0,)),
        ("logsigmoid", (-800.0,), -800.0, (1.0,)),
    ],
)
def test_guards_clamp_and_derivatives_at_kinks(
    name: str, operands: tuple[float, ...], value: float, partials: tuple[float, ...]
) -> None:
    row = OPERATORS[name]
    assert row.function(*operands) == pytest.approx(value, rel=1e-15)
    assert [partial(*operands) for partial in row.partials] == pytest.approx(partials, rel=1e-15)


@pytest.mark.parametrize("row", ROWS)
def test_not_a_number_is_passed_on(row: Operator) -> None:
    """So that the screen sees it."""
    operands = (math.nan, 2.0)[: row.arity]
    assert math.isnan(row.function(*operands))


@pytest.mark.parametrize("row", [row for row in OPERATORS.values() if row.commutative], ids=lambda row: row.name)
@given(st.floats(-5.0, 5.0), st.floats(-5.0, 5.0))
def test_commutative_operators_commute(row: Operator, a: float, b: float) -> None:
    assert row.function(a, b) == row.function(b, a)


def test_emitted_guards_are_left_out_where_they_cannot_act() -> None:
    dialect = TORCH
    a = Code("a")
    assert clamped_magnitude(dialect, a, REALS).text == "torch.abs(a).clamp(min=EPS)"
    assert clamped_magnitude(dialect, a, Interval(0.0, 1.0)).text == "a.clamp(min=EPS)"
    assert clamped_magnitude(dialect, a, Interval(EPS, 1.0)).text == "a"
    assert clamped_magnitude(dialect, a, Interval(-2.0, -1.0)).text == "torch.abs(a)"
    assert clamped_magnitude(dialect, Code("-2.0", number=-2.0), Interval(-2.0, -2.0)).text == "2.0"
    assert clamped_magnitude(dialect, Code("0.0", number=0.0), Interval(0.0, 0.0)).text == "1e-08"
    assert clamped_magnitude(dialect, Code("t0"), Interval(0.0, 0.0)).text == "t0.clamp(min=EPS)"

    def divided(bottom: Code, enclosure: Interval) -> str:
        return OPERATORS["div"].emit(dialect, [a, bottom], [REALS, enclosure]).text

    assert divided(Code("b"), REALS) == "a / divisor(b)"
    assert divided(Code("b"), Interval(0.0, 1.0)) == "a / b.clamp(min=EPS)"
    assert divided(Code("b"), Interval(EPS, 1.0)) == "a / b"
    assert divided(Code("b"), Interval(-1.0, -EPS)) == "a / b"
    assert divided(Code("b"), Interval(0.0, 0.0)) == "a / b.clamp(min=EPS)"
    assert divided(Code("0.0", number=0.0), Interval(0.0, 0.0)) == "a / 1e-08"
    assert divided(Code("-4.0", 3, -4.0), Interval(-4.0, -4.0)) == "a / -4.0"
    assert OPERATORS["exp"].emit(dialect, [a], [Interval(0.0, 60.0)]).text == "torch.exp(a)"
    assert OPERATORS["exp"].emit(dialect, [a], [REALS]).text == "torch.exp(a.clamp(max=60.0))"
