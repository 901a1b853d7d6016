"""What each arm's classifier is given, and that arms differ in nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossgen.errors import InputError
from lossgen.gan.data import Dataset
from lossgen.gan.downstream import arms
from lossgen.gan.downstream.arms import PLAIN, SYNTHETIC, Arm, minority, missing, train_arm
from lossgen.gan.downstream.classifiers import Recipe, fit, log_probabilities
from lossgen.gan.downstream.moves import moved
from lossgen.gan.downstream.rates import rates
from lossgen.gan.streams import stream

LABELS = np.array([0] * 40 + [1] * 12 + [2] * 7)


def given_to(monkeypatch: pytest.MonkeyPatch, arm: Arm, ratio: float = 1.0, **more: Any) -> dict[str, Any]:
    """What `fit` was called with; the images are numbered."""
    seen: dict[str, Any] = {}

    def remember(
        recipe: Recipe, images: Tensor, labels: Tensor, seed: Any, classes: int, weights: Any, augmented: bool
    ) -> Any:
        seen.update(images=images, labels=labels.numpy(), weights=weights, augmented=augmented)
        return torch.nn.Identity()

    monkeypatch.setattr(arms, "fit", remember)
    images = torch.arange(len(LABELS), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    train_arm(arm, Recipe(), images, torch.from_numpy(LABELS), 3, ratio, (0,), **more)
    return seen


def test_classes_are_filled_up_to_a_share_of_the_largest() -> None:
    assert missing(LABELS, 3, 1.0).tolist() == [0, 28, 33]
    assert missing(LABELS, 3, 0.25).tolist() == [0, 0, 3]
    assert minority(LABELS, "abc", 1.0) == [1, 2] and minority(LABELS, "abc", 0.25) == [2]
    with pytest.raises(
        InputError, match=r"no class has fewer than 0.1 of the largest .40 a, 12 b, 7 c.*; give a larger --ratio"
    ):
        minority(LABELS, "abc", 0.1)


def test_plain_arms_see_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {arm.name: given_to(monkeypatch, arm) for arm in PLAIN}
    for name in ("real only", "class weights", "augmentation"):
        assert (seen[name]["labels"] == LABELS).all()
    assert {name for name, each in seen.items() if each["augmented"]} == {
        "augmentation", "oversampling with augmentation"
    }  # fmt: skip
    weights = seen["class weights"]["weights"].numpy()
    assert np.allclose(weights * np.bincount(LABELS), len(LABELS) / 3)
    assert all(each["weights"] is None for name, each in seen.items() if name != "class weights")


def test_oversampling_repeats_each_image_about_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = given_to(monkeypatch, PLAIN[2])
    assert np.bincount(seen["labels"]).tolist() == [40, 40, 40]
    times = np.bincount(seen["images"][:, 0, 0, 0].numpy())
    assert set(times[:40]) == {1} and set(times[40:52]) == {3, 4} and set(times[52:]) == {5, 6}
    assert (LABELS[seen["images"][:, 0, 0, 0].numpy()] == seen["labels"]).all()


def test_synthetic_images_fill_up_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {label: torch.full((50, 1, 8, 8), 200 + label, dtype=torch.uint8) for label in (1, 2)}
    for arm in SYNTHETIC:
        seen = given_to(monkeypatch, arm, generated=made)
        assert np.bincount(seen["labels"]).tolist() == [40, 40, 40] and seen["augmented"] is arm.augmented
        new = seen["images"][len(LABELS) :, 0, 0, 0].numpy()
        assert (new == 200 + seen["labels"][len(LABELS) :]).all()
    half = given_to(monkeypatch, SYNTHETIC[0], ratio=0.5, generated=made)
    assert np.bincount(half["labels"]).tolist() == [40, 20, 20]


def test_classifiers_learn_and_depend_on_their_seed_alone(dataset: Callable[..., Dataset]) -> None:
    data = dataset()
    images, labels = torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
    test = torch.from_numpy(data.test.images)
    torch.manual_seed(1)
    recipe = Recipe(steps=60)
    one = log_probabilities(fit(recipe, images, labels, (3,), 2), test)
    torch.manual_seed(2)
    two = log_probabilities(fit(recipe, images, labels, (3,), 2), test)
    other = log_probabilities(fit(recipe, images, labels, (4,), 2), test)
    assert (one == two).all() and not np.allclose(one, other)
    assert data.test.labels is not None
    assert rates(one, data.test.labels).balanced_accuracy > 0.9
    assert np.allclose(np.exp(one).sum(1), 1, atol=1e-5)


def test_a_weighted_class_is_found_more_often(dataset: Callable[..., Dataset]) -> None:
    """Where four labels of ten are wrong, an eightfold weight decides."""
    data = dataset()
    assert data.train.labels is not None
    flipped = np.random.default_rng(0).random(len(data.train)) < 0.4
    images, labels = torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels ^ flipped)
    test, truth = torch.from_numpy(data.test.images), data.test.labels
    assert truth is not None
    found = [
        rates(log_probabilities(fit(Recipe(steps=40), images, labels, (0,), 2, weights), test), truth).recall
        for weights in (torch.tensor([1.0, 8.0]), torch.tensor([8.0, 1.0]))
    ]
    assert found[0][1] > 0.9 > 0.5 > found[1][1] and found[0][0] < 0.5 < 0.9 < found[1][0]


def test_resnet_has_a_stem_for_small_images_and_takes_torchvisions_weights(tmp_path: Any) -> None:
    from torchvision.models import resnet18

    net = Recipe("resnet18").build(28, 1, 3, (0,))
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    assert net.conv1.weight.shape == (64, 1, 3, 3)  # type: ignore[union-attr]
    file = tmp_path / "resnet.pth"
    theirs = resnet18().state_dict()
    torch.save(theirs, file)
    for channels in (1, 3):
        loaded = Recipe("resnet18", pretrained=str(file)).build(28, channels, 3, (0,)).state_dict()
        assert torch.equal(loaded["layer4.1.conv2.weight"], theirs["layer4.1.conv2.weight"])
        stem = theirs["conv1.weight"][:, :, 2:5, 2:5]
        assert torch.equal(loaded["conv1.weight"], stem.sum(1, keepdim=True) if channels == 1 else stem)
    torch.save({"conv1.weight": theirs["conv1.weight"]}, file)
    for content in (file, tmp_path / "none.pth"):
        with pytest.raises(InputError, match="--pretrained"):
            Recipe("resnet18", pretrained=str(content)).build(28, 1, 3, (0,))


def test_images_are_moved_a_little_each_by_itself_and_never_mirrored_unasked() -> None:
    ramp = torch.linspace(-0.5, 0.5, 16).expand(64, 1, 16, 16)  # bright to the right
    found = moved(ramp, stream(0, 0))
    assert found.shape == ramp.shape and len({float(image.sum()) for image in found}) == 64
    slope = found[:, 0, :, 12:].mean((1, 2)) - found[:, 0, :, :4].mean((1, 2))
    assert (slope > 0).all()
    mirrored = moved(ramp, stream(0, 0), mirror=True)
    other = mirrored[:, 0, :, 12:].mean((1, 2)) - mirrored[:, 0, :, :4].mean((1, 2))
    assert 16 < int((other < 0).sum()) < 48
    assert torch.equal(moved(ramp, stream(0, 0)), found)
    even = moved(torch.zeros(32, 3, 8, 8), stream(1, 0))
    assert float(even.abs().max()) <= 0.2 + 1e-6 and float(even.flatten(1).std(1).max()) < 1e-6
