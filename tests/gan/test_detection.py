"""Which classes are normal, and how well scores tell the others."""

import numpy as np
import pytest

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.detection import _redrawn, averaged, detection, rates, roles


def data_of(*splits: list[int] | None, classes: tuple[str, ...] = ("normal", "scar", "stone")) -> Dataset:
    sets = [
        ImageSet(np.zeros((len(labels or [0]), 1, 4, 4), np.uint8), None if labels is None else np.array(labels))
        for labels in splits
    ]
    return Dataset("x", *sets, classes=classes, digest="", notes=())


ALL = data_of([0, 1, 2], [0, 1, 2], [0, 1, 2])


@pytest.mark.parametrize(
    ("normal", "anomalous", "expected"),
    [
        ("", "", ((0,), (1, 2), "B")),  # a class called normal
        ("scar", "", ((1,), (0, 2), "B")),
        ("", "stone", ((0, 1), (2,), "A")),
        ("normal", "stone", ((0,), (2,), "")),  # the others are left out
    ],
)
def test_roles(normal: str, anomalous: str, expected: tuple[object, ...]) -> None:
    found = roles(ALL, normal, anomalous)
    assert (found.normal, found.anomalous, found.protocol) == expected


def test_roles_in_words() -> None:
    said = roles(ALL, "", "stone").description
    assert said == "Anomaly detection, protocol A: normal is normal, scar, anomalous stone."


@pytest.mark.parametrize(
    ("data", "named", "problem"),
    [
        (ALL, ("cyst", ""), "--normal-class cyst: is none of the classes of x, which are: normal, scar, stone"),
        (ALL, ("", "cyst"), "--anomalous-class cyst: is none of the classes"),
        (ALL, ("scar", "scar"), "are both scar; give two classes, or one of them"),
        (data_of([0], [0], [0], classes=("normal",)), ("", ""), "is all of one class"),
        (data_of(None, None, None, classes=()), ("", ""), "has no labels that say which images are normal"),
        (data_of([0, 1], [0, 1], [0, 1], classes=("a", "b")), ("", ""), r"say which class is normal .*of: a, b"),
        (data_of([1, 2], [0, 1], [0, 1]), ("", ""), r"train holds no normal image \(normal\)"),
        (data_of([0, 1], [0, 1], [1, 2]), ("", ""), "test holds no normal image; AUROC needs both kinds"),
        (data_of([0, 1], [0, 0], [0, 1]), ("", ""), "validation holds no anomalous image"),
    ],
)
def test_what_cannot_be_detected(data: Dataset, named: tuple[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        roles(data, *named)


def test_rates_are_those_of_pairs_and_of_ranks() -> None:
    scores, anomalous = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    found = rates(scores, anomalous)
    assert found["AUROC"] == 0.75  # of four pairs three are the right way round
    assert found["AP"] == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)
    assert rates(np.zeros(4), anomalous) == {"AUROC": 0.5, "AP": 0.5}


def test_what_is_drawn_again_is_rated_as_by_scikit_learn() -> None:
    """With ties, between kinds, too; resamples of few images, of which some are not drawn at all."""
    rng = np.random.default_rng(2)
    scores, anomalous = rng.integers(0, 6, 12).astype(float), np.arange(12) < 5
    seen = _redrawn(scores, anomalous, np.random.default_rng(3))
    again = np.random.default_rng(3)
    order = np.argsort(-scores, kind="stable")
    times = np.zeros((1000, 12), dtype=int)
    for kind in (anomalous, ~anomalous):
        members = order[kind[order]]
        times[:, members] = again.multinomial(len(members), np.full(len(members), 1 / len(members)), 1000)
    for i in range(0, 1000, 50):
        rows = np.repeat(np.arange(12), times[i])
        assert list(rates(scores[rows], anomalous[rows]).values()) == pytest.approx(list(seen[:, i]))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    anomalous = np.arange(150) < 50
    held = 0
    for _ in range(60):
        low, high = detection(rng.normal(anomalous.astype(float), 1.0), anomalous).auroc_interval
        held += low < 0.7602 < high  # Φ(1 / √2)
    assert 52 <= held <= 60


def test_the_average_of_several_classes() -> None:
    rng = np.random.default_rng(1)
    tests = [(rng.normal(size=60) + shift * (np.arange(60) < 30), np.arange(60) < 30) for shift in (0.0, 2.0)]
    one, other = (detection(*test) for test in tests)
    both = averaged(tests)
    assert both.auroc == pytest.approx((one.auroc + other.auroc) / 2) and both.share == 0.5
    widths = [found.auroc_interval[1] - found.auroc_interval[0] for found in (both, one)]
    assert widths[0] < widths[1]
    assert detection(*tests[0]) == one  # the same draws each time
