"""What judges a generator: a feature extractor, and the distance of generated from held-out images in its features.

`classifier` is a small CNN trained on the labels of the train split; `random` is the same network with seeded
random weights, for data without labels. A distance is named after its extractor, FD[classifier] or FD[random],
and never FID: that name belongs to the Inception network of Heusel et al. (2017).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.data import Dataset
from lossgen.gan.files import read_dict, save_dict
from lossgen.gan.metrics import Moments, frechet_distance, moments
from lossgen.gan.nets import classifier
from lossgen.gan.sampling import to_unit
from lossgen.gan.streams import Batches, one_thread, stream
from lossgen.resources import cache_dir

KIND = "lossgen extractor"
VERSION = 1  # to be raised when training changes in a way that TRAINING does not say: older files are then not found
TRAINING: dict[str, Any] = {"optimiser": "adam", "steps": 600, "batch": 128, "lr": 2e-3, "seed": 20240617}
CHUNK = 256  # images through the extractor at a time


@dataclass(frozen=True)
class Extractor:
    """A network whose features are compared.

    Attributes:
        kind: "classifier" or "random".
        net: the network, in evaluation mode, on the CPU.
        digest: of the weights; two distances compare only under the same digest.
        accuracy: share of the test split that the classifier gets right; None for "random".
        why_random: why there is no classifier; empty where there is one.
    """

    kind: Literal["classifier", "random"]
    net: classifier.Classifier
    digest: str
    accuracy: float | None
    why_random: str = ""

    @torch.no_grad()
    def features(self, images: Tensor) -> NDArray[np.float64]:
        """Features (N, 64), float64, of images (N, C, H, W), uint8, computed where the network is."""
        device = next(self.net.parameters()).device
        parts = [self.net.features(to_unit(chunk.to(device))).double().cpu() for chunk in torch.split(images, CHUNK)]
        return torch.cat(parts).numpy()

    def description(self) -> str:
        """What judges, in a sentence for the user."""
        if self.kind == "random":
            return f"FD[random]: distances are taken in the features of a seeded random network: {self.why_random}."
        known = "" if self.accuracy is None else f", {self.accuracy:.1%} right on the test split"
        return f"FD[classifier]: distances are taken in the features of a small classifier{known}."


class Judge:
    """Distance of generated images from the validation and the test split, at one number of generated images.

    The fitness is the distance from the validation split. The distance from the test split is named "... test" and
    is there to be looked at after all choices are made.
    """

    def __init__(self, data: Dataset, extractor: Extractor, n_samples: int, device: str = "cpu") -> None:
        self.extractor = extractor
        self.n_samples = n_samples
        self.metric = f"FD[{extractor.kind}]"
        splits = {self.metric: data.validation, f"{self.metric} test": data.test}
        with one_thread():
            self._references: dict[str, Moments] = {
                name: moments(extractor.features(torch.from_numpy(split.images))) for name, split in splits.items()
            }
        extractor.net.to(device)

    def __call__(self, images: Tensor) -> dict[str, float]:
        """The distances of generated images, uint8 (n_samples, C, H, W), by name."""
        generated = moments(self.extractor.features(images))
        return {name: frechet_distance(reference, generated) for name, reference in self._references.items()}

    def protocol(self) -> dict[str, Any]:
        """What a distance needs beside it to be compared, as JSON values."""
        validation, test = self._references.values()
        return {
            "metric": self.metric, "extractor": self.extractor.digest, "extractor_accuracy": self.extractor.accuracy,
            "n_generated": self.n_samples, "n_reference": {"validation": validation.count, "test": test.count},
            "split": "fitness against validation, report against test", "resize": "none: features at the image's size",
        }  # fmt: skip


def load_extractor(data: Dataset) -> Extractor:
    """The extractor of a data set: from the cache, else trained now and stored there.

    The file is named by a hash of the data, the network and its training. Processes that want the same one wait for
    the first to train it; a file that is damaged is made again.

    Raises:
        InputError: the cache folder cannot be written.
    """
    why_random = _why_no_classifier(data)
    kind: Literal["classifier", "random"] = "random" if why_random else "classifier"
    recipe = {
        "version": VERSION, "kind": kind, "data": data.digest, "training": TRAINING, "network": repr(_empty(data)),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    path = cache_dir() / "extractors" / f"{kind}-{key[:16]}.pt"
    content = _read(path, key)
    if content is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(path.with_suffix(".lock")):
                content = _read(path, key)  # another process may have been first
                if content is None:
                    content = {"schema": 1, "kind": KIND, "key": key, "recipe": recipe, **_make(data, kind)}
                    save_dict(path, content)
        except OSError as error:
            where = f"cache folder {path.parent} cannot be written ({error.strerror or error})"
            raise InputError(f"{where}: set LOSSGEN_CACHE to a folder that can") from None
    net = _empty(data)
    net.load_state_dict(content["weights"], assign=True)
    return Extractor(kind, net.eval().requires_grad_(False), content["digest"][:16], content["accuracy"], why_random)


def _why_no_classifier(data: Dataset) -> str:
    if data.train.labels is None:
        return "the images have no labels"
    if _classes(data) < 2:
        return "the images are all of one class"
    return ""


def _classes(data: Dataset) -> int:
    return max(len(data.classes), 1)


def _empty(data: Dataset) -> classifier.Classifier:
    with torch.device("meta"):
        return classifier.Classifier(data.size, data.channels, _classes(data))


def _read(path: Path, key: str) -> Mapping[str, Any] | None:
    """Content of a stored extractor; None where it is absent, damaged or not what its name says."""
    if not path.exists():
        return None
    try:
        content = read_dict(path, KIND)
    except InputError:
        return None
    weights = content.get("weights")
    intact = isinstance(weights, dict) and content.get("key") == key and content.get("digest") == _digest(weights)
    return content if intact else None


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].numpy().tobytes())
    return digest.hexdigest()


def _make(data: Dataset, kind: Literal["classifier", "random"]) -> dict[str, Any]:
    """Weights, their digest and the accuracy of a new extractor, made on one CPU thread."""
    seed = TRAINING["seed"]
    net = classifier.initialise(_empty(data), stream(seed, 0))
    accuracy = None
    with one_thread():
        images = torch.from_numpy(data.train.images)
        batches = Batches(len(images), TRAINING["batch"], stream(seed, 1))
        if kind == "random" or data.train.labels is None:
            _calibrate(net, images, batches)
        else:
            _fit(net, images, torch.from_numpy(data.train.labels), batches)
            accuracy = _accuracy(net.eval(), data)
    weights = dict(net.state_dict())
    return {"weights": weights, "digest": _digest(weights), "accuracy": accuracy}


def _fit(net: classifier.Classifier, images: Tensor, labels: Tensor, batches: Batches) -> None:
    """Train with cross-entropy for a fixed number of steps, the learning rate falling to zero along a cosine."""
    steps = TRAINING["steps"]
    optimiser = torch.optim.Adam(net.parameters(), lr=TRAINING["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    for _ in range(steps):
        chosen = batches.next()
        loss = nn.functional.cross_entropy(net(to_unit(images[chosen])), labels[chosen])
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()


@torch.no_grad()
def _calibrate(net: classifier.Classifier, images: Tensor, batches: Batches) -> None:
    """Let the BatchNorms of a random network see the training images, so that its features have unit variance."""
    net.train()
    for _ in range(50):
        net.features(to_unit(images[batches.next()]))


@torch.no_grad()
def _accuracy(net: classifier.Classifier, data: Dataset) -> float | None:
    if data.test.labels is None:
        return None
    images = torch.from_numpy(data.test.images)
    guesses = torch.cat([net(to_unit(chunk)).argmax(1) for chunk in torch.split(images, CHUNK)]).numpy()
    return float((guesses == data.test.labels).mean())
