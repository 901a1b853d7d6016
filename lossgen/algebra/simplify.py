"""Simplification by sympy under a time limit, accepted only when the kernel agrees and the result is smaller."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np

from lossgen.errors import InputError
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID
from lossgen.language.expression import Expression
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text

TIME_LIMIT = 10.0
SOFT_TARGETS = (0.0, 0.1, 0.5, 0.9, 1.0)
TOLERANCE = 1e-6


def simplify(loss: Loss, time_limit: float = TIME_LIMIT, on_late: Callable[[], None] = lambda: None) -> Loss:
    """The smallest equal form found, with the same name and note; the loss itself where nothing smaller is equal.

    Equal means: by the kernel, in value and score-gradient, on the screened grid and at scores ±30, for all roles
    and for soft targets.

    Args:
        time_limit: seconds for each expression.
        on_late: called where sympy was stopped by the limit, so that more time could give another result.
    """
    if loss.label is not None:
        best = loss
        for candidate in _candidates(loss.label, time_limit, "", on_late):
            form = Loss(loss.name, label=candidate, note=loss.note)
            if form.size < best.size and agrees(loss, form):
                best = form
        return best
    best = loss
    for role in ROLES:
        for candidate in _candidates(loss.roles[role], time_limit, "", on_late):
            form = Loss(loss.name, roles={**best.roles, role: candidate}, note=loss.note)
            if form.size < best.size and agrees(loss, form):
                best = form
    return best


def agrees(one: Loss, other: Loss) -> bool:
    """Whether the kernel finds the two losses equal in value and score-gradient, for all roles and targets."""
    try:
        a, b = lower_loss(one), lower_loss(other)
    except NotFiniteError:
        return False
    scores = np.concatenate([GRID, FAR])
    for role in ROLES:
        if not _close([a.roles[role], b.roles[role]], scores, 0.0):
            return False
    return all(_close([a.label, b.label], scores, target) for target in SOFT_TARGETS)


def _close(pair: list[Expression], scores: "np.ndarray", target: float) -> bool:
    for curve in values_and_gradients(pair, scores, target):
        if not np.isfinite(curve).all():
            return False
        scale = np.maximum(np.abs(curve[0, : len(GRID)]).max(), np.abs(curve[0]))
        if (np.abs(curve[0] - curve[1]) > TOLERANCE * np.maximum(scale, 1e-3)).any():
            return False
    return True


def derivatives(loss: Loss, time_limit: float = TIME_LIMIT) -> dict[str, Expression | None]:
    """Derivative of each expression by y_pred (by score, where the loss uses that), guards left out of account.

    Returns:
        By "L" for the label form, else by role; None where no form was found in time.
    """
    found: dict[str, Expression | None] = {}
    for name, expression in zip(("L",) if loss.label is not None else ROLES, loss.expressions(), strict=True):
        by = derived_by(expression)
        found[name] = next(iter(_candidates(expression, time_limit, by)), None)
    return found


def derived_by(expression: Expression) -> str:
    """The variable that `derivatives` takes for an expression."""
    return "score" if "score" in expression.variables() else "y_pred"


def _candidates(
    expression: Expression, time_limit: float, derive_by: str = "", on_late: Callable[[], None] = lambda: None
) -> list[Expression]:
    """What sympy's methods made of an expression before the time was up, smallest first."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "lossgen.algebra.worker", *([derive_by] if derive_by else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    try:
        output, _ = process.communicate(to_text(expression), timeout=time_limit)
    except subprocess.TimeoutExpired:
        process.kill()
        on_late()
        output, _ = process.communicate()
    found = []
    for line in dict.fromkeys((output or "").splitlines()):
        try:
            label = parse_loss(line).label
        except InputError:  # cut off by the kill, or over the language's limits
            continue
        if label is not None:
            found.append(label)
    return sorted(found, key=lambda e: (e.size, to_text(e)))
