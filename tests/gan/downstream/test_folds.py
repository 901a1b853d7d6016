"""Splits that are made again and again: what they keep together, and what they hold."""

from dataclasses import replace

import numpy as np
import pytest

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.downstream.folds import check_classes, cut, split_again


def numbered(labels: list[int], first: int = 0, groups: list[int] | None = None) -> ImageSet:
    """Images that say which they are, in their first two pixels."""
    images = np.zeros((len(labels), 1, 8, 8), np.uint8)
    numbers = np.arange(first, first + len(labels))
    images[:, 0, 0, 0], images[:, 0, 0, 1] = numbers // 256, numbers % 256
    return ImageSet(images, np.array(labels), None if groups is None else np.array(groups))


def which(split: ImageSet) -> list[int]:
    return [int(a) * 256 + int(b) for a, b in split.images[:, 0, 0, :2]]


def data(own_test: bool = False, groups: bool = False, common: int = 90, rare: int = 30) -> Dataset:
    labels = [0] * common + [1] * rare
    patients = [[i // 3 + 1000 * part for i in range(len(labels))] if groups else None for part in range(3)]
    train, validation, test = (
        numbered(labels, part * len(labels), patients[part]) for part in range(3)
    )  # fmt: skip
    made = ("validation",) if own_test else ("validation", "test")
    return Dataset("eyes", train, validation, test, ("well", "ill"), "digest", (), made)


def test_cross_validation_tests_every_image_once_a_repetition() -> None:
    splits = split_again(data(), "folds", 0)
    assert len(splits.runs) == 10 and not splits.fixed_test and splits.test_counts == (270, 90)
    for half in (splits.runs[:5], splits.runs[5:]):
        assert sorted(number for run in half for number in which(run.test)) == list(range(360))
    for run in splits.runs:
        parts = [which(part) for part in (run.train, run.validation, run.test)]
        assert len(set().union(*parts)) == sum(map(len, parts)) == 360
        assert all(np.bincount(part.labels).tolist() == [3 * n, n] for part, n in ((run.test, 18),))
    trained = np.mean([len(run.train) for run in splits.runs])
    assert splits.left_out == pytest.approx(72 / trained, rel=0.02)
    assert len({run.digest for run in splits.runs}) == 10


def test_it_is_made_once_where_there_are_many_images() -> None:
    assert len(split_again(data(common=600, rare=200), "folds", 0).runs) == 5
    once, twice = (split_again(data(), "folds", 0, repeats).runs for repeats in (1, 2))
    assert len(once) == 5 and [run.digest for run in twice[:5]] == [run.digest for run in once]


def test_a_test_split_of_the_datas_own_is_kept() -> None:
    splits = split_again(data(own_test=True), "folds", 0)
    assert splits.fixed_test and splits.test_counts == (90, 30) and splits.left_out == 0.25
    for run in splits.runs:
        assert which(run.test) == list(range(240, 360))
        assert sorted(which(run.train) + which(run.validation)) == list(range(240))


def test_no_patient_is_in_two_splits() -> None:
    given = data(groups=True)
    for protocol in ("folds", "paper"):
        for run in split_again(given, protocol, 3).runs:  # type: ignore[arg-type]
            patients = [set(part.groups.tolist()) for part in (run.train, run.validation, run.test)]  # type: ignore[union-attr]
            assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]
    assert "no patient in two splits" in split_again(given, "folds", 0).description


def test_copies_of_an_image_stay_together_and_bind_their_patients() -> None:
    given = data(groups=True)
    given.train.images[0] = given.validation.images[50] = given.test.images[100]  # three patients share an image
    groups = [part.groups for part in (given.train, given.validation, given.test)]
    tied = {int(groups[0][0]), int(groups[1][50]), int(groups[2][100])}  # type: ignore[index]
    for run in split_again(given, "folds", 1).runs:
        held = [set(part.groups.tolist()) & tied for part in (run.train, run.validation, run.test)]  # type: ignore[union-attr]
        assert sorted(map(len, held)) == [0, 0, 3]
    bare = data()
    bare.train.images[0] = bare.train.images[1]
    assert any("1 image repeat" in note for note in split_again(bare, "folds", 1).notes)


def test_the_papers_protocol_is_a_tenth_each() -> None:
    splits = split_again(data(own_test=True), "paper", 0)
    assert len(splits.runs) == 5 and not splits.fixed_test
    assert any("not used" in note for note in splits.notes)
    assert [(len(run.train), len(run.validation), len(run.test)) for run in splits.runs] == [(288, 36, 36)] * 5
    with pytest.raises(InputError, match="at least 2 splits"):
        split_again(data(), "paper", 0, repeats=1)
    few = split_again(cut(data(own_test=True), {"ill": 20}, 0), "paper", 0, whole=False)
    assert (
        few.test_counts[1] <= 20 and sum(map(len, (few.runs[0].train, few.runs[0].validation, few.runs[0].test))) == 200
    )


def test_what_is_not_known_of_the_images_or_contradicts_itself_is_said() -> None:
    known = data()
    pool = known.train
    assert pool.labels is not None
    twice = ImageSet(
        np.concatenate([pool.images, pool.images[:3]]), np.concatenate([pool.labels, 1 - pool.labels[:3]]), None
    )
    notes = " ".join(split_again(replace(known, train=twice), "folds", 0).notes)
    assert "6 images have an exact copy with another label" in notes and "Whose the images are is not known" in notes
    assert "another label" not in " ".join(split_again(known, "folds", 0).notes)


def test_the_same_seed_splits_alike_and_another_does_not() -> None:
    one, two, other = (split_again(data(), "folds", seed) for seed in (4, 4, 5))
    assert [run.digest for run in one.runs] == [run.digest for run in two.runs]
    assert one.runs[0].digest != other.runs[0].digest


@pytest.mark.parametrize("own_test", [False, True])
def test_classes_are_cut_to_what_was_asked_for(own_test: bool) -> None:
    found = cut(data(own_test), {"ill": 20}, 0)
    parts = [found.train, found.validation, *([] if own_test else [found.test])]
    counts = sum(np.bincount(part.labels, minlength=2) for part in parts)
    assert counts.tolist() == [180 if own_test else 270, 20]
    numbers = [number for part in (found.train, found.validation, found.test) for number in which(part)]
    assert len(set(numbers)) == len(numbers) and "20 of ill" in found.notes[-1]
    assert own_test is (which(found.test) == list(range(240, 360)))
    assert found.digest != "digest" and cut(data(), {}, 0).digest == "digest"


@pytest.mark.parametrize(
    ("given", "counts", "message"),
    [
        (data(), {"odd": 5}, "odd is none of the classes of eyes, which are: well, ill"),
        (data(), {"ill": 91}, "91 images of ill, but there are 90"),
    ],
)
def test_a_cut_that_cannot_be_made(given: Dataset, counts: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut(given, counts, 0)


def test_what_cannot_be_split_is_refused_in_a_line() -> None:
    few = replace(
        data(), train=numbered([0] * 30 + [1] * 3), validation=numbered([0] * 9), test=numbered([0] * 9 + [1] * 4)
    )
    with pytest.raises(InputError, match="class ill has 7 images; at least 8"):
        split_again(few, "folds", 0)
    tested = replace(data(own_test=True), test=numbered([0] * 40))
    with pytest.raises(InputError, match="the test split holds no image of ill"):
        split_again(tested, "folds", 0)
    with pytest.raises(InputError, match="class ill has 5 images to train on"):
        cut(data(own_test=True), {"ill": 5}, 0)
    with pytest.raises(InputError, match="of no classes, or all of one"):
        split_again(replace(data(), classes=("well",)), "folds", 0)
    with pytest.raises(InputError, match="has no labels"):
        split_again(replace(data(), test=ImageSet(data().test.images, None)), "folds", 0)
    bare = replace(data(), train=ImageSet(data().train.images, None), classes=())
    with pytest.raises(InputError, match=r"of no classes, or all of one; .* give a folder a class"):
        check_classes(replace(bare, validation=bare.train, test=bare.train))
    of_few_patients = data(groups=True)
    for part in (of_few_patients.train, of_few_patients.validation, of_few_patients.test):
        part.groups[part.labels == 1] %= 3  # type: ignore[index]
    with pytest.raises(InputError, match="class ill is of 3 patients, too few for 5 folds"):
        split_again(of_few_patients, "folds", 0)


def test_patients_that_are_known_of_some_splits_only_are_refused() -> None:
    """Without them images of one patient would be in train and test, and nothing would say so."""
    known = data(groups=True)
    for part in ("validation", "test"):
        unknown = replace(known, **{part: replace(getattr(known, part), groups=None)})
        with pytest.raises(InputError, match=r"patients of some splits are known, and of others not.*val_patient"):
            split_again(unknown, "folds", 0)
    tested = replace(data(groups=True, own_test=True), test=replace(known.test, groups=None))
    assert any("a patient may be in training and test" in note for note in split_again(tested, "folds", 0).notes)
    with pytest.raises(InputError, match="patients of some splits"):
        split_again(tested, "paper", 0)
