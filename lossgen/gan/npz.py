"""Images and labels out of an .npz file: MedMNIST's layout, Keras's, or one set by the names below or numpy's own."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lossgen.errors import InputError
from lossgen.gan.images import grey_if_equal, on_black, to_uint8
from lossgen.gan.patients import numbered
from lossgen.gan.raw import ArrayImages, Ints, RawData, RawSplit

Arrays = dict[str, npt.NDArray[Any]]

_KEYS: dict[str, Sequence[tuple[str, str]]] = {
    "train": [("train_images", "train_labels"), ("images", "labels"), ("x_train", "y_train"), ("arr_0", "arr_1")],
    "validation": [("val_images", "val_labels"), ("validation_images", "validation_labels"), ("x_val", "y_val")],
    "test": [("test_images", "test_labels"), ("x_test", "y_test")],
}
"""Names that a split's images and labels go by, the first found counts."""

_GROUPS = ("patient", "patients", "groups", "train_patient")
_HELD_OUT = {"validation": "val_patient", "test": "test_patient"}
_SMALLEST = 4
"""Side in pixels below which an axis is taken to be something else than height or width."""


def read_npz(path: Path, name: str) -> RawData:
    """The images in the file `path`.

    Images may be (N, H, W), (N, H, W, 1 | 3 | 4) or (N, 1 | 3, H, W), of the types that `to_uint8` takes; labels (N,)
    or (N, 1), integers or text. `classes` names the labels; `patient` (or `patients`, `groups`), one entry an image,
    keeps a patient's images in one split where splits have to be made; `val_patient` and `test_patient` say whose the
    images of these splits are.

    Raises:
        InputError: the file is damaged or holds pickled objects, no known array, arrays that do not fit together, or
            a patient in two splits.
    """
    arrays = _load(path, name)
    keys = {
        split: next(((i, n) for i, n in pairs if i in arrays), None)
        for split, pairs in _KEYS.items()
    }  # fmt: skip
    train = keys["train"]
    if train is None:
        raise InputError(
            f"data {name}: holds the arrays {', '.join(arrays) or '(none)'}, but no train_images or images; "
            "save them with numpy.savez(path, images=…, labels=…)"
        )
    found = {split: key for split, key in keys.items() if key is not None}
    notes: list[str] = []
    images = {split: _images(arrays[key], f"data {name}: {key}") for split, (key, _) in found.items()}
    raw_labels = {
        split: _labels(arrays[key], key, len(images[split]), f"data {name}", notes)
        for split, (_, key) in found.items()
        if key in arrays
    }
    labels, classes = encode(
        {split: values for split, values in raw_labels.items() if values is not None},
        _class_names(arrays.get("classes")),
        f"data {name}",
    )
    group_key = next((key for key in _GROUPS if key in arrays), None)
    group_name = "group" if group_key == "groups" else "patient"
    group_keys = {"train": group_key} | {split: key for split, key in _HELD_OUT.items() if split in found}
    known: dict[str, list[str]] = {}
    for split, key in group_keys.items():
        if key is None or key not in arrays:
            continue
        if arrays[key].shape == (len(images[split]),):
            known[split] = [_text(value) for value in arrays[key].tolist()]
        else:
            notes.append(
                f"{key} has the shape {arrays[key].shape}, not one entry for each of the {len(images[split])} images "
                f"of {split}: passed over."
            )
    groups = numbered(known, name, group_name)
    splits = {split: RawSplit(images[split], labels.get(split), groups.get(split)) for split in found}
    return RawData(name, splits, classes, notes, path, group_name=group_name)


def image_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each split's image array, from the headers in the file alone; empty where there is none.

    Raises:
        InputError: the file cannot be read.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            for split, pairs in _KEYS.items():
                member = next((f"{key}.npy" for key, _ in pairs if f"{key}.npy" in members), None)
                if member is not None:
                    with archive.open(member) as file:
                        version = np.lib.format.read_magic(file)
                        parse = np.lib.format.read_array_header_1_0
                        parse = parse if version == (1, 0) else np.lib.format.read_array_header_2_0
                        shapes[split] = parse(file)[0]
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from None
    return shapes


