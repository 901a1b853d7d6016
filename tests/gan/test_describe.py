"""What `lossgen data` says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.errors import InputError
from lossgen.gan.describe import available, describe
from lossgen.runner import DataSpec

RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with an .npz file, a folder of classes of mixed images, an empty folder and a damaged file."""
    np.savez(tmp_path / "a.npz", train_images=RNG.integers(0, 256, (30, 8, 9), dtype=np.uint8))
    for name in ("sick", "well"):
        (tmp_path / "eyes" / name).mkdir(parents=True)
        for number in range(12):
            shape = (20 + number, 30, 3) if number else (16, 16)
            pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
            depth = np.uint16(257) if number == 0 else np.uint8(1)
            Image.fromarray(pixels * depth).save(tmp_path / "eyes" / name / f"{number:02}.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.npz").write_bytes(b"PK nonsense")
    return tmp_path


def test_available(root: Path) -> None:
    rows = {row.name: row for row in available(str(root))}
    assert list(rows) == ["digits", "mnist", "fashion_mnist", "cifar10", "a", "broken", "eyes"]
    assert rows["digits"].state == "embedded"
    assert rows["mnist"].state == "absent"
    assert "--download" in rows["mnist"].where
    assert rows["a"].state == "present"
    assert rows["a"].contents == "30 images of 8 × 9"
    assert rows["eyes"].contents == "24 images in 2 folders"
    assert rows["broken"].contents.startswith("not readable")
    with pytest.raises(InputError, match="no such folder"):
        available(str(root / "none"))


def test_describe_counts(root: Path) -> None:
    shown = describe(DataSpec("eyes", root=str(root)))
    assert shown.counts == {"train": 16, "validation": 4, "test": 4}
    assert shown.class_counts == {"train": (8, 8), "validation": (2, 2), "test": (2, 2)}
    assert (shown.smallest, shown.largest, shown.size_kinds) == ((16, 16), (30, 31), 12)
    assert shown.depths == {"8-bit": 22, "16-bit": 2}
    assert (shown.channels, shown.made) == (3, ("validation", "test"))
    assert shown.command == f"lossgen evolve --data eyes --data-dir {root}"
    text = shown.lines()
    assert (
        text[0] == "eyes: 24 images, 12 sizes from 16 × 16 to 30 × 31 pixels, colour, 8-bit (22), 16-bit (2), 2 classes"
    )
    assert text[-2] == f"Next: {shown.command}"
    assert text[-1] == f"  or: lossgen augment {root / 'eyes'} (whether synthetic images help a classifier)"
    assert len({len(line) for line in text[3:7]}) == 1  # the columns of the table line up


def test_describe_finds_what_is_wrong(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (20, 8, 8), dtype=np.uint8)
    images[3] = images[2]
    images[7] = 9
    labels = np.arange(20) % 2
    np.savez(
        tmp_path / "x.npz",
        train_images=images,
        train_labels=labels,
        val_images=images[[5, 2]],
        val_labels=labels[[5, 2]],
        test_images=255 - images,
        test_labels=labels,
    )
    shown = describe(DataSpec(str(tmp_path / "x.npz")))
    assert shown.duplicates_within == {"train": 1, "validation": 0, "test": 1}
    assert shown.duplicates_across == {("train", "validation"): 2}
    assert shown.constant == ("train, image 7", "test, image 7")
    assert shown.conflicts == 5  # images 2 and 3 and the copy of 2 in validation; 2 and 3 of test
    assert any("another label" in note for note in shown.notes)


@pytest.mark.parametrize("labelled", [True, False])
def test_contact_sheet(root: Path, tmp_path: Path, labelled: bool) -> None:
    shown = describe(DataSpec("eyes" if labelled else "a", root=str(root)))
    shown.contact_sheet(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000
        assert len(np.unique(np.asarray(sheet.convert("L")))) > 50
    with pytest.raises(InputError, match=r"^contact sheet .*: cannot be written: "):
        shown.contact_sheet(tmp_path / "none" / "sheet.png")


def test_many_classes(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (200, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(200) % 50)
    shown = describe(DataSpec(str(tmp_path / "x.npz")))
    assert "… and 10 more classes" in shown.lines()
    shown.contact_sheet(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height < 3500
