"""A pool of models: images by any GAN in folders and .npz files, model files that lossgen has kept, and runs.

A model is a name and its images; with their classes where they have any (conditional GANs, folders of one folder a
class), since a classifier can learn from these alone.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.files import expanded
from lossgen.gan.data import Dataset
from lossgen.gan.raw import RawData, fit_all
from lossgen.gan.sampling import load_model, sample
from lossgen.gan.sources import read
from lossgen.runner import DataSpec

MODEL = ".model.pt"


@dataclass(frozen=True)
class Model:
    """One of the pool.

    Attributes:
        name: as the user knows it.
        images: uint8 (M, C, H, W), of the size and the channels of the real ones.
        labels: (M,) in the classes of the real ones; None where the images have none.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None


def read_pool(names: Sequence[str], data: Dataset, count: int, seed: int = 0) -> list[Model]:
    """The models that folders, .npz files, model files, and runs' folders name.

    Args:
        data: the real images, which all are made alike to.
        count: images of each; drawn by seed, of each class alike, where there are more.

    Raises:
        InputError: fewer than two, nothing of that name, too few images, or a class that the real images have not.
    """
    paths = [file for name in names for file in _files(name)]
    titles = Counter(title for _, title in paths)
    paths = [(path, title if titles[title] == 1 else path) for path, title in paths]
    if len(paths) < 2:
        raise InputError(f"ensemble: a pool of {len(paths)} model; it takes at least 2 folders, files or models")
    resolved = [expanded(path).resolve() for path, _ in paths]
    if len(paths) != len(set(resolved)):
        double = next(path for place, (path, _) in enumerate(paths) if resolved[place] in resolved[:place])
        raise InputError(f"ensemble: {double} is given twice; a pool holds each model once")
    return [_model(path, title, data, count, seed) for path, title in paths]


def check_there(names: Sequence[str]) -> None:
    """Refuse a name of the pool that nothing has, before anything is read.

    Raises:
        InputError: which it is.
    """
    for name in names:
        if not expanded(name).exists():
            raise InputError(f"ensemble: {name}: no such file or folder; give images of a GAN, a model, or a run")


def _files(name: str) -> list[tuple[str, str]]:
    """A source as it is; of a folder that holds model files, these."""
    path = expanded(name)
    found = sorted(path.rglob(f"*{MODEL}")) if path.is_dir() else []
    return [(str(file), file.name.removesuffix(MODEL)) for file in found] or [(name, path.name.removesuffix(MODEL))]


def _model(path: str, title: str, data: Dataset, count: int, seed: int) -> Model:
    if path.endswith(MODEL):
        images, labels = _drawn(Path(path), data, count, (seed, zlib.crc32(title.encode())))
    else:
        images, labels = _read(read(DataSpec(path)), data)
    if images.shape[1] != data.channels:
        if images.shape[1] == 3:
            raise InputError(f"ensemble: {path} is in colour and {data.name} grey; convert the one like the other")
        images = np.repeat(images, data.channels, axis=1)
    if len(images) < count:
        raise InputError(f"ensemble: {path} holds {len(images)} images; {count} are compared (--images): give fewer")
    rows = _rows(labels, len(images), count, np.random.default_rng(seed))
    return Model(title, np.ascontiguousarray(images[rows]), None if labels is None else labels[rows])


def _drawn(
    path: Path, data: Dataset, count: int, seed: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Images of a generator; of a conditional one as many of each class.

    Of noise of their own: the models of a training's seed would all draw from the same.
    """
    _, architecture, content = load_model(path)
    if architecture.size != data.size:
        raise InputError(
            f"ensemble: {path} makes {architecture.size} pixels a side, and {data.name} has {data.size}; "
            f"give --image-size {architecture.size}"
        )
    if not architecture.classes:
        lone = content["data"].get("class")
        labels = None if lone is None else np.full(count, _label(str(lone), data, path), np.int64)
        return sample(path, count, seed), labels
    names = [str(name) for name in content["data"].get("classes", [])]
    each = -(-count // len(names))
    parts = [sample(path, each, (*seed, place), of_class=name) for place, name in enumerate(names)]
    labels = np.repeat([_label(name, data, path) for name in names], each)
    return np.concatenate(parts), labels


def _read(found: RawData, data: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    parts = [fit_all(split.images, data.size, "pad")[0] for split in found.splits.values()]
    channels = max(part.shape[-1] for part in parts)
    pixels = np.concatenate([np.repeat(p, channels, -1) if p.shape[-1] < channels else p for p in parts])
    known = [split.labels for split in found.splits.values()]
    labels = None
    if found.classes and all(each is not None for each in known):
        number = np.array([_label(name, data, found.name) for name in found.classes])
        labels = number[np.concatenate([each for each in known if each is not None])]
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), labels


def _label(name: str, data: Dataset, whose: object) -> int:
    if name not in data.classes:
        known = ", ".join(data.classes) or "none"
        raise InputError(f"ensemble: {whose} has images of {name}, which is none of {data.name}'s classes ({known})")
    return data.classes.index(name)


def _rows(labels: NDArray[np.int64] | None, have: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which images to take, in an order in which every beginning holds the classes as the whole does."""
    order = rng.permutation(have)
    if labels is None:
        return order[:count]
    place = np.empty(have)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")[:count]
