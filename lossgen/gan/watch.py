"""What is watched while GANs train, beside their losses: whether samples go alike, and whether one player has won.

Both are seen on the batch under way, at no cost but a look now and then, and say when what ends badly began.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

COLLAPSED = 0.05  # of the data's diversity


def diversity(images: Tensor) -> float:
    """Standard deviation over images (N, C, H, W), uint8, in grey levels, mean over pixels: 0 if all are alike."""
    return float(images.float().std(dim=0).mean())


def separation(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """How well scores tell real from generated images: P(real > fake) + P(real = fake) / 2, the area under the ROC.

    0.5 where they cannot, 1 where the discriminator is saturated: every real image scores above every generated one. It
    depends on the order of scores alone, so losses of any scale compare.

    Args:
        real_score, fake_score: (…, N) each.

    Returns:
        (…), between 0 and 1.
    """
    real, fake = real_score[..., :, None], fake_score[..., None, :]
    return ((real > fake).float() + 0.5 * (real == fake).float()).mean((-2, -1))


class Watch:
    """Of the members of a training.

    Attributes:
        grey_levels: diversity of the data, which that of batches is held against.
        separation: of each member's last batch.
        thin_since: since which step a member's batches have had less than `COLLAPSED` of the data's diversity, None
            where they have more.
    """

    def __init__(self, members: int, diversity_of_data: float) -> None:
        self.grey_levels = diversity_of_data
        self.separation = [0.5] * members
        self.thin_since: list[int | None] = [None] * members

    def look(self, step: int, real_score: Tensor, fake_score: Tensor, fakes: Tensor) -> None:
        """See the last batch: scores (members, N) and generated images (members, N, C, H, W) in [-1, 1]."""
        spread = fakes.float().std(dim=1).flatten(1).mean(1) * 127.5 / self.grey_levels
        seen = torch.stack([separation(real_score, fake_score), spread]).cpu()  # one wait for the device
        self.separation = seen[0].tolist()
        for i, share in enumerate(seen[1].tolist()):
            thin = share < COLLAPSED
            self.thin_since[i] = (self.thin_since[i] or step) if thin else None

    def keep(self, members: Sequence[int]) -> None:
        """Leave only these members."""
        self.separation = [self.separation[i] for i in members]
        self.thin_since = [self.thin_since[i] for i in members]

    def state(self, member: int) -> dict[str, Any]:
        return {"separation": self.separation[member], "thin_since": self.thin_since[member]}

    def restore(self, member: int, state: dict[str, Any]) -> None:
        self.separation[member] = float(state["separation"])
        since = state["thin_since"]
        self.thin_since[member] = None if since is None else int(since)
