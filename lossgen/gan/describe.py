"""What `lossgen data` says: which data sets there are, and what one of them holds."""

import os
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from lossgen.errors import InputError
from lossgen.files import expanded
from lossgen.gan.contact_sheet import draw_contact_sheet
from lossgen.gan.data import constant_notes, label_notes
from lossgen.gan.duplicates import across, contradicted, contradiction_notes, duplicate_notes, fingerprint, within
from lossgen.gan.folders import image_files
from lossgen.gan.images import is_constant
from lossgen.gan.npz import image_shapes
from lossgen.gan.raw import SPLITS, RawData
from lossgen.gan.sources import TORCHVISION, data_root, found_under, read
from lossgen.gan.splits import complete, plural
from lossgen.runner import DataSpec

_CLASSES_SHOWN = 40


@dataclass(frozen=True)
class SourceRow:
    """One data set that can be named.

    Attributes:
        name: what `--data` takes.
        state: "embedded" needs nothing, "present" lies under the root, "absent" can be fetched.
        where: its path, or the command that fetches it.
        contents: how many images of what size, as far as that is known without reading them.
    """

    name: str
    state: Literal["embedded", "present", "absent"]
    where: str
    contents: str


@dataclass(frozen=True)
class Description:
    """What a data set holds, in its own sizes, before any fitting.

    Attributes:
        name: as the user gave it.
        path: where it lies, None for embedded data.
        counts: images a split.
        class_counts: images a class, a split; empty where a split has no labels.
        classes: class names, in the order of `class_counts`.
        made: the splits that were made out of train.
        smallest: width and height of the image with the fewest pixels.
        largest: width and height of the image with the most pixels.
        size_kinds: how many different sizes there are.
        channels: 1 where every image is grey, else 3.
        depths: how many images are stored with how many bits a channel.
        duplicates_within: images that repeat an earlier one of the same split, by split.
        duplicates_across: images of the second split that are in the first too, by pair of splits.
        conflicts: images that an identical copy with another label contradicts.
        constant: names of the images of one value only.
        notes: sentences for the user.
        command: the next command to run.
        study: the command that finds out whether synthetic images help to tell the classes apart; "" without classes.
    """

    name: str
    path: Path | None
    counts: Mapping[str, int]
    class_counts: Mapping[str, tuple[int, ...]]
    classes: tuple[str, ...]
    made: tuple[str, ...]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    size_kinds: int
    channels: int
    depths: Mapping[str, int]
    duplicates_within: Mapping[str, int]
    duplicates_across: Mapping[tuple[str, str], int]
    conflicts: int
    constant: tuple[str, ...]
    notes: tuple[str, ...]
    command: str
    study: str
    _data: RawData = field(repr=False, compare=False)

    @property
    def summary(self) -> str:
        """One line: how many images, of what size, colour and depth."""
        size = f"{self.smallest[0]} × {self.smallest[1]}"
        if self.size_kinds > 1:
            size = f"{self.size_kinds} sizes from {size} to {self.largest[0]} × {self.largest[1]}"
        several = len(self.depths) > 1
        depths = ", ".join(f"{depth} ({count})" if several else depth for depth, count in self.depths.items())
        classes = plural(len(self.classes), "class", "classes") if self.classes else "no labels"
        colour = "grey" if self.channels == 1 else "colour"
        return f"{plural(sum(self.counts.values()), 'image')}, {size} pixels, {colour}, {depths}, {classes}"

    def lines(self) -> list[str]:
        """The whole description as plain text, ready to print."""
        width = max([len("images"), *(min(len(name), 30) for name in self.classes[:_CLASSES_SHOWN])])
        head = [split + "*" * (split in self.made) for split in self.counts]
        rows = [" " * width + "".join(f"  {title:>11}" for title in head)]
        for number, name in enumerate(self.classes[:_CLASSES_SHOWN]):
            cells = [self.class_counts[split][number] if self.class_counts[split] else "" for split in self.counts]
            rows.append(f"{name[:30]:<{width}}" + "".join(f"  {cell:>11}" for cell in cells))
        if len(self.classes) > _CLASSES_SHOWN:
            rows.append(f"… and {len(self.classes) - _CLASSES_SHOWN} more classes")
        rows.append(f"{'images':<{width}}" + "".join(f"  {count:>11}" for count in self.counts.values()))
        rows += ["* made out of train"] if self.made else []
        where = [str(self.path)] if self.path else []
        next_ = [f"Next: {self.command}"]
        next_ += [f"  or: {self.study} (whether synthetic images help a classifier)"] if self.study else []
        return [f"{self.name}: {self.summary}", *where, "", *rows, "", *self.notes, *next_]

    def contact_sheet(self, path: Path) -> None:
        """Write a PNG of ten images a class, with the class names, to `path`.

        Raises:
            InputError: the file cannot be written.
        """
        draw_contact_sheet(self._data, f"{self.name}: {self.summary}", path)


