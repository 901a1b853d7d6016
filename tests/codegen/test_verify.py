"""verify_module refuses what float32 cannot follow, and looks through batch means and named constants."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import expressions

from lossgen.codegen.curves import ROWS, TARGETS, kernel_curves, module_curves, score_rows, tuned, tunings
from lossgen.codegen.load import load_source
from lossgen.codegen.torch_module import emit_torch
from lossgen.codegen.verify import compare_curves, verify_module
from lossgen.errors import CheckError
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss

ILL_CONDITIONED = "y_pred - y_pred * 1.8 * y_real + 0.1 * ((1 + 1e-9 * score) - 1) / 1e-9 * (1 - 2 * y_real)"
"""Passes the screen: (1 + 1e-9 s) - 1 is s in float64 to six digits, and 0 in float32."""
TUNABLE = """const a = 3.985
const b = 0.0
loss Tunable(y_real, y_pred, score) = y_pred^3 + sqrt(a * y_real / y_pred) + b * score
"""
RELATIVISTIC = """loss Relativistic(score, mean_real, mean_fake):
    real: softplus(mean_fake - score) + 0.1 * square(mean_real)
    fake: softplus(score - mean_real) * tanh(mean_fake)
    generator: square(score - mean_real - 1)
    generator_real: square(score - mean_fake + 1)
"""
NO_REAL_CLAUSE = """loss HalfRelativistic(score, mean_real):
    real: relu(1 - score)
    fake: relu(1 + score)
    generator: softplus(mean_real - score)
"""


def test_a_loss_that_float32_does_not_follow_is_refused_although_the_screen_passes_it() -> None:
    loss = parse_loss(ILL_CONDITIONED)
    assert screen([lower_loss(loss)])[0].rejection is None
    with pytest.raises(CheckError, match=r"value of real in float32 at score -?[\d.]+ is .*, the kernel's"):
        verify_module(loss, emit_torch(loss))


def test_a_fault_far_below_a_peak_at_the_edge_is_seen() -> None:
    """The steepest point of a curve does not hide what is wrong where training begins."""
    loss = parse_loss("exp(-score) * y_real + y_pred")
    source = emit_torch(loss)
    verify_module(loss, source)
    faulty = source.replace(
        "class Loss",
        "_right = real\n\n\ndef real(score):\n    return _right(score) + 1e-5 * torch.tanh(score)\n\n\nclass Loss",
    )
    with pytest.raises(CheckError, match="value of real in float64"):
        verify_module(loss, faulty)


@pytest.mark.parametrize(
    ("text", "right", "wrong", "where"),
    [
        (RELATIVISTIC, "f.mean())", "f.mean().detach())", "gradient of fake"),
        (RELATIVISTIC, "square(score - mean_real - 1", "square(score - 1.01 * mean_real - 1", "value of generator"),
        (NO_REAL_CLAUSE, "r.mean())", "r.mean().detach())", "gradient of generator_real"),
        (TUNABLE, "a=self.a", "a=3.985", "with a = 3.5865: the emitted module's value of real"),
        (TUNABLE, "b=self.b", "b=0.0", "with b = -0.1: the emitted module's value of real"),
    ],
)
def test_faults_in_means_and_constants_are_found(text: str, right: str, wrong: str, where: str) -> None:
    loss = parse_loss(text)
    source = emit_torch(loss)
    verify_module(loss, source)
    assert right in source
    with pytest.raises(CheckError, match=where):
        verify_module(loss, source.replace(right, wrong))


BATCH = expressions(
    ("score", "mean_real", "mean_fake"),
    operators=["add", "sub", "mul", "sigmoid", "softplus", "tanh", "square"],
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.fixed_dictionaries(dict.fromkeys(ROWS, BATCH)))
def test_gradients_through_batch_means_are_autograds(roles: dict[str, object]) -> None:
    loss = Loss("Drawn", roles=roles)  # type: ignore[arg-type]
    criterion = type(load_source(emit_torch(loss)))(reduction="none")
    for rows in score_rows(loss):
        expected = kernel_curves(loss, rows)
        assume(np.abs(expected.gradients).max() < 1e9)
        found = module_curves(criterion, torch.tensor(rows, requires_grad=True))
        compare_curves("the module's", expected, found, rows, "float64")


def test_rows_are_the_roles_and_then_the_targets() -> None:
    loss = parse_loss("y_real * score")
    (rows,) = score_rows(loss)
    found = kernel_curves(loss, rows)
    assert found.names == (*ROWS, *(f"target {target:g}" for target in TARGETS))
    slopes = [1.0, 0.0, 1.0, 0.0, *TARGETS]
    assert np.array_equal(found.gradients, np.repeat([slopes], rows.shape[1], axis=0).T)
    assert np.array_equal(found.values, found.gradients * rows)


def test_tuning_changes_the_named_constant_alone() -> None:
    loss = parse_loss("const a = 2\nloss T(score, y_real) = a * score + 2 * y_real")
    assert tuned(loss, {"a": 3.0}) == parse_loss("const a = 3\nloss T(score, y_real) = a * score + 2 * y_real")
    assert tuned(loss, {}) == loss


@pytest.mark.parametrize("value", [1e-8, -1.05e-8])
def test_no_constant_is_tuned_to_what_its_module_refuses(value: float) -> None:
    loss = parse_loss(f"const a = {value!r}\nloss T(score) = 1e-8 * score / a")
    assert [list(values.values()) for values in tunings(loss)][0::2] == [[], [pytest.approx(value * 1.1)]]
    verify_module(loss, emit_torch(loss))
