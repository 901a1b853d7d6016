"""The kernel against the operators' total functions, and a population against its members."""

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import expressions, total_value

from lossgen.kernel import _dispatch
from lossgen.kernel.evaluate import values, values_and_gradients
from lossgen.kernel.program import CONSTANT, OPCODES, SCORE, TARGET, encode
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.interval import Interval
from lossgen.language.lower import NotFiniteError, lower
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss

S, T = variable("score"), variable("y_real")
SCORES = np.array([-30.0, -7.5, -1.0, -1e-9, 0.0, 0.3, 1.0, 8.0, 30.0])


def lowered(expression: Expression) -> Expression:
    try:
        return lower(expression)
    except NotFiniteError:
        return S


LOWERED = expressions(max_leaves=10).map(lowered)


@settings(max_examples=300)
@given(LOWERED, st.sampled_from([0.0, 0.1, 1.0]))
def test_values_are_those_of_the_total_functions(expression: Expression, target: float) -> None:
    found = values([expression], SCORES, target)[0]
    for score, value in zip(SCORES, found, strict=True):
        expected = total_value(expression, float(score), target)
        if math.isfinite(expected):  # where Python overflows the kernel is free to be infinite or no number
            nearby = [total_value(expression, float(score) + bit * np.spacing(score), target) for bit in (-1, 1)]
            spread = max((abs(x - expected) for x in nearby if math.isfinite(x)), default=0.0)
            assert abs(value - expected) <= 1e-12 * max(1.0, abs(expected)) + 8.0 * spread


LOWERED_ROWS = [row for name, row in OPERATORS.items() if name != "pow"]
POINTS = np.array([-60.0, -2.5, -1e-8, -1e-9, 0.0, 1e-9, 1e-8, 0.5, 1.0, 3.0, 60.0, 61.0])


def checked(expression: Expression, partial_by_score: list[float], function_values: list[float]) -> None:
    found, gradient = values_and_gradients([expression], POINTS)
    np.testing.assert_allclose(found[0], function_values, rtol=1e-15)
    np.testing.assert_allclose(gradient[0], partial_by_score, rtol=1e-14)


@pytest.mark.parametrize("row", LOWERED_ROWS, ids=lambda row: row.name)
def test_each_operator_and_its_derivatives_at_kinks_and_elsewhere(row) -> None:  # type: ignore[no-untyped-def]
    points = POINTS.tolist()
    if row.arity == 1:
        checked(apply(row.name, S), [row.partials[0](x) for x in points], [row.function(x) for x in points])
        return
    for other in (3.0, 1.0, 0.0) if row.name == "int_pow" else (2.5, 0.0, -1.0, 0.5):
        left = apply(row.name, S, constant(other))
        checked(left, [row.partials[0](x, other) for x in points], [row.function(x, other) for x in points])
        if row.name != "int_pow" and (row.name != "real_pow" or other > 0.0):
            right = apply(row.name, constant(other), S)
            checked(right, [row.partials[1](other, x) for x in points], [row.function(other, x) for x in points])
    if row.name not in ("int_pow", "real_pow"):
        both = apply(row.name, S, S)  # the chain rule adds what comes from both sides
        slopes = [row.partials[0](x, x) + row.partials[1](x, x) for x in points]
        checked(both, slopes, [row.function(x, x) for x in points])


def test_the_chain_rule_runs_through_every_level() -> None:
    expression = S
    for _ in range(98):
        expression = apply("tanh", expression)
    assert expression.depth == 99
    found, gradient = values_and_gradients([expression], [0.4])
    value, slope = 0.4, 1.0
    for _ in range(98):
        value = math.tanh(value)
        slope *= 1.0 - value * value
    assert found[0, 0] == pytest.approx(value, rel=1e-12)
    assert gradient[0, 0] == pytest.approx(slope, rel=1e-12)


def test_stacks_as_deep_as_the_program_needs() -> None:
    right, left = S, S
    for number in range(90):
        right, left = apply("sub", constant(float(number)), right), apply("sub", left, constant(float(number)))
    assert encode([right]).stack == 91
    assert encode([left]).stack == 2
    assert encode([left, right, S]).stack == 91
    found = values([left, right], [1.0])
    assert found[:, 0].tolist() == [total_value(left, 1.0, 0.0), total_value(right, 1.0, 0.0)]


