"""What trainings draw: batches, noise, and all else that is random. Members of one seed share one luck.

So all losses of a seed meet the same images in the same order with the same noise, and what is shared is drawn once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossgen.gan import augment
from lossgen.gan.sampling import to_unit
from lossgen.gan.streams import Batches, Purpose, stream


class Luck:
    """The random streams of one seed."""

    def __init__(self, seed: Sequence[int], count: int, batch: int, device: str) -> None:
        self.batches = Batches(count, batch, stream(seed, Purpose.BATCHES, device))
        self.noise = stream(seed, Purpose.NOISE, device)
        self.penalty = stream(seed, Purpose.PENALTY, device)
        self.augmentation = stream(seed, Purpose.AUGMENTATION, device)

    def state(self) -> dict[str, Any]:
        streams = {name: getattr(self, name).get_state() for name in ("noise", "penalty", "augmentation")}
        return {**streams, "batches": self.batches.state()}

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("noise", "penalty", "augmentation"):
            getattr(self, name).set_state(state[name])
        self.batches.restore(state["batches"])


class Draws:
    """What the members of a training draw, with a leading axis of members.

    Args:
        seeds: a member each.
        images: uint8 (N, C, H, W).
        labels: one-hot (N, classes) of the images; None for networks that take none.
        batch: images in a batch.
        policy: of `augment`, empty for no augmentation.
    """

    def __init__(
        self, seeds: Sequence[Sequence[int]], images: Tensor, labels: Tensor | None, batch: int, policy: tuple[str, ...]
    ) -> None:
        self.images, self.labels, self.policy = images, labels, policy
        known = list(dict.fromkeys(tuple(seed) for seed in seeds))
        self._lucks = [Luck(seed, len(images), batch, str(images.device)) for seed in known]
        self._of = [known.index(tuple(seed)) for seed in seeds]
        self.batch = self._lucks[0].batches.batch

    def next(self) -> tuple[Tensor, Tensor | None]:
        """The next batch of each member: images (members, batch, C, H, W) in [-1, 1], and their labels."""
        rows = torch.stack([luck.batches.next() for luck in self._lucks])
        images = to_unit(self.images[rows])
        return self._each(images), None if self.labels is None else self._each(self.labels[rows])

    def noise(self, latent: int) -> Tensor:
        """(members, batch, latent), normal."""
        return self._normal_or_uniform(torch.randn, "noise", latent)

    def share(self) -> Tensor:
        """(members, batch, 1, 1, 1), uniform in [0, 1)."""
        return self._normal_or_uniform(torch.rand, "penalty", 1, 1, 1)

    def _normal_or_uniform(self, draw: Any, which: str, *shape: int) -> Tensor:
        drawn = [
            draw(self.batch, *shape, generator=getattr(luck, which), device=self.images.device) for luck in self._lucks
        ]
        return self._each(torch.stack(drawn))

    def augmented(self, images: Tensor) -> Tensor:
        """Images (members, batch, C, H, W), each changed in its own way; as they are where there is no policy."""
        if not self.policy:
            return images
        drawn = [augment.draw(self.policy, self.batch, luck.augmentation) for luck in self._lucks]
        draws = augment.cat([drawn[luck] for luck in self._of])
        return augment.apply(images.flatten(0, 1), draws).view(images.shape)

    def keep(self, members: Sequence[int]) -> None:
        """Leave only these members."""
        self._of = [self._of[i] for i in members]

    def state(self, member: int) -> dict[str, Any]:
        return self._lucks[self._of[member]].state()

    def restore(self, member: int, state: dict[str, Any]) -> None:
        self._lucks[self._of[member]].restore(state)

    def _each(self, of_lucks: Tensor) -> Tensor:
        """(members, …) of (lucks, …); without a copy where there is one luck."""
        if len(self._lucks) == 1:
            return of_lucks.expand(len(self._of), *of_lucks.shape[1:])
        return of_lucks[self._of]