def encode(
    values: dict[str, npt.NDArray[Any]], names: tuple[str, ...], where: str
) -> tuple[dict[str, Ints], tuple[str, ...]]:
    """Labels of each split as 0..K-1, and the K class names.

    With `names`, labels are indices into it. Without, the values that occur, sorted, are the classes.

    Raises:
        InputError: a label that `names` has no name for.
    """
    if not values:
        return {}, ()
    occurring = np.unique(np.concatenate(list(values.values())))
    if names and occurring.dtype.kind in "iu":
        if occurring[0] < 0 or occurring[-1] >= len(names):
            raise InputError(
                f"{where}: labels from {occurring[0]} to {occurring[-1]}, but classes names {len(names)} "
                f"(labels 0 to {len(names) - 1})"
            )
        return {split: labels.astype(np.int64) for split, labels in values.items()}, names
    encoded = {split: np.searchsorted(occurring, labels).astype(np.int64) for split, labels in values.items()}
    return encoded, tuple(str(value) for value in occurring)


def _load(path: Path, name: str) -> Arrays:
    """The arrays that are of use, without ever unpickling anything."""
    wanted = {
        "classes",
        *_GROUPS,
        *_HELD_OUT.values(),
        *(key for pairs in _KEYS.values() for pair in pairs for key in pair),
    }
    try:
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise InputError(f"data {name}: one bare array; save it with numpy.savez(path, images=…)")
        with opened as file:
            return {key: file[key] if key in wanted else np.empty(0) for key in file.files}
    except PermissionError:
        raise InputError(f"data {name}: permission denied; make {path} readable") from None
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "pickle" in reason:
            reason = "holds Python objects (pickled), which are refused because they can run code, or is no .npz at all"
            raise InputError(f"data {name}: {reason}; save plain arrays with numpy.savez") from None
        raise InputError(f"data {name}: {path} is damaged ({reason}); copy or fetch it again") from None


def _images(values: npt.NDArray[Any], where: str) -> ArrayImages:
    shape = values.shape
    if values.ndim == 3:
        values = values[..., None]
    elif values.ndim == 4 and shape[-1] not in (1, 3, 4) and shape[1] in (1, 3):
        values = values.transpose(0, 2, 3, 1)
    if values.ndim != 4 or values.shape[-1] not in (1, 3, 4):
        raise InputError(f"{where} has the shape {shape}; give (N, H, W), (N, H, W, 1 | 3 | 4) or (N, 1 | 3, H, W)")
    if len(values) == 0:
        raise InputError(f"{where} holds no image")
    if min(values.shape[1:3]) < _SMALLEST:
        raise InputError(
            f"{where} has the shape {shape}, read as {len(values)} images of {values.shape[2]} × {values.shape[1]} "
            f"pixels; give (N, H, W) or (N, H, W, C) with sides of at least {_SMALLEST}"
        )
    kind = values.dtype.kind
    depth = "float" if kind == "f" else "1-bit" if kind == "b" else f"{values.dtype.itemsize * 8}-bit"
    pixels = to_uint8(values, where)
    pixels = on_black(pixels) if pixels.shape[-1] == 4 else pixels
    return ArrayImages(grey_if_equal(pixels), depth, np.arange(len(pixels)))


def _labels(values: npt.NDArray[Any], key: str, count: int, where: str, notes: list[str]) -> npt.NDArray[Any] | None:
    """(count,) integers or text, or None where there is no one label an image."""
    if values.ndim == 0 or len(values) != count:
        entries = "no list" if values.ndim == 0 else f"{len(values)} entries"
        raise InputError(f"{where}: {key} has {entries} for {count} images")
    if values.ndim > 1 and values.size == count:
        values = values.reshape(count)
    if values.ndim > 1:
        notes.append(f"{key} has the shape {values.shape}, not one label an image: passed over.")
        return None
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            raise InputError(f"{where}: {key} holds fractions, NaN or infinities; labels are integers or text")
        values = values.astype(np.int64)
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    if values.dtype.kind not in "iuU":
        raise InputError(f"{where}: {key} is of type {values.dtype}; labels are integers or text")
    return values


def _text(value: object) -> str:
    """A patient as text: 1 and 1.0 are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _class_names(values: npt.NDArray[Any] | None) -> tuple[str, ...]:
    return () if values is None or values.ndim != 1 else tuple(str(value) for value in values)
