"""Precision, recall, density and coverage against closed forms, prdc, torch-fidelity, and every pair by difference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prdc import compute_prdc
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from lossgen.gan.neighbours import Neighbourhoods, neighbourhoods, radii


def drawn(count: int, dimension: int = 8, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)) + shift


def by_difference(real: np.ndarray, fake: np.ndarray, k: int) -> Neighbourhoods:
    """The definition, pair by pair."""

    def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([[np.sqrt(np.square(a - b).sum()) for b in y] for a in x])

    def radius(x: np.ndarray) -> np.ndarray:
        own = distances(x, x)
        np.fill_diagonal(own, np.inf)
        return np.sort(own, axis=1)[:, k - 1]

    near = distances(real, fake)
    of_real, of_fake = near < radius(real)[:, None], near < radius(fake)[None]
    return Neighbourhoods(
        float(of_real.any(axis=0).mean()),
        float(of_fake.any(axis=1).mean()),
        float(of_real.sum(axis=0).mean()) / k,
        float(of_real.any(axis=1).mean()),
    )


def test_the_same_set_twice() -> None:
    x = drawn(700, 64)
    assert neighbourhoods(x, x) == Neighbourhoods(1.0, 1.0, 1.0, 1.0)
    shuffled = x[np.random.default_rng(0).permutation(700)]
    assert neighbourhoods(x, shuffled, tile=100) == Neighbourhoods(1.0, 1.0, 1.0, 1.0)


def test_sets_far_apart() -> None:
    assert neighbourhoods(drawn(50), drawn(40, shift=100)) == Neighbourhoods(0.0, 0.0, 0.0, 0.0)


def test_equal_distributions() -> None:
    """A fake is as likely to be among the k nearest of a real as any other real: density 1 in the mean, and coverage
    1 - the chance that the k nearest of N - 1 reals and M fakes are all real."""
    n, k = 500, 5
    found = [neighbourhoods(drawn(n, 4, 2 * s), drawn(n, 4, 2 * s + 1), k) for s in range(24)]
    missed = math.prod((n - 1 - i) / (2 * n - 1 - i) for i in range(k))
    assert np.mean([f.density for f in found]) == pytest.approx(1, abs=0.03)
    assert np.mean([f.coverage for f in found]) == pytest.approx(1 - missed, abs=0.005)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(200, 150, 16, 5), (60, 170, 3, 1), (130, 130, 100, 3), (8, 7, 2, 5)])
def test_equals_prdc(n: int, m: int, d: int, k: int) -> None:
    real, fake = drawn(n, d), drawn(m, d, 1, 0.2)
    theirs = compute_prdc(real, fake, nearest_k=k)
    for tile in (50, 1024):
        ours = neighbourhoods(real, fake, k, tile)
        assert vars(ours) == pytest.approx({name: float(value) for name, value in theirs.items()}, abs=1e-12)


def test_equals_torch_fidelity() -> None:
    real, fake = drawn(200, 16), drawn(150, 16, 1, 0.2)
    theirs = prc_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=3, prc_batch_size=64, save_cpu_ram=False,
        verbose=False,
    )  # fmt: skip
    ours = neighbourhoods(real, fake, k=3)
    assert ours.precision == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-6)
    assert ours.recall == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-6)


def test_a_duplicate_has_the_radius_0() -> None:
    x = drawn(30)
    x[:6] = x[0]  # of each of the six five others are copies
    found = radii(x, k=5)
    assert (found[:6] == 0).all() and (found[6:] > 0).all()
    assert radii(x, k=6)[0] > 0
    ours = neighbourhoods(x, x)
    assert ours.coverage == 24 / 30, "nothing lies within a radius of 0, not even a copy"


@given(st.integers(0, 10**6), st.integers(6, 40), st.integers(6, 40), st.integers(1, 5), st.sampled_from([0.0, 1e5]))
def test_ties_are_decided_by_difference(seed: int, n: int, m: int, k: int, offset: float) -> None:
    """Points of a lattice, far from the origin or not: most distances occur many times."""
    random = np.random.default_rng(seed)
    real, fake = (random.integers(0, 3, (count, 4)) * 0.1 + offset for count in (n, m))
    assert neighbourhoods(real, fake, k, tile=16) == by_difference(real, fake, k)


def test_a_common_offset_changes_nothing() -> None:
    real, fake = np.rint(drawn(80) * 64) / 64, np.rint(drawn(70, seed=1) * 64) / 64
    assert neighbourhoods(real + 2.0**30, fake + 2.0**30) == neighbourhoods(real, fake)


def test_radii_that_are_known_are_taken() -> None:
    real, fake = drawn(60), drawn(50, seed=1)
    assert neighbourhoods(real, fake, real_radii=radii(real)) == neighbourhoods(real, fake)
    assert neighbourhoods(real, fake, real_radii=np.zeros(60)).density == 0


@pytest.mark.parametrize(
    ("real", "fake", "k", "said"),
    [
        (drawn(5), drawn(9), 5, "N ≥ 6"),
        (drawn(9), drawn(5), 5, "N ≥ 6"),
        (drawn(9), drawn(9), 0, "at least 1"),
        (drawn(9), drawn(9, 7), 5, "8 dimensions against features of 7"),
        (drawn(9), np.full((9, 8), np.nan), 5, "finite"),
    ],
)
def test_nonsense(real: np.ndarray, fake: np.ndarray, k: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        neighbourhoods(real, fake, k)
