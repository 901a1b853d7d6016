"""GANomaly (Akcay et al. 2018): a generator that makes images anew, and scores how far their codes come apart.

    discriminator: criterion.discriminator_loss(D(x), D(x̂))
    generator:     criterion.generator_loss(D(x̂)) + w_contextual · mean |x - x̂| + w_encoder · mean (z - ẑ)²
    score of x:    mean (z - ẑ)²

The loss that is tried stands in place of the adversarial part, which in the paper is BCE for the discriminator and a
distance of features for the generator (equations 1 to 4). Two faults of the official code are not repeated: it tests
in training mode, and takes the epoch that is best on the test set.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lossgen.gan.sampling import CHUNK, to_unit
from lossgen.gan.training import Training

WEIGHTS = {"contextual": 50.0, "encoder": 1.0}
"""The paper's, of what stands beside the adversarial part, whose weight is 1."""


class Ganomaly(Training):
    """The loop of one member."""

    alone = True

    def __init__(self, criteria: Sequence[nn.Module], *others: Any, **more: Any) -> None:
        if len(criteria) != 1:
            raise ValueError(f"GANomaly trains one member at a time, not {len(criteria)}")
        super().__init__(criteria, *others, **more)

    def _play(self) -> tuple[Tensor, Tensor]:
        net = self.generator.net(0)
        for more in range(self.setting.n_critic, 0, -1):
            real, _ = self.draws.next()
            with torch.set_grad_enabled(more == 1), self._arithmetic():
                anew, code, again = map(self._plain, net.passes(real[0]))  # type: ignore[operator]
            seen = self.draws.augmented(real)
            of_discriminator = self._discriminate(seen, anew.detach()[None], None)
        weights = dict(self.setting.terms or ())
        beside = weights["contextual"] * (real[0] - anew).abs().mean()
        beside = beside + weights["encoder"] * (code - again).square().mean()
        return of_discriminator, self._generate(seen, anew[None], None, beside[None])


@torch.no_grad()
def scores(generator: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Anomaly scores (N,) of images, uint8 (N, C, H, W), and these made anew, float in [-1, 1].

    Args:
        generator: of GANomaly, in evaluation mode.
    """
    found, made = [], []
    for chunk in torch.split(images, CHUNK):
        anew, code, again = generator.passes(to_unit(chunk))  # type: ignore[operator]
        found.append((code - again).square().mean(1))
        made.append(anew)
    return torch.cat(found), torch.cat(made)
