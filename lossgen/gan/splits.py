"""Making the validation or test split that is missing: by seed, stratified by label, patients kept together."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lossgen.errors import InputError
from lossgen.gan.raw import SPLITS, Ints, RawData

MADE = " made from "
"""What the note says of splits that were made."""


def complete(data: RawData, seed: int) -> RawData:
    """`data` with all three splits: those that are missing are taken out of train.

    Each made split gets `data.share` of what train held; of every class the same share, to within one image (one
    group, where there are groups), and never the last one of a class.

    Raises:
        InputError: a split would have, or has, fewer than 2 images.
    """
    missing = [name for name in SPLITS if name not in data.splits]
    splits = dict(data.splits)
    found = len(splits["train"].images)
    rng = np.random.default_rng(seed)
    for taken, name in enumerate(missing):
        train = splits["train"]
        share = data.share / (1 - taken * data.share)
        held_out = draw(len(train.images), share, train.labels, train.groups, rng)
        splits[name] = train.take(np.flatnonzero(held_out))
        splits["train"] = train.take(np.flatnonzero(~held_out))
    for name in SPLITS:
        if len(splits[name].images) < 2:
            raise InputError(_too_small(data, name, len(splits[name].images), name in missing, found))
    notes = [*data.notes, _made(data, missing, seed, found)] if missing else data.notes
    return replace(data, splits={name: splits[name] for name in SPLITS}, notes=notes, made=tuple(missing))


def draw(
    count: int, share: float, labels: Ints | None, groups: Ints | None, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """(count,), a drawn part of about `share` of all items, stratified by label; groups are drawn whole.

    A group of several labels counts as one of its rarest.
    """
    strata = np.zeros(count, dtype=np.int64) if labels is None else labels
    if groups is None:
        return _draw_stratified(strata, share, rng)
    frequency = np.bincount(strata)
    numbers, group_of = np.unique(groups, return_inverse=True)
    rarest_first = np.argsort(frequency[strata], kind="stable")
    _, first = np.unique(group_of[rarest_first], return_index=True)
    drawn = _draw_stratified(strata[rarest_first][first], share, rng)
    assert len(drawn) == len(numbers)
    return np.asarray(drawn[group_of])


def _draw_stratified(strata: Ints, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Of each stratum `share`, rounded so that the rounding errors do not add up over the strata."""
    drawn = np.zeros(len(strata), dtype=np.bool_)
    owed = 0.0
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        owed += len(members) * share
        quota = max(0, min(math.floor(owed + 0.5), math.ceil(len(members) * share), len(members) - 1))
        owed -= quota
        drawn[members[:quota]] = True
    return drawn


def _made(data: RawData, missing: Sequence[str], seed: int, found: int) -> str:
    train = data.splits["train"]
    how = [f"1/{round(1 / data.share)}" + (" each" if len(missing) > 1 else "")]
    if train.labels is not None:
        how.append("stratified by class")
    if train.groups is not None:
        how.append(f"no {data.group_name} in two splits")
    source = f"the {found} images" + (" of train" if len(missing) == 1 else "")
    return f"{' and '.join(missing)}{MADE}{source} by seed {seed}: {', '.join(how)}."


def _too_small(data: RawData, name: str, count: int, made: bool, found: int) -> str:
    if not made:
        return f"data {data.name}: {name} holds {plural(count, 'image')}; a split needs at least 2"
    train = data.splits["train"]
    origin = plural(found, "image")
    if train.groups is not None:
        origin += f" of {plural(len(np.unique(train.groups)), data.group_name)}"
    elif train.labels is not None:
        origin += f" in {plural(len(np.unique(train.labels)), 'class', 'classes')}"
    return (
        f"data {data.name}: {origin} are too few to make a {name} split from: "
        f"it would hold {plural(count, 'image')} and needs at least 2"
    )


def plural(count: int, one: str, many: str = "") -> str:
    """The count and its noun: `1 image`, `2 images`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
