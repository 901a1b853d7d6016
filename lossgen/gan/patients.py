"""Whose images are whose, so that no patient is in two splits: a file patients.csv in a folder of images.

It has the columns image (the path in the folder, or the name of the file where no two are called alike) and patient.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from lossgen.errors import InputError
from lossgen.gan.raw import Ints
from lossgen.gan.splits import plural

FILE = "patients.csv"


def read_patients(folder: Path) -> dict[str, str] | None:
    """Patient by image, as the folder's file has it; None where there is none.

    Raises:
        InputError: as `read_column`.
    """
    path = folder / FILE
    return read_column(path, "patient", str(path)) if path.is_file() else None


def read_column(path: Path, column: str, where: str) -> dict[str, str]:
    """What a CSV file says of each image, in a column beside the column image.

    Raises:
        InputError: it cannot be read, has other columns, leaves something out, or says two things of one image.
    """
    found: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(row["image"].strip(), row[column].strip()) for row in csv.DictReader(file)]
    except OSError as error:
        raise InputError(f"{where}: cannot read: {error.strerror or error}") from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise InputError(f"{where}: no CSV file with the columns image and {column} in each row") from None
    for image, value in rows:
        if found.setdefault(image, value) != value:
            raise InputError(f"{where}: says two things of {image}: {column} {found[image]} and {value}")
    return found


def patients_of(images: Sequence[str], known: Mapping[str, str], name: str) -> list[str]:
    """The patient of each image, by its path in the folder, or by the name of its file where no other has it.

    Raises:
        InputError: an image that the file says nothing of.
    """
    files = Counter(image.rpartition("/")[2] for image in images)

    def patient(image: str) -> str:
        file = image.rpartition("/")[2]
        return known.get(image, known.get(file, "") if files[file] == 1 else "")

    found = [patient(image) for image in images]
    absent = [image for image, whose in zip(images, found) if not whose]
    if absent:
        raise InputError(f"data {name}: {FILE} says nothing of {plural(len(absent), 'image')} (the first: {absent[0]})")
    return found


def numbered(splits: Mapping[str, Sequence[str]], name: str, what: str = "patient") -> dict[str, Ints]:
    """Patients of each split as numbers, the same for the same patient.

    Raises:
        InputError: a patient is in two splits: what is tested would have been trained on.
    """
    for (one, ours), (other, theirs) in combinations(splits.items(), 2):
        both = sorted(set(ours) & set(theirs))
        if both:
            more = f", and so {'has' if len(both) == 2 else 'have'} {len(both) - 1} more" * (len(both) > 1)
            has = f"{what} {both[0]} has images in {one} and in {other}{more}"
            raise InputError(f"data {name}: {has}; keep all images of a {what} in one split")
    known = {patient: number for number, patient in enumerate(sorted({p for split in splits.values() for p in split}))}
    return {split: np.array([known[p] for p in of], dtype=np.int64) for split, of in splits.items()}
