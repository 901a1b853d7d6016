"""The choice of an extractor, and the judge."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lossgen.errors import InputError
from lossgen.gan import features
from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.extractors import module_extractor
from lossgen.gan.extrapolation import extrapolated_distance
from lossgen.gan.features import Judge, load_extractor
from lossgen.gan.kernel_distance import kernel_distance
from lossgen.gan.neighbours import neighbourhoods

Build = Callable[..., Dataset]


class Pooled(nn.Module):
    """Four features: the mean of each quarter of an image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)


def pooled(images: torch.Tensor) -> np.ndarray:
    return Pooled()(images).numpy()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setitem(features.TRAINING, "steps", 40)


def test_random_without_labels(dataset: Build) -> None:
    data = dataset(labelled=False)
    extractor = load_extractor(data)
    assert extractor.kind == "random" and extractor.accuracy is None
    assert "no labels" in extractor.description()
    judge = Judge(data, extractor, 96)
    assert list(judge(torch.from_numpy(data.train.images[:96]))) == ["FD[random]", "FD[random] test"]


@pytest.mark.parametrize("labelled", [True, False])
def test_judge_tells_real_from_noise(dataset: Build, labelled: bool) -> None:
    data = dataset(labelled=labelled)
    judge = Judge(data, load_extractor(data), 96)
    noise = torch.randint(0, 256, (96, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    real, fake = judge(torch.from_numpy(data.train.images[:96])), judge(noise)
    assert all(fake[name] > 4 * real[name] for name in real)


def test_protocol_names_what_a_distance_depends_on(dataset: Build) -> None:
    data = dataset()
    protocol = Judge(data, load_extractor(data), 96).protocol()
    assert protocol["n_generated"] == 96 and protocol["n_reference"] == {"validation": 96, "test": 96}
    assert protocol["metric"] == "FD[classifier]" and len(protocol["extractor"]) == 16
    assert protocol["k"] == 5 and protocol["kid"] == {"subset": 96, "subsets": 100} and protocol["features"] == 64


def test_full_is_the_metrics_against_the_test_split(dataset: Build) -> None:
    data = dataset()
    judge = Judge(data, module_extractor("pooled", Pooled()), 90)
    images = torch.from_numpy(data.train.images[:90])
    real, fake = (pooled(x) for x in (torch.from_numpy(data.test.images), images))
    near = neighbourhoods(real, fake, 5)
    expected = {
        "FD∞": extrapolated_distance(real, fake, 0), "KID": kernel_distance(real, fake, 0).mean, **vars(near),
    }  # fmt: skip
    assert judge.full(images) == {f"{name}[pooled] test": value for name, value in expected.items()}
    assert judge.full(images) == judge.full(images)
    assert not set(judge.full(images)) & set(judge(images))


def test_full_leaves_out_what_few_images_do_not_allow(dataset: Build) -> None:
    data = dataset()
    few = replace(data, test=ImageSet(data.test.images[:5], None))
    judge = Judge(few, module_extractor("pooled", Pooled()), 90)
    assert list(judge.full(torch.from_numpy(data.train.images[:90]))) == ["KID[pooled] test"]


def test_full_moves_no_global_stream(dataset: Build) -> None:
    data = dataset()
    judge = Judge(data, module_extractor("pooled", Pooled()), 90)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    judge.full(torch.from_numpy(data.train.images[:90]))
    assert torch.equal(before, torch.get_rng_state())


def test_kinds_that_are_asked_for(dataset: Build) -> None:
    data = dataset()
    assert load_extractor(data, "classifier").digest == load_extractor(data).digest
    chosen = load_extractor(data, "random")
    assert chosen.kind == "random" and "asked for" in chosen.description()
    with pytest.raises(InputError, match="extractor nosuch: unknown; choose one of classifier, inception, random"):
        load_extractor(data, "nosuch")
    with pytest.raises(InputError, match="cannot be trained, for the images have no labels; choose random"):
        load_extractor(dataset(labelled=False), "classifier")
    with pytest.raises(InputError, match=r"weights w\.pth: belong to the extractor inception"):
        load_extractor(data, "random", weights="w.pth")


def test_one_class_is_no_class(dataset: Build) -> None:
    data = dataset()
    one = ImageSet(data.train.images, np.zeros(len(data.train), np.int64))
    assert "all of one class" in load_extractor(replace(data, train=one, classes=("all",))).description()


def test_few_images_are_said(dataset: Build) -> None:
    data = dataset(labelled=False)
    assert "singular" not in load_extractor(data).description()
    few = replace(data, validation=ImageSet(data.validation.images[:40], None), digest="few")
    extractor = load_extractor(few)
    said = extractor.description()
    assert "40 images of validation are no more than the 64 features" in said
    assert "KID[random] is unbiased" in said
    assert "30 images of the generator" in Judge(few, extractor, 30).description()
