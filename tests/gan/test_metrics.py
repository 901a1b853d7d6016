"""The Fréchet distance against closed forms, and the checkpoints against what they promise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from lossgen.gan import metrics
from lossgen.gan.checkpoints import due, judged, median
from lossgen.gan.metrics import Moments, frechet_distance, moments


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    return Moments(np.asarray(mean, float), np.asarray(covariance, float), 1000)


def random_covariance(dimension: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(dimension, dimension))
    return root @ root.T


def test_equal_gaussians() -> None:
    one = gaussian(np.arange(6), random_covariance(6, 0))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-8)


def test_shifted_mean() -> None:
    covariance = random_covariance(6, 0)
    shift = np.array([1.0, -2, 0, 0.5, 0, 3])
    distance = frechet_distance(gaussian(np.zeros(6), covariance), gaussian(shift, covariance))
    assert distance == pytest.approx(shift @ shift)


def test_scaled_covariance() -> None:
    covariance = random_covariance(6, 1)
    distance = frechet_distance(gaussian(np.zeros(6), covariance), gaussian(np.zeros(6), 9 * covariance))
    assert distance == pytest.approx((3 - 1) ** 2 * np.trace(covariance))


def test_covariances_that_do_not_commute() -> None:
    first, second = random_covariance(8, 2), random_covariance(8, 3)
    textbook = np.trace(first + second - 2 * linalg.sqrtm(first @ second).real)
    one, two = gaussian(np.zeros(8), first), gaussian(np.zeros(8), second)
    assert frechet_distance(one, two) == pytest.approx(textbook)
    assert frechet_distance(two, one) == pytest.approx(textbook)


def test_singular_covariance() -> None:
    point = gaussian(np.zeros(5), np.zeros((5, 5)))
    cloud = gaussian(np.ones(5), random_covariance(5, 4))
    assert frechet_distance(point, cloud) == pytest.approx(5 + np.trace(cloud.covariance))
    features = np.random.default_rng(0).normal(size=(10, 64))  # fewer samples than dimensions
    assert frechet_distance(moments(features), moments(features)) == pytest.approx(0, abs=1e-5)


def test_bias_of_few_samples() -> None:
    random = np.random.default_rng(0)
    few, many = (
        frechet_distance(moments(random.normal(size=(n, 64))), gaussian(np.zeros(64), np.eye(64))) for n in (200, 5000)
    )
    assert few > 10 * many > 0


def test_not_a_covariance() -> None:
    with pytest.raises(ValueError, match="positive semi-definite"):
        frechet_distance(gaussian(np.zeros(2), -np.eye(2)), gaussian(np.zeros(2), np.eye(2)))


def test_moments_are_numpys_and_in_double_precision() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    found = moments(features)
    assert found.mean.dtype == found.covariance.dtype == np.float64
    assert found.count == 50
    np.testing.assert_allclose(found.covariance, np.cov(features.astype(float), rowvar=False))


def test_chunks_of_the_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)) + 100
    whole = moments(features)
    monkeypatch.setattr(metrics, "CHUNK", 7)
    np.testing.assert_array_equal(moments(features).mean, whole.mean)
    np.testing.assert_allclose(moments(features).covariance, whole.covariance, rtol=1e-12)


def test_equals_torch_fidelity() -> None:
    random = np.random.default_rng(0)
    sets = [random.normal(size=(n, 16)) @ random.normal(size=(16, 16)) for n in (90, 70)]
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(torch.from_numpy(x)) for x in sets), verbose=False)
    ours = frechet_distance(*map(moments, sets))
    assert ours == pytest.approx(theirs[KEY_METRIC_FID], rel=1e-9)


@pytest.mark.parametrize(
    "features", [np.zeros((1, 3)), np.zeros(3), np.zeros((4, 0)), np.full((4, 3), np.nan), np.zeros((4, 3), int)]
)
def test_moments_of_nonsense(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="features must be"):
        moments(features)


def test_checkpoints_of_round_budgets() -> None:
    assert judged(1000) == [800, 900, 1000]
    assert judged(2000) == [1600, 1800, 2000]
    assert judged(1001) == [800, 900, 1001]  # not 1000 and 1001: that would be one snapshot counted twice
    assert judged(1) == [1]


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=5, unique=True).map(sorted))
def test_any_way_to_a_budget_meets_its_checkpoints(stops: list[int]) -> None:
    """A training that stops on its way and goes on has been judged wherever one that never stopped is."""
    seen: set[int] = set()
    begin = 0
    for stop in stops:
        seen |= {step for step in due(stop) if step > begin}
        begin = stop
    assert set(judged(stops[-1])) <= seen


def test_median_is_of_the_last_three() -> None:
    curve = {step: {"FD": float(value)} for step, value in ((100, 0), (800, 5), (900, 50), (1000, 7))}
    assert median(curve, 1000) == {"FD": 7.0}
