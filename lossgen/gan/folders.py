"""Images out of a folder: flat, of one folder a class, or either of these below train, validation and test."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from lossgen.errors import InputError
from lossgen.gan.decode import SUFFIXES, read_header
from lossgen.gan.patients import FILE, numbered, patients_of, read_patients
from lossgen.gan.raw import SPLITS, FileImages, RawData, RawSplit

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def read_folder(path: Path, name: str) -> RawData:
    """The images below the folder `path`, in sorted order; headers are read, pixels are not.

    Hidden files and files that are no images by their ending are passed over. Classes are the sorted names of the
    folders that hold them, and a class may have folders of its own. A file patients.csv says whose images are whose
    (`patients.py`).

    Raises:
        InputError: no image, a patient in two splits, a class without any, images beside class folders, or a file that
            cannot be read.
    """
    passed_over: Counter[str] = Counter()
    tops, beside = _split_folders(path)
    found = {split: _by_class(top, name, passed_over) for split, top in tops.items()}
    names = sorted({label for classes in found.values() for label in classes if label is not None})
    labelled = len(names) > 1
    notes = (
        [] if tops == {"train": path} else [f"Its folders {', '.join(top.name for top in tops.values())} are splits."]
    )
    notes += [f"Passed over beside train: {', '.join(beside)}."] if beside else []
    if len(names) == 1:
        notes.append(f"All images lie in one folder, {names[0]}, so they have no labels.")
    known = read_patients(path)
    if known is not None:
        if tops == {"train": path}:  # only then it lies where images are looked for
            passed_over -= Counter({".csv": 1})
        notes.append(f"{FILE} says whose images are whose.")
    splits: dict[str, RawSplit] = {}
    for split, classes in found.items():
        files = [(file, label) for label, members in classes.items() for file in members]
        if not files:
            raise InputError(_nothing(tops[split], name, passed_over))
        if labelled and None in classes:
            raise InputError(f"data {name}: {split} has no class folders, but another split has; give it some")
        labels = np.array([names.index(label) for _, label in files if label is not None], dtype=np.int64)
        paths = [file for file, _ in files]
        images = FileImages(path, paths, [read_header(file) for file in paths])
        splits[split] = RawSplit(images, labels if labelled else None)
    if known is not None:
        named = {split: [of.images.name(i) for i in range(len(of.images))] for split, of in splits.items()}
        groups = numbered({split: patients_of(images, known, name) for split, images in named.items()}, name)
        splits = {split: replace(of, groups=groups[split]) for split, of in splits.items()}
    lone = names[0] if len(names) == 1 else ""
    named_classes = tuple(names) if labelled else ()
    return RawData(name, splits, named_classes, notes + _remarks(splits, passed_over), path, lone=lone)


def _split_folders(path: Path) -> tuple[dict[str, Path], list[str]]:
    """The folder of each split, and the names of the folders beside them; `path` itself as train without such.

    A lone `train` among others is a class (of vehicles, say), not a split.
    """
    folders = _folders(path)
    below = {_SPLIT_NAMES[folder.name.lower()]: folder for folder in folders if folder.name.lower() in _SPLIT_NAMES}
    if "train" not in below or (len(below) == 1 and len(folders) > 1):
        return {"train": path}, []
    beside = [folder.name for folder in folders if folder not in below.values()]
    return {split: below[split] for split in SPLITS if split in below}, beside


def image_files(path: Path, passed_over: Counter[str] | None = None) -> list[Path]:
    """All images below `path`, sorted; hidden ones left out, endings of the other files counted in `passed_over`."""
    files = []
    for folder, inner, names in os.walk(path, onerror=_denied):
        inner[:] = sorted(name for name in inner if not _hidden(name))
        for name in names:
            suffix = Path(name).suffix.lower()
            if not name.startswith(".") and suffix in SUFFIXES:
                files.append(Path(folder) / name)
            elif passed_over is not None:
                passed_over["hidden" if name.startswith(".") else suffix or "without ending"] += 1
    return sorted(files)


def _by_class(path: Path, name: str, passed_over: Counter[str]) -> dict[str | None, list[Path]]:
    """Files by class folder; by None where they lie in `path` itself."""
    folders = {folder.name: image_files(folder, passed_over) for folder in _folders(path)}
    direct = []
    for file in sorted(_entries(path)):
        if not file.is_dir():
            if not file.name.startswith(".") and file.suffix.lower() in SUFFIXES:
                direct.append(file)
            else:
                passed_over["hidden" if file.name.startswith(".") else file.suffix.lower() or "without ending"] += 1
    full = [folder for folder, files in folders.items() if files]
    if direct and full:
        raise InputError(
            f"data {name}: {path} holds images ({direct[0].name}, …) beside folders of images ({', '.join(full[:3])}); "
            "keep the one or the other"
        )
    if full and len(full) < len(folders):
        empty = next(folder for folder in folders if folder not in full)
        raise InputError(f"data {name}: the class folder {path / empty} holds no image; fill or remove it")
    return {None: direct} if direct or not folders else {folder: folders[folder] for folder in full}


def _remarks(splits: dict[str, RawSplit], passed_over: Counter[str]) -> list[str]:
    headers = [h for s in splits.values() if isinstance(s.images, FileImages) for h in s.images.headers]
    remarks = []
    if passed_over:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(passed_over.items()))
        remarks.append(f"Passed over what is no image: {kinds}.")
    if several := sum(header.frames > 1 for header in headers):
        remarks.append(f"{several} of {len(headers)} files hold several pages or frames: the first is used.")
    if transparent := sum(header.transparent for header in headers):
        remarks.append(f"{transparent} of {len(headers)} images can be transparent: laid on black.")
    return remarks


def _nothing(path: Path, name: str, passed_over: Counter[str]) -> str:
    if not passed_over:
        return f"data {name}: {path} is empty; put images (PNG, JPEG, TIFF, BMP) or one folder a class there"
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in passed_over.most_common(4))
    if ".npz" in passed_over:
        return f"data {name}: {path} holds no image (found {kinds}); give the path of one .npz file"
    return f"data {name}: {path} holds no image (found {kinds}); convert them to PNG, JPEG, TIFF or BMP"


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))  # __MACOSX is what an archive made on a Mac leaves behind


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in _entries(path) if entry.is_dir() and not _hidden(entry.name))


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError as error:
        _denied(error)
        raise


def _denied(error: OSError) -> None:
    raise InputError(f"data {error.filename}: {error.strerror or error}; make the folder readable") from None
