"""The small extractors: trained once, found again, made again when damaged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lossgen.errors import InputError
from lossgen.gan import small_extractors
from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.features import load_extractor

Build = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path))
    monkeypatch.setitem(small_extractors.TRAINING, "steps", 40)
    return tmp_path / "extractors"


def stored(cache: Path) -> Path:
    (path,) = cache.glob("*.pt")
    return path


def test_learns_classes_and_is_found_again(dataset: Build, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset()
    first = load_extractor(data)
    assert first.kind == "classifier"
    assert first.accuracy is not None and first.accuracy > 0.9
    assert f"{first.accuracy:.1%}" in first.description()
    monkeypatch.setattr(small_extractors, "_make", lambda *_: pytest.fail("trained again"))
    again = load_extractor(data)
    assert (again.digest, again.accuracy) == (first.digest, first.accuracy)
    images = torch.from_numpy(data.test.images)
    np.testing.assert_array_equal(first.features(images), again.features(images))


def test_a_network_that_another_torch_describes_otherwise_is_found_again(
    dataset: Build, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_extractor(dataset())
    monkeypatch.setattr(torch.nn.BatchNorm2d, "extra_repr", lambda _: "as of another version")
    monkeypatch.setattr(small_extractors, "_make", lambda *_: pytest.fail("trained again"))
    assert load_extractor(dataset()).digest == first.digest


def test_same_training_same_weights(dataset: Build, cache: Path) -> None:
    first = load_extractor(dataset())
    stored(cache).unlink()
    torch.manual_seed(1)
    assert load_extractor(dataset()).digest == first.digest


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped", "foreign"])
def test_damaged_file_is_made_again(dataset: Build, cache: Path, damage: str) -> None:
    first = load_extractor(dataset())
    path = stored(cache)
    content = path.read_bytes()
    if damage == "foreign":
        torch.save({"schema": 1, "kind": small_extractors.KIND, "key": "another"}, path)
    elif damage == "flipped":
        changed = torch.load(path, weights_only=True)
        changed["weights"]["embed.0.bias"][0] += 1
        torch.save(changed, path)
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"hello\n"}[damage])
    assert load_extractor(dataset()).digest == first.digest
    assert torch.load(path, weights_only=True)["digest"].startswith(first.digest)


def textures(count: int, seed: int, off: int = 0) -> ImageSet:
    """Noise of 16 × 16 pixels with one of four textures in it, which is the class, `off` pixels from the middle."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 1, 16, 16)).astype(np.uint8)
    labels = np.arange(count) % 4
    place = slice(4 + off, 12 + off)
    images[:, :, place, place] = np.random.default_rng(9).integers(0, 2, (4, 1, 8, 8))[labels] * 255
    return ImageSet(images, labels)


@pytest.mark.parametrize(("from_", "least", "most"), [(16, 0.95, 1.0), (17, 0.0, 0.5)])
def test_larger_images_are_moved(
    cache: Path, monkeypatch: pytest.MonkeyPatch, from_: int, least: float, most: float
) -> None:
    """A class that was only ever seen in the middle is known elsewhere too, and is not where images are not moved."""
    monkeypatch.setitem(small_extractors.MOVED, "from", from_)
    splits = textures(256, 0), textures(96, 1), textures(96, 2, off=2)
    data = Dataset("textures", *splits, classes=tuple("abcd"), digest="textures", notes=())
    accuracy = load_extractor(data, "classifier").accuracy
    assert accuracy is not None and least <= accuracy <= most


def test_another_data_set_another_file(dataset: Build, cache: Path) -> None:
    load_extractor(dataset())
    load_extractor(dataset(channels=3))
    assert len(list(cache.glob("*.pt"))) == 2


def test_cache_folder_that_cannot_be_made(dataset: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="LOSSGEN_CACHE"):
        load_extractor(dataset())
