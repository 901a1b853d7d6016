"""Proof that an emitted module computes what the kernel computed: value and gradient, all roles, on the whole grid."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lossgen.codegen.load import load_source
from lossgen.errors import CheckError
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import lower_loss

if TYPE_CHECKING:
    from torch import Tensor

SOFT_TARGETS = (0.0, 0.1, 0.5, 0.9, 1.0)
TOLERANCE = {"float64": 1e-7, "float32": 2e-3}
"""Largest difference allowed, relative to the largest magnitude on the curve (and at least to 1e-3)."""


def verify_module(loss: Loss, source: str) -> None:
    """Compare the module in `source` with the kernel's evaluation of `loss`.

    Raises:
        CheckError: where and by how much they differ, or that the module does not run.
    """
    import torch

    criterion: Any = load_source(source)
    criterion.reduction = "none"
    lowered = lower_loss(loss)
    scores = np.concatenate([GRID, FAR])
    curves = {role: (lowered.roles[role], 0.0) for role in ROLES}
    curves |= {f"target {target:g}": (lowered.label, target) for target in SOFT_TARGETS}
    for name, (expression, target) in curves.items():
        expected = values_and_gradients([expression], scores, target)
        for dtype in (torch.float64, torch.float32):
            score = torch.tensor(scores, dtype=dtype, requires_grad=True)
            try:
                value = _elementwise(criterion, name, score, target)
            except RuntimeError as error:  # a constant that float32 cannot hold, for one
                kind = str(dtype).removeprefix("torch.")
                raise CheckError(f"{loss.name}: the emitted module's {name} does not run in {kind}: {error}") from None
            gradient = torch.autograd.grad(value.sum(), score, allow_unused=True)[0] if value.requires_grad else None
            found = (value, torch.zeros_like(score) if gradient is None else gradient)
            for what, ours, theirs in zip(("value", "gradient"), expected, found, strict=True):
                _compare(loss.name, f"{what} of {name}", str(dtype).removeprefix("torch."), ours[0], theirs, scores)


def _elementwise(criterion: Any, name: str, score: "Tensor", target: float) -> "Tensor":
    with_zero = score.detach() * 0.0
    value: Tensor
    if name == "real":
        value = criterion.discriminator_loss(score, with_zero)[0]
    elif name == "fake":
        value = criterion.discriminator_loss(with_zero, score)[1]
    elif name == "generator":
        value = criterion.generator_loss(score)
    else:
        value = criterion(score, target)
    return value


def _compare(loss: str, what: str, dtype: str, expected: "np.ndarray", tensor: "Tensor", scores: "np.ndarray") -> None:
    found = tensor.detach().double().numpy()
    on_grid = np.abs(expected[: len(GRID)])
    # Far from the grid a value may be large; there its own size is the measure.
    scale = np.maximum(max(float(on_grid.max()), 1e-3), np.abs(expected))
    wrong = ~(np.abs(found - expected) <= TOLERANCE[dtype] * scale)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise CheckError(
            f"{loss}: the emitted module's {what} in {dtype} at score {scores[at]:g} is {found[at]:.9g}, "
            f"the kernel's {expected[at]:.9g}"
        )
