"""From a DataSpec to a Dataset."""

import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, ImageSet, load
from lossgen.runner import DataSpec

RNG = np.random.default_rng(0)
REAL = os.environ.get("LOSSGEN_DATA", "")
needs_data = pytest.mark.skipif(not REAL, reason="LOSSGEN_DATA is not set")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGEN_DATA", str(tmp_path))


def _splits(data: Dataset) -> list[ImageSet]:
    return [data.train, data.validation, data.test]


def _save(folder: Path, shapes: list[tuple[int, ...]]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, shape in enumerate(shapes):
        Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{number:03}.png")
    return folder


def _refused(spec: DataSpec, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load(spec)
    assert "\n" not in str(caught.value)


def test_digits() -> None:
    data = load(DataSpec())
    assert [part.images.shape for part in _splits(data)] == [(899, 1, 8, 8), (449, 1, 8, 8), (449, 1, 8, 8)]
    assert (data.channels, data.size, data.classes) == (1, 8, tuple("0123456789"))
    for part in _splits(data):
        assert part.images.dtype == np.uint8
        assert part.images.flags["C_CONTIGUOUS"]
        assert part.labels is not None
        assert part.labels.dtype == np.int64
        assert np.abs(np.bincount(part.labels) / len(part) - 0.1).max() < 0.01  # stratified
    levels = np.unique(np.concatenate([part.images.ravel() for part in _splits(data)]))
    assert levels.tolist() == np.rint(np.arange(17) * 255 / 16).astype(int).tolist()
    assert len({image.tobytes() for part in _splits(data) for image in part.images}) == 1797


def test_deterministic_by_seed() -> None:
    data = load(DataSpec(seed=3))
    assert load(DataSpec(seed=3)).digest == data.digest
    assert load(DataSpec(seed=4)).digest != data.digest


def test_digest_sees_one_pixel_one_label_and_the_split(tmp_path: Path) -> None:
    images, labels = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    digests = []
    for change in ("none", "pixel", "label", "nothing"):
        pixels, marks = images.copy(), labels.copy()
        pixels[7, 3, 3] ^= change == "pixel"
        marks[[4, 5]] = marks[[5, 4]] if change == "label" else marks[[4, 5]]
        np.savez(tmp_path / "x.npz", images=pixels, labels=marks)
        digests.append(load(DataSpec("x")).digest)
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
    assert len(digests[0]) == 64


@pytest.mark.parametrize(
    ("shape", "sizes", "fit", "size"),
    [
        ((28, 28), (8, 16, 28, 32), "pad", 28),
        ((30, 30), (8, 16, 28, 32), "pad", 28),
        ((64, 64), (8, 16, 28, 32), "pad", 32),
        ((20, 40), (8, 16, 28, 32), "pad", 32),
        ((20, 40), (8, 16, 28, 32), "crop", 16),
        ((20, 40), (8, 16, 28, 32), "stretch", 16),
        ((9, 9), (16, 32), "pad", 16),
    ],
)
def test_size_without_being_told(
    tmp_path: Path, shape: tuple[int, int], sizes: tuple[int, ...], fit: str, size: int
) -> None:
    np.savez(tmp_path / "x.npz", images=RNG.integers(0, 256, (20, *shape), dtype=np.uint8))
    data = load(DataSpec("x", fit=fit), sizes)  # type: ignore[arg-type]
    assert data.size == size
    assert any("Resized" in note for note in data.notes) == (shape != (size, size))
    assert any("enlarged" in note for note in data.notes) == (max(shape) < size)


def test_image_size() -> None:
    assert load(DataSpec(image_size=16)).train.images.shape == (899, 1, 16, 16)
    _refused(DataSpec(image_size=20), "^--image-size 20: this runner's sizes are 8, 16, 28, 32; choose one of them$")
    _refused(replace(DataSpec(), fit="squeeze"), "^--fit squeeze: unknown; choose one of pad, crop, stretch$")  # type: ignore[arg-type]


def test_files_and_array_take_the_same_way(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (24, 40, 30, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=pixels)
    (tmp_path / "y").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "y" / f"{number:03}.png")
    assert load(DataSpec("x")).digest == load(DataSpec("y")).digest == load(DataSpec(str(tmp_path / "y"))).digest


def test_mixed_folder(tmp_path: Path) -> None:
    _save(tmp_path / "x", [(40, 50), (33, 90, 3), (64, 64, 4), (35, 35)] * 5)
    data = load(DataSpec("x"))
    assert (data.channels, data.size) == (3, 32)
    assert sum(len(part) for part in _splits(data)) == 20
    assert "5 of 20 images can be transparent: laid on black." in data.notes
    assert any(note.startswith("Resized from 4 sizes, 35 × 35 to 64 × 64, to 32 × 32") for note in data.notes)
    assert "No labels." in data.notes


def test_grey_only_when_every_image_is(tmp_path: Path) -> None:
    _save(tmp_path / "x", [(16, 16)] * 20)
    grey = RNG.integers(0, 256, (16, 16, 1), dtype=np.uint8).repeat(3, axis=-1)
    Image.fromarray(grey).save(tmp_path / "x" / "rgb.png")
    assert load(DataSpec("x")).channels == 1
    grey[3, 3, 1] ^= 1
    Image.fromarray(grey).save(tmp_path / "x" / "rgb.png")
    assert load(DataSpec("x")).channels == 3


def test_one_small_image_sets_the_size_and_is_said(tmp_path: Path) -> None:
    _save(tmp_path / "x", [(40, 40)] * 29 + [(10, 10)])
    data = load(DataSpec("x"))
    assert data.size == 8
    assert "The smallest of the images set the size; --image-size 32 would enlarge 1 of 30." in data.notes


def test_patients_are_not_torn_apart(tmp_path: Path) -> None:
    patient = np.repeat(np.arange(50), 2)
    images = np.zeros((100, 8, 8), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = patient, np.arange(100)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(100) % 2, patient=patient)
    data = load(DataSpec("x"))
    seen = [set(part.images[:, 0, 0, 0].tolist()) for part in _splits(data)]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert any("no patient in two splits" in note for note in data.notes)


def test_constant_images(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (40, 10, 20), dtype=np.uint8)
    images[5] = 77
    np.savez(tmp_path / "x.npz", images=images)
    assert any("1 of 40 images of one value only" in note and "image 5)" in note for note in load(DataSpec("x")).notes)
    images[:] = np.arange(40)[:, None, None]
    np.savez(tmp_path / "x.npz", images=images)
    _refused(DataSpec("x"), "^data x: every image is of one value only")


def test_dark_and_duplicate_images_are_remarked_on(tmp_path: Path) -> None:
    images = RNG.integers(0, 4096, (20, 8, 8), dtype=np.uint16)
    np.savez(tmp_path / "x.npz", train_images=images, val_images=images[:5], test_images=images[[0, 0]] * 2)
    notes = load(DataSpec("x")).notes
    assert any("No pixel is brighter than" in note for note in notes)
    assert "5 of the 5 images of validation are in train too, so results on validation are optimistic." in notes
    assert "1 of the 2 images of test repeats another one exactly." in notes


def test_missing_labels_and_classes_are_remarked_on(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (30, 8, 8), dtype=np.uint8)
    np.savez(
        tmp_path / "x.npz",
        train_images=images[:10],
        train_labels=np.arange(10) % 3,
        val_images=images[10:20],
        val_labels=np.arange(10) % 2,
        test_images=images[20:],
    )
    data = load(DataSpec("x"))
    assert data.test.labels is None
    assert {"test has no labels.", "validation has no image of 2."} <= set(data.notes)


def _write_mnist(root: Path) -> None:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 60), ("t10k", 12)):
        pixels = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + pixels.tobytes())
        labels = (np.arange(count) % 10).astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())


