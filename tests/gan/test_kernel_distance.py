"""KID against its formula, torch-fidelity, and what an unbiased estimator promises."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from lossgen.gan.kernel_distance import kernel_distance


def drawn(count: int, dimension: int = 8, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)) + shift


def test_by_hand() -> None:
    """x = {1, -1}, y = {0, 2} in one dimension: k(1, -1) = 0, k(0, 2) = 1; k(x, y): 1, 27, 1, -1."""
    found = kernel_distance(np.array([[1.0], [-1.0]]), np.array([[0.0], [2.0]]), subsets=3)
    assert found.mean == pytest.approx(0 + 1 - 2 * (1 + 27 + 1 - 1) / 4)
    assert found.std == pytest.approx(0, abs=1e-12)
    assert (found.subset, found.subsets) == (2, 3)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_whole_sets_are_torch_fidelitys(shift: float) -> None:
    """A subset as large as the sets is the sets, in whatever order they are drawn."""
    x, y = drawn(150), drawn(150, seed=1, shift=shift)
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=2, kid_subset_size=150, rng_seed=0, verbose=False,
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0,
    )  # fmt: skip
    ours = kernel_distance(x, y, subset=150, subsets=2)
    assert ours.mean == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-10)
    assert ours.std == pytest.approx(theirs[KEY_METRIC_KID_STD], abs=1e-10)


def test_subsets_are_distributed_as_torch_fidelitys() -> None:
    x, y = drawn(400), drawn(300, seed=1, shift=0.3)
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=200, kid_subset_size=100, rng_seed=7, verbose=False,
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0,
    )  # fmt: skip
    ours = kernel_distance(x, y, seed=3, subset=100, subsets=200)
    error = theirs[KEY_METRIC_KID_STD] / np.sqrt(200)
    assert abs(ours.mean - theirs[KEY_METRIC_KID_MEAN]) < 5 * error
    assert ours.std == pytest.approx(theirs[KEY_METRIC_KID_STD], rel=0.3)


@pytest.mark.parametrize("few", [2, 400])
def test_a_subset_is_the_same_whichever_way_it_is_computed(few: int) -> None:
    """Many subsets come out of one kernel matrix, few ones each of their own."""
    x, y = drawn(90), drawn(70, seed=1, shift=0.5)
    numbers = [np.random.default_rng(s).choice for s in np.random.SeedSequence(5).spawn(2)]
    values = []
    for _ in range(few):
        a, b = (z[choose(len(z), 20, replace=False)] for choose, z in zip(numbers, (x, y)))
        k = [(one @ other.T / 8 + 1) ** 3 for one, other in ((a, a), (b, b), (a, b))]
        within = [(m.sum() - np.trace(m)) / (20 * 19) for m in k[:2]]
        values.append(sum(within) - 2 * k[2].mean())
    for tile in (16, 1024):
        found = kernel_distance(x, y, seed=5, subset=20, subsets=few, tile=tile)
        assert found.mean == pytest.approx(np.mean(values), rel=1e-10)
        assert found.std == pytest.approx(np.std(values), rel=1e-8)


def test_unbiased() -> None:
    """Of equal distributions the mean is 0, far within what one draw is off by, and half of the draws lie below it."""
    pairs = [(drawn(40, seed=2 * s), drawn(40, seed=2 * s + 1)) for s in range(300)]
    found = np.array([kernel_distance(x, y, subsets=1).mean for x, y in pairs])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(300)
    assert 0.3 < (found < 0).mean() < 0.75
    assert kernel_distance(drawn(40), drawn(40, seed=1, shift=1)).mean > 10 * found.std()


def test_single_precision_is_taken_for_what_it_is() -> None:
    x, y = drawn(64).astype(np.float32), drawn(64, seed=1).astype(np.float32)
    assert kernel_distance(x, y) == kernel_distance(x.astype(float), y.astype(float))


def test_repeatable_and_moves_no_global_stream() -> None:
    x, y = drawn(60), drawn(50, seed=1)
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1]
    first = kernel_distance(x, y, seed=1, subset=20)
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])
    assert first == kernel_distance(x, y, seed=1, subset=20)
    assert first != kernel_distance(x, y, seed=2, subset=20)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "N ≥ 2"),
        (np.zeros((4, 3)), np.zeros(4), "N ≥ 2"),
        (np.zeros((4, 3)), np.full((4, 3), np.inf), "finite"),
        (np.zeros((4, 3)), np.zeros((4, 3), int), "floating-point"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "3 dimensions against features of 2"),
    ],
)
def test_nonsense(x: np.ndarray, y: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kernel_distance(x, y)
