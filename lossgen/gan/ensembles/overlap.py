"""How sets of images overlap, and what an ensemble of generators is worth by that (Tronchin et al. 2026).

    d(R, S) = 2 · density · coverage / (density + coverage)                   of S in the neighbourhoods of R, k = 5
    intra_d = d(real, images of the chosen models together)                   fidelity, to be as large as can be
    inter_d = mean over pairs of chosen models of d of their images           redundancy, to be as small as can be

The paper's summary has the names so; its authors' code has them the other way round. Density and coverage are not
symmetric, so of both orders the mean is taken. And coverage grows with the number of images: so the chosen models
together always have as many, each an equal share. `variant="authors"` takes one order, and all images of every model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossgen.errors import InputError
from lossgen.gan.neighbours import K

Variant = Literal["symmetric", "authors"]
Chosen = tuple[int, ...]


@dataclass(frozen=True)
class Worth:
    """Of an ensemble.

    Attributes:
        models: numbers of the chosen models, ascending.
        intra_d: how well their images cover the real ones, to be maximised.
        inter_d: how much they overlap one another, to be minimised.
    """

    models: Chosen
    intra_d: float
    inter_d: float


class Overlaps:
    """The worth of any ensemble of a pool.

    Args:
        real: features (N, d) of real images; never of the test split.
        models: features (M, d) of each model's images; the same number of all is used.
        k: of the neighbourhoods.

    Raises:
        InputError: fewer than two models, too few images, or features that are not finite.
    """

    def __init__(
        self, real: NDArray[np.floating], models: Sequence[NDArray[np.floating]], k: int = K,
        variant: Variant = "symmetric",
    ) -> None:  # fmt: skip
        if len(models) < 2:
            raise InputError(f"ensemble: a pool of {len(models)} model{'s' * (len(models) != 1)}; it takes at least 2")
        for number, features in enumerate([real, *models]):
            if not np.isfinite(features).all():
                whose = f"model {number}" if number else "the real images"
                raise InputError(f"ensemble: features of {whose} are NaN or infinite; choose another embedding")
        self.size = min(map(len, models))
        if min(self.size, len(real)) <= 2 * k:
            few = f"{len(real)} real images and {self.size} of a model"
            raise InputError(f"ensemble: {few} are too few for neighbourhoods of {k}; give more than {2 * k}")
        self.k, self.variant, self.count = k, variant, len(models)
        self._real = torch.from_numpy(np.asarray(real, np.float64))
        self._models = [torch.from_numpy(np.asarray(features[: self.size], np.float64)) for features in models]
        self._pairs: dict[Chosen, float] = {}
        self._known: dict[Chosen, Worth] = {}

    def worth(self, models: Sequence[int]) -> Worth:
        """Of these models, at least two."""
        chosen = tuple(sorted(models))
        if chosen not in self._known:
            inter = float(np.mean([self.pair(*pair) for pair in combinations(chosen, 2)]))
            self._known[chosen] = Worth(chosen, self.intra(chosen), inter)
        return self._known[chosen]

    def intra(self, models: Chosen) -> float:
        """d of real images and those of some models together; of one, too."""
        return self._mean(self._real, self._together(models))

    def pair(self, one: int, other: int) -> float:
        """d of two models' images."""
        key = (min(one, other), max(one, other))
        if key not in self._pairs:
            self._pairs[key] = self._mean(self._models[key[0]], self._models[key[1]])
        return self._pairs[key]

    def _together(self, models: Chosen) -> Tensor:
        if self.variant == "authors":
            return torch.cat([self._models[model] for model in models])
        share, more = divmod(self.size, len(models))
        return torch.cat([self._models[model][: share + (place < more)] for place, model in enumerate(models)])

    def _mean(self, one: Tensor, other: Tensor) -> float:
        apart = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
        there = harmonic(apart, _radii(one, self.k), self.k)
        return there if self.variant == "authors" else (there + harmonic(apart.T, _radii(other, self.k), self.k)) / 2


def harmonic(apart: Tensor, radii: Tensor, k: int) -> float:
    """d of distances (N, M) between real and other images and the radii (N,) of the real ones; 0 where none is near."""
    near = apart < radii[:, None]
    density = float(near.sum()) / (k * near.shape[1])
    coverage = float(near.any(1).double().mean())
    return 2 * density * coverage / (density + coverage) if density + coverage else 0.0


def _radii(x: Tensor, k: int) -> Tensor:
    """(N,): the distance of each to its k-th nearest neighbour, itself left out."""
    apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    return apart.kthvalue(k, dim=1).values
