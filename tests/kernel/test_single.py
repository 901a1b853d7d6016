"""Single precision against double: how far each function may be from it."""

import numpy as np
import pytest

from lossgen.kernel.evaluate import values, values_and_gradients
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.operators import OPERATORS

S, T = variable("score"), variable("y_real")
TARGET = np.float32(0.3)

rng = np.random.default_rng(0)
POINTS = np.concatenate(
    [
        rng.uniform(-87.0, 87.0, 30_000),
        rng.normal(0.0, 1.0, 30_000),
        rng.choice([-1.0, 1.0], 30_000) * 10.0 ** rng.uniform(-9.0, 1.9, 30_000),
        np.linspace(-60.5, 60.5, 3001),
        np.linspace(-1.0, 1.0, 3001),
        [0.0, 1e-8, -1e-8, 60.0],
    ]
).astype(np.float32)

ULPS = {"exp": 2.0, "log": 1.0, "sigmoid": 3.0, "softplus": 3.0, "logsigmoid": 3.0, "tanh": 2.5, "sin": 1.6, "cos": 1.6,
        "int_pow": 6.0, "real_pow": 1.0, "bce_with_logits": 4.0}  # fmt: skip
"""Largest error of a value in units of its last place; half a unit for arithmetic, which rounds correctly."""


def forms(name: str) -> list[Expression]:
    if OPERATORS[name].arity == 1:
        return [apply(name, S)]
    if name == "int_pow":
        return [apply(name, S, constant(float(n))) for n in (0, 1, 2, 3, 4, 7)]
    if name == "real_pow":
        return [apply(name, S, constant(1.5)), apply(name, S, T)]
    if name == "bce_with_logits":
        return [apply(name, S, T)]
    return [apply(name, S, constant(1.5)), apply(name, constant(0.75), S), apply(name, S, T)]


def ulps(found: np.ndarray, exact: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
    normal = np.isfinite(rounded) & ((np.abs(rounded) > np.finfo(np.float32).tiny) | (exact == 0.0))
    error = np.abs(found[normal].astype(np.float64) - exact[normal])
    return float(np.max(error / np.spacing(np.abs(rounded[normal])).astype(np.float64), initial=0.0))


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "pow"])
def test_values_and_slopes_are_within_a_few_units_of_double_precision(name: str) -> None:
    for form in forms(name):
        exact, exact_slope = values_and_gradients([form], POINTS, TARGET)
        found, slope = values_and_gradients([form], POINTS, TARGET, np.float32)
        assert found.dtype == slope.dtype == np.float32
        np.testing.assert_array_equal(values([form], POINTS, TARGET, np.float32), found)
        assert ulps(found[0], exact[0]) <= ULPS.get(name, 0.501), form
        if name in ("tanh", "bce_with_logits"):  # the double's is 1 - t², or s - b: no better than absolutely exact
            np.testing.assert_allclose(slope, exact_slope, atol=4e-7)
        else:
            assert ulps(slope[0], exact_slope[0]) <= ULPS.get(name, 1.0) + 2.0, form


def test_waves_are_exact_far_out_and_bounded_beyond() -> None:
    far = (rng.choice([-1.0, 1.0], 10_000) * 10.0 ** rng.uniform(2.0, 9.0, 10_000)).astype(np.float32)
    for name, exact in (("sin", np.sin), ("cos", np.cos)):
        found = values([apply(name, S)], far, dtype=np.float32)[0]
        np.testing.assert_allclose(found, exact(far.astype(float)), atol=2e-7)
        beyond = values([apply(name, S)], np.float32([1e12, -1e20, 3e38]), dtype=np.float32)
        assert np.all(np.abs(beyond) <= 1.0)


def test_exp_vanishes_where_there_are_no_normal_numbers_left() -> None:
    low = np.float32([-87.0, -88.0, -1e30, -np.inf])
    for name in ("exp", "sigmoid", "softplus"):
        found = values([apply(name, S)], low, dtype=np.float32)[0]
        assert found[0] == pytest.approx(np.exp(-87.0), rel=1e-6)
        assert found[1:].tolist() == [0.0, 0.0, 0.0]
