"""Progressive networks: fading in, equalised learning rates, the minibatch's deviation, and growing in a training."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.gan.growth import Growth
from lossgen.gan.members import Task, train
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.nets.equalised import GROUP, EqualisedConv2d, EqualisedLinear, MinibatchDeviation, channels_at
from lossgen.gan.nets.progressive import Grown, doubled, halved, shrunk
from lossgen.gan.sampling import load_model, sample
from lossgen.gan.setting import Setting
from lossgen.gan.streams import stream
from lossgen.gan.training import Training
from lossgen.runner import Budget, Member

Written = Callable[..., str]
SHAPE = Architecture("progressive", 32, 3, 4, 10)


def nets(grown: Grown | None = None) -> tuple[nn.Module, nn.Module]:
    shape = dataclasses.replace(SHAPE, grown=grown)
    return initialise(shape.generator(), stream(0, 0)), initialise(shape.discriminator(), stream(0, 1))


def images_of(side: int, count: int = 4) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("doublings", range(4))
def test_in_training_the_side_that_it_has_grown_to_and_in_evaluation_the_full_one(doublings: int) -> None:
    generator, discriminator = nets(Grown(doublings))
    small = generator(torch.randn(4, 10))
    assert small.shape[-1] == 4 << doublings and discriminator(small).shape == (4,)
    latent = torch.randn(4, 10)
    full = generator.eval()(latent)
    assert full.shape == (4, 3, 32, 32)
    assert F.avg_pool2d(full, 8 >> doublings).allclose(generator.train()(latent), atol=1e-6)


@pytest.mark.parametrize("doublings", [1, 2, 3])
def test_at_the_edges_of_fading_in_the_networks_are_the_coarse_and_the_fine_one(doublings: int) -> None:
    latent = torch.randn(4, 10)
    coarse, fine = nets(Grown(doublings - 1)), nets(Grown(doublings))
    first, last = nets(Grown(doublings, 0.0)), nets(Grown(doublings, 1.0))
    half = nets(Grown(doublings, 0.5))[0](latent)
    assert first[0](latent).equal(doubled(coarse[0](latent)))
    assert last[0](latent).equal(fine[0](latent))
    torch.testing.assert_close(half, 0.5 * (first[0](latent) + last[0](latent)))
    images = images_of(4 << doublings)
    torch.testing.assert_close(first[1](images), coarse[1](halved(images)))
    assert last[1](images).equal(fine[1](images))


def test_real_images_fade_as_the_generators_do() -> None:
    images = images_of(32)
    assert shrunk(images, Grown(3)).equal(images)
    for doublings in (1, 2, 3):
        coarse, fine = shrunk(images, Grown(doublings - 1)), shrunk(images, Grown(doublings))
        torch.testing.assert_close(shrunk(images, Grown(doublings, 0.0)), doubled(coarse))
        torch.testing.assert_close(shrunk(images, Grown(doublings, 0.3)), 0.7 * doubled(coarse) + 0.3 * fine)
    assert shrunk(images, Grown(0)).allclose(F.avg_pool2d(images, 8))


def test_weights_are_drawn_with_deviation_1_and_scaled_when_they_are_used() -> None:
    generator, _ = nets()
    weight = generator.begin.weight
    assert weight.std().item() == pytest.approx(1.0, rel=0.1)
    layer = initialise(EqualisedConv2d(64, 64, 3).to("meta"), stream(0, 2))
    assert layer.scale == pytest.approx(math.sqrt(2) / math.sqrt(64 * 9)) and not layer.bias.any()
    x = torch.randn(8, 64, 16, 16)
    assert layer(x)[..., 1:-1, 1:-1].std().item() == pytest.approx(math.sqrt(2), rel=0.05)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight * layer.scale, padding=1))
    slow = initialise(EqualisedLinear(64, 64, rate=0.01, start=1.0).to("meta"), stream(0, 2))
    assert slow.weight.std().item() == pytest.approx(100, rel=0.1)
    assert slow(torch.randn(500, 64)).std().item() == pytest.approx(math.sqrt(2), rel=0.1)
    assert slow(torch.zeros(1, 64)).equal(torch.ones(1, 64))


def test_channels_are_the_papers() -> None:
    assert channels_at(64, 128) == [2048, 1024, 512, 256, 128]
    assert channels_at(64, 16)[::-1] == [min(8192 // side, 512) * 16 // 128 for side in (64, 32, 16)] + [128, 256]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 16, 18])
def test_deviation_within_groups(count: int) -> None:
    x = images_of(4, count)
    out = MinibatchDeviation()(x)
    assert out.shape == (count, 4, 4, 4) and out[:, :3].equal(x)
    groups = max(1, count // GROUP)
    for first in range(groups):
        own = x[first::groups]
        assert len(own) >= min(count, GROUP)
        expected = (own.var(0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(out[first::groups, 3], expected.expand(len(own), 4, 4))


def test_equal_images_are_told_by_their_deviation() -> None:
    alike = images_of(4, 1).expand(8, -1, -1, -1)
    assert MinibatchDeviation()(alike)[:, 3].max() < 1e-3 < MinibatchDeviation()(images_of(4, 8))[:, 3].min()


def growing(setting: Setting, fade: int = 10, stable: int = 5) -> Setting:
    """Steps of the phases rather than images: 4 pixels for `stable`, 8 fading in over `fade`."""
    batch = setting.batch_size
    shape = dataclasses.replace(setting.architecture, name="progressive")
    return dataclasses.replace(setting, architecture=shape, growth=Growth(1, fade * batch, stable * batch))


@pytest.mark.parametrize(("first", "then"), [(3, 5), (5, 6), (11, 14), (15, 25), (11, 40)])
def test_continues_exactly_in_every_phase_and_at_its_edges(
    first: int, then: int, written: Written, setting: Setting, task: Task, tmp_path: Path
) -> None:
    def go(steps: int, folder: str, state: Path | None = None) -> dict[str, Path]:
        member = Member("bce", written(), (3, 1), state=state, keep=tmp_path / folder)
        (outcome,) = train([member], [growing(setting)], task, Budget(steps))
        return dict(outcome.files)

    straight = go(then, "straight")
    parts = go(then, "parts", go(first, "parts")["state"])
    one, other = (np.load(files["samples"])["images"] for files in (straight, parts))
    np.testing.assert_array_equal(one, other)
    one, other = (sample(files["model"], 8) for files in (straight, parts))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, np.load(straight["samples"])["images"][:8])
    assert one.shape == (8, 1, 8, 8)
    grown = load_model(straight["model"])[1].grown
    assert grown is not None and tuple(grown) == tuple(Growth(1, 10, 5).at(then - 1))


def test_a_new_side_begins_with_adam_anew(written: Written, setting: Setting, task: Task) -> None:
    made = growing(setting)
    training = Training([Member("x", written(), (0,)).criterion()], [(0,)], [made], task.images)
    updates = {}
    for step in (5, 6, 15, 16):
        training.advance(step)
        updates[step] = [training.state(0)[who]["updates"] for who in ("generator", "discriminator")]
    assert updates == {5: [5, 5], 6: [1, 1], 15: [10, 10], 16: [11, 11]}


def test_the_running_mean_of_a_new_side_begins_anew(written: Written, setting: Setting, task: Task) -> None:
    """Its layers would otherwise stand in the mean with their initial weights for as long as training has lasted."""
    made = growing(setting, fade=60, stable=500)
    training = Training([Member("x", written(), (0,)).criterion()], [(0,)], [made], task.images)
    training.advance(500)
    born = training.generator.net(0).state_dict()["blocks.0.first.weight"].clone()
    training.advance(560)
    now = training.generator.net(0).state_dict()["blocks.0.first.weight"]
    mean = training.generator.averaged(0).state_dict()["blocks.0.first.weight"]
    assert (mean - now).norm() < 0.5 * (mean - born).norm()  # counted from the first step it is 2.6 times that


def test_the_diversity_of_small_images_is_held_against_small_ones(
    written: Written, setting: Setting, task: Task
) -> None:
    training = Training([Member("x", written(), (0,)).criterion()], [(0,)], [growing(setting)], task.images, None, 50.0)
    coarse = training.diversity
    assert coarse == training.watch.grey_levels < 50.0
    training.advance(6)
    assert coarse < training.diversity == training.watch.grey_levels
    pooled = F.avg_pool2d(task.images.float(), 2)
    assert coarse == pytest.approx(float(pooled.std(dim=0).mean()), rel=1e-5)


def test_layers_that_are_not_grown_to_do_not_move(written: Written, setting: Setting, task: Task) -> None:
    training = Training([Member("x", written(), (0,)).criterion()], [(0,)], [growing(setting)], task.images)
    before = {name: value.clone() for name, value in training.generator.net(0).state_dict().items()}
    training.advance(5)
    after = training.generator.net(0).state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved == {name for name in before if not name.startswith(("blocks.", "to_image.1"))}
