"""How images are split again and again, so that an interval covers the luck of the split.

Where the data bring no test split of their own: stratified cross-validation, of which every fold is the test split
once. Where they bring one: that is the test split always, and every fold is the validation split once. No patient is in
two splits, where patients are known, and neither are two copies of one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, ImageSet, digest_of
from lossgen.gan.duplicates import OPTIMISTIC, contradicted, contradiction_notes, fingerprint
from lossgen.gan.raw import Ints
from lossgen.gan.splits import MADE, draw, plural

Protocol = Literal["folds", "paper"]
FEW = 2000
"""Images below which cross-validation is made twice."""
FOLDS = 5
LEAST = 8
"""Images of a class that can be split at all."""
PAPER_SPLITS = 5


@dataclass(frozen=True)
class Splits:
    """What is trained and tested on, time after time.

    Attributes:
        runs: a data set each, whose three splits are one way to split the images.
        description: of all of them, in a sentence.
        fixed_test: whether the test split is the same in all.
        left_out: images that a run does not train on, over those that it does, as the corrected resampled t-test has it
            (Nadeau & Bengio 2003): n_test / n_train, or n_validation / n_train where the test split is fixed.
        test_counts: (K,), different images of each class that are tested on, over all runs.
        test_patients: (K,), whose these are, where patients are known.
        notes: sentences for the user, on the data and on how they are split.
    """

    runs: tuple[Dataset, ...]
    description: str
    fixed_test: bool
    left_out: float
    test_counts: tuple[int, ...]
    notes: tuple[str, ...] = ()
    test_patients: tuple[int, ...] | None = None


def check_classes(data: Dataset) -> None:
    """Raise InputError where there are no two classes, each with enough images to be split."""
    parts = (data.train, data.validation, data.test)
    if len(data.classes) == 1 or (not data.classes and all(part.labels is None for part in parts)):
        raise InputError(
            f"data {data.name}: its images are of no classes, or all of one; a classifier needs at least two: give a "
            "folder a class, or labels"
        )
    if any(part.labels is None for part in parts):
        raise InputError(f"data {data.name}: has no labels for every split; there is nothing to classify")
    pool, own_test = _pool(data)
    for name, count in zip(data.classes, _counts(data, pool)):
        if count < LEAST:
            has = f"class {name} has {plural(int(count), 'image')}" + " to train on" * (own_test is not None)
            raise InputError(f"data {data.name}: {has}; at least {LEAST} are needed, or leave the class out")
    absent = [name for name, count in zip(data.classes, _counts(data, own_test or pool)) if not count]
    if absent:
        raise InputError(f"data {data.name}: the test split holds no image of {absent[0]}; give it some")


def check_splits(runs: Sequence[Dataset]) -> None:
    """Raise InputError where a class is missing from a split: it could not be learnt, chosen by, or tested."""
    for data in runs:
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test)):
            counts = _counts(data, part)
            if not counts.all():
                absent = data.classes[int(np.argmin(counts))]
                whose = f", since its images are of few {data.group_name}s" if part.groups is not None else ""
                raise InputError(
                    f"data {data.name}: a {name} split holds no image of {absent}{whose}; give more, leave the class "
                    "out, or split the data yourself"
                )


def cut(data: Dataset, counts: dict[str, int], seed: int) -> Dataset:
    """The data with so many images of some classes to train and validate with, drawn by seed.

    A test split of the data's own stays as it is. Where there is none, one is made of these images, too.

    Raises:
        InputError: a class that there is not, or fewer images than asked for.
    """
    if not counts:
        return data
    for name in counts:
        if name not in data.classes:
            known = ", ".join(data.classes)
            raise InputError(f"--class-counts: {name} is none of the classes of {data.name}, which are: {known}")
    pool, rest = _pool(data)
    labels = pool.known_labels
    rng = np.random.default_rng(seed)
    kept = []
    for label, name in enumerate(data.classes):
        rows = np.flatnonzero(labels == label)
        wanted = counts.get(name, len(rows))
        if wanted > len(rows):
            raise InputError(f"--class-counts: {wanted} images of {name}, but there are {len(rows)} to train on")
        kept.append(rng.permutation(rows)[:wanted])
    chosen = np.sort(np.concatenate(kept))
    few, test = pool.take(chosen), rest
    if test is None:
        few, test = _divided(few, 1 / 6, rng)
    train, validation = _divided(few, 1 / 5 if rest is None else 1 / 6, rng)
    said = f"Cut to {', '.join(f'{count} of {name}' for name, count in counts.items())}, by seed {seed}."
    found = replace(_with(data, train, validation, test), notes=(*data.notes, said))
    check_classes(found)
    return found


def split_again(data: Dataset, protocol: Protocol, seed: int, repeats: int | None = None, whole: bool = True) -> Splits:
    """The ways that the images are split.

    Args:
        protocol: "folds", or the paper's 8:1:1 (Ismail et al. 2023), so often by chance.
        repeats: of the cross-validation; None: twice below `FEW` images, else once.
        whole: whether the paper's protocol splits a test split of the data's own, too; else that is left out.

    Raises:
        InputError: a class, or its patients, are too few to be split so.
    """
    check_classes(data)
    if protocol == "paper" and repeats == 1:
        raise InputError("--repeats 1: an interval needs at least 2 splits; give more, or leave it out")
    pool, own_test = _pool(data)
    rng = np.random.default_rng(seed)
    # Other splits are made here, and what was said of those that were is of no use.
    notes = [note for note in data.notes if MADE not in note and OPTIMISTIC not in note]
    if own_test is not None and pool.groups is not None and own_test.groups is None:
        notes.append(f"Whose the test images are is not said: a {data.group_name} may be in training and test.")
    if own_test is not None and protocol != "paper":
        tested_on = {fingerprint(image) for image in own_test.images}
        new = np.flatnonzero([fingerprint(image) not in tested_on for image in pool.images])
        if len(new) < len(pool):
            notes.append(
                f"{plural(len(pool) - len(new), 'image')} that the test split holds, too, are left out of training."
            )
            pool = pool.take(new)
    groups = _bound(pool)
    copies = len(pool) - len(np.unique(groups)) if pool.groups is None else 0
    if copies:
        notes.append(f"{plural(copies, 'image')} repeat another one exactly; copies are kept in one split.")
    notes += contradiction_notes(contradicted(zip(map(fingerprint, pool.images), pool.known_labels)))
    if pool.groups is None:
        notes.append(
            f"Whose the images are is not known: a {data.group_name} may be in training and test, which flatters all "
            "arms alike. A patients.csv in a folder (columns image and patient), or an array patient in an .npz file, "
            "keeps each in one split."
        )
    if protocol == "paper":
        if own_test is not None and not whole:
            notes.append("The test split of the data's own is left out: what classes were cut to is split 8:1:1.")
        elif own_test is not None:
            notes.append("The test split of the data's own is not used: --protocol paper splits all images 8:1:1.")
            pool = _joined(data, [pool, own_test])
        runs = [_tenths(data, pool, rng) for _ in range(repeats or PAPER_SPLITS)]
        check_splits(runs)
        said = f"split 8:1:1 by chance, {len(runs)} times"
        tested = np.minimum(_counts(data, *(run.test for run in runs)), _counts(data, pool))
        return Splits(tuple(runs), said, False, 1 / 8, tuple(tested.tolist()), tuple(notes), patients_of(data, [pool]))
    times = repeats or (2 if len(pool) < FEW else 1)
    # One repetition after the other, so that the first of two is the only one of one.
    parts = (fold for _ in range(times) for fold in _folds(data, pool, groups, rng))
    kept = f", no {data.group_name} in two splits" if pool.groups is not None else ""
    often = {1: "once", 2: "twice"}.get(times, f"{times} times")
    if own_test is not None:
        runs = [_with(data, pool.take(rest), pool.take(fold), own_test) for rest, fold in parts]
        check_splits(runs)
        said = f"stratified {FOLDS}-fold, {often}{kept}: each fold validates once; tested on the data's own test split"
        tested = _counts(data, own_test)
        return Splits(
            tuple(runs),
            said,
            True,
            1 / (FOLDS - 1),
            tuple(tested.tolist()),
            tuple(notes),
            patients_of(data, [own_test]),
        )
    runs = []
    for rest, fold in parts:
        runs.append(_with(data, *_divided(pool.take(rest), 1 / FOLDS, rng), pool.take(fold)))
    check_splits(runs)
    said = f"stratified {FOLDS}-fold cross-validation, {often}{kept}; a fifth of what is not tested validates"
    trained = (1 - 1 / FOLDS) ** 2
    tested = _counts(data, pool)
    return Splits(
        tuple(runs), said, False, (1 / FOLDS) / trained, tuple(tested.tolist()), tuple(notes), patients_of(data, [pool])
    )


def _pool(data: Dataset) -> tuple[ImageSet, ImageSet | None]:
    """What may be trained on, and the test split if it is the data's own."""
    own = "test" not in data.made
    parts = [data.train, data.validation, *([] if own else [data.test])]
    return _joined(data, parts), data.test if own else None


