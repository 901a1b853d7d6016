"""The adversarial loop, for members that train side by side (`members.py` has the whole list).

    for step in 1..budget:
        n_critic times:
            real = a batch of images;  fake = generator(noise)
            discriminator: Adam on criterion.discriminator_loss(D(real), D(fake without gradient)), plus regularisers
        generator:     Adam on criterion.generator_loss(D(fake)), through the discriminator just updated
        average:       running mean of the generator's weights; it is what is judged and kept

D sees images through the augmentation, real and generated ones alike (Zhao et al. 2020). Every tensor has a leading
axis of members, of which one is the usual number on a CPU; nothing is shared along it. Everything is a function of the
seed and the absolute step, so a training that continues from a kept state is, on a CPU, bit for bit the training that
never stopped.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.criteria import Criteria
from lossgen.gan.luck import Draws
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.nets.progressive import Grown, shrunk
from lossgen.gan.players import Player, Single, Stacked
from lossgen.gan.regularisers import REGULARISERS
from lossgen.gan.setting import Setting
from lossgen.gan.streams import Purpose, stream
from lossgen.gan.watch import Watch
from lossgen.gan.watch import diversity as diversity_of
from lossgen.runner import Status

CHECK_EVERY = 50  # steps between looks at losses and weights; each look waits for the device


class TrainingError(Exception):
    """A training that has no result: its status, the reason in one line, and the step."""

    def __init__(self, status: Status, reason: str, step: int) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason
        self.step = step


class Training:
    """Losses at their seeds, somewhere on their way.

    Args:
        criteria: the losses, by the contract of the emitted modules.
        seeds: a member each, entropy of all random streams; initial weights, batches and noise depend on it and not on
            the loss.
        settings: a member each; `Setting.alike` for all.
        images: the training images, uint8 (N, C, H, W), on the device to train on.
        labels: their one-hot labels (N, classes), float, for conditional architectures.
        diversity: of the images, in grey levels (`watch.diversity`).
        kinds: what tells losses apart, for instance their sources; None where they all differ.

    Attributes:
        step: generator updates so far.
        members: the numbers of those that still train; the others have failed.
        failures: why, by number.
        diversity: of the images at the side that the networks have grown to.
        losses: of the last step, (members, 2): the discriminators' and the generators'.
        alone: whether such trainings can have one member only.
    """

    alone = False

    def __init__(
        self,
        criteria: Sequence[nn.Module],
        seeds: Sequence[Sequence[int]],
        settings: Sequence[Setting],
        images: Tensor,
        labels: Tensor | None = None,
        diversity: float = 1.0,
        kinds: Sequence[object] | None = None,
    ) -> None:
        self.setting = settings[0]
        self.step = 0
        self.members = list(range(len(criteria)))
        self.failures: dict[int, TrainingError] = {}
        device = images.device
        self._device = device.type
        self._criteria = Criteria(criteria, kinds or range(len(criteria)))

        shape = self.setting.architecture
        built: dict[tuple[int, ...], tuple[nn.Module, nn.Module]] = {}
        for seed in dict.fromkeys(tuple(seed) for seed in seeds):
            generator = initialise(shape.generator(), stream(seed, Purpose.GENERATOR))
            discriminator = initialise(shape.discriminator(), stream(seed, Purpose.DISCRIMINATOR))
            built[seed] = generator.to(device), discriminator.to(device)
        nets = [built[tuple(seed)] for seed in seeds]
        betas = [setting.betas for setting in settings]
        rates = [setting.lr_generator for setting in settings], [setting.lr_discriminator for setting in settings]
        self.generator = _player([pair[0] for pair in nets], rates[0], betas, averages=True)
        self.discriminator = _player([pair[1] for pair in nets], rates[1], betas, averages=False)

        self._grown: Grown | None = None
        self._since = 0  # the step at which the present side of growing networks began
        conditional = labels if shape.classes else None
        self.draws = Draws(seeds, images, conditional, self.setting.batch_size, self.setting.augmentation)
        self.diversity = diversity
        self.watch = Watch(len(criteria), diversity)
        self._grow(0)
        asked = [setting.strengths(criterion) for setting, criterion in zip(settings, criteria, strict=True)]
        names = [name for name in REGULARISERS if any(name in each for each in asked)]
        self._strengths = {name: torch.tensor([each.get(name, 0.0) for each in asked], device=device) for name in names}
        self._ema = torch.tensor([setting.ema_decay for setting in settings], dtype=torch.float64)
        self.losses = torch.zeros(len(criteria), 2, device=device)
        self._losses: list[Tensor] = []  # of the steps since the last look
        self._last: tuple[Tensor, Tensor, Tensor] | None = None  # scores of real and fake images, and the fake images
        self._raised: dict[int, TrainingError] = {}  # what losses have raised in the step under way, by row

    def advance(self, to: int, on_step: Callable[[int, int], None] | None = None) -> None:
        """Train up to the absolute step `to`, all whose loss and weights stay finite; the others are left behind.

        Args:
            on_step: is told a member's number and step, now and then.
        """
        while self.step < to and self.members:
            self._update()
            self.step += 1
            if self.step % CHECK_EVERY == 0:
                self._look()
                if on_step is not None:
                    for member in self.members:
                        on_step(member, self.step)
        self._look()

    def row(self, member: int) -> int:
        """Where a member that still trains stands among the others."""
        return self.members.index(member)

    def _grow(self, step: int) -> None:
        """Bring progressive networks to where the schedule has them in the update after `step` others."""
        growth = self.setting.growth
        if growth is None:
            return
        before, shown = self._grown, self.setting.batch_size * self.setting.n_critic
        self._grown = growth.at(step * shown)
        for player in (self.generator, self.discriminator):
            player.grow(self._grown)
        if before is None or before.doublings != self._grown.doublings:
            self._since = math.ceil(growth.began(self._grown.doublings) / shown)
            some = self.draws.images[:: max(1, len(self.draws.images) // 4096)]
            self.diversity = diversity_of(shrunk(some.float(), Grown(self._grown.doublings))) or self.diversity
            self.watch.grey_levels = self.diversity

    @property
    def architecture(self) -> Architecture:
        """Of the networks as the last update left them, which may still be growing."""
        return replace(self.setting.architecture, grown=self._grown)

    def _update(self) -> None:
        before = self._grown
        self._grow(self.step)
        if before is not None and self._grown is not None and before.doublings < self._grown.doublings:
            for player in (self.generator, self.discriminator):
                player.forget()  # a new side begins with Adam anew (Karras et al. 2018, appendix A)
        self.losses = torch.stack(self._play(), 1)
        self._losses.append(self.losses)
        # The mean forgets the first steps quickly: at step t, of a side that has grown since it began, it reaches back
        # about t / 10 steps, and no further than 1 / (1 - ema_decay).
        step = self.step - self._since
        self.generator.average(self._ema.clamp(max=(1 + step) / (10 + step)))
        if self._raised:
            self._leave(self._raised)
            self._raised = {}

    def _play(self) -> tuple[Tensor, Tensor]:
        """One update of both players; the losses of discriminators and generators, (members,) each."""
        for more in range(self.setting.n_critic, 0, -1):
            real, labels = self.draws.next()
            if self._grown is not None:
                small = shrunk(real.flatten(0, 1), self._grown)
                real = small.view(*real.shape[:2], *small.shape[1:])
            noise = self.draws.noise(self.setting.architecture.noise)
            # The last batch of fakes serves both players: detached for the discriminator, with its graph for the
            # generator.
            with torch.set_grad_enabled(more == 1):
                fake = self._run(self.generator, noise, labels)
            seen = self.draws.augmented(real)
            of_discriminator = self._discriminate(seen, fake.detach(), labels)
        return of_discriminator, self._generate(seen, fake, labels)

    def _discriminate(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """One step of the discriminators; their losses, (members,), detached."""

        def score(images: Tensor) -> Tensor:
            return self._run(self.discriminator, images, labels)

        fake_seen = self.draws.augmented(fake)
        real_score, fake_score = score(real), score(fake_seen)
        slopes = self._criteria.discriminator(real_score, fake_score)
        self._note("discriminator_loss", slopes.errors)
        values, outputs = slopes.values, [real_score, fake_score]
        gradients: list[Tensor | None] = list(slopes.gradients)
        share = self.draws.share() if "gradient_penalty" in self._strengths else real_score
        for name, strength in self._strengths.items():
            penalty = strength * REGULARISERS[name](score, real, fake_seen, real_score, share)
            values = values + penalty.detach()
            outputs.append(penalty.sum())
            gradients.append(None)
        self.discriminator.descend(outputs, gradients)
        self._last = real_score.detach(), fake_score.detach(), fake
        return values

    def _generate(self, real: Tensor, fake: Tensor, labels: Tensor | None, beside: Tensor | None = None) -> Tensor:
        """One step of the generators; their losses, (members,), detached.

        Args:
            beside: what is added to the losses, (members,), of the generators' weights.
        """
        real_score = None
        if self._criteria.needs_real:
            with torch.no_grad():
                real_score = self._run(self.discriminator, real, labels)
        fake_score = self._run(self.discriminator, self.draws.augmented(fake), labels)
        slopes = self._criteria.generator(fake_score, real_score)
        self._note("generator_loss", slopes.errors)
        if beside is None:
            self.generator.descend([fake_score], list(slopes.gradients))
            return slopes.values
        self.generator.descend([fake_score, beside.sum()], [*slopes.gradients, None])
        return slopes.values + beside.detach()

    def _run(self, player: Player, inputs: Tensor, labels: Tensor | None) -> Tensor:
        """A player's outputs, float32, whatever the networks compute in."""
        with self._arithmetic():
            return self._plain(player(inputs, labels))

    def _plain(self, outputs: Tensor) -> Tensor:
        """Outputs of networks in the precision of losses."""
        return outputs if self.setting.precision == "float32" else outputs.float()

    def _arithmetic(self) -> AbstractContextManager[object]:
        """What the networks compute in."""
        return nullcontext() if self.setting.precision == "float32" else torch.autocast(self._device, torch.bfloat16)

    def _note(self, name: str, errors: Mapping[int, Exception]) -> None:
        """Remember what losses have raised: their members go when the step is done, and no other is touched."""
        for row, error in errors.items():
            self._raised.setdefault(row, TrainingError("crashed", f"{name}: {one_line(error)}", self.step + 1))

    def _look(self) -> None:
        """Leave behind whose loss was, or whose weights are, not finite; NaN never heals under Adam, so now and then is
        enough."""
        if not self._losses:
            return
        losses = torch.stack(self._losses)  # (steps, members, players)
        first = self.step - len(losses) + 1
        self._losses = []
        players = {"generator": self.generator, "discriminator": self.discriminator}
        sound = torch.stack([player.finite() for player in players.values()]).cpu()
        finite = torch.isfinite(losses).cpu()
        failed = {}
        for row in range(len(self.members)):
            if not finite[:, row].all():
                index, role = (int(value) for value in (~finite[:, row]).nonzero()[0])
                who, value = ("discriminator", "generator")[role], float(losses[index, row, role])
                reason = f"the {who}'s loss is {value} at step {first + index}"
                failed[row] = TrainingError("diverged", reason, first + index)
            elif not sound[:, row].all():
                who = list(players)[int((~sound[:, row]).nonzero()[0])]
                reason = f"a weight of the {who} is not finite at step {self.step}"
                failed[row] = TrainingError("diverged", reason, self.step)
        if self._last is not None:
            self.watch.look(self.step, *self._last)
        if failed:
            self._leave(failed)

    def _leave(self, failed: Mapping[int, TrainingError]) -> None:
        """Go on without these members, by row."""
        for row, error in failed.items():
            self.failures[self.members[row]] = error
        rows = [row for row in range(len(self.members)) if row not in failed]
        self.members = [self.members[row] for row in rows]
        self._last = None
        self.losses = self.losses[rows]
        if not rows:
            self._losses = []
            return
        for part in (self.generator, self.discriminator, self._criteria, self.draws, self.watch):
            part.keep(rows)
        self._strengths = {name: strength[rows] for name, strength in self._strengths.items()}
        self._ema = self._ema[rows]
        self._losses = [losses[rows] for losses in self._losses]

    def state(self, member: int) -> dict[str, Any]:
        """All that a continued training of a member needs, as a dict of plain values and tensors."""
        row = self.row(member)
        return {"step": self.step, **{name: part.state(row) for name, part in self._parts().items()}}

    def restore(self, member: int, state: Mapping[str, Any]) -> None:
        """Go to where `state` was taken; all members are to go to the same step.

        Raises:
            InputError: the state is of other networks, or damaged.
        """
        row = self.row(member)
        try:
            for name, part in self._parts().items():
                part.restore(row, state[name])
            self.step = int(state["step"])
            self._grow(max(0, self.step - 1))
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the state does not fit this training: {one_line(error)}") from None

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator, "discriminator": self.discriminator, "draws": self.draws, "watch": self.watch
        }  # fmt: skip


def _player(
    nets: Sequence[nn.Module], rates: Sequence[float], betas: Sequence[tuple[float, float]], averages: bool
) -> Player:
    if len(nets) == 1:
        return Single(nets[0], rates[0], betas[0], averages)
    return Stacked(nets, rates, betas, averages)


def one_line(error: BaseException) -> str:
    """An exception as its type and the first line of its message; an InputError speaks for itself."""
    lines = str(error).strip().splitlines()
    if lines and isinstance(error, InputError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
