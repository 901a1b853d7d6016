"""Shapes, ranges and initial weights of the networks."""

from itertools import pairwise

import pytest
import torch

from lossgen.errors import InputError
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.nets import classifier as classifiers
from lossgen.gan.streams import stream


@pytest.mark.parametrize("size", [8, 16, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("normalisation", ["none", "batch", "group"])
def test_shapes(size: int, channels: int, normalisation: str) -> None:
    shape = Architecture("dcgan", size, channels, width=4, latent=10, normalisation=normalisation)
    generator = initialise(shape.generator(), stream(0, 0))
    discriminator = initialise(shape.discriminator(), stream(0, 1))
    images = generator(torch.randn(5, 10))
    assert images.shape == (5, channels, size, size)
    assert images.abs().max() <= 1
    scores = discriminator(images)
    assert scores.shape == (5,)
    assert discriminator.score(discriminator.features(images)).flatten().equal(scores) or normalisation == "batch"


def test_scores_are_raw() -> None:
    shape = Architecture("dcgan", 8, 1, 4, 10)
    discriminator = initialise(shape.discriminator(), stream(0, 1), std=1.0)
    scores = discriminator(torch.randn(64, 1, 8, 8))
    assert scores.min() < -1 and scores.max() > 1


def test_no_bias_before_a_normalisation() -> None:
    shape = Architecture("dcgan", 32, 3, 4, 10, "group")
    for net in (shape.generator(), shape.discriminator()):
        layers = list(net.layers)
        for layer, after in pairwise(layers):
            if isinstance(after, (torch.nn.BatchNorm2d, torch.nn.GroupNorm)):
                assert getattr(layer, "bias", None) is None


def test_initial_weights_come_from_the_seed_and_leave_the_global_stream_alone() -> None:
    shape = Architecture("dcgan", 16, 1, 16, 32)
    before = torch.get_rng_state()
    first, again, other = (initialise(shape.generator(), stream(seed, 0)).state_dict() for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    assert all(first[name].equal(again[name]) for name in first)
    weight = "layers.0.weight"
    assert not first[weight].equal(other[weight])
    assert first[weight].std().item() == pytest.approx(0.02, rel=0.05)
    assert first[weight].mean().item() == pytest.approx(0, abs=0.001)


def test_architecture_goes_through_plain_values() -> None:
    shape = Architecture("dcgan", 16, 3, 16, 32, "group")
    assert Architecture.from_dict(shape.to_dict()) == shape
    with pytest.raises(InputError, match="unknown"):
        Architecture.from_dict({**shape.to_dict(), "name": "transformer"})
    with pytest.raises(InputError, match="not an architecture"):
        Architecture.from_dict({"name": "dcgan"})


def test_unknown_size_and_normalisation() -> None:
    with pytest.raises(InputError, match="8, 16, 28, 32 pixels, not of 17"):
        Architecture("dcgan", 17, 1, 4, 10).generator()
    with pytest.raises(InputError, match="none, batch, group"):
        Architecture("dcgan", 16, 1, 4, 10, "layer").discriminator()


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_classifier(size: int, channels: int) -> None:
    with torch.device("meta"):
        empty = classifiers.Classifier(size, channels, classes=7)
    net = classifiers.initialise(empty, stream(0, 0))
    images = torch.rand(6, channels, size, size)
    assert net(images).shape == (6, 7)
    features = net.features(images)
    assert features.shape == (6, classifiers.FEATURES)
    assert features.std(dim=0).mean().item() == pytest.approx(1, rel=0.15)
