"""Values and score-gradients of a loss over scores, from the kernel and from an emitted module, row by row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID
from lossgen.language.domain import tunable
from lossgen.language.expression import Expression, constant, variable
from lossgen.language.loss import GENERATOR_REAL, ROLES, Loss
from lossgen.language.lower import LoweredLoss, lower_loss
from lossgen.language.operators import BATCH_TERMS

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

TARGETS = (0.0, 0.1, 0.5, 0.9, 1.0)
ROWS = (*ROLES, GENERATOR_REAL)
SHIFTS = ((0.03, -0.02), (1.53, -2.21), (-3.07, 1.84))
"""Where the batches of real and of fake scores lie for losses that look at their means: no kink meets a score."""
_OWN = {"real": "mean_real", "fake": "mean_fake", "generator": "mean_fake", GENERATOR_REAL: "mean_real"}
TOGETHER = (("real", "fake"), ("generator", GENERATOR_REAL))
"""The roles whose losses the discriminator minimises in sum, and those of the generator."""


@dataclass(frozen=True)
class Curves:
    """A loss over scores; a row a role (ROWS; zero for a role that it has not), then a row a target of TARGETS.

    Attributes:
        names: of the P rows.
        values: (P, n), the loss of every element.
        gradients: (P, n), of the sum of all values, with respect to the row's scores.
    """

    names: tuple[str, ...]
    values: Array
    gradients: Array


def score_rows(loss: Loss) -> list[Array]:
    """Scores (P, n) at which a loss is looked at: the grid and ±30, or three pairs of batches where means matter."""
    lowered = lower_loss(loss)
    count = len(ROWS) + (len(TARGETS) if lowered.label is not None else 0)
    if not loss.variables() & set(BATCH_TERMS):
        return [np.tile(np.concatenate([GRID, FAR]), (count, 1))]
    found = []
    for real, fake in SHIFTS:
        rows = np.tile(GRID[:-1], (count, 1))  # without its last score the mean is not a score
        for row, name in enumerate(ROWS):
            rows[row] += real if _OWN[name] == "mean_real" else fake
        found.append(rows)
    return found


def kernel_curves(loss: Loss, rows: Array) -> Curves:
    """What the kernel says of a loss over rows of scores, as `score_rows` gives them."""
    lowered = lower_loss(loss)
    means = {"mean_real": float(rows[0].mean()), "mean_fake": float(rows[1].mean())}
    at = lowered.at_means(**means)
    values, gradients = np.zeros_like(rows), np.zeros_like(rows)
    first, n = len(ROWS), rows.shape[1]
    # One call for all: every expression at every row's scores, of which a role's own row is taken.
    expressions = list(at.roles.values()) + ([lowered.label] if lowered.label is not None else [])
    targets = np.repeat([*[0.0] * first, *TARGETS][: len(rows)], n)
    found = [part.reshape(-1, len(rows), n) for part in values_and_gradients(expressions, rows.ravel(), targets)]
    for number, name in enumerate(at.roles):
        row = ROWS.index(name)
        values[row], gradients[row] = (part[number, row] for part in found)
    if lowered.label is not None:
        values[first:], gradients[first:] = (part[-1, first:] for part in found)
    for together in TOGETHER:
        for name in together:
            gradients[ROWS.index(name)] += sum(
                _through_mean(lowered, other, _OWN[name], means, rows[ROWS.index(other)]) for other in together
            )
    return Curves(_names(lowered.label is not None), values, gradients)


def module_values(criterion: Any, scores: "Tensor") -> "Tensor":
    """Losses (P, n) of a module with reduction "none", for rows of scores (P, n)."""
    import torch

    real, fake = criterion.discriminator_loss(scores[0], scores[1])
    generator = criterion.generator_loss(scores[2], scores[3])
    of_fake, of_real = generator if isinstance(generator, tuple) else (generator, torch.zeros_like(real))
    values = torch.stack([real, fake, of_fake, of_real])
    if len(scores) == len(ROWS):
        return values
    targets = torch.tensor(TARGETS, dtype=values.dtype, device=scores.device).unsqueeze(1)
    return torch.cat([values, criterion(scores[len(ROWS) :], targets)])


def module_curves(criterion: Any, scores: "Tensor") -> Curves:
    """What a module with reduction "none" says, from one pass forward and one backward.

    Args:
        scores: (P, n), a leaf that requires its gradient.
    """
    return differentiated(module_values(criterion, scores), scores)


def differentiated(values: "Tensor", scores: "Tensor") -> Curves:
    """The curves of losses (P, n) that were computed from scores (P, n), a leaf that requires its gradient."""
    import torch

    slopes = torch.autograd.grad(values.sum(), scores)[0] if values.requires_grad else torch.zeros_like(scores)
    return as_curves(values, slopes)


def as_curves(values: "Tensor", slopes: "Tensor") -> Curves:
    """Losses and their gradients, (P, n), as curves."""
    numbers = [tensor.detach().double().cpu().numpy() for tensor in (values, slopes)]
    return Curves(_names(len(values) > len(ROWS)), *numbers)


def tuned(loss: Loss, values: Mapping[str, float]) -> Loss:
    """The loss with other values of its named constants."""

    def change(node: Expression) -> Expression:
        return constant(values[node.name], node.name) if node.name in values else node

    if not values:
        return loss
    return loss.with_clauses({name: clause.map(change) for name, clause in loss.clauses.items()})


def tunings(loss: Loss) -> Iterable[dict[str, float]]:
    """Values of named constants to look at a loss with: none changed, then each a little smaller and larger.

    A constant of which the emitted files need the sign is kept as far from 0 as they want it.
    """
    yield {}
    for name, value in loss.constants.items():
        free = tunable(value)
        for other in (value * 0.9, value * 1.1) if value else (-0.1, 0.1):
            yield {name: min(max(other, free.lo), free.hi)}


def _through_mean(lowered: LoweredLoss, name: str, mean: str, means: Mapping[str, float], scores: Array) -> float:
    """What each score of `mean`'s batch adds to the sum of a role's losses by way of the mean.

    The kernel derives by `score`, so the mean takes its name, and the score that of the other variable, the target.
    """
    expression = lowered.roles.get(name)
    if expression is None or mean not in expression.variables():
        return 0.0
    (other,) = set(BATCH_TERMS) - {mean}
    renamed = expression.substitute(other, constant(means[other])).substitute("score", variable("y_real"))
    renamed = renamed.substitute(mean, variable("score"))
    _, slope = values_and_gradients([renamed], np.full(len(scores), means[mean]), scores)
    return float(slope.sum()) / len(scores)


def _names(has_label: bool) -> tuple[str, ...]:
    return (*ROWS, *(f"target {target:g}" for target in TARGETS if has_label))