def _joined(data: Dataset, parts: Sequence[ImageSet]) -> ImageSet:
    """All images together.

    Raises:
        InputError: of some of them it is known whose they are, and of others not.
    """
    known = [part.groups is not None for part in parts if len(part)]
    if any(known) and not all(known):
        whose = data.group_name
        raise InputError(
            f"data {data.name}: the {whose}s of some splits are known, and of others not; say whose all images are "
            f"(val_{whose}, test_{whose}), or leave {whose}s out"
        )
    parts = [part for part in parts if len(part)] or parts
    groups = None if any(part.groups is None for part in parts) else np.concatenate([_groups(part) for part in parts])
    return ImageSet(
        np.concatenate([part.images for part in parts]), np.concatenate([part.known_labels for part in parts]), groups
    )


def _bound(pool: ImageSet) -> Ints:
    """(N,): a number for all images that must stay together: those of a patient, and copies of one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    prints = np.unique([fingerprint(image) for image in pool.images], return_inverse=True)[1]
    if pool.groups is None:
        return np.asarray(prints, dtype=np.int64)
    patients = np.unique(pool.groups, return_inverse=True)[1]
    # An image ties its patient to its pixels: what hangs together stays together.
    count = int(patients.max()) + 1
    links = coo_matrix((np.ones(len(prints)), (patients, count + prints)), shape=(count + int(prints.max()) + 1,) * 2)
    return np.asarray(connected_components(links, directed=False)[1][patients], dtype=np.int64)


def _folds(
    data: Dataset, pool: ImageSet, groups: Ints, rng: np.random.Generator
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of all but one fold, and of that one, for each."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels = pool.known_labels
    for label, name in enumerate(data.classes):
        of_class = len(np.unique(groups[labels == label]))
        if of_class < FOLDS:
            what = data.group_name if pool.groups is not None else "different image"
            few = f"class {name} is of {plural(of_class, what)}"
            raise InputError(f"data {data.name}: {few}, too few for {FOLDS} folds; leave the class out")
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    return list(splitter.split(np.zeros(len(labels)), labels, groups))


def _tenths(data: Dataset, pool: ImageSet, rng: np.random.Generator) -> Dataset:
    rest, test = _divided(pool, 1 / 10, rng)
    return _with(data, *_divided(rest, 1 / 9, rng), test)


def _divided(images: ImageSet, share: float, rng: np.random.Generator) -> tuple[ImageSet, ImageSet]:
    """What is left, and a share of the images, stratified; what must stay together does."""
    drawn = draw(len(images), share, images.known_labels, _bound(images), rng)
    return images.take(np.flatnonzero(~drawn)), images.take(np.flatnonzero(drawn))


def _counts(data: Dataset, *parts: ImageSet) -> Ints:
    """(K,): images of each class in all of the parts together."""
    labels = np.concatenate([part.known_labels for part in parts])
    return np.bincount(labels, minlength=len(data.classes)).astype(np.int64)


def patients_of(data: Dataset, parts: Sequence[ImageSet]) -> tuple[int, ...] | None:
    """(K,): how many patients the images of each class are of, in all parts together; None where they are not known."""
    if any(part.groups is None for part in parts):
        return None
    labels = np.concatenate([part.known_labels for part in parts])
    groups = np.concatenate([_groups(part) for part in parts])
    return tuple(len(np.unique(groups[labels == label])) for label in range(len(data.classes)))


def _with(data: Dataset, train: ImageSet, validation: ImageSet, test: ImageSet) -> Dataset:
    digest = digest_of({"train": train, "validation": validation, "test": test})
    return replace(data, train=train, validation=validation, test=test, digest=digest)


def _groups(split: ImageSet) -> Ints:
    assert split.groups is not None
    return split.groups
