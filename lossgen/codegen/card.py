"""The loss card: what a loss asks of a discriminator and a generator, in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossgen.codegen.properties import Properness, held_by, is_convex, is_endless, properness, saturation
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID, screen, settle
from lossgen.language.expression import Expression, constant, variable
from lossgen.language.loss import GENERATOR_REAL, Loss
from lossgen.language.lower import LoweredLoss, lower_loss
from lossgen.language.operators import BATCH_TERMS

Array = NDArray[np.float64]

PROBES = (0.01, 0.5, 0.99)
FINE = np.linspace(-8.0, 8.0, 16385)
SETTLED_AT_ONE = 0.999
BCE_SLOPE = 0.5
"""Magnitude of BCE's score-gradient at y_pred = 0.5, on real and on generated images."""

TINY = 1e-12
"""A slope below this is taken for none."""

PULLS = {"real": ("real", "fake"), "fake": ("fake", "real"), "generator": ("generator", GENERATOR_REAL)}
"""Clauses of a player in which the score of an image stands, by the image's role: as its score, and in a mean."""


@dataclass(frozen=True)
class Card:
    """Measured for scores from -8 to 8 (y_pred from 0.0003 to 0.9997), from the kernel's float64.

    Named constants have their defaults, and batch means are held at 0. Where a curve is not finite, what is read off
    it is NaN, None or no.

    Attributes:
        settles: y_pred at which descent on the score from 0 ends, by role.
        endless: whether that descent has no end, by role: y_pred goes on to 0 or 1, and `settles` is but where the
            grid ends, or the gradient is too small to be followed.
        slopes: score-gradient at y_pred = 0.01, 0.5 and 0.99, by role.
        steepest: largest magnitude of the score-gradient on the grid, by role.
        saturates: stretches of scores, half a unit long at least, by role, with a gradient below 1 % of that at
            y_pred = 0.5, where training begins; below 1 % of `steepest` where that is 0.
        convex: whether the loss is convex in the score, by role.
        proper: whether p = q minimises q·L(1, p) + (1 - q)·L(0, p); None for a loss of a whole batch.
        weights: factor that gives "discriminator" (mean of real and fake) and "generator" the score-gradient of BCE
            at y_pred = 0.5, None where there is none; for objectives with other terms beside this loss. The gradient
            is that of the mean loss of a batch of such images, by one image's score, so through batch means, too.
        finite: by dtype, whether it holds all values and gradients on the grid and at scores of ±30. The emitted
            module computes float16 and bfloat16 in float32, so this is about storing and scaling the results.
        elementwise: whether the loss of an image depends on its own score alone.
        verdict: the screen's reason against the loss, "" if it passes.
    """

    settles: Mapping[str, float]
    endless: Mapping[str, bool]
    slopes: Mapping[str, tuple[float, ...]]
    steepest: Mapping[str, float]
    saturates: Mapping[str, Sequence[tuple[float, float]]]
    convex: Mapping[str, bool]
    proper: Properness | None
    weights: Mapping[str, float | None]
    finite: Mapping[str, bool]
    elementwise: bool
    verdict: str

    @property
    def gap(self) -> float:
        """How far apart, in y_pred, real and fake settle."""
        return self.settles["real"] - self.settles["fake"]

    @property
    def real_settles_at_one(self) -> bool:
        """Whether nothing holds y_pred of real images back from 1.

        Heuristics that read how sure the discriminator is of real images (ADA takes the sign of the score: Karras et
        al. 2020, arXiv 2006.06676, equation 1) have their targets from losses of which this is true.
        """
        return self.settles["real"] > SETTLED_AT_ONE

    def as_json(self) -> dict[str, object]:
        """The attributes under their own names, as their docstring says, and what follows from them.

        Objects are keyed by role ("real", "fake", "generator", perhaps "generator_real"), `weights` by player, `finite`
        by dtype. Beside the attributes, or in another form, there are:

        - gap: number, `settles` of real less that of fake.
        - real_settles_at_one: whether `settles` of real is above 0.999.
        - slopes: for each role the slope by y_pred, which is text ("0.01", "0.5", "0.99").
        - saturates: for each role a list of [lowest score, highest score].
        - proper: null for a loss of a whole batch, else kind ("strictly", "weakly" or "no"), q (the share of real
          images for which the best answer is farthest from q) and p (that answer).
        - verdict: text, empty if the screen lets the loss pass.
        """
        return {
            "settles": dict(self.settles),
            "endless": dict(self.endless),
            "gap": self.gap,
            "real_settles_at_one": self.real_settles_at_one,
            "slopes": {role: dict(zip(map(str, PROBES), slopes)) for role, slopes in self.slopes.items()},
            "steepest": dict(self.steepest),
            "saturates": {role: [list(stretch) for stretch in found] for role, found in self.saturates.items()},
            "convex": dict(self.convex),
            "proper": {"kind": self.proper.kind, "q": self.proper.q, "p": self.proper.p} if self.proper else None,
            "weights": dict(self.weights),
            "finite": dict(self.finite),
            "elementwise": self.elementwise,
            "verdict": self.verdict,
        }


