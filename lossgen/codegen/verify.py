"""Proof that an emitted module computes what the kernel computed: value and gradient, all roles, on the whole grid.

What is compared: the roles, and criterion(score, target) for hard and soft targets, each as a curve over the scores of
the grid and ±30, once in float64 and once in float32, with the named constants at their own values and a tenth to
either side. A loss that looks at batch means is compared on three pairs of batches instead, its gradients through the
means included. The kernel's numbers are float64.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from lossgen.codegen.curves import TOGETHER, Array, Curves, kernel_curves, module_curves, score_rows, tuned, tunings
from lossgen.codegen.load import load_source
from lossgen.errors import CheckError
from lossgen.kernel.screen import CENTRE
from lossgen.language.loss import Loss

TOLERANCE = {"float64": 1e-7, "float32": 2e-3}
"""Largest difference allowed, relative to the curve's largest magnitude near score 0, where training begins, or to its
magnitude at the very score where that is larger.

Of the losses of the space `ganetic` that pass the screen, 99 in 100 keep to half of both bounds, and the others are off
by more than ten times as much (benchmarks/verify.py). Those are ill-conditioned: they divide by differences that nearly
vanish, and float32 has no digits left of what the screen judged in float64. So the bounds seldom decide a close case,
and are not to be widened for one."""
SMALL = 1e-3
"""A curve smaller than this part of the largest curve (or than this) is held to this part."""


def verify_module(loss: Loss, source: str) -> None:
    """Compare the module in `source` with the kernel's evaluation of `loss`.

    Raises:
        CheckError: where and by how much they differ, or that the module does not run.
    """
    import torch

    rows = score_rows(loss)
    loaded: Any = load_source(source)
    for constants in tunings(loss):
        tuned_to = "".join(f" with {constant} = {value:g}" for constant, value in constants.items())
        whose = f"{loss.name}{tuned_to}: the emitted module"
        with running(f"{whose} cannot be built"):
            criterion = type(loaded)(reduction="none", **constants)
        for scores in rows:
            expected = kernel_curves(tuned(loss, constants), scores)
            for dtype in (torch.float64, torch.float32):
                kind = str(dtype).removeprefix("torch.")
                leaf = torch.tensor(scores, dtype=dtype, requires_grad=True)
                with running(f"{whose} does not run in {kind}"):
                    found = module_curves(criterion, leaf)
                compare_curves(f"{whose}'s", expected, found, scores, kind)


@contextlib.contextmanager
def running(failed: str) -> Iterator[None]:
    """Whatever emitted code raises inside, as a CheckError of one line; but for want of memory, no fault of the code.

    Args:
        failed: beginning of the message.
    """
    import torch

    try:
        yield
    except (CheckError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # noqa: BLE001  a constant that float32 cannot hold, for one
        raise CheckError(f"{failed}: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """An exception's type and the beginning of what it says."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:200]}"


def compare_curves(
    whose: str,
    expected: Curves,
    found: Curves,
    scores: Array,
    how: str,
    tolerance: float | None = None,
    of_gradient: float | None = None,
    reference: str = "the kernel's",
) -> None:
    """Hold found curves against the kernel's (or another reference's), both over the same rows of scores (P, n).

    Args:
        whose: beginning of the message.
        how: dtype or way in which the found curves were computed, for the message.
        tolerance: largest difference allowed, in the measure of TOLERANCE; None takes that of the dtype `how`.
        of_gradient: that of the gradients, where theirs is another.
        reference: whose curves are expected, for the message.

    Raises:
        CheckError: where the first curve that differs does so most, and by how much.
    """
    tolerance = TOLERANCE[how] if tolerance is None else tolerance
    pairs = {
        "value": (expected.values, found.values, tolerance),
        "gradient": (expected.gradients, found.gradients, tolerance if of_gradient is None else of_gradient),
    }
    beyond = {what: excess(*pair) for what, pair in pairs.items()}
    for row, name in enumerate(expected.names):
        for what, (theirs, ours, _) in pairs.items():
            at = int(np.argmax(beyond[what][row]))
            if beyond[what][row, at] > 1.0:
                raise CheckError(
                    f"{whose} {what} of {name} in {how} at score {scores[row, at]:.6g} is {ours[row, at]:.9g}, "
                    f"{reference} {theirs[row, at]:.9g}"
                )


def compare_players(
    whose: str,
    expected: Curves,
    found: tuple[float, float],
    how: str,
    tolerance: float | None = None,
    reference: str = "the kernel's",
) -> None:
    """Hold what the two players minimise, found from the rows of real and fake scores, against the curves' means.

    Args:
        found: of discriminator_loss and of generator_loss, with reduction "mean".
        whose, how, tolerance, reference: as for `compare_curves`.

    Raises:
        CheckError: which differs, and by how much.
    """
    tolerance = TOLERANCE[how] if tolerance is None else tolerance
    means = expected.values.mean(axis=1)
    bounds = _allowed(expected.values, tolerance).mean(axis=1)
    row = expected.names.index
    for value, player, roles in zip(found, ("discriminator", "generator"), TOGETHER, strict=True):
        theirs, allowed = (float(sum(of[row(role)] for role in roles)) for of in (means, bounds))
        if not abs(value - theirs) <= allowed:
            raise CheckError(f"{whose} {player}_loss in {how} is {value:.9g}, {reference} {theirs:.9g}")


def excess(expected: Array, found: Array, tolerance: float) -> Array:
    """Difference in units of what is allowed, (P, n); infinite where one of the two is no number."""
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = _allowed(expected, tolerance)
        difference = np.abs(found - expected)
        shares = np.divide(difference, allowed, out=np.full_like(difference, np.inf), where=allowed > 0.0)
    return np.where(difference == 0.0, 0.0, np.where(np.isnan(shares), np.inf, shares))


def _allowed(expected: Array, tolerance: float) -> Array:
    centre = np.abs(expected[:, np.flatnonzero(CENTRE)]).max(axis=1, keepdims=True)
    least = SMALL * min(1.0, float(centre.max()))
    allowed: Array = tolerance * np.maximum(np.maximum(centre, least), np.abs(expected))
    return allowed
