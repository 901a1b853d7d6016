"""Where the time of a run goes, and how much of it is left."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

TRAINING = ("start", "timing", "train")
"""Phases that are training and evaluation, or what has to be there before; all others are the engine's own."""
OTHER = "other"


class Clock:
    """Seconds by phase. Phases nest: what is inside one is not counted in the outer.

    Args:
        earlier: seconds by phase of earlier sessions.
        now: tells the time.
    """

    def __init__(self, earlier: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seconds = dict(earlier)
        self._began = self._turned = now()
        self._earlier = sum(earlier.values())
        self._phases = [OTHER]

    @property
    def elapsed(self) -> float:
        """Seconds of all sessions."""
        return self._earlier + self._now() - self._began

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what happens inside under `name`."""
        self._turn()
        self._phases.append(name)
        try:
            yield
        finally:
            self._turn()
            self._phases.pop()

    def seconds(self) -> dict[str, float]:
        """Seconds by phase up to now; they add up to `elapsed`."""
        self._turn()
        return dict(self._seconds)

    def _turn(self) -> None:
        now = self._now()
        phase = self._phases[-1]
        self._seconds[phase] = self._seconds.get(phase, 0.0) + now - self._turned
        self._turned = now


def overhead(seconds: Mapping[str, float]) -> float:
    """Part of the time that is the engine's own: all but training, evaluation, and the start of the workers."""
    total = sum(seconds.values())
    return sum(s for phase, s in seconds.items() if phase not in TRAINING) / total if total else 0.0


class Forecast:
    """Seconds left, from how many trainings the run has made in how much time.

    Until each worker has ended one, from the price that was measured at the start.

    Args:
        trainings: of the whole run.
        price: seconds of a training on one worker; None where not known.
        workers: how many train at once.
    """

    def __init__(self, trainings: float, price: float | None, workers: int) -> None:
        self.trainings = trainings
        self.price = price
        self.workers = workers
        self.known = 0.0
        self._spent = self._made = 0.0

    def expect(self, trainings: float) -> None:
        """So many trainings are to follow, whatever was planned."""
        self.trainings = self.known + self._made + trainings

    def spend(self, seconds: float, trainings: float) -> None:
        """A round of trainings has taken so many seconds of wall time, and made so many."""
        self._spent += seconds
        self._made += trainings

    def done(self, trainings: float = 0.0) -> float:
        """Part of the run's trainings that is done, with so many of the round under way."""
        return (self.known + self._made + trainings) / self.trainings if self.trainings else 0.0

    def left(self, seconds: float = 0.0, trainings: float = 0.0) -> float | None:
        """Seconds left in the run.

        Args:
            seconds, trainings: of the round under way, what is done of a training counted in part.
        """
        made, spent = self._made + trainings, self._spent + seconds
        remaining = max(0.0, self.trainings - self.known - made)
        if made >= self.workers:
            return remaining * spent / made
        return None if self.price is None else remaining * self.price / self.workers
