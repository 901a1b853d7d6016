"""What fits into a time: how many runs, losses and steps, by what a step was measured to cost on this machine."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lossgen.errors import InputError
from lossgen.gan.downstream.arms import PLAIN, SYNTHETIC
from lossgen.gan.downstream.folds import FOLDS
from lossgen.gan.downstream.study import Job, do
from lossgen.runner import Budget

SHARE = 0.85
"""Of the time that is given, what the trainings may take by their prices."""
BESIDE = 1.15
"""What a training takes beside others, over what it takes alone."""
AUDIT = 30.0
"""Seconds of an audit, about."""
TIMED_STEPS = (5, 25)


@dataclass(frozen=True)
class Price:
    """Seconds of a step.

    Attributes:
        gans: of the GANs of all rare classes.
        classifier: of a classifier.
        fixed: of a loss in a run, whatever its steps: what is generated, and asked of classifiers.
    """

    gans: float
    classifier: float
    fixed: float


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        losses: how many are tried.
        repeats: of the five folds.
        steps: of each GAN.
        classifier_steps: of each classifier.
        size: side of the images in pixels; None for the usual one.
    """

    losses: int
    repeats: int
    steps: int
    classifier_steps: int = 400
    size: int | None = None

    @property
    def jobs(self) -> int:
        return FOLDS * self.repeats * (1 + self.losses)

    def seconds(self, price: Price, workers: int) -> float:
        """What it takes, about."""
        plain = len(PLAIN) * self.classifier_steps * price.classifier
        run = plain + self.losses * self.job(price)
        beside = BESIDE if workers > 1 else 1.0
        shared = FOLDS * self.repeats * run / min(workers, self.jobs)
        # At the end processes wait for the one that has begun last.
        return beside * (shared + (workers > 1) * self.job(price) / 2) + self.closing(price)

    def job(self, price: Price) -> float:
        """Seconds of a loss in a run."""
        classifiers = len(SYNTHETIC) * self.classifier_steps * price.classifier
        return self.steps * price.gans + classifiers + price.fixed

    def closing(self, price: Price) -> float:
        """Seconds of the last GANs, whose images may be exported, and of their audit."""
        return 1.5 * self.steps * price.gans + AUDIT


PLANS = (
    Plan(2, 2, 1500), Plan(1, 2, 1500), Plan(1, 2, 1000), Plan(1, 1, 1500), Plan(1, 1, 1000), Plan(1, 1, 500),
    Plan(1, 1, 300, 200),
)  # fmt: skip
"""From the richest to the least that says something."""


def measured(plain: Job, loss: Job) -> Price:
    """What a step costs here, from a few of them."""
    seconds: list[float] = []
    for steps in (1, *TIMED_STEPS):  # the first of all loads and compiles what the others use
        started = time.perf_counter()
        assert loss.member is not None and loss.setting is not None
        loss.synthesis.make(loss.member, loss.setting, Budget(steps, trial=True))
        seconds.append(time.perf_counter() - started)
    more, seconds = TIMED_STEPS[1] - TIMED_STEPS[0], seconds[1:]
    gans = max(1e-6, (seconds[1] - seconds[0]) / more)
    took = [do(replace(plain, recipe=replace(plain.recipe, steps=steps))).seconds for steps in TIMED_STEPS]
    classifier = max(1e-6, (took[1] - took[0]) / more / len(PLAIN))
    asked = max(0.0, took[0] - TIMED_STEPS[0] * classifier * len(PLAIN)) / len(PLAIN)
    return Price(gans, classifier, max(0.0, seconds[0] - TIMED_STEPS[0] * gans) + asked * (len(PLAIN) + len(SYNTHETIC)))


def fitted(price: Price, workers: int, limit: float, plans: Sequence[Plan] = PLANS) -> Plan:
    """The richest plan that fits into so many seconds.

    Raises:
        InputError: none does.
    """
    for plan in plans:
        if plan.seconds(price, workers) <= SHARE * limit:
            return plan
    least = plans[-1].seconds(price, workers) / SHARE
    raise InputError(
        f"--time-limit: the least that says something takes about {math.ceil(least / 60)} min on this machine; give "
        f"--time-limit {least / 60 + 1:.0f}m, or more --workers"
    )
