"""From a data set's name or path to the data as they are found: embedded, torchvision's, .npz files and folders."""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossgen.errors import InputError
from lossgen.files import expanded
from lossgen.gan.folders import read_folder
from lossgen.gan.npz import read_npz
from lossgen.gan.raw import ArrayImages, RawData, RawSplit
from lossgen.resources import cache_dir
from lossgen.runner import DataSpec


@dataclass(frozen=True)
class TorchvisionSet:
    """A data set that torchvision reads and can fetch.

    Attributes:
        cls: name of the class in `torchvision.datasets`.
        folder: the folder below the root that it lies in.
        probe: a file below `folder` without which it is not there.
        contents: what it holds, in a few words.
    """

    cls: str
    folder: str
    probe: str
    contents: str

    def present(self, root: Path) -> bool:
        """Whether it lies under `root`."""
        return (root / self.folder / self.probe).is_file()


TORCHVISION = {
    "mnist": TorchvisionSet(
        "MNIST", "MNIST", "raw/train-images-idx3-ubyte", "70000 handwritten digits, 28 × 28 grey, 10 classes"
    ),
    "fashion_mnist": TorchvisionSet(
        "FashionMNIST",
        "FashionMNIST",
        "raw/train-images-idx3-ubyte",
        "70000 articles of clothing, 28 × 28 grey, 10 classes",
    ),
    "cifar10": TorchvisionSet(
        "CIFAR10", "cifar-10-batches-py", "data_batch_1", "60000 photographs, 32 × 32 colour, 10 classes"
    ),
}
NAMES = ("digits", *TORCHVISION)
"""Data sets that are known by name."""


def data_root(root: str | None) -> Path:
    """The folder that names are looked up in: `root`, else `LOSSGEN_DATA`, else a cache folder."""
    chosen = root or os.environ.get("LOSSGEN_DATA")
    return expanded(chosen) if chosen else cache_dir() / "data"


def read(spec: DataSpec) -> RawData:
    """The data that `spec` names, with the splits that they come with.

    A known name comes first, then a path, then NAME.npz and the folder NAME under the root.

    Raises:
        InputError: nothing of that name, or it cannot be read.
    """
    root = data_root(spec.root)
    if not spec.name.strip():
        raise InputError(f"data: an empty name; give {', '.join(NAMES)}, or the path of an .npz file or a folder")
    if spec.name == "digits":
        return _digits()
    known = TORCHVISION.get(spec.name)
    if known is not None and (spec.download or known.present(root)):
        return _torchvision(spec.name, known, root, spec.download)
    for path in _candidates(spec.name, root, known is not None):
        for name, other in TORCHVISION.items():
            if path.name == other.folder and other.present(path.parent):
                return _torchvision(name, other, path.parent, download=False)
        if _exists(path):
            return _read_path(path, spec.name)
    raise InputError(_not_found(spec.name, root, known))


def found_under(root: Path) -> list[Path]:
    """The .npz files and the folders under `root` that may be data sets, sorted; hidden ones left out.

    Raises:
        InputError: `root` may not be read.
    """
    own = {known.folder for known in TORCHVISION.values()}
    if not root.is_dir():
        return []
    try:
        entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith((".", "__")))
        return [entry for entry in entries if entry.suffix == ".npz" or (entry.is_dir() and entry.name not in own)]
    except OSError as error:
        raise InputError(f"data folder {root}: {error.strerror or error}; make it readable") from None


def _candidates(name: str, root: Path, known: bool) -> list[Path]:
    inside = [root / f"{name}.npz", root / name]
    return inside[:1] if known else [expanded(name), *inside]


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(f"data {path}: {error.strerror or error}") from None
    except ValueError:  # a NUL byte in the name
        return False
    return True


def _read_path(path: Path, name: str) -> RawData:
    if path.is_dir():
        return read_folder(path, name)
    if path.suffix.lower() == ".npz":
        return read_npz(path, name)
    raise InputError(f"data {name}: a file of this kind is not read; give an .npz file or a folder of images")


def _digits() -> RawData:
    """scikit-learn's handwritten digits: 1797 images of 8 × 8 pixels in 17 grey levels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(np.asarray(bunch.images) * (255 / 16)).astype(np.uint8)[..., None]
    images = ArrayImages(pixels, "8-bit", np.arange(len(pixels)))
    labels = np.asarray(bunch.target, dtype=np.int64)
    return RawData("digits", {"train": RawSplit(images, labels)}, tuple("0123456789"), share=1 / 4)


def _torchvision(name: str, known: TorchvisionSet, root: Path, download: bool) -> RawData:
    import torchvision.datasets

    make: Callable[..., Any] = getattr(torchvision.datasets, known.cls)
    splits = {}
    classes: tuple[str, ...] = ()
    for split, train in (("train", True), ("test", False)):
        try:
            data = make(root=str(root), train=train, download=download)
        except (OSError, RuntimeError, AssertionError, ValueError, EOFError, LookupError) as error:
            folder = root / known.folder
            reason = " ".join(str(error).split()) or "a file is damaged"
            again = f"remove {folder} and fetch it again with --download"
            advice = again if known.present(root) else "check the network, and that the folder can be written"
            raise InputError(f"data {name}: cannot be read from {folder} ({reason}); {advice}") from None
        pixels = np.asarray(data.data)
        pixels = pixels[..., None] if pixels.ndim == 3 else pixels
        images = ArrayImages(pixels, "8-bit", np.arange(len(pixels)))
        splits[split] = RawSplit(images, np.asarray(data.targets, dtype=np.int64))
        classes = tuple(str(label) for label in data.classes)
    return RawData(name, splits, classes, path=root / known.folder)


def _not_found(name: str, root: Path, known: TorchvisionSet | None) -> str:
    there = [path.stem if path.suffix == ".npz" else path.name for path in found_under(root)]
    near = [other for other in there if name and other.startswith(name)]
    near = near or difflib.get_close_matches(name, sorted({*NAMES, *there} - {name}), n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    if known is not None:
        there_is = f"; there is {', '.join(near)}, which --data {near[0]} takes" if near else ""
        return f"data {name}: not under {root} (looked for {known.folder}/); fetch it with --download{there_is}"
    if os.sep in name or name.endswith(".npz"):
        return f"data {name}: no such file or folder"
    listed = ", ".join(there[:8]) + (", …" if len(there) > 8 else "") if there else "nothing"
    return f"data {name}: no such name, file or folder; known: {', '.join(NAMES)}; under {root}: {listed}{hint}"
