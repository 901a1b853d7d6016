"""Simplification by sympy under a time limit, accepted only when the kernel agrees and the result is smaller.

Smaller is what has fewer nodes, or as many and fewer characters, and is no more to compute once it is lowered.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lossgen.algebra.guards import guards
from lossgen.algebra.process import Process, shared
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower, lower_loss
from lossgen.language.printer import to_text

TIME_LIMIT = 10.0
SOFT_TARGETS = (0.0, 0.1, 0.5, 0.9, 1.0)
MEANS = ((0.0, 0.0), (1.5, -2.25), (-3.0, 0.75), (30.0, -30.0))
"""Batch means (real, fake) at which losses that use them are compared."""
TOLERANCE = 1e-6

Verdict = Literal["taken", "no smaller", "unequal", "gains a guard"]


@dataclass(frozen=True)
class Attempt:
    """One form of one clause that was tried.

    Attributes:
        clause: "L", or the role.
        round: 1 for forms of the loss, 2 for forms of what those had come to, and so on.
        method: what was done (`methods.METHODS`).
        verdict: "taken" where it became the best of its time.
    """

    clause: str
    round: int
    method: str
    form: Expression
    verdict: Verdict


@dataclass(frozen=True)
class Simplification:
    """A loss's simplest form found, and how.

    Attributes:
        loss: with the same name, needs and note; the loss itself where nothing smaller is equal.
        attempts: all that was tried.
        late: whether the time limit cut sympy off, so that more time could give another result.
        broken: whether its process failed.
    """

    loss: Loss
    attempts: tuple[Attempt, ...]
    late: bool
    broken: bool


def simplify(loss: Loss, time_limit: float = TIME_LIMIT, on_late: Callable[[], None] = lambda: None) -> Loss:
    """The smallest equal form found, with the same name and note; the loss itself where nothing smaller is equal.

    Equal means: by the kernel, in value and score-gradient, on the screened grid and at scores ±30, for all roles,
    for soft targets and at several batch means. No form has more guards that may act than the loss.

    Args:
        time_limit: seconds for each expression.
        on_late: called where sympy was stopped by the limit, or failed, so that another try could give another result.
    """
    found = simplification(loss, time_limit)
    if found.late or found.broken:
        on_late()
    return found.loss


def simplification(loss: Loss, time_limit: float = TIME_LIMIT, process: Process | None = None) -> Simplification:
    """As `simplify`, with a record of what was tried.

    What is found is simplified again, until nothing smaller is found or the time is up.
    """
    process = process or shared()
    best, attempts, ends = loss, list[Attempt](), set[str]()
    for clause in loss.clauses:
        deadline, count = time.monotonic() + time_limit, 0
        while (left := deadline - time.monotonic()) > 0.0:
            before, count = best, count + 1
            answer = process.ask(before.clauses[clause], left)
            ends.add(answer.ended)
            for method, form in sorted(answer.forms, key=lambda named: _order(named[1])):
                verdict = _verdict(loss, best, best.with_clauses({clause: form}))
                attempts.append(Attempt(clause, count, method, form, verdict))
                if verdict == "taken":
                    best = best.with_clauses({clause: form})
            if best == before or answer.ended != "answered":
                break
        else:
            ends.add("late")
    return Simplification(best, tuple(attempts), "late" in ends, "broken" in ends)


def _order(form: Expression) -> tuple[int, int, str]:
    """Smallest first, then the one of fewest characters."""
    text = to_text(form)
    return form.size, len(text), text


def _verdict(loss: Loss, best: Loss, form: Loss) -> Verdict:
    if _length(form) >= _length(best):
        return "no smaller"
    try:
        if _computed(form) > _computed(best):  # cross-entropy is one operator, once lowered; other forms of it are not
            return "no smaller"
    except NotFiniteError:
        return "unequal"
    if not agrees(loss, form):
        return "unequal"
    before, after = (sum(map(guards, one.expressions())) for one in (best, form))
    return "gains a guard" if after > before else "taken"


def _length(loss: Loss) -> tuple[int, int]:
    """What a smaller form has less of: nodes, or as many nodes in fewer characters."""
    return loss.size, sum(len(to_text(expression)) for expression in loss.expressions())


def _computed(loss: Loss) -> int:
    """Number of nodes of what is computed, which is the lowered expressions."""
    return sum(lower(expression).size for expression in loss.expressions())


def agrees(one: Loss, other: Loss) -> bool:
    """Whether the kernel finds the two losses equal in value and score-gradient, for all clauses, targets and means."""
    if one.clauses.keys() != other.clauses.keys():
        return False
    try:
        a, b = lower_loss(one), lower_loss(other)
    except NotFiniteError:
        return False
    for mean_real, mean_fake in MEANS if a.has_batch_terms or b.has_batch_terms else MEANS[:1]:
        at = [form.at_means(mean_real, mean_fake) for form in (a, b)]
        if not all(_close(at[0].roles[role], at[1].roles[role], 0.0) for role in a.roles):
            return False
    if a.label is None or b.label is None:
        return a.label is b.label
    return all(_close(a.label, b.label, target) for target in SOFT_TARGETS)


def _close(one: Expression, other: Expression, target: float) -> bool:
    scores = np.concatenate([GRID, FAR])
    for curve in values_and_gradients([one, other], scores, target):
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
    for clause, expression in loss.clauses.items():
        answer = shared().ask(expression, time_limit, derived_by(expression))
        found[clause] = min((form for _, form in answer.forms), key=_order, default=None)
    return found


def derived_by(expression: Expression) -> str:
    """The variable that `derivatives` takes for an expression."""
    return "score" if "score" in expression.variables() else "y_pred"
