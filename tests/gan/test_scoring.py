"""Two sets of images, scored: which of them are compared, by what, and what is said of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lossgen
from lossgen.errors import InputError
from lossgen.gan import scoring
from lossgen.gan.extractors import Extractor, module_extractor
from lossgen.gan.features import TRAINING
from lossgen.gan.kernel_distance import kernel_distance
from lossgen.gan.metrics import frechet_distance, moments
from lossgen.gan.neighbours import neighbourhoods
from lossgen.gan.scoring import score


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setitem(TRAINING, "steps", 30)
    monkeypatch.chdir(tmp_path)


def bars(count: int, seed: int = 0, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, size, size) of a bright bar, upright or lying, and which."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, size, size), dtype=np.uint8)
    labels = random.integers(0, 2, count)
    for image, label, place in zip(images, labels, random.integers(0, size, count)):
        image[(slice(None), place) if label else place] = 230
    return images, labels


def saved(name: str, images: np.ndarray, **more: np.ndarray) -> str:
    np.savez(name, images=images, **more)
    return name


class Pooled(nn.Module):
    """The mean of each quarter of an image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)


def pooled() -> Extractor:
    return module_extractor("pooled", Pooled())


def test_metrics_are_those_of_the_features() -> None:
    (real, _), (fake, _) = bars(60), bars(50, 1)
    found = lossgen.score(saved("real.npz", real), saved("fake.npz", fake), extractor=pooled(), seed=3, k=4)
    x, y = (Pooled()(torch.from_numpy(images)[:, None]).numpy() for images in (real, fake))
    assert found.metrics["FD[pooled]"] == pytest.approx(frechet_distance(moments(x), moments(y)))
    assert found.metrics["KID[pooled]"] == kernel_distance(x, y, seed=3).mean
    near = {f"{name}[pooled]": value for name, value in vars(neighbourhoods(x, y, 4)).items()}
    assert {name: found.metrics[name] for name in near} == near
    assert "FD∞[pooled]" in found.metrics
    assert (found.real.count, found.fake.count) == (60, 50)


def test_a_classifier_is_not_trained_on_what_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = bars(180)
    seen: list[Any] = []
    load = scoring.load_extractor
    monkeypatch.setattr(scoring, "load_extractor", lambda data, *rest: seen.append(data) or load(data, *rest))
    found = score(saved("real.npz", images, labels=labels), saved("fake.npz", bars(40, 1)[0]))
    (data,) = seen
    trained, compared = ({image.tobytes() for image in part.images} for part in (data.train, data.test))
    assert not trained & compared and len(trained | compared) == 180
    assert found.real.count == len(data.test) == 60
    assert "trained on the other 120" in found.real.part
    assert found.extractor.kind == "classifier" and found.extractor.accuracy is not None


def test_a_test_split_is_what_is_compared() -> None:
    images, labels = bars(150)
    test, theirs = bars(30, 2)
    real = "real.npz"
    np.savez(real, train_images=images, train_labels=labels, test_images=test, test_labels=theirs)
    fake = saved("fake.npz", bars(40, 1)[0])
    found = score(real, fake)
    assert found.real.count == 30 and found.real.part == "its test split; the classifier is trained on train"
    assert score(real, fake, extractor="random").real.part == "its test split"
    assert score(fake, real, extractor="random").fake.count == 180, "all that is generated counts"


def test_without_labels_or_with_few() -> None:
    images, labels = bars(60)
    fake = saved("fake.npz", bars(40, 1)[0])
    bare = score(saved("bare.npz", images), fake)
    assert bare.extractor.kind == "random" and "no labels" in "\n".join(bare.lines())
    few = score(saved("few.npz", images, labels=labels), fake)
    assert few.extractor.kind == "random" and "60 images with labels are too few" in "\n".join(few.lines())
    assert few.real.count == 60
    asked = score("few.npz", fake, extractor="classifier")
    assert asked.extractor.kind == "classifier" and asked.real.count == 20


def test_numpys_own_names() -> None:
    np.savez("fake.npz", bars(40, 1)[0])
    assert score(saved("real.npz", bars(40)[0]), "fake.npz", extractor=pooled()).fake.count == 40


