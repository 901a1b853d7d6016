"""What is searched is what is trained is what is shipped: emitted modules equal the kernel, in value and gradient."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from strategies import SURFACE, expressions, losses

from lossgen.codegen.load import load_source
from lossgen.codegen.torch_module import emit_torch
from lossgen.codegen.verify import verify_module
from lossgen.errors import CheckError
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

ZOO = {path.stem: parse_loss(path.read_text(encoding="utf-8")) for path in sorted(zoo_dir().glob("[!e]*.loss"))}
SCORES = np.concatenate([GRID, FAR])
TARGETS = (0.0, 0.1, 0.5, 0.9, 1.0)
SCORE = variable("score")


def module_curves(criterion: Any, scores: "np.ndarray[Any, Any]") -> tuple["np.ndarray[Any, Any]", ...]:
    """Values and autograd's gradients, float64 (8, n): the roles, then the call for each of TARGETS."""
    made, slopes = [], []
    for number in range(3 + len(TARGETS)):
        score = torch.tensor(scores, requires_grad=True)
        other = torch.zeros(1, dtype=torch.float64)
        if number == 0:
            value = criterion.discriminator_loss(score, other)[0]
        elif number == 1:
            value = criterion.discriminator_loss(other, score)[1]
        elif number == 2:
            value = criterion.generator_loss(score)
        else:
            value = criterion(score, TARGETS[number - 3])
        assert value.shape == score.shape
        assert value.dtype == torch.float64
        if value.requires_grad:
            value.sum().backward()
        made.append(value.detach().numpy())
        slopes.append(np.zeros(len(scores)) if score.grad is None else score.grad.numpy())
    return np.stack(made), np.stack(slopes)


def kernel_curves(loss: Loss, scores: "np.ndarray[Any, Any]") -> tuple["np.ndarray[Any, Any]", ...]:
    lowered = lower_loss(loss)
    roles = values_and_gradients([lowered.roles[role] for role in ROLES], scores)
    targets = [values_and_gradients([lowered.label], scores, target) for target in TARGETS]
    return tuple(np.concatenate([roles[i], *(pair[i] for pair in targets)]) for i in range(2))


def assert_equal_curves(loss: Loss, source: str) -> None:
    """To seven digits of the largest on the grid, or of the value itself where that is larger.

    At ±30 torch's derivative of the sigmoid, s·(1 - s), has three digits left; there it is held to two.
    """
    expected = kernel_curves(loss, SCORES)
    criterion: Any = load_source(source)
    criterion.reduction = "none"
    for what, ours, theirs in zip(("value", "gradient"), expected, module_curves(criterion, SCORES), strict=True):
        on_grid = np.abs(ours[:, : len(GRID)]).max(axis=1, keepdims=True)
        allowed = 1e-7 * np.maximum(on_grid, 1e-3) + np.abs(ours) * np.where(np.isin(SCORES, FAR), 1e-2, 1e-7)
        wrong = ~(np.abs(ours - theirs) <= allowed)
        assert not wrong.any(), (what, np.argwhere(wrong)[0], ours[wrong][0], theirs[wrong][0])


def finite(loss: Loss) -> bool:
    try:
        curves = kernel_curves(loss, SCORES)
    except NotFiniteError:
        return False
    return all(bool((np.abs(curve) < 1e12).all()) for curve in curves)


def label(text: str) -> Loss:
    return parse_loss(text)


@settings(max_examples=300)
@given(losses(max_leaves=12))
@example(label("log(relu(-y_pred))"))
@example(label("sqrt(min(0, y_pred))"))
@example(label("3.985 / max(1, y_pred)"))
@example(label("max(1, y_pred)^2.5"))
@example(label("y_real * (-2)^score + 0^score / 1e9"))
@example(label("min(2, max(y_real, 0.5)) * abs(score)"))
@example(label("y_real"))
@example(label("1 / score + 1 / y_real"))
@example(label("score^y_real + y_real^score"))
def test_value_and_gradient_equal_the_kernels(loss: Loss) -> None:
    assume(finite(loss))
    assert_equal_curves(loss, emit_torch(loss))


@settings(max_examples=60)
@given(
    expressions(
        operators=[name for name in SURFACE if name not in ("div", "log", "pow", "sqrt")], max_leaves=12
    ).filter(lambda e: e.size > 1)
)
def test_verify_module_agrees_in_float32_too(expression: Expression) -> None:
    """Operators without poles; near a pole float32 has no digits left, and verify_module refuses the module."""
    loss = Loss("Drawn", label=expression)
    assume(finite(loss) and all(np.abs(curve).max() < 1e6 for curve in kernel_curves(loss, SCORES)))
    verify_module(loss, emit_torch(loss))


