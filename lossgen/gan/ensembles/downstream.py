"""What classifiers learn from an ensemble's images alone, tested on real ones.

Held against one another: the best single model (by intra_d), all models, random ensembles of the chosen one's size, a
new one each time, the chosen ensemble, and real images. All but the last train on as many images, and the last on all
real ones of the training split; for as many gradient steps, from the same first weights; only the repetition's seed
differs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.data import Dataset
from lossgen.gan.downstream.classifiers import Recipe, fit, log_probabilities
from lossgen.gan.downstream.rates import Rates, rates
from lossgen.gan.ensembles.overlap import Chosen
from lossgen.gan.ensembles.pool import Model
from lossgen.gan.ensembles.selection import random_ensembles

ARMS = ("best single model", "all models", "random ensembles", "chosen ensemble", "real only")


@dataclass(frozen=True)
class ArmRates:
    """What an arm's classifier gets right on real test images.

    Attributes:
        rates: of all classes.
        positive: label of the class that a positive finding is.
    """

    rates: Rates
    positive: int

    def summary(self) -> dict[str, float]:
        """The paper's numbers, of the positive class against the rest where it takes one."""
        confusion, positive = self.rates.confusion, self.positive
        right = (
            confusion.sum() - confusion[positive].sum() - confusion[:, positive].sum() + confusion[positive, positive]
        )
        negatives = confusion.sum() - confusion[positive].sum()
        return {
            "balanced accuracy": self.rates.balanced_accuracy, "accuracy": self.rates.accuracy,
            "recall": float(self.rates.recall[positive]), "precision": float(self.rates.precision[positive]),
            "specificity": float(right / negatives), "F1": float(self.rates.f1[positive]), "g-mean": self.rates.g_mean,
        }  # fmt: skip


def check_arms(data: Dataset, models: Sequence[Model]) -> None:
    """Raise InputError where classifiers cannot learn from each model alone, or cannot be tested."""
    otherwise = "; --no-downstream chooses without classifiers"
    for split, part in (("train", data.train), ("test", data.test)):
        known = set() if part.labels is None else set(part.labels.tolist())
        if len(data.classes) < 2 or known != set(range(len(data.classes))):
            raise InputError(f"data {data.name}: {split} has not at least two classes with images{otherwise}")
    for model in models:
        absent = set(range(len(data.classes))) - set([] if model.labels is None else model.labels.tolist())
        if absent:
            lacks = (
                f"has no image of {data.classes[min(absent)]}"
                if model.labels is not None
                else "has no classes (--conditional trains with them)"
            )
            raise InputError(f"ensemble: model {model.name} {lacks}: no classifier learns from it alone{otherwise}")


def compare_arms(
    data: Dataset, models: Sequence[Model], single: int, chosen: Chosen, recipe: Recipe, positive: int,
    repetitions: int, seed: int, device: str = "cpu", told: Callable[[int], None] = lambda done: None,
) -> Mapping[str, list[ArmRates]]:  # fmt: skip
    """By arm, a result a repetition.

    Args:
        single: the best single model.
        told: called with how many repetitions are done.
    """
    count = len(models[0].images)
    by_chance = random_ensembles(len(models), len(chosen), repetitions, np.random.default_rng(seed))
    found: dict[str, list[ArmRates]] = {arm: [] for arm in ARMS}
    test = torch.from_numpy(data.test.images).to(device)
    for repetition in range(repetitions):
        ensembles = dict(zip(ARMS, ((single,), tuple(range(len(models))), by_chance[repetition], chosen)))
        for arm in ARMS:
            if arm in ensembles:
                images, labels = together([models[i] for i in ensembles[arm]], count)
            else:
                images, labels = data.train.images, data.train.known_labels
            net = fit(
                recipe, torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device), (seed, repetition),
                len(data.classes),
            )  # fmt: skip
            found[arm].append(ArmRates(rates(log_probabilities(net, test), data.test.known_labels), positive))
        told(repetition + 1)
    return found


def together(models: Sequence[Model], count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """So many images of some models, of each as many."""
    share, more = divmod(count, len(models))
    images, labels = [], []
    for place, model in enumerate(models):
        assert model.labels is not None
        images.append(model.images[: share + (place < more)])
        labels.append(model.labels[: share + (place < more)])
    return np.concatenate(images), np.concatenate(labels)
