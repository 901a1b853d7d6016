"""Whose images are whose, so that no patient is in two splits: a file patients.csv in a folder of images.

It has the columns image (the path in the folder, or the name of the file where no two are called alike) and patient.
"""

import csv
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from lossgen.errors import InputError
from lossgen.gan.raw import Ints

FILE = "patients.csv"


def read_patients(folder: Path) -> dict[str, str] | None:
    """Patient by image, as the folder's file has it; None where there is none.

    Raises:
        InputError: it cannot be read, or has other columns.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return {row["image"].strip(): row["patient"].strip() for row in csv.DictReader(file)}
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}") from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: no CSV file with the columns image and patient") from None


def patients_of(images: Sequence[str], known: Mapping[str, str], name: str) -> list[str]:
    """The patient of each image, by its path in the folder.

    Raises:
        InputError: an image that the file says nothing of.
    """
    found = [known.get(image, known.get(image.rpartition("/")[2], "")) for image in images]
    absent = [image for image, patient in zip(images, found) if not patient]
    if absent:
        raise InputError(f"data {name}: {FILE} says nothing of {len(absent)} images (the first: {absent[0]})")
    return found


def numbered(splits: Mapping[str, Sequence[str]], name: str, what: str = "patient") -> dict[str, Ints]:
    """Patients of each split as numbers, the same for the same patient.

    Raises:
        InputError: a patient is in two splits: what is tested would have been trained on.
    """
    for (one, ours), (other, theirs) in combinations(splits.items(), 2):
        both = sorted(set(ours) & set(theirs))
        if both:
            has = f"{what} {both[0]} has images in {one} and in {other}, and so have {len(both) - 1} more"
            raise InputError(f"data {name}: {has}; keep all images of a {what} in one split")
    known = {patient: number for number, patient in enumerate(sorted({p for split in splits.values() for p in split}))}
    return {split: np.array([known[p] for p in of], dtype=np.int64) for split, of in splits.items()}
