"""What judges a generator: the choice of a feature extractor, and distances from held-out images in its features.

classifier  a small CNN, trained on the labels of the train split (small_extractors.py)
random      the same network with seeded random weights, where there are no labels
inception   the network of Heusel et al. (2017), from a file of weights (inception.py); only its distance is FID
and any nn.Module of the user's own (extractors.py)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossgen.errors import InputError
from lossgen.files import expanded
from lossgen.gan.data import Dataset
from lossgen.gan.extractors import OWN, Extractor, few_images
from lossgen.gan.extrapolation import PARTS, fewest_samples
from lossgen.gan.inception import inception_extractor
from lossgen.gan.kernel_distance import SUBSET, SUBSETS
from lossgen.gan.metrics import Array, Moments, frechet_distance, moments
from lossgen.gan.neighbours import K, radii
from lossgen.gan.quality import quality
from lossgen.gan.raw import Ints
from lossgen.gan.small_extractors import TRAINING, small_extractor
from lossgen.gan.splits import plural
from lossgen.gan.streams import one_thread

__all__ = ["TRAINING", "Extractor", "Judge", "load_extractor"]

FEWEST = 100
"""Images that a classifier is trained on, at least, unless it is asked for."""
SEED = 0
"""Of the random subsets that KID and FD∞ are taken on: the same for all losses."""


class Judge:
    """Distances of generated images from the validation and the test split, at one number of generated images.

    The fitness is the Fréchet distance from the validation split. What is taken from the test split is named "… test"
    and is there to be looked at after all choices are made: the Fréchet distance at every call, the rest by `full`.
    """

    def __init__(self, data: Dataset, extractor: Extractor, n_samples: int, device: str = "cpu") -> None:
        self.extractor = extractor
        self.n_samples = n_samples
        self.metric = extractor.title("FD")
        extractor.net.to(device)
        with one_thread():
            validation, self._test = (
                extractor.features(torch.from_numpy(split.images)) for split in (data.validation, data.test)
            )
            self._references: dict[str, Moments] = {
                self.metric: moments(validation), f"{self.metric} test": moments(self._test)
            }  # fmt: skip
        self._radii: Array | None = None

    def __call__(self, images: Tensor) -> dict[str, float]:
        """The Fréchet distances of generated images, uint8 (n_samples, C, H, W), by name."""
        generated = moments(self.extractor.features(images))
        return {name: frechet_distance(reference, generated) for name, reference in self._references.items()}

    def full(self, images: Tensor) -> dict[str, float]:
        """FD∞, KID, precision, recall, density and coverage of the same images against the test split, by name.

        To be called once, at the end of a training. What too few images do not allow is left out.
        """
        with one_thread():
            generated = self.extractor.features(images)
            if self._radii is None and len(self._test) > K:
                self._radii = radii(self._test)
            found = quality(self._test, generated, K, SEED, self._radii).values()
        return {f"{self.extractor.title(name)} test": value for name, value in found.items()}

    def description(self) -> str:
        """What judges, and what too few images mean for it, in sentences for the user."""
        few = few_images(self.extractor, {"the generator": self.n_samples})
        return f"{self.extractor.description()} {few}".strip()

    def protocol(self) -> dict[str, Any]:
        """What the metrics need beside them to be compared, as JSON values."""
        validation, test = self._references.values()
        dimension = self._test.shape[1]
        return {
            "metric": self.metric, "extractor": self.extractor.digest, "extractor_accuracy": self.extractor.accuracy,
            "n_generated": self.n_samples, "n_reference": {"validation": validation.count, "test": test.count},
            "split": "fitness against validation, report against test", "resize": self.extractor.resize,
            "features": dimension, "k": K, "metrics_seed": SEED,
            "kid": {"subset": min(SUBSET, self.n_samples, test.count), "subsets": SUBSETS},
            "fd_infinity": {"parts": PARTS, "fewest_samples": fewest_samples(dimension)},
        }  # fmt: skip


def load_extractor(
    data: Dataset, kind: str | None = None, weights: str | Path | None = None, download: bool = False
) -> Extractor:
    """The extractor of a data set.

    Args:
        kind: "classifier", "inception" or "random"; None takes a classifier where there are labels, else "random".
        weights: file of the Inception network's weights; None looks where torch-fidelity keeps its download.
        download: whether these may be fetched where they are absent.

    Raises:
        InputError: a kind that there is not or that the data do not allow; see also the modules named above.
    """
    if kind is not None and kind not in OWN:
        raise InputError(f"extractor {kind}: unknown; choose one of {', '.join(OWN)}")
    if weights is not None and kind != "inception":
        raise InputError(f"weights {weights}: belong to the extractor inception; choose it, or leave them out")
    reason = why_no_classifier(len(data.train), data.train.labels, len(data.classes))
    if kind == "classifier" and (data.train.labels is None or len(data.classes) < 2):
        raise InputError(f"extractor classifier: cannot be trained, for {reason}; choose random or inception")
    if kind == "inception":
        extractor = inception_extractor(expanded(weights) if weights else None, download)
    elif kind == "random" or (reason and kind is None):
        extractor = small_extractor(data, "random", reason or "it was asked for")
    else:
        extractor = small_extractor(data, "classifier")
    few = few_images(extractor, {"validation": len(data.validation), "test": len(data.test)})
    return replace(extractor, remark=few)


def why_no_classifier(count: int, labels: Ints | None, classes: int) -> str:
    """Why so many images, with such labels, are none to train a classifier on; empty where they are."""
    if labels is None:
        return "the images have no labels"
    if classes < 2:
        return "the images are all of one class"
    if count < FEWEST:
        return f"{plural(count, 'image')} with labels are too few to train a classifier on, which takes {FEWEST}"
    return ""
