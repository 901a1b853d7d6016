"""Whether generated images may be handed on: `lossgen audit`.

A generator that has learnt its training images by heart draws images that are closer to these than to other images of
the same kind. So all is measured against images that it was not trained on (`leaks.py`); and coverage says what kinds
of images it does not draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.files import expanded
from lossgen.gan.cards import prints, read_card
from lossgen.gan.data import Dataset, ImageSet, digest_of
from lossgen.gan.features import load_extractor
from lossgen.gan.images import Fit
from lossgen.gan.leaks import Bytes, Check, Kind, Pairs, checks, closest
from lossgen.gan.neighbours import K, near, radii
from lossgen.gan.patients import read_column
from lossgen.gan.raw import SPLITS, RawData, RawSplit, fit_all
from lossgen.gan.sources import read
from lossgen.gan.splits import complete, plural
from lossgen.runner import DataSpec

FEWEST = 20
"""Images of each kind without which nothing can be said."""
SIZE = 64
"""Side in pixels that larger images are made smaller to."""


@dataclass(frozen=True)
class Covered:
    """How much of one kind of images lies in a neighbourhood of generated ones (Naeem et al. 2020).

    Attributes:
        kind: "all", "class pneumonia", "group f".
        count: real images of the kind that the generator was not trained on.
        by_fake, by_real: share of them that generated images cover, and that as many training images do.
    """

    kind: str
    count: int
    by_fake: float
    by_real: float


@dataclass(frozen=True)
class Audit:
    """What came of an audit.

    Attributes:
        real, fake, others: names of the sets.
        counts: images by kind: "training", "other", "generated".
        size: side in pixels that images were compared at.
        checks: what passes or fails.
        coverage: by class and group; nothing passes or fails.
        features: what coverage was taken in, in a sentence.
        pairs: the generated images that are closest to a training image.
        notes: sentences for the user.
    """

    real: str
    fake: str
    others: str
    counts: Mapping[str, int]
    size: int
    checks: Sequence[Check]
    coverage: Sequence[Covered]
    features: str
    pairs: Pairs
    notes: Sequence[str] = field(default=())

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


def audit(
    real: str | Path,
    fake: str | Path,
    *,
    held_out: str | Path | None = None,
    of_class: str | None = None,
    groups: str | Path | None = None,
    image_size: int | None = None,
    fit: Fit = "pad",
    seed: int = 0,
) -> Audit:
    """Hold generated images against those that their generator was trained on, and against others.

    Args:
        real: what it was trained on: the split train, made as lossgen's runners make it where there is none.
        fake: generated images.
        held_out: real images that it was not trained on; None takes validation and test of `real`, or, where the data
            card of `fake` names its training images, all others.
        of_class: the one class that `fake` is of, where its files do not say.
        groups: of the images that it was not trained on: a CSV file with the columns image (path in the folder; of an
            .npz file the number, behind test/ or validation/ where it has splits) and group.
        image_size: side in pixels to compare at; None takes that of the generated images.
        seed: of splits, and of what is drawn to equal numbers.

    Raises:
        InputError: sets that cannot be read or compared, or too few images.
    """
    real, fake, held_out = str(real), str(fake), str(held_out) if held_out else None
    of_real, of_fake = read(DataSpec(real)), read(DataSpec(fake))
    notes = [f"{role}: {note}" for role, data in (("REAL", of_real), ("FAKE", of_fake)) for note in data.notes]
    card = read_card(expanded(fake)) or {"source": {}}
    known = set(card["source"].get("training", ()))
    training = [of_real.splits["train"]]
    if held_out is None and known:
        found, held = tuple(of_real.splits), dict(of_real.splits)
        of_others, training, held = of_real, *_apart(of_real, known, card["image_size"], notes)
    elif held_out is None:
        found = tuple(of_real.splits)
        of_real = complete(of_real, seed)
        if made := [name for name in SPLITS if name not in found]:
            notes.append(
                "REAL does not say which images the generator was trained on: taken to be those that lossgen trains "
                f"on by seed {seed} ({' and '.join(made)} made). For another generator, give --held-out."
            )
        training = [of_real.splits["train"]]
        of_others, held = of_real, {name: of_real.splits[name] for name in SPLITS[1:]}
    else:
        of_others = read(DataSpec(held_out))
        found, held = tuple(of_others.splits), of_others.splits
        if len(of_real.splits) > 1:
            notes.append("REAL has splits: its split train is what the generator is taken to be trained on.")
    others, fakes = list(held.values()), list(of_fake.splits.values())
    size = image_size or _size(fakes, fit)
    pixels = _alike([_fitted(splits, size, fit) for splits in (training, others, fakes)])
    names = [_names(training, of_real), _names(others, of_others), _names(fakes, of_fake)]
    alone = of_class or (of_fake.lone if of_fake.lone in of_real.classes else "")
    if of_class is not None and (names[0] is None or names[1] is None):
        raise InputError(f"--class {of_class}: the real images have no classes; leave it out")
    if alone and names[2] is None:
        names[2] = np.full(len(pixels[2]), alone)
    elif of_class is not None:
        raise InputError(f"--class {of_class}: the images of FAKE have classes of their own; leave it out")
    if names[2] is None and names[0] is not None:
        notes.append(
            "FAKE has no classes: it is held against real images of all of them (--class says of which it is)."
        )
    grouped = None if groups is None else _groups(str(groups), held, found)
    titles = real, fake, held_out or f"{real}, held out"
    return held_against(pixels, names, of_real.classes, titles, grouped, seed, notes)


def _apart(
    data: RawData, known: set[str], size: int, notes: list[str]
) -> tuple[list[RawSplit], dict[str, RawSplit]]:  # fmt: skip
    """The images that a data card names, and the others, split by split.

    Raises:
        InputError: the data lack some that it names.
    """
    splits = data.splits
    whole = _fitted(list(splits.values()), size, "pad")
    ends = np.cumsum([len(split.images) for split in splits.values()])
    found = prints(whole)
    named, absent = np.array([each in known for each in found]), known.difference(found)
    if absent:
        raise InputError(
            f"audit: REAL {data.name} lacks {len(absent)} of the {len(known)} images that FAKE's generator was trained "
            "on, as its data card has it; give the data that it was trained on"
        )
    rows = dict(zip(splits, np.split(named, ends[:-1])))
    notes.append(f"FAKE's data card names the {int(named.sum())} of {len(named)} images that it was trained on.")
    return (
        [split.take(np.flatnonzero(rows[name])) for name, split in splits.items()],
        {name: split.take(np.flatnonzero(~rows[name])) for name, split in splits.items()},
    )


def held_against(
    pixels: Sequence[Bytes],
    names: Sequence[NDArray[np.str_] | None],
    classes: tuple[str, ...],
    titles: tuple[str, str, str],
    groups: NDArray[np.str_] | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Audit:
    """An audit of images that are there.

    Args:
        pixels: training images, other real ones, and generated ones, uint8 (N, C, H, W), alike but for N.
        names: the class of each image of these, (N,), or None.
        classes: of the real images.
        titles: of the training images, the generated ones, and the other real ones.
        groups: of the other real images, (N,).

    Raises:
        InputError: too few images, or a class that real images have not.
    """
    kinds = _kinds(pixels, names, titles[1])
    said = list(notes)
    if len(kinds) < len(classes) and kinds[0].name is not None:
        generated = ", ".join(str(kind.name) for kind in kinds)
        said.append(f"FAKE is of {generated} only, and is held against real images of that alone.")
    coverage, features = _coverage(pixels, names, kinds, groups, (titles[0], classes), seed)
    counts = dict(zip(("training", "other", "generated"), map(len, pixels)))
    size = int(pixels[0].shape[-1])
    found = checks(kinds, seed)
    return Audit(*titles, counts, size, found, coverage, features, closest(kinds), tuple(said))


def _size(fakes: Sequence[RawSplit], fit: Fit) -> int:
    shapes = np.concatenate([split.images.shapes for split in fakes])
    return min(SIZE, int((shapes.max(axis=1) if fit == "pad" else shapes.min(axis=1)).min()))


def _fitted(splits: Sequence[RawSplit], size: int, fit: Fit) -> Bytes:
    parts = [fit_all(split.images, size, fit)[0] for split in splits]
    channels = max(part.shape[-1] for part in parts)
    parts = [np.repeat(part, channels, axis=-1) if part.shape[-1] < channels else part for part in parts]
    return np.ascontiguousarray(np.concatenate(parts).transpose(0, 3, 1, 2))


def _alike(parts: Sequence[Bytes]) -> list[Bytes]:
    """All grey or all in colour."""
    channels = max(part.shape[1] for part in parts)
    return [np.repeat(part, channels, axis=1) if part.shape[1] < channels else part for part in parts]


def _names(splits: Sequence[RawSplit], data: RawData) -> NDArray[np.str_] | None:
    """(N,): the class of each image, by name."""
    labels = [split.labels for split in splits]
    if not data.classes or any(each is None for each in labels):
        return None
    found: NDArray[np.str_] = np.array(data.classes)[np.concatenate([each for each in labels if each is not None])]
    return found


def _kinds(pixels: Sequence[Bytes], names: Sequence[NDArray[np.str_] | None], fake: str) -> list[Kind]:
    """The images of each class that is generated; all together where a set has no classes."""
    of_class: list[str | None] = [None]
    of_fakes = names[2]
    if of_fakes is not None and names[0] is not None and names[1] is not None:
        of_class = np.unique(of_fakes).tolist()
        for name in of_class:
            for which, of in (("training images", names[0]), ("other real images", names[1])):
                if name not in of:
                    known = ", ".join(np.unique(of).tolist())
                    raise InputError(f"audit: FAKE {fake} is of class {name}, which is none of the {which}' ({known})")
    return [_kind(pixels, names, name) for name in of_class]


def _kind(pixels: Sequence[Bytes], names: Sequence[NDArray[np.str_] | None], name: str | None) -> Kind:
    training, others, fakes = (
        part if name is None or of is None else part[of == name] for part, of in zip(pixels, names)
    )  # fmt: skip
    of_name = "" if name is None else f" of {name}"
    for what, part in (("training images", training), ("other real images", others), ("generated images", fakes)):
        if len(part) < FEWEST:
            raise InputError(f"audit: {len(part)} {what}{of_name} are too few; give at least {FEWEST}")
    return Kind(name, training, others, fakes)


def _coverage(
    pixels: Sequence[Bytes], names: Sequence[NDArray[np.str_] | None], kinds: Sequence[Kind],
    groups: NDArray[np.str_] | None, data: tuple[str, tuple[str, ...]], seed: int,
) -> tuple[list[Covered], str]:  # fmt: skip
    """What of the other real images is covered: of the classes that are generated, and of each class and group."""
    extractor = load_extractor(_dataset(data, pixels, names))
    generated = [kind.name for kind in kinds if kind.name is not None]
    chosen = [
        np.isin(of, generated) if generated and of is not None else np.ones(len(part), np.bool_)
        for part, of in zip(pixels, names)
    ]
    training, others, fakes = (
        extractor.features(torch.from_numpy(part[rows])) for part, rows in zip(pixels, chosen)
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    count = min(len(training), len(fakes))
    few = [part[rng.permutation(len(part))[:count]] for part in (fakes, training)]
    within = radii(others, min(K, len(others) - 1))
    by_fake, by_real = (near(others, part, within)[1] for part in few)
    rows = {"all": np.ones(len(others), np.bool_)}
    for word, of in (("class", names[1]), ("group", groups)):
        values = np.empty(0, np.str_) if of is None else of[chosen[1]]
        rows |= {f"{word} {value}": values == value for value in np.unique(values)}
    found = [
        Covered(kind, int(members.sum()), float(by_fake[members].mean()), float(by_real[members].mean()))
        for kind, members in rows.items()
    ]
    said = extractor.description().split(": ", 1)[-1]
    return found, f"{count} generated images and as many training images; {said}"


def _dataset(
    data: tuple[str, tuple[str, ...]], pixels: Sequence[Bytes], names: Sequence[NDArray[np.str_] | None]
) -> Dataset:
    """Training images, and others, as extractors take them; labels of others where all are of known classes."""
    name, classes = data[0], data[1] if names[0] is not None else ()
    number = {each: label for label, each in enumerate(classes)}
    labels = [
        np.array([number[each] for each in of.tolist()])
        if classes and of is not None and set(of.tolist()) <= set(classes) else None
        for of in names[:2]
    ]  # fmt: skip
    training, others = (ImageSet(part, of) for part, of in zip(pixels[:2], labels))
    digest = digest_of(dict(zip(SPLITS, (training, others, others), strict=True)))
    return Dataset(name, training, others, others, classes, digest, ())


def _groups(given: str, held: Mapping[str, RawSplit], found: Sequence[str]) -> NDArray[np.str_]:
    """(N,): the group of each image that the generator was not trained on.

    Args:
        found: the splits that the data came with: numbers of an array begin anew in each.
    """
    rows = read_column(Path(given), "group", f"--groups {given}")
    wanted = []
    for name, split in held.items():
        beginning = "" if len(found) == 1 else f"{name if name in found else 'train'}/"
        for i in range(len(split.images)):
            image = split.images.name(i)
            number = image.removeprefix("image ")
            wanted.append(image if number == image else beginning + number)
    absent = [image for image in wanted if image not in rows]
    if absent:
        raise InputError(f"--groups {given}: says nothing of {plural(len(absent), 'image')} (the first: {absent[0]})")
    return np.array([rows[image] for image in wanted])
