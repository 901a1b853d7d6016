"""The two extractors that need no download: a small network, trained on the labels of the train split, or random.

`classifier` is a small CNN that tells the classes apart, read at its last layer but one; `random` is the same network
with seeded random weights, for data without labels. Both are made once and kept in the cache folder.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import filelock
import torch
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan import augment
from lossgen.gan.data import Dataset
from lossgen.gan.extractors import CHUNK, Extractor, weights_digest
from lossgen.gan.files import read_dict, save_dict
from lossgen.gan.nets import classifier
from lossgen.gan.sampling import to_unit
from lossgen.gan.streams import Batches, one_thread, stream
from lossgen.once import once
from lossgen.resources import cache_dir

KIND = "lossgen extractor"
VERSION = 1  # to be raised when training changes in a way that TRAINING does not say: older files are then not found
TRAINING: dict[str, Any] = {"optimiser": "adam", "steps": 600, "batch": 128, "lr": 2e-3, "seed": 20240617}
MOVED: dict[str, Any] = {"from": 16, "augment": ["translation"], "longer": 2.5}
"""From this many pixels a side, training images are moved at random, and there are that many times as many steps.

Without it the network learns some thousand photographs by heart, and its features then miss what the eye sees at once
(docs/benchmarks.md, "CIFAR-10"). Below, one pixel is an eighth of the side, and moves digits out of the image."""


def small_extractor(data: Dataset, kind: Literal["classifier", "random"], why: str = "") -> Extractor:
    """The extractor of a data set: from the cache, else made now and stored there.

    The file is named by a hash of the data, the network and its training. Processes that want the same one wait for
    the first to train it; a file that is damaged is made again.

    Args:
        why: why it is this one, for its description.

    Raises:
        InputError: the cache folder cannot be written.
    """
    recipe = {
        "version": VERSION, "kind": kind, "data": data.digest, "training": TRAINING | _moved(data),
        "network": {name: list(value.shape) for name, value in _empty(data).state_dict().items()},
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    content = once(f"extractor {key}", lambda: _kept(data, kind, recipe, key))
    net = _empty(data)
    net.load_state_dict(content["weights"], assign=True)
    net.eval().requires_grad_(False)
    return Extractor(
        kind, net, content["digest"][:16], lambda images: net.features(to_unit(images)), classifier.FEATURES,
        content["accuracy"], why,
    )  # fmt: skip


def _kept(data: Dataset, kind: Literal["classifier", "random"], recipe: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Content of the file in the cache, which is made where it is missing."""
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
    return content


def _moved(data: Dataset) -> dict[str, Any]:
    """What the training of a classifier adds to `TRAINING` for images of this size."""
    return {"moved": MOVED} if data.size >= MOVED["from"] else {}


def _classes(data: Dataset) -> int:
    return max(len(data.classes), 1)


def _empty(data: Dataset) -> classifier.Classifier:
    with torch.device("meta"):
        return classifier.Classifier(data.size, data.channels, _classes(data))


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """Content of a stored extractor; None where it is absent, damaged or not what its name says."""
    if not path.exists():
        return None
    try:
        content = read_dict(path, KIND)
    except InputError:
        return None
    weights = content.get("weights")
    intact = (
        isinstance(weights, dict) and content.get("key") == key and content.get("digest") == weights_digest(weights)
    )
    return content if intact else None


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
            _fit(net, images, torch.from_numpy(data.train.labels), batches, bool(_moved(data)))
            accuracy = _accuracy(net.eval(), data)
    weights = dict(net.state_dict())
    return {"weights": weights, "digest": weights_digest(weights), "accuracy": accuracy}


def _fit(net: classifier.Classifier, images: Tensor, labels: Tensor, batches: Batches, moved: bool) -> None:
    """Train with cross-entropy for a fixed number of steps, the learning rate falling to zero along a cosine."""
    steps = round(TRAINING["steps"] * (MOVED["longer"] if moved else 1))
    policy = tuple(MOVED["augment"]) if moved else ()
    moves = stream(TRAINING["seed"], 2)
    optimiser = torch.optim.Adam(net.parameters(), lr=TRAINING["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    for _ in range(steps):
        chosen = batches.next()
        seen = augment.apply(to_unit(images[chosen]), augment.draw(policy, len(chosen), moves))
        loss = nn.functional.cross_entropy(net(seen), labels[chosen])
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
