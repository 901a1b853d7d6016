"""The adversarial loop: one discriminator and one generator update in turn, for one member (`members.py` has the list).

    for step in 1..budget:
        real = a batch of images;  fake = generator(noise)
        discriminator: Adam on criterion.discriminator_loss(D(real), D(fake without gradient)), plus the regularisers
                       that the criterion recommends
        generator:     Adam on criterion.generator_loss(D(fake)), through the discriminator just updated
        average:       running mean of the generator's weights; it is what is judged and kept

Everything is a function of the seed and the absolute step, so a training that continues from a kept state is, on a
CPU, bit for bit the training that never stopped.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.regularisers import REGULARISERS, recommended
from lossgen.gan.sampling import to_unit
from lossgen.gan.streams import Batches, Purpose, stream
from lossgen.runner import Status

CHECK_EVERY = 50  # steps between looks at losses and weights; each look waits for the device


@dataclass(frozen=True)
class Setting:
    """All that decides a training, beside the loss, the seed and the images.

    Attributes:
        architecture: of generator and discriminator.
        batch_size: images in a batch, real and generated alike.
        lr_generator, lr_discriminator: Adam's learning rates.
        betas: Adam's decay rates, the same for both.
        ema_decay: decay a step of the generator's running mean, once it is warm.
        recommended: whether the regularisers that a loss recommends are applied.
    """

    architecture: Architecture
    batch_size: int
    lr_generator: float
    lr_discriminator: float
    betas: tuple[float, float]
    ema_decay: float
    recommended: bool = True


class TrainingError(Exception):
    """A training that has no result: its status, the reason in one line, and the step."""

    def __init__(self, status: Status, reason: str, step: int) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason
        self.step = step


class Training:
    """One loss at one seed, somewhere on its way.

    Args:
        criterion: the loss, by the contract of the emitted modules.
        seed: entropy of all random streams; initial weights, batches and noise depend on it and not on the loss.
        images: the training images, uint8 (N, C, H, W), on the device to train on.

    Attributes:
        step: generator updates so far.
        average: the generator with its weights and BatchNorm statistics averaged over the steps (EMA).
    """

    def __init__(self, criterion: nn.Module, seed: Sequence[int], images: Tensor, setting: Setting) -> None:
        device = str(images.device)
        self.criterion = criterion
        self.images = images
        self.setting = setting
        self.step = 0

        shape = setting.architecture
        self.generator = initialise(shape.generator(), stream(seed, Purpose.GENERATOR)).to(device)
        self.discriminator = initialise(shape.discriminator(), stream(seed, Purpose.DISCRIMINATOR)).to(device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self._generator_optimiser = _adam(self.generator, setting.lr_generator, setting.betas)
        self._discriminator_optimiser = _adam(self.discriminator, setting.lr_discriminator, setting.betas)
        self._averaged = [pair for pair in _pairs(self.average, self.generator) if pair[0].is_floating_point()]

        self._noise = stream(seed, Purpose.NOISE, device)
        self._penalty = stream(seed, Purpose.PENALTY, device)
        self._regularisers = recommended(criterion) if setting.recommended else {}
        self._batches = Batches(len(images), setting.batch_size, stream(seed, Purpose.BATCHES, device))
        self._losses: list[tuple[Tensor, Tensor]] = []  # of the steps since the last look

    def advance(self, to: int, on_step: Callable[[int], None] | None = None) -> None:
        """Train up to the absolute step `to`.

        Raises:
            TrainingError: the loss raised, gave no gradient, or a loss or a weight is no longer finite.
        """
        while self.step < to:
            self._update()
            self.step += 1
            if self.step % CHECK_EVERY == 0:
                self._look()
                if on_step is not None:
                    on_step(self.step)
        self._look()

    def _update(self) -> None:
        real = to_unit(self.images[self._batches.next()])
        latent = self.setting.architecture.latent
        noise = torch.randn(len(real), latent, generator=self._noise, device=real.device)
        fake = self.generator(noise)

        # The one batch of fakes serves both updates: detached for the discriminator, with its graph for the generator.
        scores = self.discriminator(real), self.discriminator(fake.detach())

        def penalty() -> Tensor | float:
            parts = (
                strength * REGULARISERS[name](self.discriminator, real, fake.detach(), scores[0], self._penalty)
                for name, strength in self._regularisers.items()
            )
            return sum(parts, 0.0)

        discriminator_loss = self._descend(self._discriminator_optimiser, "discriminator_loss", *scores, plus=penalty)

        real_score = None
        if getattr(self.criterion, "needs_real", False):
            with torch.no_grad():
                real_score = self.discriminator(real)
        generator_loss = self._descend(
            self._generator_optimiser, "generator_loss", self.discriminator(fake), real_score
        )

        self._losses.append((discriminator_loss, generator_loss))
        # The mean forgets the first steps quickly: at step t it reaches back about t / 10 steps, and no further
        # than 1 / (1 - ema_decay).
        decay = min(self.setting.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for averaged, current in self._averaged:
                averaged.lerp_(current, 1 - decay)

    def _descend(
        self,
        optimiser: torch.optim.Optimizer,
        name: str,
        *scores: Tensor | None,
        plus: Callable[[], Tensor | float] | None = None,
    ) -> Tensor:
        """One step down the loss `name`; its value, detached. What the loss raises stops this member, and no other."""
        try:
            loss = getattr(self.criterion, name)(*scores)
            if not isinstance(loss, Tensor) or loss.ndim:
                shape = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
                raise TypeError(f"{shape} in place of a scalar tensor")
            if plus is not None:
                loss = loss + plus()
            optimiser.zero_grad(set_to_none=True)
            # Only the gradients that this optimiser steps on: the discriminator's are not computed for the generator.
            torch.autograd.backward(loss, inputs=optimiser.param_groups[0]["params"])
        except Exception as error:
            if is_out_of_memory(error):  # that is no loss function's fault
                raise
            raise TrainingError("crashed", f"{name}: {one_line(error)}", self.step + 1) from None
        optimiser.step()
        return loss.detach()

    def _look(self) -> None:
        """Stop where a loss was, or a weight is, not finite; NaN never heals under Adam, so now and then is enough."""
        if not self._losses:
            return
        losses = torch.stack([torch.stack(pair) for pair in self._losses])
        first = self.step - len(losses) + 1
        self._losses = []
        finite = torch.isfinite(losses).cpu()
        if not finite.all():
            index, role = (int(value) for value in (~finite).nonzero()[0])
            who = ("discriminator", "generator")[role]
            value = float(losses[index, role])
            raise TrainingError("diverged", f"the {who}'s loss is {value} at step {first + index}", first + index)
        for who, net in (("generator", self.generator), ("discriminator", self.discriminator)):
            if not torch.stack([torch.isfinite(weight).all() for weight in net.parameters()]).all():
                raise TrainingError("diverged", f"a weight of the {who} is not finite at step {self.step}", self.step)

    def state(self) -> dict[str, Any]:
        """All that a continued training needs, as a dict of plain values and tensors."""
        return {
            "step": self.step,
            **{name: part.state_dict() for name, part in self._parts().items()},
            "noise": self._noise.get_state(),
            "penalty": self._penalty.get_state(),
            "batches": self._batches.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to where `state` was taken.

        Raises:
            InputError: the state is of other networks, or damaged.
        """
        try:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self._noise.set_state(state["noise"])
            self._penalty.set_state(state["penalty"])
            self._batches.restore(state["batches"])
            self.step = int(state["step"])
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the state does not fit this training: {one_line(error)}") from None

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator, "discriminator": self.discriminator, "average": self.average,
            "generator_optimiser": self._generator_optimiser, "discriminator_optimiser": self._discriminator_optimiser,
        }  # fmt: skip


def _adam(net: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    parameters = list(net.parameters())
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=fused)


def _pairs(first: nn.Module, second: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The tensors of two equal networks side by side: parameters and buffers."""
    return list(zip(first.state_dict().values(), second.state_dict().values()))


def one_line(error: BaseException) -> str:
    """An exception as its type and the first line of its message; an InputError speaks for itself."""
    lines = str(error).strip().splitlines()
    if lines and isinstance(error, InputError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device's or the machine's memory is full."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
