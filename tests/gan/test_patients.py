"""Whose images are whose: from folders and .npz files, and patients in two splits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.errors import InputError
from lossgen.gan.data import load
from lossgen.gan.downstream.folds import split_again
from lossgen.runner import DataSpec


def folder(top: Path, splits: tuple[str, ...] = ("",), count: int = 40) -> Path:
    rng = np.random.default_rng(0)
    for split in splits:
        for name in ("ill", "well"):
            (top / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(top / split / name / f"{split}{name}{i:02}.png")
    return top


def write(top: Path, rows: dict[str, str], head: str = "image,patient") -> None:
    (top / "patients.csv").write_text("\n".join([head, *(f"{image},{patient}" for image, patient in rows.items())]))


def paths(top: Path) -> list[str]:
    return sorted(path.relative_to(top).as_posix() for path in top.rglob("*.png"))


@pytest.mark.parametrize("by_path", [True, False])
def test_patients_of_a_folder_stay_together(tmp_path: Path, by_path: bool) -> None:
    top = folder(tmp_path)
    images = paths(top)
    write(top, {image if by_path else Path(image).name: f"p{i // 4}" for i, image in enumerate(images)})
    data = load(DataSpec(str(top)))
    assert "patients.csv says whose images are whose." in data.notes and not any("Passed over" in n for n in data.notes)
    assert any("no patient in two splits" in note for note in data.notes)
    for parts in (
        (data.train, data.validation, data.test),
        *((r.train, r.validation, r.test) for r in split_again(data, "folds", 0).runs),
    ):
        of = [set(part.groups.tolist()) for part in parts]  # type: ignore[union-attr]
        assert not of[0] & of[1] and not of[0] & of[2] and not of[1] & of[2] and len(set.union(*of)) == 20


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    top = folder(tmp_path, ("train", "test"))
    images = paths(top)
    write(top, {image: f"p{i % 40}" for i, image in enumerate(images)})
    with pytest.raises(InputError, match="patient p0 has images in train and in test, and so have 39 more; keep all"):
        load(DataSpec(str(top)))
    write(top, {image: f"{image[:5]}{i % 40}" for i, image in enumerate(images)})
    data = load(DataSpec(str(top)))
    assert data.test.groups is not None and data.train.groups is not None
    assert not set(data.test.groups.tolist()) & set(data.train.groups.tolist())


def test_what_the_file_lacks_is_said(tmp_path: Path) -> None:
    top = folder(tmp_path)
    write(top, dict.fromkeys(paths(top)[1:], "p"))
    with pytest.raises(InputError, match=r"patients.csv says nothing of 1 image \(the first: ill/ill00.png\)"):
        load(DataSpec(str(top)))
    write(top, dict.fromkeys(paths(top), "p"), "file,person")
    with pytest.raises(InputError, match="no CSV file with the columns image and patient"):
        load(DataSpec(str(top)))


def test_a_name_that_two_images_have_is_no_name(tmp_path: Path) -> None:
    top = folder(tmp_path)
    for name in ("ill", "well"):
        (top / name / f"{name}00.png").rename(top / name / "same.png")
    rest = {image: f"p{i}" for i, image in enumerate(paths(top)) if not image.endswith("same.png")}
    write(top, {**rest, "same.png": "one"})
    with pytest.raises(InputError, match=r"says nothing of 2 images \(the first: ill/same.png\)"):
        load(DataSpec(str(top)))
    lines = [f"{image},{patient}" for image, patient in rest.items()]
    (top / "patients.csv").write_text("\n".join(["image,patient", *lines, "ill/same.png,one", "ill/same.png,two"]))
    with pytest.raises(InputError, match=r"says two things of ill/same\.png: patient one and two"):
        load(DataSpec(str(top)))


def test_patients_of_an_npz_files_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        f"{split}_images": rng.integers(0, 256, (n, 8, 8), dtype=np.uint8) for split, n in (("train", 60), ("test", 20))
    }
    arrays |= {"train_labels": np.arange(60) % 2, "test_labels": np.arange(20) % 2, "patient": np.arange(60) // 2}
    for test, good in ((100 + np.arange(20), True), (np.arange(20), False)):
        np.savez(tmp_path / "data.npz", **arrays, test_patient=test)
        if good:
            data = load(DataSpec(str(tmp_path / "data.npz")))
            assert data.test.groups is not None and len(set(data.test.groups.tolist())) == 20
        else:
            with pytest.raises(InputError, match="patient 0 has images in train and in test, and so have 19 more"):
                load(DataSpec(str(tmp_path / "data.npz")))
