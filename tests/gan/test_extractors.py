"""Networks of one's own as extractors, and what metrics are called."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lossgen.errors import InputError
from lossgen.gan.extractors import few_images, module_extractor, weights_digest

IMAGES = torch.arange(5 * 3 * 4 * 4, dtype=torch.uint8).reshape(5, 3, 4, 4)


class Linear(nn.Module):
    """Six features, by weights."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((48, 6), value))
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8
        self.modes.append(self.training)
        return images.float().flatten(1) @ self.weight


def test_a_module() -> None:
    net = Linear()
    extractor = replace(module_extractor("mine", net), chunk=2)
    found = extractor.features(IMAGES)
    np.testing.assert_array_equal(found, IMAGES.float().flatten(1).sum(1, keepdim=True).expand(-1, 6))
    assert net.modes == [False] * 3, "in evaluation mode, in chunks of two"
    assert (
        extractor.digest == module_extractor("other", Linear()).digest != module_extractor("mine", Linear(2.0)).digest
    )
    assert extractor.title("FD") == "FD[mine]" and "the network Linear" in extractor.description()


class Gives(nn.Module):
    """What it was made with, whatever the images."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def forward(self, images: torch.Tensor) -> Any:
        return self.what


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (torch.zeros(5, 3, 2), r"gives \(5, 3, 2\) for 5 images; it must give \(N, d\)"),
        (torch.zeros(4, 3), r"gives \(4, 3\) for 5 images"),
        (torch.zeros(5, 0), r"gives \(5, 0\) for 5 images"),
        ((torch.zeros(5, 3),), "gives tuple for 5 images"),
        (torch.tensor([[0.0], [1], [torch.nan], [1], [torch.inf]]), "features of 2 images are NaN or infinite"),
    ],
)
def test_modules_that_give_something_else(what: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"extractor mine: .*{said}"):
        module_extractor("mine", Gives(what)).features(IMAGES)


def test_half_precision_is_widened() -> None:
    assert module_extractor("mine", Gives(torch.ones(5, 3, dtype=torch.bfloat16))).features(IMAGES).dtype == np.float32
    assert module_extractor("mine", Gives(torch.ones(5, 3, dtype=torch.float64))).features(IMAGES).dtype == np.float64


@pytest.mark.parametrize("name", ["", "classifier", "Inception", "FID", "a b", "x]"])
def test_names_that_would_mislead(name: str) -> None:
    with pytest.raises(InputError, match="cannot be called so"):
        module_extractor(name, Linear())


def test_no_module() -> None:
    with pytest.raises(InputError, match="function is no torch"):
        module_extractor("mine", lambda images: images)  # type: ignore[arg-type]


def test_only_the_network_of_2015_is_called_fid() -> None:
    own = replace(module_extractor("mine", Linear()), kind="inception")
    assert [own.title(name) for name in ("FD", "FD∞", "KID", "recall")] == [
        "FD[inception]", "FD∞[inception]", "KID[inception]", "recall[inception]"
    ]  # fmt: skip
    standard = replace(own, standard=True)
    assert [standard.title(name) for name in ("FD", "FD∞", "KID", "recall")] == [
        "FID", "FID∞", "KID", "recall[inception]"
    ]  # fmt: skip


def test_digest_of_every_kind_of_weight() -> None:
    weights = {"a": torch.zeros(()), "b": torch.ones(3, 2).T, "c": torch.zeros(2, dtype=torch.bfloat16)}
    assert len(weights_digest(weights)) == 64
    assert weights_digest(weights) == weights_digest({**weights, "b": weights["b"].contiguous()})
    assert weights_digest(weights) != weights_digest({**weights, "c": torch.ones(2, dtype=torch.bfloat16)})


def test_few_images() -> None:
    extractor = replace(module_extractor("mine", Linear()), dimension=6)
    assert few_images(extractor, {"test": 7}) == ""
    assert few_images(extractor, {"test": 6, "validation": 1, "train": 9}).startswith(
        "6 images of test and 1 image of validation are no more than the 6 features: FD[mine] is"
    )