# torch before 2.15 passes a gradient through a clamp where the argument is the bound itself; later ones do not.
AT_BOUND = torch.tensor(1.0, requires_grad=True)
PASSES_AT_BOUND = bool(torch.autograd.grad(AT_BOUND.clamp(min=1.0), AT_BOUND)[0])
BOUNDS = () if PASSES_AT_BOUND else (1e-8, -1e-8, 60.0)
KINKS = (*BOUNDS, 0.0, 1.0, -1.0, 2e-8, -2e-8, 0.5e-8, -0.5e-8, 60.5, 2.5, -2.5)
SINGLE = [
    pytest.param(operands, id=f"{name}-{number}")
    for name, row in OPERATORS.items()
    if row.surface
    for number, operands in enumerate(
        [apply(name, SCORE)]
        if row.arity == 1
        else [
            apply(name, SCORE, SCORE),
            *(apply(name, SCORE, constant(value)) for value in (0.0, 1.0, 2.5, -1.0, -2.5, 3.0)),
            *(apply(name, constant(value), SCORE) for value in (0.0, 1.0, 2.5, -2.5)),
        ]
    )
]


@pytest.mark.parametrize("expression", SINGLE)
def test_each_operator_at_its_kinks_as_autograd_has_it(expression: Expression) -> None:
    loss = Loss("Single", label=expression)
    criterion: Any = load_source(emit_torch(loss))
    criterion.reduction = "none"
    scores = np.array([x for x in KINKS if expression.head != "pow" or abs(x) < 50.0])
    for ours, theirs in zip(kernel_curves(loss, scores), module_curves(criterion, scores), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=1e-15 * max(1.0, np.abs(ours).max()))


@pytest.mark.parametrize("loss", ZOO.values(), ids=ZOO)
def test_the_zoo_is_verified(loss: Loss) -> None:
    source = emit_torch(loss)
    verify_module(loss, source)
    if lower_loss(loss).label is not None:  # else it looks at batch means, through which verify_module looks, too
        assert_equal_curves(loss, source)


FAULTS = [
    ("return y_pred ** 3 + torch.sqrt(3.985", "return y_pred ** 2 + torch.sqrt(3.985", "value of real"),
    ("return y_pred ** 3 + 0.0001", "return y_pred ** 3 + 0.0003", "value of fake"),
    ("return y_pred ** 3 + 0.0001", "return y_pred.detach() ** 3 + 0.0001", "gradient of fake"),
    ("    return real(score)", "    return fake(score)", "value of generator"),
    ("    return real(score)", "    return real(score.detach())", "gradient of generator"),
    ("((3.985 * y_real / y", "((3.985 * y_real.round() / y", "value of target 0.1"),
    ("3.985 * y_real / y_pred.clamp(min=EPS)).clamp", "3.985 * y_real / y_pred.clamp(min=0.4)).clamp", "of target 0.1"),
    ("    return real(score)", "    return real(score) + 1e-5 * torch.sin(1e4 * score)", "of generator"),
    ("    return real(score)", "    return torch.where(score < 8.0, real(score), score * float('nan'))", "generator"),
]


@pytest.mark.parametrize(("right", "wrong", "where"), FAULTS)
def test_a_module_that_differs_anywhere_is_refused(right: str, wrong: str, where: str) -> None:
    loss = ZOO["ganetic"]
    source = emit_torch(loss)
    assert source.count(right) == 1
    with pytest.raises(CheckError, match=where) as caught:
        verify_module(loss, source.replace(right, wrong))
    assert re.search(r"^GANetic: the emitted module's .* at score -?[\d.]+ is .*, the kernel's ", str(caught.value))


def test_a_constant_that_float32_cannot_hold_is_no_accident() -> None:
    loss = parse_loss("min(score, 1e39) + y_real")
    assert_equal_curves(loss, emit_torch(loss))
    with pytest.raises(CheckError, match=r"Loss: the emitted module does not run in float32: .*overflow"):
        verify_module(loss, emit_torch(loss))


def test_a_large_loss_is_emitted_in_short_lines_and_verified() -> None:
    def balanced(leaves: int) -> str:
        if leaves == 1:
            return "score * y_real"
        kind = ("tanh({} + {})", "sin({} - {})", "max({}, {})")[leaves % 3]
        return kind.replace("{}", balanced(leaves // 2), 1).replace("{}", balanced(leaves - leaves // 2), 1)

    chain = "tanh(1.001 * " * 40 + "y_pred" + ")" * 40
    loss = parse_loss(f"{balanced(60)} + {chain} + " + " * ".join(f"(score + {n}.5)" for n in range(6)))
    source = emit_torch(loss)
    functions = source.split("class Loss", 1)[0].split('"""', 2)[2]
    assert max(map(len, functions.split("\n"))) <= 100
    assert_equal_curves(loss, source)
