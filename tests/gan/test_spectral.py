"""Spectral normalisation: PyTorch's own as the oracle, and the singular values themselves."""

import copy

import pytest
import torch
from torch import Tensor, nn

from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.nets.spectral import begin, normalise
from lossgen.gan.streams import stream

LAYERS = {"convolution": lambda: nn.Conv2d(3, 6, 4, 2, 1), "linear": lambda: nn.Linear(3 * 8 * 8, 5)}


def inputs(kind: str, seed: int) -> Tensor:
    shape = (4, 3, 8, 8) if kind == "convolution" else (4, 3 * 8 * 8)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(kind: str) -> tuple[nn.Module, nn.Module]:
    """A layer with our normalisation, and one with PyTorch's, of the same weight and vectors."""
    layer = LAYERS[kind]().double()
    ours, theirs = copy.deepcopy(layer), torch.nn.utils.parametrizations.spectral_norm(layer)
    normalise(ours)
    mine, other = ours.parametrizations.weight[0], theirs.parametrizations.weight[0]
    mine.u.copy_(other._u)
    mine.v.copy_(other._v)
    return ours, theirs


@pytest.mark.parametrize("kind", list(LAYERS))
def test_as_pytorchs(kind: str) -> None:
    ours, theirs = pair(kind)
    for step in range(3):
        found, expected = ours(inputs(kind, step)), theirs(inputs(kind, step))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        for net, value in ((ours, found), (theirs, expected)):
            net.zero_grad()
            value.square().sum().backward()
        slopes = [net.parametrizations.weight.original.grad for net in (ours, theirs)]
        torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-12)
        mine, other = ours.parametrizations.weight[0], theirs.parametrizations.weight[0]
        torch.testing.assert_close((mine.u, mine.v), (other._u, other._v), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", list(LAYERS))
def test_a_pass_in_evaluation_mode_moves_nothing(kind: str) -> None:
    ours, theirs = pair(kind)
    ours.eval(), theirs.eval()
    before = copy.deepcopy(ours.state_dict())
    torch.testing.assert_close(ours(inputs(kind, 0)), theirs(inputs(kind, 0)), rtol=1e-12, atol=1e-12)
    assert all(value.equal(before[name]) for name, value in ours.state_dict().items())


def test_two_passes_before_one_backward_pass() -> None:
    """As the discriminator's on real and on generated images: the second moves the vectors that the first has used."""
    ours, theirs = pair("convolution")
    for net in (ours, theirs):
        (net(inputs("convolution", 0)).sum() - net(inputs("convolution", 1)).square().sum()).backward()
    slopes = [net.parametrizations.weight.original.grad for net in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-12)


def test_largest_singular_value_becomes_one() -> None:
    layer = LAYERS["convolution"]()
    normalise(layer)
    begin(layer, stream(0, 1))
    for _ in range(100):
        layer(torch.zeros(1, 3, 8, 8))
    layer.eval()
    values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    assert values[0].item() == pytest.approx(1, abs=1e-4) and values[1] < 0.999


def test_every_weight_of_the_discriminator_is_normalised() -> None:
    shape = Architecture("dcgan", 16, 1, 8, 10, "group", classes=3, spectral_norm=True)
    net = initialise(shape.discriminator(), stream(0, 1), std=1.0).eval()
    weights = [module.weight for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(weights) == 4
    for weight in weights:
        # From below: the power iteration has only begun to converge.
        assert torch.linalg.svdvals(weight.flatten(1))[0].item() == pytest.approx(1, abs=0.05)


def test_first_vectors_come_from_the_seed() -> None:
    shape = Architecture("dcgan", 8, 1, 4, 10, spectral_norm=True)
    before = torch.get_rng_state()
    first, again, other = (initialise(shape.discriminator(), stream(seed, 1)).state_dict() for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    vectors = [name for name in first if name.endswith((".u", ".v"))]
    assert len(vectors) == 6
    assert all(value.equal(again[name]) for name, value in first.items())
    assert all(first[name].norm().item() == pytest.approx(1, abs=1e-5) for name in vectors)
    assert not any(first[name].equal(other[name]) for name in vectors if len(first[name]) > 1)


def test_half_precision_does_not_reach_the_vectors() -> None:
    shape = Architecture("dcgan", 8, 1, 4, 10, spectral_norm=True)
    full, half = (initialise(shape.discriminator(), stream(0, 1)) for _ in range(2))
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    full(images)
    with torch.autocast("cpu", torch.bfloat16):
        half(images)
    after = half.state_dict()
    assert all(value.equal(after[name]) for name, value in full.state_dict().items())
