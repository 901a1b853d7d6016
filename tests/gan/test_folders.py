"""Folders of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.errors import InputError
from lossgen.gan import folders
from lossgen.gan.folders import read_folder


def _fill(folder: Path, count: int = 3, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (count, 9, 9), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def _refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_folder(path, "x")
    assert "\n" not in str(caught.value)


def test_flat(tmp_path: Path) -> None:
    _fill(tmp_path, 5)
    data = read_folder(tmp_path, "x")
    assert [data.splits["train"].images.name(i) for i in range(5)] == [f"{i:02}.png" for i in range(5)]
    assert data.classes == ()
    assert data.splits["train"].labels is None


def test_a_folder_a_class_and_folders_below(tmp_path: Path) -> None:
    _fill(tmp_path / "b" / "patient 1")
    _fill(tmp_path / "b" / "patient 2", 2)
    _fill(tmp_path / "a", 4)
    data = read_folder(tmp_path, "x")
    assert data.classes == ("a", "b")
    assert data.splits["train"].labels is not None
    assert data.splits["train"].labels.tolist() == [0] * 4 + [1] * 5
    assert data.splits["train"].images.name(8) == "b/patient 2/01.png"


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "Testing"), ("train", "valid")])
def test_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        _fill(tmp_path / name / "a", 2 + number)
        _fill(tmp_path / name / "b", 3)
    data = read_folder(tmp_path, "x")
    assert {split: len(part.images) for split, part in data.splits.items()} == dict(
        zip(["train", "validation", "test"], [5, 6, 7][: len(names)])
    )
    assert data.classes == ("a", "b")
    assert f"Its folders {', '.join(names)} are splits." in data.notes


def test_train_beside_other_classes_is_a_class(tmp_path: Path) -> None:
    for name in ("bus", "train", "tram"):
        _fill(tmp_path / name)
    assert read_folder(tmp_path, "x").classes == ("bus", "train", "tram")


def test_one_folder_is_no_classification(tmp_path: Path) -> None:
    _fill(tmp_path / "images")
    data = read_folder(tmp_path, "x")
    assert data.splits["train"].labels is None
    assert data.notes == ["All images lie in one folder, images, so they have no labels."]


def test_what_is_no_image_is_counted(tmp_path: Path) -> None:
    _fill(tmp_path / "a")
    _fill(tmp_path / "b")
    _fill(tmp_path / "__MACOSX")
    _fill(tmp_path / ".hidden")
    for name in (".DS_Store", "README", "labels.csv", "a/notes.txt", "b/._00.png", "b/more.txt"):
        (tmp_path / name).write_text("x")
    data = read_folder(tmp_path, "x")
    assert data.classes == ("a", "b")
    assert len(data.splits["train"].images) == 6
    assert data.notes == ["Passed over what is no image: 1 .csv, 2 .txt, 2 hidden, 1 without ending."]


def test_refused(tmp_path: Path) -> None:
    _refused(tmp_path, "is empty; put images")
    (tmp_path / "scan.nii").write_bytes(b"x")
    _refused(tmp_path, "holds no image .found 1 .nii.; convert")
    _fill(tmp_path / "a")
    (tmp_path / "b").mkdir()
    _refused(tmp_path, r"the class folder .*/b holds no image; fill or remove it")
    _fill(tmp_path / "b")
    _fill(tmp_path)
    _refused(tmp_path, r"holds images \(00.png, …\) beside folders of images \(a, b\)")


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    _fill(tmp_path)
    (tmp_path / "01.png").write_bytes(b"nonsense")
    _refused(tmp_path, "^image .*01.png: not an image that can be read; mend or remove the file$")


def test_classes_in_train_only(tmp_path: Path) -> None:
    _fill(tmp_path / "train" / "a")
    _fill(tmp_path / "train" / "b")
    _fill(tmp_path / "test")
    _refused(tmp_path, "test has no class folders")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folders.Path, "iterdir", denied)  # not chmod, which does not bind root
    _refused(tmp_path, f"^data {tmp_path}: Permission denied; make the folder readable$")