def test_torchvision_layout(tmp_path: Path) -> None:
    _write_mnist(tmp_path / "in")
    data = load(DataSpec("mnist", root=str(tmp_path / "in")))
    assert [len(part) for part in _splits(data)] == [50, 10, 12]
    assert data.size == 28
    assert len(data.classes) == 10
    assert load(DataSpec(str(tmp_path / "in" / "MNIST"))).digest == data.digest
    damaged = tmp_path / "in" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    _refused(DataSpec("mnist", root=str(tmp_path / "in")), "^data mnist: cannot be read from .*; remove .* --download$")


def test_download_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    def offline(root: str, train: bool, download: bool) -> None:
        assert download
        raise OSError(f"cannot reach the host for {root}")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    _refused(
        DataSpec("fashion_mnist", download=True), "^data fashion_mnist: .*cannot reach the host.*; check the network"
    )


def test_names_that_are_not_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "cifar10_small.npz", images=RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    _refused(DataSpec("cifar10"), "^data cifar10: not under .*--download; there is cifar10_small, which --data")
    _refused(DataSpec("cifar"), "known: digits, mnist, fashion_mnist, cifar10; under .*: cifar10_small; did you mean")
    _refused(DataSpec(str(tmp_path / "none" / "x.npz")), "no such file or folder$")
    _refused(DataSpec(""), "^data: an empty name")
    (tmp_path / "one.png").write_bytes(b"")
    _refused(DataSpec(str(tmp_path / "one.png")), "give an .npz file or a folder of images$")
    np.savez(tmp_path / "cifar10.npz", images=RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    assert len(load(DataSpec("cifar10")).train) == 14


@needs_data
@pytest.mark.parametrize(
    ("name", "counts", "shape"),
    [
        ("mnist", [50000, 10000, 10000], (1, 28, 28)),
        ("pneumoniamnist", [4708, 524, 624], (1, 28, 28)),
        ("cifar10_10k", [8333, 1667, 2500], (3, 32, 32)),
        ("odir5k_64", [1720, 434, 421], (3, 32, 32)),
        ("ham10000_28", [3406, 852, 852], (3, 28, 28)),
    ],
)
def test_real_data(name: str, counts: list[int], shape: tuple[int, int, int]) -> None:
    if not any((Path(REAL) / place).exists() for place in (f"{name}.npz", f"{name.upper()}/raw")):
        pytest.skip(f"{name} does not lie under LOSSGEN_DATA")
    data = load(DataSpec(name, root=REAL))
    assert [len(part) for part in _splits(data)] == counts
    assert data.train.images.shape[1:] == shape
    if name == "odir5k_64":
        train, validation, test = (set(part.groups) for part in _splits(data))
        assert not train & validation and not train & test and not validation & test
    if name == "pneumoniamnist":
        assert any(note.startswith("8 of the 524 images of validation are in train too") for note in data.notes)
