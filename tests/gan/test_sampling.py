"""Fixed noise and labels, and the images of a model file, class-conditional or not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lossgen.errors import InputError
from lossgen.gan.files import read_dict, save_dict
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.sampling import CHUNK, fixed_labels, fixed_noise, generate, load_model, sample, save_model, to_bytes
from lossgen.gan.streams import Purpose, stream

MADE = {"loss": "BCE", "source": "", "steps": 10}
NAMES, COUNTS = ["cat", "dog", "eel", "yak"], [30, 50, 20, 0]
Model = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    def write(known: int = len(NAMES), name: str = "dcgan", **data: Any) -> Path:
        shape = Architecture(name, 8, 1, 4, 10, classes=known)
        net = initialise(shape.generator(), stream(7, Purpose.GENERATOR), std=0.2)
        path = tmp_path / f"{name}-{known}.model.pt"
        save_model(path, net, shape, (7, 1), {"classes": NAMES, "class_counts": COUNTS, **data}, MADE)
        return path

    return write


def test_labels_follow_the_frequencies_of_the_classes() -> None:
    labels = fixed_labels((3, 1), 10_000, COUNTS)
    assert labels.shape == (10_000, 4) and labels.dtype == torch.float32
    assert labels.sum(1).unique().tolist() == [1.0]
    shares = labels.mean(0).tolist()
    assert shares == pytest.approx([0.3, 0.5, 0.2, 0.0], abs=0.02) and shares[3] == 0.0
    assert fixed_labels(0, 500, [0, 1, 0]).sum(0).tolist() == [0, 500, 0]


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_the_first_labels_are_the_same_for_any_count(count: int) -> None:
    many = fixed_labels(5, 3 * CHUNK, COUNTS)
    assert fixed_labels(5, count, COUNTS).equal(many[:count])
    assert not fixed_labels(6, 3 * CHUNK, COUNTS).equal(many)


def test_labels_have_a_stream_of_their_own() -> None:
    before = torch.get_rng_state()
    noise = fixed_noise(5, 100, 8)
    fixed_labels(5, 100, COUNTS)
    assert fixed_noise(5, 100, 8).equal(noise) and torch.get_rng_state().equal(before)


@pytest.mark.parametrize("name", ["dcgan", "dcgan-autoencoder"])
def test_samples_are_of_the_fixed_noise_and_labels(name: str, model: Model) -> None:
    path = model(name=name)
    net, shape, content = load_model(path)
    assert shape.classes == 4 and content["data"]["class_counts"] == COUNTS
    images = sample(path, 70)
    noise, labels = fixed_noise((7, 1), 70, 10), fixed_labels((7, 1), 70, COUNTS)
    with torch.no_grad():
        expected = to_bytes(net.eval()(noise, labels))
    assert np.abs(images.astype(int) - expected.numpy()).max() <= 1  # another batch size rounds differently
    np.testing.assert_array_equal(sample(path, 5), images[:5])
    assert not np.array_equal(sample(path, 70, seed=2), images)


def test_one_class(model: Model) -> None:
    path = model()
    net, _, _ = load_model(path)
    dogs = sample(path, 5, of_class="dog")
    only = torch.eye(4)[1].expand(5, -1)
    np.testing.assert_array_equal(dogs, generate(net, fixed_noise((7, 1), 5, 10), only).numpy())
    mixed, drawn = sample(path, 5), fixed_labels((7, 1), 5, COUNTS).argmax(1)
    assert [bool((mixed[i] == dogs[i]).all()) for i in range(5)] == [int(label) == 1 for label in drawn]


def test_classes_that_cannot_be_drawn(model: Model) -> None:
    path = model()
    with pytest.raises(InputError, match=r"class 'cow' is none of .*; its classes are: cat, dog, eel, yak"):
        sample(path, 4, of_class="cow")
    with pytest.raises(InputError, match="no image of class 'yak'"):
        sample(path, 4, of_class="yak")
    with pytest.raises(InputError, match="not a class-conditional generator"):
        sample(model(known=0), 4, of_class="cat")


def test_an_unconditional_model_draws_what_it_always_drew(model: Model) -> None:
    """The class counts of its data are there, and mean nothing to it."""
    path = model(known=0)
    net, _, _ = load_model(path)
    expected = generate(net, fixed_noise((7, 1), 20, 10)).numpy()
    np.testing.assert_array_equal(sample(path, 20), expected)


def test_a_model_of_before_there_were_labels(model: Model, tmp_path: Path) -> None:
    new = model(known=0)
    content = read_dict(new, "lossgen generator")
    for field in ("classes", "spectral_norm"):
        del content["architecture"][field]
    content["data"] = {"digest": "bars"}
    save_dict(tmp_path / "old.model.pt", content)
    np.testing.assert_array_equal(sample(tmp_path / "old.model.pt", 5), sample(new, 5))


@pytest.mark.parametrize(
    "damage",
    [{"classes": None}, {"class_counts": None}, {"classes": ["cat"]}, {"class_counts": [1]}, {"class_counts": [0] * 4}],
)
def test_a_conditional_model_without_its_classes(damage: dict[str, Any], model: Model) -> None:
    path = model(**damage)
    with pytest.raises(InputError, match=r"dcgan-4.*the file is damaged"):
        sample(path, 4)
