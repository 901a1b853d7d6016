"""Image data for training: three splits of square images of one size, made from whatever the user has.

`load` finds the data (sources.py), makes the splits that are missing (splits.py), fits every image (images.py) and
says in notes what it did.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lossgen.errors import InputError
from lossgen.gan.duplicates import duplicate_notes, fingerprint
from lossgen.gan.images import FITS, Pixels, grey_if_equal
from lossgen.gan.raw import SPLITS, Ints, RawData, fit_all
from lossgen.gan.sources import read
from lossgen.gan.splits import complete, plural
from lossgen.once import once
from lossgen.runner import DataSpec

_DARK = 64
"""Grey level of 255 below which a whole data set is taken to be scaled wrongly."""


@dataclass(frozen=True)
class ImageSet:
    """One split.

    Attributes:
        images: uint8, (N, C, H, W), C in {1, 3}.
        labels: int64, (N,), values 0..K-1; None where this split has none.
        groups: int64, (N,), a number for each patient (or whatever else must not be torn apart); None where that is
            not known.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    groups: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def known_labels(self) -> npt.NDArray[np.int64]:
        """The labels, where it has been checked that there are some."""
        assert self.labels is not None
        return self.labels

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "ImageSet":
        """These images, in that order."""
        labels, groups = (None if each is None else each[rows] for each in (self.labels, self.groups))
        return ImageSet(self.images[rows], labels, groups)


