"""Networks of several members run together by torch.func.vmap, against the same networks one by one."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.streams import stream

MEMBERS, BATCH, CLASSES, LATENT = 3, 6, 3, 5

SHAPES = {
    "plain": Architecture("dcgan", 8, 1, 4, LATENT),
    "batch": Architecture("dcgan", 16, 3, 4, LATENT, "batch"),
    "group": Architecture("dcgan", 8, 1, 4, LATENT, "group"),
    "spectral": Architecture("dcgan", 8, 1, 4, LATENT, spectral_norm=True),
    "spectral and batch": Architecture("dcgan", 8, 1, 4, LATENT, "batch", spectral_norm=True),
    "conditional": Architecture("dcgan", 8, 3, 4, LATENT, classes=CLASSES),
    "conditional and spectral": Architecture("dcgan", 28, 1, 2, LATENT, "group", CLASSES, True),
    "64 pixels": Architecture("dcgan", 64, 1, 2, LATENT, "batch"),
    "autoencoder": Architecture("dcgan-autoencoder", 8, 1, 4, LATENT),
    "conditional autoencoder": Architecture("dcgan-autoencoder", 8, 3, 4, LATENT, classes=CLASSES),
}


def one_by_one(nets: list[nn.Module], inputs: tuple[Tensor, ...], passes: int) -> Tensor:
    """Outputs (passes, members, batch, …); each network keeps its own gradients and buffers."""
    outputs = torch.stack([
        torch.stack([net(*(each[member] for each in inputs)) for member, net in enumerate(nets)])
        for _ in range(passes)
    ])  # fmt: skip
    outputs.square().mean((0, *range(2, outputs.ndim))).sum().backward()
    return outputs.detach()


def together(
    nets: list[nn.Module], inputs: tuple[Tensor, ...], passes: int
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Outputs as `one_by_one`, gradients and buffers with a leading axis of members."""
    parameters, buffers = stack_module_state(nets)
    frame = copy.deepcopy(nets[0]).to("meta")

    def run(parameters: dict[str, Tensor], buffers: dict[str, Tensor], *inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(frame, (parameters, buffers), inputs)
        return outputs

    outputs = torch.stack([vmap(run, randomness="different")(parameters, buffers, *inputs) for _ in range(passes)])
    outputs.square().mean((0, *range(2, outputs.ndim))).sum().backward()
    gradients = {name: weight.grad for name, weight in parameters.items() if weight.grad is not None}
    return outputs.detach(), gradients, buffers


@pytest.mark.parametrize("part", ["generator", "discriminator"])
@pytest.mark.parametrize("name", list(SHAPES))
def test_together_as_one_by_one(name: str, part: str) -> None:
    """Two passes before one backward pass, in training mode, as a training does it."""
    shape = SHAPES[name]
    nets = [initialise(getattr(shape, part)(), stream(seed, 0), std=0.1) for seed in range(MEMBERS)]
    source = torch.Generator().manual_seed(0)
    sizes = (LATENT,) if part == "generator" else (shape.channels, shape.size, shape.size)
    inputs: tuple[Tensor, ...] = (torch.randn(MEMBERS, BATCH, *sizes, generator=source),)
    if shape.classes:
        inputs += (torch.eye(CLASSES)[torch.randint(CLASSES, (MEMBERS, BATCH), generator=source)],)
    before = [copy.deepcopy(net.state_dict()) for net in nets]
    found, gradients, buffers = together(nets, inputs, 2)
    expected = one_by_one(nets, inputs, 2)

    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert all(found[0, 0].sub(found[0, member]).abs().max() > 1e-3 for member in range(1, MEMBERS))
    assert set(gradients) == {key for key, _ in nets[0].named_parameters()}
    for member, net in enumerate(nets):
        for key, weight in net.named_parameters():
            assert weight.grad is not None and weight.grad.any(), key
            torch.testing.assert_close(gradients[key][member], weight.grad, rtol=1e-5, atol=1e-5)
        for key, buffer in net.named_buffers():
            torch.testing.assert_close(buffers[key][member], buffer, rtol=1e-5, atol=1e-5)
        # Of a matrix of one row the singular vectors are known at once; all other buffers move.
        still = {key for key, buffer in net.named_buffers() if buffer.equal(before[member][key])}
        assert still <= {"score.parametrizations.weight.0.u", "score.parametrizations.weight.0.v"}
