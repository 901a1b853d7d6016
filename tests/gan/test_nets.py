"""Shapes, ranges and initial weights of the networks."""

from itertools import pairwise

import pytest
import torch

from lossgen.errors import InputError
from lossgen.gan.nets import ARCHITECTURES, PLAIN, Architecture, initialise
from lossgen.gan.nets import classifier as classifiers
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.streams import stream

LABELLED = [name for name in ARCHITECTURES if name not in PLAIN]


@pytest.mark.parametrize("size", list(SIZES))
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


def test_an_architecture_of_before_there_were_labels() -> None:
    written = {"name": "dcgan", "size": 16, "channels": 3, "width": 16, "latent": 32, "normalisation": "group"}
    assert Architecture.from_dict(written) == Architecture("dcgan", 16, 3, 16, 32, "group", 0, False)


def test_channels_at_64_pixels_are_the_papers() -> None:
    """Radford et al. 2016, figure 1: 1024, 512, 256 and 128 channels."""
    weights = dict(Architecture("dcgan", 64, 3, 128, 100).generator().named_parameters())
    assert [shape for w in weights.values() if len(shape := tuple(w.shape)) == 4] == [
        (1024, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 4, 4),
    ]  # fmt: skip
    assert weights["layers.0.weight"].shape == (4 * 4 * 1024, 100)


def test_layers_of_the_autoencoder_are_the_published_ones() -> None:
    """The example of GANetic's authors: 32 pixels, 64 channels, 100 latent numbers."""
    weights = dict(Architecture("dcgan-autoencoder", 32, 3, 64, 100).generator().named_parameters())
    assert weights["layers.0.weight"].shape == (256 * 32 * 32, 100)
    assert [shape[:2] for w in weights.values() if len(shape := tuple(w.shape)) == 4] == [
        (3, 256), (64, 3), (128, 64), (128, 128), (256, 128),  # (to, from) of the convolutions
        (256, 256), (256, 128), (128, 128), (128, 64), (64, 3),  # (from, to) of the transposed ones
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if Architecture(name, 8, 1, 4, 10).noise])
@pytest.mark.parametrize("size", [8, 16, 32])
def test_the_latent_vector_arrives_at_the_image(name: str, size: int) -> None:
    """Small initial weights in many layers must not leave a generator that draws one image, whatever the noise."""
    shape = Architecture(name, size, 3, 4, 10)
    images = initialise(shape.generator(), stream(0, 0))(torch.randn(16, shape.noise))
    assert images.shape == (16, 3, size, size)
    assert 0.01 < images.std(dim=0).mean().item() < 2


def test_the_same_arguments_give_the_same_weights_as_ever() -> None:
    """The order of the draws is what makes a seed mean the same networks: a kept training goes on with them."""
    discriminator = initialise(Architecture("dcgan", 16, 1, 4, 10, "batch").discriminator(), stream(0, 1))
    expected = {
        "layers.0.weight": (4, 1, 4, 4), "layers.0.bias": 0.0, "layers.2.weight": (8, 4, 4, 4),
        "layers.3.weight": (8,), "layers.3.bias": 0.0, "score.weight": (1, 8 * 16), "score.bias": 0.0,
    }  # fmt: skip
    normal = stream(0, 1)
    found = dict(discriminator.named_parameters())
    assert list(found) == list(expected)
    for name, drawn in expected.items():
        if isinstance(drawn, float):
            assert not found[name].any()
        else:
            mean = 1.0 if len(drawn) == 1 else 0.0
            assert found[name].equal(torch.empty(drawn).normal_(mean, 0.02, generator=normal)), name


def test_labels_and_spectral_norm_leave_the_other_weights_as_they_are() -> None:
    plain, both = (
        initialise(Architecture("dcgan", 8, 1, 4, 10, "group", classes, norm).discriminator(), stream(0, 1))
        for classes, norm in ((0, False), (3, True))
    )
    found = {name.replace("parametrizations.", "").replace(".original", ""): w for name, w in both.named_parameters()}
    assert all(found[name].equal(weight) for name, weight in plain.named_parameters())
    assert set(found) - {name for name, _ in plain.named_parameters()} == {"projection.weight"}


@pytest.mark.parametrize("name", LABELLED)
def test_labels_reach_generator_and_discriminator(name: str) -> None:
    shape = Architecture(name, 8, 1, 4, 10, classes=3)
    generator = initialise(shape.generator(), stream(0, 0)).eval()
    latent = torch.randn(1, 10).expand(3, -1)
    images = generator(latent, torch.eye(3))
    assert all(not images[i].equal(images[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    between = generator(latent[:1], torch.tensor([[0.5, 0.5, 0.0]]))
    assert not between[0].equal(images[0]) and not between[0].equal(images[1])


def test_the_discriminator_projects() -> None:
    """Miyato & Koyama 2018, equation 3: the score is one of any class, and a product with what the last layer sees."""
    discriminator = initialise(Architecture("dcgan", 8, 1, 4, 10, classes=3).discriminator(), stream(0, 1), std=0.3)
    images, labels = torch.randn(5, 1, 8, 8), torch.eye(3)[[0, 2, 1, 1, 0]]
    hidden = discriminator.features(images)
    columns = discriminator.projection.weight[:, [0, 2, 1, 1, 0]].T
    expected = hidden @ discriminator.score.weight[0] + (columns * hidden).sum(1)
    torch.testing.assert_close(discriminator(images, labels), expected)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_that_do_not_fit(name: str) -> None:
    images = torch.zeros(4, 1, 8, 8)
    for classes in (0, 3):
        shape = Architecture(name, 8, 1, 4, 10, classes=classes)
        nets = [(initialise(shape.generator(), stream(0, 0)), torch.zeros(4, 10))]
        nets.append((initialise(shape.discriminator(), stream(0, 1)), images))
        for net, inputs in nets:
            if classes:
                with pytest.raises(TypeError, match=r"needs labels, of shape \(4, 3\)"):
                    net(inputs)
                with pytest.raises(ValueError, match=r"expected one-hot rows of shape \(4, 3\)"):
                    net(inputs, torch.zeros(4, 2))
            else:
                with pytest.raises(TypeError, match="takes no labels"):
                    net(inputs, torch.zeros(4, 3))
    with pytest.raises(InputError, match="at least two classes, not 1"):
        Architecture(name, 8, 1, 4, 10, classes=1).generator()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("asked", [{"classes": 3}, {"normalisation": "batch"}, {"spectral_norm": True}])
def test_what_some_networks_do_not_take(name: str, asked: dict[str, int | str]) -> None:
    with pytest.raises(InputError, match="take no normalisation, labels or spectral norm"):
        Architecture(name, 8, 1, 4, 10, **asked).discriminator()  # type: ignore[arg-type]


def test_unknown_size_and_normalisation() -> None:
    for name in ("progressive", "style"):
        with pytest.raises(InputError, match="4, 8, 16, 32, 64 pixels, not of 28"):
            Architecture(name, 28, 1, 4, 10).generator()
    with pytest.raises(InputError, match="8, 16, 28, 32, 48, 64 pixels, not of 17"):
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
