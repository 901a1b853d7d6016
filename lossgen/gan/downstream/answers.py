"""What the arms of a study have said about validation and test images, run by run, and what was chosen on validation.

A variant is an arm with its plain decision (the most probable class), or with thresholds that were tuned on validation.
To choose among variants, tuned ones are judged on the half of the validation images that they were not tuned on, and
the other way round: on what it was tuned on, every threshold is good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lossgen.gan.downstream.rates import Floats, Ints, Rates, decided, rates, tuned_offsets

TUNED = ", tuned threshold"


@dataclass(frozen=True)
class Answers:
    """An arm in a run.

    Attributes:
        validation, test: log-probabilities (N, K) of either split's images.
        validation_labels, test_labels: (N,).
        validation_groups: (N,), whose the images are, where patients are known.
    """

    validation: NDArray[np.floating]
    test: NDArray[np.floating]
    validation_labels: Ints
    test_labels: Ints
    validation_groups: NDArray[np.generic] | None = None

    @cached_property
    def offsets(self) -> Floats:
        """(K,), tuned on validation."""
        return tuned_offsets(self.validation, self.validation_labels)

    def on_test(self, tuned: bool) -> Rates:
        """What the arm gets right on the test images."""
        return rates(self.test, self.test_labels, self.offsets if tuned else None)

    def taken(self, tuned: bool) -> Ints:
        """(N,), the class that each test image is taken for."""
        return decided(self.test, self.offsets if tuned else None)

    def on_validation(self, tuned: bool) -> float:
        """Balanced accuracy on validation, of thresholds on images that they were not tuned on."""
        return self._on_validation_tuned if tuned else self._on_validation

    @cached_property
    def _on_validation(self) -> float:
        return rates(self.validation, self.validation_labels).balanced_accuracy

    @cached_property
    def _on_validation_tuned(self) -> float:
        half = _halves(self.validation_labels, self.validation_groups)
        taken = np.empty(len(half), np.int64)
        for here in (half, ~half):
            offsets = tuned_offsets(self.validation[~here], self.validation_labels[~here])
            taken[here] = decided(self.validation[here], offsets)
        right = taken == self.validation_labels
        counts = np.bincount(self.validation_labels)
        return float(np.mean((np.bincount(self.validation_labels, right) / np.maximum(counts, 1))[counts > 0]))


def _halves(labels: Ints, groups: NDArray[np.generic] | None = None) -> NDArray[np.bool_]:
    """(N,): every other image of each class; every other patient, with all images, where patients are known."""
    whose = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    half, placed = np.zeros(len(labels), np.bool_), np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        of_class = np.unique(whose[(labels == label) & ~placed])
        half |= np.isin(whose, of_class[::2])
        placed |= np.isin(whose, of_class)
    return half


@dataclass(frozen=True)
class Variant:
    """An arm, and how it decides.

    Attributes:
        arm: its name.
        tuned: whether its thresholds are tuned on validation.
    """

    arm: str
    tuned: bool = False

    @property
    def title(self) -> str:
        return self.arm + TUNED * self.tuned


def variants(arms: Sequence[str]) -> list[Variant]:
    """Each arm, plain and tuned."""
    return [Variant(arm, tuned) for arm in arms for tuned in (False, True)]


def chosen(run: Mapping[str, Answers], arms: Sequence[str]) -> Variant:
    """Of these arms the variant that is best on a run's validation images; the first among equals."""
    found = variants(arms)
    values = [run[variant.arm].on_validation(variant.tuned) for variant in found]
    return found[int(np.argmax(values))]
