"""The loss card: what a loss asks of a discriminator and a generator, in numbers."""

import math
from dataclasses import dataclass

import numpy as np

from lossgen.kernel.evaluate import values_and_gradients
from lossgen.kernel.screen import screen, settle
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import lower_loss

PROBES = (0.01, 0.5, 0.99)
FINE = np.linspace(-8.0, 8.0, 16385)


@dataclass(frozen=True)
class Card:
    """Measured on the screened grid, scores -8 to 8.

    Attributes:
        settles: y_pred at which descent on the score from 0 ends, by role; at the grid's ends 0.0003 and 0.9997.
        slopes: score-gradient at y_pred = 0.01, 0.5 and 0.99, by role.
        steepest: largest magnitude of the score-gradient on the grid, by role.
        verdict: the screen's reason against the loss, "" if it passes.
    """

    settles: dict[str, float]
    slopes: dict[str, tuple[float, float, float]]
    steepest: dict[str, float]
    verdict: str

    @property
    def gap(self) -> float:
        """How far apart, in y_pred, real and fake settle."""
        return self.settles["real"] - self.settles["fake"]

    def lines(self) -> list[str]:
        """The card as a small table, for docstrings and terminals."""
        rows = [f"{'':<11}{'settles at p':>13}{'slope p=0.01':>14}{'p=0.5':>11}{'p=0.99':>11}{'steepest':>11}"]
        for role in ROLES:
            slopes = "".join(f"{slope:>{width}.3g}" for slope, width in zip(self.slopes[role], (14, 11, 11)))
            rows.append(f"{role:<11}{self.settles[role]:>13.4f}{slopes}{self.steepest[role]:>11.3g}")
        return rows

    def as_json(self) -> dict[str, object]:
        return {
            "settles": self.settles,
            "slopes": {role: dict(zip(map(str, PROBES), slopes)) for role, slopes in self.slopes.items()},
            "steepest": self.steepest,
            "gap": self.gap,
            "verdict": self.verdict,
        }


def card(loss: Loss) -> Card:
    """Measure a loss."""
    lowered = lower_loss(loss)
    found = screen([lowered])[0]
    scores = [math.log(p / (1 - p)) for p in PROBES]
    roles = [lowered.roles[role] for role in ROLES]
    _, slopes = values_and_gradients(roles, scores)
    _, fine = values_and_gradients(roles, FINE)
    steepest = np.max(np.abs(found.curves.gradient), axis=1)
    reason = f"{found.rejection}: {found.detail}" if found.rejection else ""
    return Card(
        settles={role: 1 / (1 + math.exp(-settle(curve, FINE))) for role, curve in zip(ROLES, fine)},
        slopes={role: (float(s[0]), float(s[1]), float(s[2])) for role, s in zip(ROLES, slopes)},
        steepest=dict(zip(ROLES, map(float, steepest))),
        verdict=reason,
    )
