"""Interval rules enclose the total functions, whatever the operands."""

import math
import sys

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from strategies import expressions, total_value

from lossgen.language.domain import enclose, enclosures
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.interval import INF, REALS, Interval
from lossgen.language.lower import NotFiniteError, lower
from lossgen.language.operators import OPERATORS, VARIABLES, Operator
from lossgen.language.total import EPS, EXP_MAX

ENDS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, EPS, -EPS, EPS / 2, EXP_MAX, 1e308, -1e308, 5e-324, -5e-324, INF, -INF]),
    st.floats(-100.0, 100.0),
    st.floats(allow_nan=False),
)
ROWS = [pytest.param(row, id=name) for name, row in OPERATORS.items()]


def spread(lo: float, hi: float, share: float) -> float:
    """A finite point of [lo, hi]: an end, 0, or one in between by the share."""
    lo, hi = max(lo, -sys.float_info.max), min(hi, sys.float_info.max)
    return min(max(lo * (1.0 - share) + hi * share, lo), hi)


@st.composite
def operand(draw: st.DrawFn) -> tuple[Interval, float]:
    """An interval and a finite point in it."""
    lo, hi = sorted((draw(ENDS), draw(ENDS)))
    assume(lo < INF and hi > -INF)
    inside = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.0, 1.0)).map(lambda share: spread(lo, hi, share))
    special = [x for x in (0.0, EPS, -EPS, 1.0, -1.0, EPS / 3, -EPS / 3, EXP_MAX) if lo <= x <= hi]
    point = draw(st.one_of(inside, st.sampled_from(special)) if special else inside)
    return Interval(lo, hi), point


def value_of(row: Operator, *points: float) -> float:
    """The total function, with the infinity that the kernel's arithmetic gives where Python's raises."""
    try:
        return row.function(*points)
    except OverflowError:
        negative = points[0] < 0.0 and points[1] % 2.0 == 1.0 and row.name == "int_pow"
        return -INF if negative else INF


def within(value: float, enclosure: Interval) -> bool:
    """Whether the value lies inside, up to the last bits that the C library's functions may get wrong."""
    slack = 4.0 * math.ulp(value) if math.isfinite(value) else 0.0
    return enclosure.lo - slack <= value <= enclosure.hi + slack


@pytest.mark.parametrize("row", ROWS)
@settings(max_examples=100)
@given(data=st.data())
def test_rules_enclose_the_total_functions(row: Operator, data: st.DataObject) -> None:
    drawn = [data.draw(operand()) for _ in range(row.arity)]
    if row.name == "int_pow":
        n = float(data.draw(st.integers(0, 9)))
        drawn[1] = (Interval(n, n), n)
    found = row.enclose(*(interval for interval, _ in drawn))
    value = value_of(row, *(point for _, point in drawn))
    assert not math.isnan(found.lo) and not math.isnan(found.hi)
    assert found.lo <= found.hi
    assert math.isnan(value) or within(value, found), (drawn, value, found)


EXACT = {"add", "sub", "mul", "div", "neg", "square", "abs", "relu", "min", "max", "sqrt"}


@pytest.mark.parametrize("row", [row for row in OPERATORS.values() if row.name in EXACT], ids=lambda row: row.name)
@settings(max_examples=100)
@given(data=st.data())
def test_rules_of_exactly_rounded_operators_need_no_slack(row: Operator, data: st.DataObject) -> None:
    drawn = [data.draw(operand()) for _ in range(row.arity)]
    value = row.function(*(point for _, point in drawn))
    assert math.isnan(value) or value in row.enclose(*(interval for interval, _ in drawn))


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("add", [(0, 1), (2, 3)], (2, 4)),
        ("sub", [(0, 1), (2, 3)], (-3, -1)),
        ("mul", [(-2, 1), (3, 4)], (-8, 4)),
        ("mul", [(0, 1), (-INF, INF)], (-INF, INF)),
        ("div", [(1, 1), (0, 1)], (1, 1 / EPS)),
        ("div", [(1, 1), (-1, 1)], (-1 / EPS, 1 / EPS)),
        ("div", [(1, 2), (-INF, -4)], (-0.5, 0)),
        ("div", [(-3, 6), (2, 3)], (-1.5, 3)),
        ("neg", [(-1, 2)], (-2, 1)),
        ("abs", [(-3, 2)], (0, 3)),
        ("abs", [(-3, -2)], (2, 3)),
        ("abs", [(2, 3)], (2, 3)),
        ("log", [(-4, -1)], (0, math.log(4))),
        ("square", [(-3, 2)], (0, 9)),
        ("int_pow", [(-3, 2), (3, 3)], (-27, 8)),
        ("int_pow", [(-3, 2), (2, 2)], (0, 9)),
        ("int_pow", [(-INF, INF), (0, 0)], (1, 1)),
        ("real_pow", [(0.5, 2), (-1, 1)], (0.5, 2)),
        ("real_pow", [(-2, 2), (0.5, 0.5)], (EPS**0.5, 2**0.5)),
        ("sqrt", [(-4, 1)], (EPS**0.5, 2)),
        ("sqrt", [(4, 9)], (2, 3)),
        ("log", [(0, 1)], (math.log(EPS), 0)),
        ("exp", [(-INF, INF)], (0, math.exp(EXP_MAX))),
        ("relu", [(-1, 2)], (0, 2)),
        ("sigmoid", [(-INF, INF)], (0, 1)),
        ("softplus", [(-INF, INF)], (0, INF)),
        ("logsigmoid", [(-INF, INF)], (-INF, 0)),
        ("tanh", [(-INF, 0)], (-1, 0)),
        ("min", [(0, 3), (1, 2)], (0, 2)),
        ("max", [(0, 3), (1, 2)], (1, 3)),
    ],
)
def test_rules_are_tight(name: str, operands: list[tuple[float, float]], expected: tuple[float, float]) -> None:
    found = OPERATORS[name].enclose(*(Interval(float(lo), float(hi)) for lo, hi in operands))
    assert (found.lo, found.hi) == expected


@settings(max_examples=300)
@given(expressions(max_leaves=12), st.floats(-40.0, 40.0), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
@example(apply("log", apply("sub", constant(1.0), variable("y_pred"))), 40.0, 0.0)
def test_every_node_of_an_expression_is_enclosed(expression: Expression, score: float, y_real: float) -> None:
    try:
        lowered = lower(expression)
    except NotFiniteError:
        return
    for node, interval in enclosures(lowered).items():
        value = total_value(node, score, y_real)
        width = 1e-12 * max(1.0, abs(value)) if math.isfinite(value) else 0.0  # what rounding adds up to
        assert math.isnan(value) or interval.lo - width <= value <= interval.hi + width, (node, value, interval)


def test_domains_of_variables_and_their_replacement() -> None:
    y_pred, score = variable("y_pred"), variable("score")
    assert enclose(y_pred) == VARIABLES["y_pred"].domain == Interval(0.0, 1.0)
    assert enclose(score) == REALS
    assert enclose(apply("sub", constant(1.0), y_pred)) == Interval(0.0, 1.0)
    assert enclose(apply("square", score), {"score": Interval(-2.0, 1.0)}) == Interval(0.0, 4.0)
    assert enclose(apply("add", score, y_pred), {"score": Interval(-2.0, 1.0)}) == Interval(-2.0, 2.0)