def available(root: str | None) -> list[SourceRow]:
    """The data sets that are known by name, and what else lies under the root.

    Raises:
        InputError: `root` (or `LOSSGEN_DATA`) is not a folder that can be read.
    """
    folder = data_root(root)
    if (root or os.environ.get("LOSSGEN_DATA")) and not folder.is_dir():
        raise InputError(f"data folder {folder}: no such folder; create it, or choose another with --data-dir")
    rows = [SourceRow("digits", "embedded", "in scikit-learn", "1797 handwritten digits, 8 × 8 grey, 10 classes")]
    for name, known in TORCHVISION.items():
        if known.present(folder):
            rows.append(SourceRow(name, "present", str(folder / known.folder), known.contents))
        else:
            rows.append(SourceRow(name, "absent", f"lossgen data {name} --download", known.contents))
    for path in found_under(folder):
        try:
            contents = _npz_contents(path) if path.suffix == ".npz" else _folder_contents(path)
        except InputError as error:
            contents = f"not readable: {error}"
        if contents:
            name = path.name.removesuffix(".npz")
            rows.append(
                SourceRow(path.name if name in ("digits", *TORCHVISION) else name, "present", str(path), contents)
            )
    return rows


def describe(spec: DataSpec) -> Description:
    """What the data that `spec` names hold. Every image is decoded once, at its own size.

    Raises:
        InputError: as `lossgen.gan.data.load` does, but images without content are only remarked on.
    """
    data = complete(read(spec), spec.seed)
    prints: dict[str, list[bytes]] = {}
    constant = []
    labelled: list[tuple[bytes, int]] = []
    channels = 1
    for split in SPLITS:
        part = data.splits[split]
        prints[split] = []
        for index in range(len(part.images)):
            pixels = part.images.read(index)
            channels = max(channels, pixels.shape[-1])
            prints[split].append(fingerprint(pixels))
            if is_constant(pixels[None])[0]:
                constant.append(f"{split}, {part.images.name(index)}")
            if part.labels is not None:
                labelled.append((prints[split][-1], int(part.labels[index])))
    conflicts = contradicted(labelled)
    shapes = np.concatenate([data.splits[split].images.shapes for split in SPLITS])
    by_area = shapes[np.argsort(shapes.prod(axis=1), kind="stable")]
    total = len(shapes)
    notes = [*data.notes, *label_notes(data), *constant_notes(constant, total), *duplicate_notes(prints)]
    notes += contradiction_notes(conflicts)
    return Description(
        name=spec.name,
        path=data.path,
        counts={split: len(data.splits[split].images) for split in SPLITS},
        class_counts={split: _class_counts(data, split) for split in SPLITS},
        classes=data.classes,
        made=data.made,
        smallest=(int(by_area[0][1]), int(by_area[0][0])),
        largest=(int(by_area[-1][1]), int(by_area[-1][0])),
        size_kinds=len(np.unique(shapes, axis=0)),
        channels=channels,
        depths=dict(sum((data.splits[split].images.depths for split in SPLITS), Counter[str]()).most_common()),
        duplicates_within={split: within(prints[split]) for split in SPLITS},
        duplicates_across=across(prints),
        conflicts=conflicts,
        constant=tuple(constant),
        notes=tuple(notes),
        command=_next_command(spec, data),
        study=_study(spec, data),
        _data=data,
    )


def _class_counts(data: RawData, split: str) -> tuple[int, ...]:
    labels = data.splits[split].labels
    if labels is None:
        return ()
    return tuple(int(count) for count in np.bincount(labels, minlength=len(data.classes)))


def _next_command(spec: DataSpec, data: RawData) -> str:
    words = ["lossgen", "evolve", "--data", spec.name]
    words += ["--data-dir", spec.root] if spec.root and _by_name(spec, data) else []
    words += ["--fit", spec.fit] if spec.fit != "pad" else []
    return shlex.join(words)


def _study(spec: DataSpec, data: RawData) -> str:
    if not data.classes:
        return ""
    return shlex.join(["lossgen", "augment", str(data.path) if spec.root and _by_name(spec, data) else spec.name])


def _by_name(spec: DataSpec, data: RawData) -> bool:
    """Whether the data lie under the root, and not where the name itself says."""
    return data.path is not None and not expanded(spec.name).exists()


def _npz_contents(path: Path) -> str:
    shapes = image_shapes(path)
    if not shapes:
        return "holds no images by a known name"
    counts = " + ".join(str(shape[0]) for shape in shapes.values())
    return f"{counts} images of {' × '.join(str(side) for side in next(iter(shapes.values()))[1:])}"


def _folder_contents(path: Path) -> str:
    files = image_files(path)
    folders = len({file.parent for file in files})
    return f"{plural(len(files), 'image')} in {plural(folders, 'folder')}" if files else ""
