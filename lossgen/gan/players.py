"""The two players of a game, generator and discriminator: a network of each of several members, with its optimiser.

`Single` is one member's network as it stands, with PyTorch's Adam. `Stacked` has the networks of many members in one
tensor a parameter and runs them together by `torch.func.vmap`, with an Adam of its own that gives every member its own
rates: one launch of a kernel does for all what a small network leaves a GPU idle for. Nothing is shared between
members: each row is a function of its own row. Both hand in and out tensors with a leading axis of members.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lossgen.gan.nets.progressive import Grown

EPS = 1e-8
"""Of Adam, as PyTorch has it."""


class Player(Protocol):
    """One side of the game, for several members."""

    def __call__(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """Outputs (members, batch, …) of inputs (members, batch, …), in training mode."""
        ...

    def descend(self, outputs: Sequence[Tensor], slopes: Sequence[Tensor | None]) -> None:
        """One step of Adam down these gradients by these outputs (None for an output that is itself to be minimised).

        Gradients are computed for this player's weights alone.
        """
        ...

    def grow(self, grown: Grown) -> None:
        """Have progressive networks use the layers that they have grown to."""
        ...

    def forget(self) -> None:
        """Begin with Adam anew, its moments and its count."""
        ...

    def average(self, decay: Tensor) -> None:
        """Move the running means of weights and statistics: `decay` (members,) of them stays."""
        ...

    def finite(self) -> Tensor:
        """(members,): whether all weights are."""
        ...

    def keep(self, members: Sequence[int]) -> None:
        """Leave only these members."""
        ...

    def net(self, member: int) -> nn.Module:
        """A member's network as it is now, in training mode."""
        ...

    def averaged(self, member: int) -> nn.Module:
        """The network of a member's running means."""
        ...

    def state(self, member: int) -> dict[str, Any]:
        """All that it takes to go on, as a dict of plain values and tensors."""
        ...

    def restore(self, member: int, state: Mapping[str, Any]) -> None:
        """Go to where `state` was taken, of whichever kind of player.

        Raises:
            RuntimeError, LookupError, TypeError, ValueError, AttributeError: it is of another network, or damaged.
        """
        ...