@dataclass(frozen=True)
class Dataset:
    """Images to train and to judge with.

    Attributes:
        name: as the user gave it.
        train: what the networks are trained on.
        validation: what fitness is measured against.
        test: what is left for the end.
        classes: name of each label, empty without labels.
        digest: SHA-256 (hexadecimal) over the arrays of the three splits as used, to store with a result.
        notes: sentences for the user: splits that were made, resizing, missing labels, duplicates and the like.
        made: the splits that were made, not found.
        group_name: what groups number, in the singular.
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]
    made: tuple[str, ...] = ()
    group_name: str = "patient"

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return int(self.train.images.shape[2])


def load(spec: DataSpec, sizes: Sequence[int] = (8, 16, 28, 32), nearest: bool = False) -> Dataset:
    """The data that `spec` names, split and fitted; the same spec and the same files give the same arrays.

    Args:
        spec: what to load, and how.
        sizes: sides in pixels that the runner's networks know. Without `spec.image_size` the largest one that
            enlarges no image is used, or the smallest where every one would.
        nearest: take the one that is nearest to the smallest image instead, by ratio, also where that enlarges.

    Raises:
        InputError: nothing of that name, nothing in it, or something wrong with it; see the modules named above.
    """
    if spec.fit not in FITS:
        raise InputError(f"--fit {spec.fit}: unknown; choose one of {', '.join(FITS)}")
    if spec.image_size is not None and spec.image_size not in sizes:
        known = ", ".join(str(size) for size in sizes)
        raise InputError(f"--image-size {spec.image_size}: this runner's sizes are {known}; choose one of them")
    return once(f"data {spec} {tuple(sizes)} {nearest}", lambda: _loaded(spec, sizes, nearest))


def _loaded(spec: DataSpec, sizes: Sequence[int], nearest: bool) -> Dataset:
    data = complete(read(spec), spec.seed)
    own = _own_sizes(data, spec)
    size = spec.image_size or _chosen_size(int(own.min()), sizes, nearest)
    arrays = {}
    constant = []
    for split, raw in data.splits.items():
        arrays[split], flat = fit_all(raw.images, size, spec.fit)
        constant += [f"{split}, {raw.images.name(int(i))}" for i in np.flatnonzero(flat)]
    if len(constant) == len(own):
        raise InputError(f"data {data.name}: every image is of one value only; there is nothing to learn from")
    arrays = _same_channels(arrays)
    prints = {split: [fingerprint(image) for image in images] for split, images in arrays.items()}
    notes = [
        *data.notes,
        *label_notes(data),
        *_size_notes(data, own, size, sizes, spec),
        *constant_notes(constant, len(own)),
        *_dark_notes(arrays),
        *duplicate_notes(prints),
    ]
    sets = {
        split: ImageSet(
            # A copy also of grey images: with strides of their own, convolutions would sum in another order.
            images.transpose(0, 3, 1, 2).copy(),
            data.splits[split].labels,
            data.splits[split].groups,
        )
        for split, images in arrays.items()
    }
    train, validation, test = (sets[split] for split in SPLITS)
    return Dataset(
        data.name, train, validation, test, data.classes, digest_of(sets), tuple(notes), data.made, data.group_name
    )


def _chosen_size(smallest: int, sizes: Sequence[int], nearest: bool) -> int:
    if nearest:
        return min(sizes, key=lambda size: abs(math.log(size / smallest)))
    return max((size for size in sizes if size <= smallest), default=min(sizes))


def label_notes(data: RawData) -> list[str]:
    """What the user should know about labels that are missing."""
    bare = [split for split in SPLITS if data.splits[split].labels is None]
    if len(bare) == len(SPLITS):
        return ["No labels."]
    notes = [f"{split} has no labels." for split in bare]
    for split in SPLITS:
        labels = data.splits[split].labels
        if labels is not None:
            counts = np.bincount(labels, minlength=len(data.classes))
            absent = [name for name, count in zip(data.classes, counts) if count == 0]
            if absent:
                notes.append(f"{split} has no image of {', '.join(absent)}.")
    return notes


def constant_notes(constant: Sequence[str], total: int) -> list[str]:
    """A sentence about images without content, if there are some."""
    if not constant:
        return []
    return [f"{len(constant)} of {plural(total, 'image')} of one value only (the first: {constant[0]})."]


def _own_sizes(data: RawData, spec: DataSpec) -> Ints:
    """(N,): for each image of all splits the largest side that it can be fitted to without being enlarged."""
    shapes = np.concatenate([data.splits[split].images.shapes for split in SPLITS])
    return np.asarray(shapes.max(axis=1) if spec.fit == "pad" else shapes.min(axis=1))


def _size_notes(data: RawData, own: Ints, size: int, sizes: Sequence[int], spec: DataSpec) -> list[str]:
    shapes = np.concatenate([data.splits[split].images.shapes for split in SPLITS])
    kinds = np.unique(shapes, axis=0)
    if len(kinds) == 1 and tuple(kinds[0]) == (size, size):
        return []
    how = {"pad": "padded with black to a square", "crop": "cropped to the central square", "stretch": "stretched"}
    if len(kinds) == 1:
        what = f"Resized from {kinds[0][1]} × {kinds[0][0]}"
    else:
        areas = shapes.prod(axis=1)
        (low_h, low_w), (high_h, high_w) = shapes[areas.argmin()], shapes[areas.argmax()]
        what = f"Resized from {len(kinds)} sizes, {low_w} × {low_h} to {high_w} × {high_h},"
    square = bool((kinds[:, 0] == kinds[:, 1]).all())
    fitted = "" if square else f", {how[spec.fit]}"
    notes = [f"{what} to {size} × {size} pixels (Lanczos, antialiased){fitted}."]
    if enlarged := int((own < size).sum()):
        notes.append(f"{enlarged} of {len(own)} images are smaller than {size} pixels and were enlarged.")
    larger = max((s for s in sizes if s <= np.median(own)), default=size)
    if spec.image_size is None and larger > size:
        notes.append(
            f"The smallest of the images set the size; --image-size {larger} would enlarge "
            f"{int((own < larger).sum())} of {len(own)}."
        )
    return notes


def _same_channels(arrays: dict[str, Pixels]) -> dict[str, Pixels]:
    """Grey where every image of every split is grey, else colour throughout."""
    arrays = {split: grey_if_equal(images) for split, images in arrays.items()}
    channels = max(images.shape[-1] for images in arrays.values())
    return {s: np.repeat(a, channels, axis=-1) if a.shape[-1] < channels else a for s, a in arrays.items()}


def _dark_notes(arrays: dict[str, Pixels]) -> list[str]:
    brightest = max(int(images.max()) for images in arrays.values())
    if brightest >= _DARK:
        return []
    return [
        f"No pixel is brighter than {brightest} of 255: rescale the images first if they hold fewer bits than their "
        "format (12-bit scans in 16-bit files, say)."
    ]


def digest_of(sets: dict[str, ImageSet]) -> str:
    """SHA-256 (hexadecimal) over images and labels of splits."""
    hasher = hashlib.sha256()
    for split, part in sets.items():
        labels = np.empty(0, dtype=np.int64) if part.labels is None else part.labels
        for array in (part.images, labels.astype("<i8")):
            hasher.update(f"{split} {array.dtype.str} {array.shape}\n".encode())
            hasher.update(array.tobytes())
    return hasher.hexdigest()
