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
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.metrics import Array
from lossgen.gan.neighbours import K, near, radii

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


@dataclass(frozen=True)
class Alone:
    """How a model's images by themselves lie in the neighbourhoods of real ones.

    Attributes:
        density, coverage: of Naeem et al. (2020).
        intra_d: what these come to, in both orders unless the variant takes one.
    """

    density: float
    coverage: float
    intra_d: float


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
        self._real = np.asarray(real, np.float64)
        self._models = [np.asarray(features[: self.size], np.float64) for features in models]
        self._real_radii = radii(self._real, k)
        self._radii = [radii(features, k) for features in self._models]
        self._pairs: dict[Chosen, float] = {}
        self._known: dict[Chosen, Worth] = {}

    def worth(self, models: Sequence[int]) -> Worth:
        """Of these models, at least two."""
        chosen = tuple(sorted(models))
        if chosen not in self._known:
            inter = float(np.mean([self.pair(*pair) for pair in combinations(chosen, 2)]))
            self._known[chosen] = Worth(chosen, self.intra(chosen), inter)
        return self._known[chosen]

    def alone(self, model: int) -> Alone:
        """A model by itself."""
        there = density_and_coverage(self._real, self._models[model], self._real_radii, self.k)
        return Alone(*there, self.intra((model,)))

    def intra(self, models: Chosen) -> float:
        """d of real images and those of some models together; of one, too."""
        pooled = self._together(models)
        there = d(self._real, pooled, self._real_radii, self.k)
        if self.variant == "authors":
            return there
        return (there + d(pooled, self._real, radii(pooled, self.k), self.k)) / 2

    def pair(self, one: int, other: int) -> float:
        """d of two models' images."""
        a, b = min(one, other), max(one, other)
        if (a, b) not in self._pairs:
            there = d(self._models[a], self._models[b], self._radii[a], self.k)
            if self.variant == "symmetric":
                there = (there + d(self._models[b], self._models[a], self._radii[b], self.k)) / 2
            self._pairs[a, b] = there
        return self._pairs[a, b]

    def _together(self, models: Chosen) -> Array:
        if self.variant == "authors":
            return np.concatenate([self._models[model] for model in models])
        share, more = divmod(self.size, len(models))
        return np.concatenate([self._models[m][: share + (place < more)] for place, m in enumerate(models)])


def d(real: Array, fake: Array, real_radii: Array, k: int) -> float:
    """Harmonic mean of density and coverage of features (M, d) among features (N, d); 0 where none is near."""
    density, coverage = density_and_coverage(real, fake, real_radii, k)
    return 2 * density * coverage / (density + coverage) if density + coverage else 0.0


def density_and_coverage(real: Array, fake: Array, real_radii: Array, k: int) -> tuple[float, float]:
    """Of features (M, d) among features (N, d)."""
    around, covered = near(real, fake, real_radii)
    return float(around.mean()) / k, float(covered.mean())