def card(loss: Loss) -> Card:
    """Measure a loss."""
    with_means = lower_loss(loss)
    lowered = with_means.at_means()
    found = screen([lowered])[0]
    names = list(lowered.roles)
    scores = np.concatenate([FINE, FAR, [math.log(p / (1 - p)) for p in PROBES]])
    values, gradients = values_and_gradients(list(lowered.roles.values()), scores)
    fine, n = gradients[:, : len(FINE)], len(FINE) + len(FAR)
    on_grid = fine[:, :: (len(FINE) - 1) // (len(GRID) - 1)]
    sound = np.all(np.isfinite(values) & np.isfinite(gradients), axis=1)
    finite = dict(zip(names, [bool(s) for s in sound], strict=True))
    rows = dict(zip(names, fine, strict=True))
    slopes = {name: tuple(map(float, gradient[n:])) for name, gradient in zip(names, gradients, strict=True)}
    settled = {name: settle(rows[name], FINE) if finite[name] else math.nan for name in names}
    elementwise = not loss.variables() & set(BATCH_TERMS)
    pulls = {role: slopes[role][1] for role in PULLS} if elementwise else _pulls(with_means)
    reason = f"{found.rejection}: {found.detail}" if found.rejection else ""
    return Card(
        settles={name: _probability(score) for name, score in settled.items()},
        endless={name: is_endless(score, rows[name], FINE) for name, score in settled.items()},
        slopes=slopes,
        steepest={name: float(np.abs(gradient).max()) for name, gradient in zip(names, on_grid, strict=True)},
        saturates={name: saturation(rows[name], FINE) if finite[name] else [] for name in names},
        convex={name: finite[name] and is_convex(rows[name]) for name in names},
        proper=properness(values[0, : len(FINE)], values[1, : len(FINE)], FINE)
        if elementwise and finite["real"] and finite["fake"]
        else None,
        weights={
            "discriminator": _weight([pulls[role] for role in ("real", "fake") if finite[role]], 2),
            "generator": _weight([pulls["generator"]] if finite["generator"] else [], 1),
        },
        finite=held_by(values[:, :n], gradients[:, :n]),
        elementwise=elementwise,
        verdict=reason,
    )


def _pulls(loss: LoweredLoss) -> dict[str, float]:
    """By role, the gradient of its player's mean loss by one image's score, times the size of the batch; all scores 0.

    In a mean over n images each has a share of 1/n, but it stands in the losses of all n: in effect, the mean of a
    kind of images moves with the score of one, and all but this kind stays at 0.
    """
    moving, still = variable("score"), constant(0.0)
    pulls = {}
    for role, clauses in PULLS.items():
        kind, other = ("real", "fake") if role == "real" else ("fake", "real")
        places = [
            {"score": score, f"mean_{kind}": moving, f"mean_{other}": still}
            for score in (moving, still)  # as an image's own score, then in the clause of the other kind
        ]
        moved = [
            _replace(loss.roles[name], place) for name, place in zip(clauses, places, strict=True) if name in loss.roles
        ]
        pulls[role] = float(values_and_gradients(moved, np.zeros(1))[1].sum())
    return pulls


def _replace(expression: Expression, by: Mapping[str, Expression]) -> Expression:
    return expression.map(lambda node: by.get(node.head, node))


def _weight(slopes: Sequence[float], wanted: int) -> float | None:
    total = sum(map(abs, slopes))
    return wanted * BCE_SLOPE / total if len(slopes) == wanted and TINY < total < math.inf else None


def _probability(score: float) -> float:
    return 1.0 / (1.0 + math.exp(-score))
