"""Style-based networks: modulation by the paper's equations, mixing in training only, filters, and noise."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.nets.style import _Modulated, doubled, halved, noise_dimension, noise_sides
from lossgen.gan.streams import stream

SHAPE = Architecture("style", 16, 3, 4, 10)


def generator() -> nn.Module:
    return initialise(SHAPE.generator(), stream(0, 0))


def input_of(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, SHAPE.noise, generator=torch.Generator().manual_seed(seed))


def test_shapes() -> None:
    assert noise_sides(16) == [4, 8, 8, 16, 16]
    assert SHAPE.noise == noise_dimension(16, 10) == 2 * 10 + 2 + 16 + 2 * 64 + 2 * 256
    images = generator()(input_of(5))
    assert images.shape == (5, 3, 16, 16)
    discriminator = initialise(SHAPE.discriminator(), stream(0, 1))
    scores = discriminator(images)
    assert scores.shape == (5,)
    assert discriminator.score(discriminator.features(images)).flatten().equal(scores)


@pytest.mark.parametrize("demodulated", [True, False])
def test_modulation_is_that_of_the_weights(demodulated: bool) -> None:
    """Karras et al. 2020, equations 1 and 3, with weights of its own for every image."""
    layer = initialise(_Modulated(6, 4, 3, 10, demodulated).to("meta"), stream(0, 3))
    x, w = torch.randn(5, 6, 8, 8), torch.randn(5, 10)
    styles = layer.style(w)
    weights = layer.convolution.weight * layer.convolution.scale * styles[:, None, :, None, None]
    if demodulated:
        weights = weights / (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    each = F.conv2d(x.view(1, 30, 8, 8), weights.flatten(0, 1), padding=1, groups=5).view(5, 4, 8, 8)
    torch.testing.assert_close(layer(x, w), each, atol=1e-5, rtol=1e-4)


def test_styles_begin_at_1() -> None:
    layer = initialise(_Modulated(6, 4, 3, 10, True).to("meta"), stream(0, 3))
    assert layer.style(torch.zeros(2, 10)).equal(torch.ones(2, 6))


def test_an_image_is_a_function_of_the_input() -> None:
    net = generator()
    before = torch.get_rng_state()
    assert net(input_of(4)).equal(net(input_of(4)))
    assert torch.get_rng_state().equal(before)


def test_latent_vectors_are_mixed_in_training_only() -> None:
    net = generator()
    noise = input_of(4000)
    styles = net.styles(noise)
    first, second = net.mapped(noise[:, :10]), net.mapped(noise[:, 10:20])
    of_first = (styles == first[:, None]).all(2)
    of_second = (styles == second[:, None]).all(2)
    assert (of_first ^ of_second).all() and of_first[:, 0].all()
    assert not (of_second[:, :-1] & of_first[:, 1:]).any()  # coarse layers of the first, fine ones of the second
    mixed = of_second.any(1)
    assert mixed.float().mean().item() == pytest.approx(0.9, abs=0.02)
    cuts = of_first[mixed].sum(1).bincount(minlength=5)[1:] / mixed.sum()
    torch.testing.assert_close(cuts, torch.full((4,), 0.25), atol=0.03, rtol=0)
    net.eval()
    assert net.styles(noise).equal(first[:, None].expand(-1, 5, -1))


def test_noise_begins_without_strength() -> None:
    net = generator().eval()
    noise, other = input_of(3), input_of(3)
    other[:, 22:] = 0.0
    assert net(noise).equal(net(other))
    with torch.no_grad():
        net.layers[2].strength.fill_(0.5)
    assert not net(noise).equal(net(other))


def test_doubling_and_halving_filter() -> None:
    x = torch.randn(2, 3, 8, 8)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (taps[:, None] * taps)[None, None]
    up = F.conv_transpose2d(x.view(6, 1, 8, 8), kernel / 16, stride=2, padding=1).view(2, 3, 16, 16)
    torch.testing.assert_close(doubled(x)[..., 2:-2, 2:-2], up[..., 2:-2, 2:-2])
    down = F.conv2d(x.view(6, 1, 8, 8), kernel / 64, stride=2, padding=1).view(2, 3, 4, 4)
    torch.testing.assert_close(halved(x), down)
    flat = torch.ones(1, 1, 8, 8)
    assert doubled(flat).allclose(torch.ones(1, 1, 16, 16)) and halved(flat)[..., 1:-1, 1:-1].allclose(torch.ones(2, 2))
