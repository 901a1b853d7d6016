"""Splits that are made: disjoint, exhaustive, stratified, grouped, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.gan.raw import SPLITS, ArrayImages, Ints, RawData, RawSplit
from lossgen.gan.splits import complete, draw


def _data(labels: Ints | None, groups: Ints | None = None, count: int = 0, share: float = 1 / 6) -> RawData:
    count = len(labels) if labels is not None else count
    images = ArrayImages(np.zeros((count, 4, 4, 1), dtype=np.uint8), "8-bit", np.arange(count))
    classes = () if labels is None else tuple(str(k) for k in range(int(labels.max()) + 1))
    return RawData("x", {"train": RawSplit(images, labels, groups)}, classes, share=share)


def _numbers(data: RawData) -> dict[str, set[int]]:
    return {split: set(data.splits[split].images.numbers.tolist()) for split in SPLITS}  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(3, 60), min_size=1, max_size=8),
    share=st.sampled_from([1 / 6, 1 / 4, 1 / 10]),
    seed=st.integers(0, 99),
)
def test_disjoint_exhaustive_stratified(counts: list[int], share: float, seed: int) -> None:
    counts = [*counts, 40]
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(seed).shuffle(labels)
    data = complete(_data(labels, share=share), seed)
    numbers = _numbers(data)
    assert sorted(set.union(*numbers.values())) == list(range(len(labels)))
    assert sum(len(part) for part in numbers.values()) == len(labels)
    for split in ("validation", "test"):
        got = np.bincount(labels[sorted(numbers[split])], minlength=len(counts))
        assert (np.abs(got - np.array(counts) * share) <= 2).all()
    drawn = draw(len(labels), share, labels, None, np.random.default_rng(seed))
    assert (np.abs(np.bincount(labels[drawn], minlength=len(counts)) - np.array(counts) * share) < 1).all()
    assert np.bincount(data.splits["train"].labels, minlength=len(counts)).min() >= 1


def test_seed_decides() -> None:
    labels = np.arange(120) % 3
    one, same, other = (_numbers(complete(_data(labels), seed)) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_shares_add_up() -> None:
    sizes = {name: len(part.images) for name, part in complete(_data(None, count=600), 0).splits.items()}
    assert sizes == {"train": 400, "validation": 100, "test": 100}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_groups_stay_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 60, 200)
    labels = rng.integers(0, 3, 200)
    numbers = _numbers(complete(_data(labels, groups), seed))
    patients = [set(groups[sorted(part)].tolist()) for part in numbers.values()]
    assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
    assert sum(len(part) for part in numbers.values()) == 200


def test_groups_are_stratified_by_their_rarest_label() -> None:
    # 60 patients of two images: 24 with one diseased and one healthy eye, 36 with two healthy ones
    groups = np.repeat(np.arange(60), 2)
    labels = np.zeros(120, dtype=np.int64)
    labels[:48:2] = 1
    data = complete(_data(labels, groups), 5)
    assert [int((data.splits[split].labels == 1).sum()) for split in SPLITS] == [16, 4, 4]
    assert "no patient in two splits" in data.notes[-1]


def test_only_what_is_missing_is_made() -> None:
    data = _data(np.arange(60) % 2)
    data.splits["test"] = data.splits["train"].take(np.arange(10))
    done = complete(data, 0)
    assert done.made == ("validation",)
    assert [len(done.splits[split].images) for split in SPLITS] == [50, 10, 10]
    assert done.notes == ["validation made from the 60 images of train by seed 0: 1/6, stratified by class."]


def test_too_few() -> None:
    with pytest.raises(InputError, match=r"^data x: 6 images are too few to make a validation split from: .* 1 image"):
        complete(_data(None, count=6), 0)
    with pytest.raises(InputError, match="40 images of 2 patients are too few"):
        complete(_data(None, np.arange(40) % 2, count=40), 0)
    data = _data(None, count=60)
    data.splits["test"] = data.splits["train"].take(np.arange(1))
    with pytest.raises(InputError, match=r"^data x: test holds 1 image; a split needs at least 2$"):
        complete(data, 0)
