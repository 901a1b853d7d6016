"""Exact duplicates: inside a split, and across splits, where they leak what a test must not have seen."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from lossgen.gan.images import Pixels

OPTIMISTIC = "optimistic"
"""What the note says of results on images that have been trained on."""


def fingerprint(pixels: Pixels) -> bytes:
    """16 bytes that two images share when they have the same shape and the same pixels."""
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(repr(pixels.shape).encode())
    hasher.update(pixels.tobytes())
    return hasher.digest()


def within(prints: Sequence[bytes]) -> int:
    """How many images repeat an earlier one."""
    return len(prints) - len(set(prints))


def contradicted(labelled: Iterable[tuple[bytes, int]]) -> int:
    """How many images have an identical copy with another label, of pairs of fingerprint and label."""
    labels_of: dict[bytes, Counter[int]] = {}
    for image, label in labelled:
        labels_of.setdefault(image, Counter())[int(label)] += 1
    return sum(counts.total() for counts in labels_of.values() if len(counts) > 1)


def contradiction_notes(count: int) -> list[str]:
    """A sentence about them, if there are some."""
    return [f"{count} images have an exact copy with another label: at least one label is wrong."] * bool(count)


def across(prints: Mapping[str, Sequence[bytes]]) -> dict[tuple[str, str], int]:
    """For each two splits that share images: how many of the second are in the first."""
    shared = {}
    for (first, here), (second, there) in combinations(prints.items(), 2):
        known = set(here)
        if count := sum(image in known for image in there):
            shared[first, second] = count
    return shared


def duplicate_notes(prints: Mapping[str, Sequence[bytes]]) -> list[str]:
    """A sentence for each split that repeats itself, and for each two that share images."""
    notes = [
        f"{count} of the {len(prints[split])} images of {split} repeat{'s' * (count == 1)} another one exactly."
        for split in prints
        if (count := within(prints[split]))
    ]
    for (first, second), count in across(prints).items():
        notes.append(
            f"{count} of the {len(prints[second])} images of {second} {'is' if count == 1 else 'are'} in {first} too, "
            f"so results on {second} are {OPTIMISTIC}."
        )
    return notes
