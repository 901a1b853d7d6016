"""The loss card: what a loss asks of a discriminator and a generator, in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossgen.codegen.properties import Properness, held_by, is_convex, properness, saturation
from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import FAR, GRID, screen, settle
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.language.operators import BATCH_TERMS

Array = NDArray[np.float64]

PROBES = (0.01, 0.5, 0.99)
FINE = np.linspace(-8.0, 8.0, 16385)
SETTLED_AT_ONE = 0.999
BCE_SLOPE = 0.5
"""Magnitude of BCE's score-gradient at y_pred = 0.5, on real and on generated images."""

TINY = 1e-12
"""A slope below this is taken for none."""


@dataclass(frozen=True)
class Card:
    """Measured for scores from -8 to 8 (y_pred from 0.0003 to 0.9997), from the kernel's float64.

    Named constants have their defaults, and batch means are held at 0. Where a curve is not finite, what is read off
    it is NaN, None or no.

    Attributes:
        settles: y_pred at which descent on the score from 0 ends, by role; at the grid's ends 0.0003 and 0.9997.
        slopes: score-gradient at y_pred = 0.01, 0.5 and 0.99, by role.
        steepest: largest magnitude of the score-gradient on the grid, by role.
        saturates: stretches of scores, half a unit long at least, with a gradient below 1 % of `steepest`, by role.
        convex: whether the loss is convex in the score, by role.
        proper: whether p = q minimises q·L(1, p) + (1 - q)·L(0, p); None for a loss of a whole batch.
        weights: factor that gives "discriminator" (mean of real and fake) and "generator" the score-gradient of BCE
            at y_pred = 0.5, None where there is none; for objectives with other terms beside this loss.
        finite: by dtype, whether it holds all values and gradients on the grid and at scores of ±30. The emitted
            module computes float16 and bfloat16 in float32, so this is about storing and scaling the results.
        elementwise: whether the loss of an image depends on its own score alone.
        verdict: the screen's reason against the loss, "" if it passes.
    """

    settles: Mapping[str, float]
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
        """The attributes under their own names, and `gap`, `real_settles_at_one`; slopes by y_pred, as text."""
        return {
            "settles": dict(self.settles),
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
    lowered = lower_loss(loss).at_means()
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
    elementwise = not loss.variables() & set(BATCH_TERMS)
    reason = f"{found.rejection}: {found.detail}" if found.rejection else ""
    return Card(
        settles={name: _probability(settle(rows[name], FINE)) if finite[name] else math.nan for name in names},
        slopes=slopes,
        steepest={name: float(np.abs(gradient).max()) for name, gradient in zip(names, on_grid, strict=True)},
        saturates={name: saturation(rows[name], FINE) if finite[name] else [] for name in names},
        convex={name: finite[name] and is_convex(rows[name]) for name in names},
        proper=properness(values[0, : len(FINE)], values[1, : len(FINE)], FINE)
        if elementwise and finite["real"] and finite["fake"]
        else None,
        weights={
            "discriminator": _weight([slopes[r][1] for r in ("real", "fake") if finite[r]], 2),
            "generator": _weight([slopes["generator"][1]] if finite["generator"] else [], 1),
        },
        finite=held_by(values[:, :n], gradients[:, :n]),
        elementwise=elementwise,
        verdict=reason,
    )


def _weight(slopes: Sequence[float], wanted: int) -> float | None:
    total = sum(map(abs, slopes))
    return wanted * BCE_SLOPE / total if len(slopes) == wanted and total > TINY else None


def _probability(score: float) -> float:
    return 1.0 / (1.0 + math.exp(-score))
