"""FD∞ against closed forms: what is left of a Fréchet distance when the bias of few samples is taken away."""

import numpy as np
import pytest

from lossgen.gan.extrapolation import extrapolated_distance, fewest_samples
from lossgen.gan.metrics import frechet_distance, moments


def drawn(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 32)) + shift


@pytest.mark.parametrize(("n", "m"), [(300, 300), (200, 800)])
def test_nothing_is_left_of_a_gaussian_against_itself(n: int, m: int) -> None:
    pairs = [(drawn(n, 2 * s), drawn(m, 2 * s + 1)) for s in range(8)]
    plain = np.mean([frechet_distance(moments(x), moments(y)) for x, y in pairs])
    found = [extrapolated_distance(x, y) for x, y in pairs]
    assert plain > 0.5
    assert abs(np.mean(found)) < 0.2 * plain
    assert min(found) < 0


def test_a_shift_is_left() -> None:
    """|μ₁ - μ₂|² = 32 · 0.5² = 8."""
    found = [extrapolated_distance(drawn(500, 2 * s), drawn(500, 2 * s + 1, shift=0.5)) for s in range(8)]
    assert np.mean(found) == pytest.approx(8, rel=0.06)


def test_repeatable() -> None:
    x, y = drawn(200, 0), drawn(200, 1)
    assert extrapolated_distance(x, y, seed=4) == extrapolated_distance(x, y, seed=4)
    assert extrapolated_distance(x, y, seed=4) != extrapolated_distance(x, y, seed=5)


def test_too_few_samples_for_a_straight_line() -> None:
    assert fewest_samples(32) == 128
    with pytest.raises(ValueError, match="N ≥ 128"):
        extrapolated_distance(drawn(200, 0), drawn(127, 1))
