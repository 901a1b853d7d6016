"""Data as it was found, before it is fitted: images of their own sizes, labels, and the splits that there are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from lossgen.gan.decode import Header, decode
from lossgen.gan.images import Fit, Pixels, fit_square, is_constant

Ints = npt.NDArray[np.int64]
SPLITS = ("train", "validation", "test")


class Images(Protocol):
    """Images of one split, in 8 bits and of their own sizes."""

    def __len__(self) -> int: ...

    @property
    def shapes(self) -> Ints:
        """(N, 2): height and width of each image in pixels, known without decoding."""
        ...

    @property
    def depths(self) -> Counter[str]:
        """How many images have how many bits a channel, as stored."""
        ...

    def name(self, index: int) -> str:
        """What to call an image in a message."""
        ...

    def read(self, index: int, at_least: int | None = None) -> Pixels:
        """(H, W, C): one image; scaled down on the way, where that is cheaper, to no less than `at_least`."""
        ...

    def take(self, indices: Ints) -> Self:
        """The images at `indices`, in that order."""
        ...


@dataclass(frozen=True)
class ArrayImages:
    """Images that came as one array.

    Attributes:
        pixels: (N, H, W, C) uint8, C in {1, 3}.
        depth: how they were stored, in words, such as "8-bit".
        numbers: (N,), where each stood in the file.
    """

    pixels: Pixels
    depth: str
    numbers: Ints

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shapes(self) -> Ints:
        return np.tile(np.array(self.pixels.shape[1:3], dtype=np.int64), (len(self), 1))

    @property
    def depths(self) -> Counter[str]:
        return Counter({self.depth: len(self)})

    def name(self, index: int) -> str:
        return f"image {self.numbers[index]}"

    def read(self, index: int, at_least: int | None = None) -> Pixels:
        return np.asarray(self.pixels[index])

    def take(self, indices: Ints) -> "ArrayImages":
        return ArrayImages(self.pixels[indices], self.depth, self.numbers[indices])


@dataclass(frozen=True)
class FileImages:
    """Images that lie in files, decoded when they are read.

    Attributes:
        folder: what the names in messages are relative to.
        paths: the files, sorted.
        headers: of the same files.
    """

    folder: Path
    paths: Sequence[Path]
    headers: Sequence[Header]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shapes(self) -> Ints:
        return np.array([(h.height, h.width) for h in self.headers], dtype=np.int64).reshape(-1, 2)

    @property
    def depths(self) -> Counter[str]:
        return Counter(header.depth for header in self.headers)

    def name(self, index: int) -> str:
        return self.paths[index].relative_to(self.folder).as_posix()

    def read(self, index: int, at_least: int | None = None) -> Pixels:
        return decode(self.paths[index], at_least)

    def take(self, indices: Ints) -> "FileImages":
        return FileImages(self.folder, [self.paths[i] for i in indices], [self.headers[i] for i in indices])


@dataclass(frozen=True)
class RawSplit:
    """One split as found.

    Attributes:
        images: N of them.
        labels: (N,) in 0..K-1, or None.
        groups: (N,), a number for each patient (or whatever else must not be torn apart), or None.
    """

    images: Images
    labels: Ints | None = None
    groups: Ints | None = None

    def take(self, indices: Ints) -> "RawSplit":
        """The part at `indices`."""
        return RawSplit(
            self.images.take(indices),
            None if self.labels is None else self.labels[indices],
            None if self.groups is None else self.groups[indices],
        )


@dataclass(frozen=True)
class RawData:
    """A data set as found.

    Attributes:
        name: what messages call it.
        splits: those that there are, of `SPLITS`; "train" always.
        classes: name of each label, empty without labels.
        notes: sentences for the user.
        path: where it lies; None for embedded data.
        share: part of the images that a split gets where it has to be made.
        group_name: what `groups` number, in the singular.
        made: the splits that were made, not found.
        lone: name of the one folder that all images lie in; empty where there is none, or several.
    """

    name: str
    splits: dict[str, RawSplit]
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    path: Path | None = None
    share: float = 1 / 6
    group_name: str = "patient"
    made: tuple[str, ...] = ()
    lone: str = ""


def fit_all(images: Images, size: int, fit: Fit) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """All images as (N, size, size, C), C = 1 where all are grey, and (N,) which of them are of one value only.

    Each file is decoded once; an array that has the size already is handed through.
    """
    if isinstance(images, ArrayImages) and images.pixels.shape[1:3] == (size, size):
        return images.pixels, is_constant(images.pixels)
    fitted = np.empty((len(images), size, size, 3), dtype=np.uint8)
    constant = np.zeros(len(images), dtype=np.bool_)
    colour = False
    for index in range(len(images)):
        pixels = images.read(index, at_least=2 * size)
        colour |= pixels.shape[-1] == 3
        constant[index] = is_constant(pixels[None])[0]  # before padding, which would hide it
        fitted[index] = fit_square(pixels, size, fit)
    return (fitted if colour else np.ascontiguousarray(fitted[..., :1])), constant