class Single:
    """The player of one member.

    Args:
        net: with its initial weights, on its device.
        rate: Adam's learning rate.
        betas: Adam's decay rates.
        averages: whether running means are kept.
    """

    def __init__(self, net: nn.Module, rate: float, betas: tuple[float, float], averages: bool) -> None:
        self._net = net
        self._parameters = list(net.parameters())
        fused = self._parameters[0].device.type in ("cpu", "cuda")
        self._optimiser = torch.optim.Adam(self._parameters, lr=rate, betas=betas, eps=EPS, fused=fused)
        self._average = _copy(net) if averages else None
        self._pairs = _moving(self._average, net) if self._average is not None else []

    def __call__(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        outputs: Tensor = self._net(inputs[0]) if labels is None else self._net(inputs[0], labels[0])
        return outputs[None]

    def descend(self, outputs: Sequence[Tensor], slopes: Sequence[Tensor | None]) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(outputs, slopes, inputs=self._parameters)
        self._optimiser.step()

    def grow(self, grown: Grown) -> None:
        self._net.grown = grown  # type: ignore[assignment]
        if self._average is not None:
            self._average.grown = grown  # type: ignore[assignment]

    def forget(self) -> None:
        self._optimiser.state.clear()

    @torch.no_grad()
    def average(self, decay: Tensor) -> None:
        weight = 1.0 - float(decay[0])
        for mean, now in self._pairs:
            mean.lerp_(now, weight)

    def finite(self) -> Tensor:
        return torch.stack([torch.isfinite(weight).all() for weight in self._parameters]).all()[None]

    def keep(self, members: Sequence[int]) -> None:
        pass  # the one that there is, or none, and then nobody asks any more

    def net(self, member: int) -> nn.Module:
        return self._net

    def averaged(self, member: int) -> nn.Module:
        assert self._average is not None
        return self._average

    def state(self, member: int) -> dict[str, Any]:
        found = self._optimiser.state_dict()["state"]
        moments = [found.get(i) for i in range(len(self._parameters))]  # none of layers that are not yet grown to
        updates = max((int(each["step"]) for each in moments if each), default=0)
        nothing = [torch.zeros_like(parameter) for parameter in self._parameters] if updates else []
        return {
            "net": self._net.state_dict(),
            "average": self._average.state_dict() if self._average is not None else {},
            "updates": updates,
            "mean": [m["exp_avg"] if m else zero for m, zero in zip(moments, nothing)],
            "square": [m["exp_avg_sq"] if m else zero for m, zero in zip(moments, nothing)],
        }

    def restore(self, member: int, state: Mapping[str, Any]) -> None:
        self._net.load_state_dict(state["net"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        if state["updates"]:
            step = torch.tensor(float(state["updates"]))
            moments = zip(self._parameters, state["mean"], state["square"], strict=True)
            each = {
                i: {"step": step.clone(), "exp_avg": mean.view_as(p), "exp_avg_sq": square.view_as(p)}
                for i, (p, mean, square) in enumerate(moments)
            }
            self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": each})


class Stacked:
    """The players of many members whose networks are of one architecture.

    Weights lie in one tensor (members, all weights), of which each parameter (members, …) is a view: Adam, the running
    mean and the look for what is not finite are a handful of kernels, however many parameters there are.

    Args:
        nets: a member each, with their initial weights.
        rates, betas: a member each, as for `Single`.
    """

    def __init__(
        self, nets: Sequence[nn.Module], rates: Sequence[float], betas: Sequence[tuple[float, float]], averages: bool
    ) -> None:
        self._frame = _copy(nets[0]).to("meta")
        self._frame.train()
        self._shapes = {name: weight.shape for name, weight in nets[0].named_parameters()}
        names = [name for name, _ in nets[0].named_buffers()]
        each = [dict(net.named_buffers()) for net in nets]
        self._buffers = {name: torch.stack([buffers[name] for buffers in each]) for name in names}
        flat = [torch.cat([weight.detach().flatten() for weight in net.parameters()]) for net in nets]
        self._weights = torch.stack(flat)
        self._parameters = self._views(self._weights, grad=True)
        self._mean, self._square = torch.zeros_like(self._weights), torch.zeros_like(self._weights)
        self._updates = 0
        self._rates = self._column(rates)
        self._beta1, self._beta2 = (self._column([beta[i] for beta in betas]) for i in (0, 1))
        self._averages = averages
        self._mean_weights = self._weights.clone()
        self._mean_buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}

    def _column(self, values: Sequence[float]) -> Tensor:
        """(members, 1) in double precision: 1 - 0.999 has few digits in single."""
        return torch.tensor(values, dtype=torch.float64, device=self._weights.device)[:, None]

    def _views(self, flat: Tensor, grad: bool = False) -> dict[str, Tensor]:
        """The parameters (members, …) in a tensor of all weights; they share its memory."""
        found, place = {}, 0
        for name, shape in self._shapes.items():
            size = shape.numel()
            view = flat[:, place : place + size].view(len(flat), *shape)
            found[name] = view.detach().requires_grad_(grad)
            place += size
        return found

    def __call__(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        def run(parameters: dict[str, Tensor], buffers: dict[str, Tensor], *given: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self._frame, (parameters, buffers), given)
            return outputs

        given = (inputs,) if labels is None else (inputs, labels)
        outputs: Tensor = vmap(run, randomness="different")(self._parameters, self._buffers, *given)
        return outputs

    def descend(self, outputs: Sequence[Tensor], slopes: Sequence[Tensor | None]) -> None:
        parameters = list(self._parameters.values())
        gradients = torch.autograd.grad(outputs, parameters, slopes, allow_unused=True)
        each = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients)]
        # Layers that a progressive network does not use stay as they are, as PyTorch's Adam leaves them.
        idle = [name for name, gradient in zip(self._parameters, gradients) if gradient is None]
        views = [self._views(flat)[name] for flat in (self._weights, self._mean, self._square) for name in idle]
        before = [view.clone() for view in views]
        self._adam(torch.cat([gradient.flatten(1) for gradient in each], 1))
        for view, value in zip(views, before):
            view.copy_(value)

    def grow(self, grown: Grown) -> None:
        self._frame.grown = grown  # type: ignore[assignment]

    def forget(self) -> None:
        self._mean.zero_()
        self._square.zero_()
        self._updates = 0

    @torch.no_grad()
    def _adam(self, gradient: Tensor) -> None:
        """Kingma & Ba 2015, algorithm 1, in PyTorch's order of operations."""
        self._updates += 1
        like = self._weights
        self._mean.lerp_(gradient, (1.0 - self._beta1).to(like))
        self._square.mul_(self._beta2.to(like)).addcmul_(gradient, gradient * (1.0 - self._beta2).to(like))
        step = (self._rates / (1.0 - self._beta1**self._updates)).to(like)
        root = (1.0 - self._beta2**self._updates).sqrt().to(like)
        self._weights.sub_(step * self._mean / self._square.sqrt().div_(root).add_(EPS))

    @torch.no_grad()
    def average(self, decay: Tensor) -> None:
        weight = (1.0 - decay).to(self._weights)
        self._mean_weights.lerp_(self._weights, weight[:, None])
        for name, mean in self._mean_buffers.items():
            if mean.is_floating_point():
                mean.lerp_(self._buffers[name], weight.view(-1, *[1] * (mean.ndim - 1)))

    def finite(self) -> Tensor:
        return torch.isfinite(self._weights).all(1)

    def keep(self, members: Sequence[int]) -> None:
        rows = torch.tensor(members, device=self._weights.device)
        for name in ("_weights", "_mean", "_square", "_rates", "_beta1", "_beta2", "_mean_weights"):
            setattr(self, name, getattr(self, name)[rows].contiguous())
        self._buffers = {name: buffer[rows] for name, buffer in self._buffers.items()}
        self._mean_buffers = {name: buffer[rows] for name, buffer in self._mean_buffers.items()}
        self._parameters = self._views(self._weights, grad=True)

    def net(self, member: int) -> nn.Module:
        return self._net_of(self._weights, self._buffers, member)

    def averaged(self, member: int) -> nn.Module:
        return self._net_of(self._mean_weights, self._mean_buffers, member).requires_grad_(False)

    def _net_of(self, weights: Tensor, buffers: Mapping[str, Tensor], member: int) -> nn.Module:
        net = _copy(self._frame).to_empty(device=weights.device)
        net.load_state_dict(self._state_dict(weights, buffers, member))
        return net

    def _state_dict(self, weights: Tensor, buffers: Mapping[str, Tensor], member: int) -> dict[str, Tensor]:
        parts = {**self._views(weights), **buffers}
        return {name: parts[name][member].clone() for name in self._frame.state_dict()}

    def state(self, member: int) -> dict[str, Any]:
        moments = {"mean": self._mean, "square": self._square} if self._updates else {}
        each = {name: [m[member].clone() for m in self._views(flat).values()] for name, flat in moments.items()}
        average = self._state_dict(self._mean_weights, self._mean_buffers, member) if self._averages else {}
        return {
            "net": self._state_dict(self._weights, self._buffers, member), "average": average,
            "updates": self._updates, "mean": [], "square": [], **each,
        }  # fmt: skip

    @torch.no_grad()
    def restore(self, member: int, state: Mapping[str, Any]) -> None:
        self._put(self._weights, self._buffers, member, state["net"])
        if self._averages:
            self._put(self._mean_weights, self._mean_buffers, member, state["average"])
        self._updates = int(state["updates"])
        if self._updates:
            for flat, each in ((self._mean, state["mean"]), (self._square, state["square"])):
                for view, value in zip(self._views(flat).values(), each, strict=True):
                    view[member].copy_(value)

    def _put(self, weights: Tensor, buffers: Mapping[str, Tensor], member: int, state: Mapping[str, Tensor]) -> None:
        parts = {**self._views(weights), **buffers}
        if set(state) != set(self._frame.state_dict()):
            raise ValueError("the state of another network")
        for name, value in state.items():
            parts[name][member].copy_(value)


def _copy(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).requires_grad_(False)


def _moving(mean: nn.Module, now: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """What the running mean of a network follows: its parameters, and the buffers that are no counters."""
    pairs = zip(mean.state_dict().values(), now.state_dict().values(), strict=True)
    return [pair for pair in pairs if pair[0].is_floating_point()]