@pytest.mark.parametrize("points", [0, 1, 255, 256, 257, 1000])
@settings(max_examples=15)
@given(population=st.lists(LOWERED, min_size=1, max_size=7))
def test_a_population_is_evaluated_as_its_members_one_by_one(points: int, population: list[Expression]) -> None:
    rng = np.random.default_rng(points)
    scores, targets = rng.normal(0.0, 3.0, points), rng.uniform(0.0, 1.0, points)
    together, gradients = values_and_gradients(population, scores, targets)
    assert together.shape == gradients.shape == (len(population), points)
    np.testing.assert_array_equal(values(population, scores, targets), together)
    np.testing.assert_array_equal(values(encode(population), scores, targets), together)
    for place, expression in enumerate(population):
        alone, gradient = values_and_gradients([expression], scores, targets)
        np.testing.assert_array_equal(alone[0], together[place])
        np.testing.assert_array_equal(gradient[0], gradients[place])
    for point in {0, points // 2, points - 1} if points else ():
        single, slope = values_and_gradients(population, scores[point : point + 1], targets[point])
        np.testing.assert_array_equal(single[:, 0], together[:, point])
        np.testing.assert_array_equal(slope[:, 0], gradients[:, point])


IN_PARALLEL = """
import hashlib, sys, numba, numpy
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.language.lower import lower
from lossgen.language.parser import parse_loss
population = [lower(parse_loss(line).label) for line in sys.stdin.read().splitlines()]
found = values_and_gradients(population, numpy.linspace(-5, 5, 700), 0.5)
print(numba.get_num_threads(), hashlib.sha256(found[0].tobytes() + found[1].tobytes()).hexdigest())
"""


def test_threads_change_nothing() -> None:
    texts = [f"tanh({n} * score) / (y_real + {n % 7}) - y_pred^{n % 5} + log({n} + score)" for n in range(150)]
    environment = os.environ | {"NUMBA_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", IN_PARALLEL],
        input="\n".join(texts),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    alone = [values_and_gradients([lower(parse(text))], np.linspace(-5, 5, 700), 0.5) for text in texts]
    rows = [np.concatenate([pair[i] for pair in alone]).tobytes() for i in range(2)]
    assert done.stdout.split() == ["3", hashlib.sha256(rows[0] + rows[1]).hexdigest()]


def test_torch_keeps_the_threads_that_it_was_given() -> None:
    code = (
        "import torch; torch.set_num_threads(1); print(torch.get_num_threads())\n"
        "from lossgen.kernel.evaluate import values; from lossgen.language.expression import variable\n"
        "values([variable('score')], [0.0]); print(torch.get_num_threads())"
    )
    environment = os.environ | {"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


def parse(text: str) -> Expression:
    label = parse_loss(text).label
    assert label is not None
    return label


def test_one_target_for_all_points_or_one_each() -> None:
    expression = apply("mul", T, S)
    scores = np.arange(5.0)
    np.testing.assert_array_equal(values([expression], scores, 0.5)[0], 0.5 * scores)
    np.testing.assert_array_equal(values([expression], scores, [0, 1, 0, 1, 2])[0], [0, 1, 0, 3, 8])
    np.testing.assert_array_equal(values([expression], [1, 2], np.float32(0.5))[0], [0.5, 1.0])
    assert values([], scores).shape == (0, 5)


def test_whatever_array_is_given_is_compiled_once() -> None:
    """A compilation takes 10 seconds and more."""
    read_only = np.arange(6.0)
    read_only.flags.writeable = False
    for scores in (read_only, np.arange(12.0)[::2], [1, 2], [3.0], np.float32([1, 2]), np.arange(3)[::-1]):
        for targets in (0.0, np.zeros(len(scores)), read_only[: len(scores)], np.ones(1)):
            assert values([S], scores, targets)[0].tolist() == list(scores)
            assert values_and_gradients([S], scores, targets)[1][0].tolist() == [1.0] * len(scores)
    assert len(_dispatch.run.signatures) == len(_dispatch.link.signatures) == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_overflows_stays_visible(dtype: type) -> None:
    """A kernel compiled with fast-math would be free to drop it."""
    huge = apply("square", apply("square", apply("square", apply("square", apply("exp", S)))))
    no_number = apply("sub", huge, huge)
    at = np.full(40, 60.0)  # vectors, and what is left over
    assert np.all(values([huge], at, dtype=dtype) == math.inf)
    assert np.all(np.isnan(values([no_number, apply("mul", constant(0.0), huge)], at, dtype=dtype)))
    for name, row in OPERATORS.items():
        two = [(no_number, S), (no_number, constant(2.0)), (S, no_number)]
        for operands in two if row.arity == 2 else [(no_number,)]:
            if name != "int_pow" or operands[1].is_constant:
                assert np.all(np.isnan(values([apply(name, *operands)], at, dtype=dtype))), (name, operands)
    assert not np.any(np.isfinite(values_and_gradients([huge], at - 1.0, dtype=dtype)[1]))


def parts(expression: Expression, at: np.ndarray, targets: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Value and derivative of a tree, put together from the kernel's for single operators."""
    if not expression.operands:
        found, slope = values_and_gradients([expression], at, targets, dtype)
        return found[0], slope[0]
    operands = [parts(operand, at, targets, dtype) for operand in expression.operands]
    if expression.head == "int_pow":
        alone, exponent = apply("int_pow", S, expression.operands[1]), ()
        operands = operands[:1]
    else:
        alone, exponent = apply(expression.head, *(S, T)[: len(operands)]), operands[1:]
    found, by_left = values_and_gradients([alone], operands[0][0], exponent[0][0] if exponent else 0.0, dtype)
    slope = np.where(operands[0][1] == 0.0, 0.0, by_left[0] * operands[0][1])
    if exponent:
        by_right = values_and_gradients([apply(expression.head, T, S)], operands[1][0], operands[0][0], dtype)[1][0]
        slope += np.where(operands[1][1] == 0.0, 0.0, by_right * operands[1][1])
    return found[0], slope


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(max_examples=150)
@given(expression=LOWERED)
def test_a_tree_is_its_operators_one_after_another(dtype: type, expression: Expression) -> None:
    """Whatever registers and forms with constants its program uses, and what it leaves out of the derivative."""
    at, targets = np.linspace(-3.0, 3.0, 37).astype(dtype), np.linspace(0.0, 1.0, 37).astype(dtype)
    found, slopes = values_and_gradients([expression], at, targets, dtype)
    with np.errstate(all="ignore"):
        value, slope = parts(expression, at, targets, dtype)
    np.testing.assert_array_equal(found[0], value)
    known = np.isfinite(slope) & np.isfinite(slopes[0])  # 0 * inf, where the one leaves it out
    largest = np.max(np.abs(slope[known]), initial=1.0)
    close = 50 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(slopes[0][known], slope[known], rtol=close, atol=close * largest)


def test_encoding() -> None:
    population = encode([apply("sub", apply("mul", T, constant(2.0)), S), constant(7.0)])
    assert population.codes.tolist() == [TARGET, CONSTANT, OPCODES["mul"], SCORE, OPCODES["sub"], CONSTANT]
    assert population.constants.tolist() == [0.0, 2.0, 0.0, 0.0, 0.0, 7.0]
    assert population.offsets.tolist() == [0, 5, 6]
    assert len(population) == 2
    assert len({CONSTANT, SCORE, TARGET, *OPCODES.values()}) == 3 + len(OPERATORS)
    with pytest.raises(KeyError):
        encode([variable("y_pred")])  # not lowered
    with pytest.raises(ValueError, match="exponent"):
        values([apply("int_pow", S, T)], [1.0])
    with pytest.raises(ValueError, match="exponent"):
        values([apply("int_pow", constant(2.0), S)], [1.0])


@given(st.sampled_from(LOWERED_ROWS), st.floats(-9.0, 9.0), st.floats(-9.0, 9.0))
def test_a_point_is_an_interval(row, a: float, b: float) -> None:  # type: ignore[no-untyped-def]
    """Kernel and interval rules read the same table."""
    if row.name in ("int_pow", "real_pow"):
        b = float(abs(round(b)))
    tree = apply(row.name, *(S, constant(b))[: row.arity])
    value = values([tree], [a])[0, 0]
    found = row.enclose(*(Interval(x, x) for x in (a, b)[: row.arity]))
    slack = 1e-12 * max(1.0, abs(value))
    assert found.lo - slack <= value <= found.hi + slack