def test_sizes_are_made_alike_and_said() -> None:
    Path("real").mkdir()
    for number, image in enumerate(bars(20, size=24)[0]):
        Image.fromarray(image).save(f"real/{number}.png")
    found = score("real", saved("fake.npz", bars(20, 1)[0]), extractor=pooled())
    assert found.size == 8
    assert any("REAL: 20 of 20 images resized to 8 × 8 pixels" in note for note in found.notes)
    assert not any("FAKE:" in note for note in found.notes)
    larger = score("real", "fake.npz", extractor=pooled(), image_size=16)
    assert larger.size == 16 and any("FAKE: 20 of 20" in n and "20 of them enlarged" in n for n in larger.notes)
    assert score("real", saved("wide.npz", bars(20, size=80)[0]), extractor="random").size == 24
    assert score("wide.npz", saved("other.npz", bars(20, 1, 80)[0]), extractor="random").size == 64
    assert score("wide.npz", "other.npz", extractor=pooled()).size == 80


def test_copies_are_said() -> None:
    images, _ = bars(40)
    fakes = bars(30, 1)[0]
    fakes[:3], fakes[4] = images[:3], fakes[5]
    notes = score(saved("real.npz", images), saved("fake.npz", fakes), extractor=pooled()).notes
    assert any("3 of the 30 images of FAKE are in REAL" in note for note in notes)
    assert any("1 of the 30 images of FAKE repeats another" in note for note in notes)


def test_repeatable_and_by_seed() -> None:
    images, labels = bars(180)
    real, fake = saved("real.npz", images, labels=labels), saved("fake.npz", bars(40, 1)[0])
    first = score(real, fake)
    assert first.metrics == score(real, fake).metrics
    assert first.extractor.digest != score(real, fake, seed=1).extractor.digest


def test_lines_and_json() -> None:
    found = score(saved("real.npz", bars(40)[0]), saved("fake.npz", bars(30, 1)[0]), extractor="random")
    lines = found.lines()
    for name, value in found.metrics.items():
        (row,) = [line for line in lines if line.startswith(name + " ")]
        assert f"{value:.4g}" in row and " 40 " in row and " 30 " in row
    text = "\n".join(lines)
    assert found.extractor.digest in text and "no FID" in text and "Lanczos" not in text
    assert "FD∞[random] is left out: it takes at least 256 images" in text
    assert "40 images of REAL and 30 images of FAKE are no more than the 64 features" in text
    record = json.loads(json.dumps(found.as_json()))
    assert record["metrics"] == found.metrics and record["schema"] == 1
    assert record["real"] == {"name": "real.npz", "part": "all of it", "count": 40}
    assert record["extractor"]["digest"] == found.extractor.digest


def test_only_the_network_of_2015_gives_fid() -> None:
    standard = replace(pooled(), kind="inception", standard=True, resize="to 299 × 299")
    found = score(saved("real.npz", bars(40)[0]), saved("fake.npz", bars(30, 1)[0]), extractor=standard)
    assert list(found.metrics)[:3] == ["FID", "FID∞", "KID"]
    text = "\n".join(found.lines())
    assert "published ones included" in text and "then resized to 299 × 299" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"extractor": "clip"}, "extractor clip: unknown"),
        ({"fit": "squeeze"}, "fit squeeze: unknown"),
        ({"k": 0}, "k and the image size"),
        ({"k": 40}, "REAL real.npz gives 40 images to compare, and neighbourhoods of k = 40 take at least 41"),
        ({"seed": -1}, "the seed 0 or more"),
        ({"device": "toaster"}, "device 'toaster'"),
        ({"weights": "w.pth"}, r"weights w\.pth: belong to the extractor inception"),
        ({"extractor": "classifier"}, "cannot be trained, for the images have no labels"),
    ],
)
def test_nonsense(options: dict[str, Any], said: str) -> None:
    real, fake = saved("real.npz", bars(40)[0]), saved("fake.npz", bars(50, 1)[0])
    with pytest.raises(InputError, match=said):
        score(real, fake, **options)


def test_sets_that_cannot_be_compared() -> None:
    grey = saved("grey.npz", bars(40)[0])
    Path("link.npz").symlink_to("grey.npz")
    for same in (grey, "./grey.npz", "link.npz"):
        with pytest.raises(InputError, match=r"REAL and FAKE are both grey\.npz"):
            score(grey, same)
    colour = saved("colour.npz", np.random.default_rng(0).integers(0, 255, (40, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"grey\.npz is grey and colour\.npz is in colour"):
        score(grey, colour)
    with pytest.raises(InputError, match=r"colour\.npz is in colour and grey\.npz is grey"):
        score(colour, grey)
    with pytest.raises(InputError, match=r"FAKE few\.npz gives 5 images"):
        score(grey, saved("few.npz", bars(5)[0]))
