"""Images and labels out of .npz files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossgen.errors import InputError
from lossgen.gan.npz import image_shapes, read_npz
from lossgen.gan.raw import ArrayImages

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


def _save(tmp_path: Path, **arrays: Any) -> Path:
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


def _pixels(path: Path, split: str = "train") -> np.ndarray:
    images = read_npz(path, "x").splits[split].images
    assert isinstance(images, ArrayImages)
    return images.pixels


def _refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_npz(path, "x")
    assert str(caught.value).startswith("data x: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (GREY, GREY[..., None]),
        (GREY[..., None], GREY[..., None]),
        (GREY[:, None], GREY[..., None]),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], 255)], axis=-1), COLOUR),
        (np.repeat(GREY[..., None], 3, axis=-1), GREY[..., None]),
        (GREY.astype(np.uint16) * 257, GREY[..., None]),
        (GREY / 255, GREY[..., None]),
        (GREY > 127, (GREY[..., None] > 127) * np.uint8(255)),
    ],
)
def test_layouts_and_types(tmp_path: Path, stored: np.ndarray, read: np.ndarray) -> None:
    assert np.array_equal(_pixels(_save(tmp_path, images=stored)), read)


def test_medmnist_layout(tmp_path: Path) -> None:
    labels = (np.arange(12) % 3).astype(np.uint8)
    path = _save(
        tmp_path,
        train_images=GREY,
        train_labels=labels[:, None],
        val_images=GREY[:4],
        val_labels=labels[:4],
        test_images=GREY[4:],
        test_labels=labels[4:, None],
    )
    data = read_npz(path, "x")
    assert list(data.splits) == ["train", "validation", "test"]
    assert data.classes == ("0", "1", "2")
    assert data.splits["test"].labels is not None
    assert data.splits["test"].labels.tolist() == labels[4:].tolist()
    assert data.splits["test"].labels.dtype == np.int64
    assert image_shapes(path) == {"train": (12, 8, 8), "validation": (4, 8, 8), "test": (8, 8, 8)}


def test_keras_layout(tmp_path: Path) -> None:
    data = read_npz(_save(tmp_path, x_train=GREY, y_train=np.arange(12) % 2, x_test=GREY[:4], y_test=[0, 1, 1, 0]), "x")
    assert {split: len(part.images) for split, part in data.splits.items()} == {"train": 12, "test": 4}


@pytest.mark.parametrize(
    ("labels", "classes", "encoded", "names"),
    [
        ([7, 3, 7, 5] * 3, None, [2, 0, 2, 1] * 3, ("3", "5", "7")),
        (["nv", "mel", "nv", "df"] * 3, None, [2, 1, 2, 0] * 3, ("df", "mel", "nv")),
        ([0, 2, 0, 2] * 3, ["a", "b", "c"], [0, 2, 0, 2] * 3, ("a", "b", "c")),
        ([1.0, 0.0] * 6, None, [1, 0] * 6, ("0", "1")),
        ([True, False] * 6, ["no", "yes"], [1, 0] * 6, ("no", "yes")),
    ],
)
def test_labels(tmp_path: Path, labels: list[Any], classes: Any, encoded: list[int], names: tuple[str, ...]) -> None:
    more = {} if classes is None else {"classes": classes}
    data = read_npz(_save(tmp_path, images=GREY, labels=labels, **more), "x")
    assert data.splits["train"].labels is not None
    assert data.splits["train"].labels.tolist() == encoded
    assert data.classes == names


@pytest.mark.parametrize("key", ["patient", "patients", "groups"])
def test_groups(tmp_path: Path, key: str) -> None:
    data = read_npz(_save(tmp_path, images=GREY, **{key: np.array(["p", "q", "r"] * 4)}), "x")
    assert data.splits["train"].groups is not None
    assert data.splits["train"].groups.tolist() == [0, 1, 2] * 4


def test_what_does_not_fit_is_passed_over_and_said(tmp_path: Path) -> None:
    data = read_npz(_save(tmp_path, images=GREY, labels=np.zeros((12, 5)), patient=np.arange(5)), "x")
    assert data.splits["train"].labels is None
    assert data.splits["train"].groups is None
    assert data.notes == [
        "labels has the shape (12, 5), not one label an image: passed over.",
        "patient has the shape (5,), not one entry for each of the 12 images of train: passed over.",
    ]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": GREY, "kinds": np.arange(12)}, "holds the arrays pictures, kinds, but no train_images or images"),
        ({"images": GREY, "labels": np.arange(5)}, "labels has 5 entries for 12 images"),
        ({"images": GREY[:0]}, "images holds no image"),
        ({"images": GREY[0]}, r"images has the shape \(8, 8\); give"),
        ({"images": COLOUR[0]}, "read as 8 images of 3 × 8 pixels"),
        ({"images": np.zeros((5, 8, 8, 7), dtype=np.uint8)}, r"shape \(5, 8, 8, 7\); give"),
        ({"images": GREY / 127.5 - 1}, "images: floats from -1 to 1; scale"),
        ({"images": np.where(GREY < 9, np.nan, 0.0)}, "images: .* NaN or infinite"),
        ({"images": GREY.astype(np.int32)}, "images: int32 from 0 to 255; save"),
        ({"images": GREY, "labels": np.full(12, 0.5)}, "labels holds fractions"),
        ({"images": GREY, "labels": np.arange(12), "classes": ["a", "b"]}, "labels from 0 to 11, but classes names 2"),
        ({"images": np.array([GREY[0], GREY[1, :3]], dtype=object)}, "Python objects"),
    ],
)
def test_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    _refused(_save(tmp_path, **arrays), said)


def test_damaged_files(tmp_path: Path) -> None:
    path = _save(tmp_path, images=COLOUR)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    _refused(path, "damaged")
    path.write_bytes(whole[:700] + bytes([whole[700] ^ 255]) + whole[701:])  # fails the checksum
    _refused(path, "damaged")
    path.write_bytes(b"")
    _refused(path, "damaged")
    path.write_bytes(b"not a zip file")
    _refused(path, "no .npz at all")
    with path.open("wb") as file:
        np.save(file, GREY)
    _refused(path, "one bare array; save it with")
