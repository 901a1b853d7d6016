"""Choices on validation, intervals and words."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.downstream.answers import Answers, Variant, _halves, chosen, variants
from lossgen.gan.downstream.folds import Splits
from lossgen.gan.downstream.verdict import choices, contrast


def answers(right: float, rng: np.random.Generator, count: int = 60, test: np.ndarray | None = None) -> Answers:
    """An arm that takes so large a share of images for what they are."""
    labels = np.arange(count) % 2

    def scores() -> np.ndarray:
        hit = rng.random(count) < right
        taken = np.where(hit, labels, 1 - labels)
        return np.log(np.where(np.eye(2)[taken] > 0, 0.8, 0.2))

    return Answers(scores(), scores() if test is None else test, labels, labels)


def splits(fixed: bool = False, left_out: float = 0.3125, counts: tuple[int, int] = (300, 300)) -> Splits:
    return Splits((), "", fixed, left_out, counts)


def runs(rights: dict[str, float], count: int = 10, seed: int = 0, images: int = 60) -> list[dict[str, Answers]]:
    rng = np.random.default_rng(seed)
    return [{arm: answers(right, rng, images) for arm, right in rights.items()} for _ in range(count)]


def of(arm: str, found: list[Any]) -> list[Variant]:
    return [Variant(arm)] * len(found)


def test_the_interval_is_that_of_the_corrected_resampled_t_test() -> None:
    found = runs({"a": 0.8, "b": 0.7})
    result = contrast(found, of("a", found), of("b", found), splits())
    each = [run["a"].on_test(False).balanced_accuracy - run["b"].on_test(False).balanced_accuracy for run in found]
    half = t.ppf(0.975, 9) * math.sqrt((1 / 10 + 0.3125) * np.var(each, ddof=1))
    assert result.mean == pytest.approx(np.mean(each)) and result.differences == pytest.approx(each)
    assert (result.low, result.high) == pytest.approx((np.mean(each) - half, np.mean(each) + half))
    back = contrast(found, of("b", found), of("a", found), splits())
    assert (back.low, back.high) == pytest.approx((-result.high, -result.low))


def test_one_run_says_nothing_of_the_others() -> None:
    found = runs({"a": 0.9, "b": 0.5}, 1)
    result = contrast(found, of("a", found), of("b", found), splits())
    assert (result.low, result.high) == (-math.inf, math.inf) and result.words(0.05) == "cannot be told"


def test_a_fixed_test_split_adds_the_luck_of_its_images() -> None:
    """J runs that agree to the last image: what is left is the spread over test images, known in closed form."""
    rng = np.random.default_rng(1)
    one, other = answers(0.9, rng, 200), answers(0.6, rng, 200)
    found = [{"a": one, "b": other}] * 5
    result = contrast(found, of("a", found), of("b", found), splits(True, 0.25, (100, 100)))
    better = (one.taken(False) == one.test_labels).astype(float) - (other.taken(False) == other.test_labels)
    variance = sum(better[one.test_labels == label].var() / 100 for label in (0, 1)) / 4
    assert (result.high - result.low) / 2 == pytest.approx(t.ppf(0.975, 4) * math.sqrt(variance), rel=0.08)
    apart = contrast(found, of("a", found), of("b", found), splits(False))
    assert apart.high - apart.low < (result.high - result.low) / 4


def test_images_of_a_patient_are_drawn_together() -> None:
    """Of 200 images of 20 patients, alike within each, the interval is that of 20 and not that of 200."""
    labels, whose = np.arange(200) % 2, np.arange(200) // 10
    right = np.log(np.where(np.eye(2)[labels] > 0, 0.8, 0.2))
    wrong = np.where((whose % 2 == 0)[:, None], right[:, ::-1], right)
    found = [{"a": Answers(right, right, labels, labels), "b": Answers(right, wrong, labels, labels)}] * 5
    test = ImageSet(np.zeros((200, 1, 8, 8), np.uint8), labels, whose)
    data = Dataset("eyes", test, test, test, ("well", "ill"), "", ())
    alone, together = (
        contrast(found, of("a", found), of("b", found), replace(splits(True), runs=(replace(data, test=part),)))
        for part in (replace(test, groups=None), test)
    )
    # Both classes are of the same patients, which are drawn for each of them.
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(math.sqrt(10 / 2), rel=0.15)


def test_arms_that_do_the_same_are_no_wider_apart_than_the_images_can_tell() -> None:
    found = [{"a": one["a"], "b": one["a"]} for one in runs({"a": 0.8})]
    few, many = (contrast(found, of("a", found), of("b", found), splits(counts=(400, n))) for n in (10, 200))
    assert (few.low, few.high) == pytest.approx((-0.15, 0.15)) and few.rarest == (1, 10)
    assert (many.low, many.high) == pytest.approx((-0.0075, 0.0075))
    assert few.words(0.05) == "cannot be told" and many.words(0.05) == "does not help"


@pytest.mark.parametrize(
    ("rights", "images", "words"),
    [
        ({"a": 0.9, "b": 0.7}, 400, "helps"),
        ({"a": 0.7, "b": 0.9}, 400, "hurts"),
        ({"a": 0.8, "b": 0.8}, 4000, "does not help"),
        ({"a": 0.82, "b": 0.8}, 40, "cannot be told"),
    ],
)
def test_words(rights: dict[str, float], images: int, words: str) -> None:
    found = runs(rights, images=images)
    assert contrast(found, of("a", found), of("b", found), splits()).words(0.05) == words


@given(st.integers(0, 1000), st.floats(0.6, 0.9), st.floats(0.01, 0.1))
def test_what_cannot_be_told_needs_more_images_than_there_are(seed: int, right: float, effect: float) -> None:
    found = runs({"a": right, "b": 0.75}, 5, seed, 40)
    result = contrast(found, of("a", found), of("b", found), splits(counts=(90, 40)))
    if result.words(effect) == "cannot be told":
        assert result.needed(effect) >= 40
    assert result.low <= result.mean <= result.high


def test_runs_that_share_images_are_no_independent_ones() -> None:
    """Arms of equal merit whose runs have in common what the correction is for: Student's interval is too short."""
    rng = np.random.default_rng(5)
    wrong = {0.0: 0, 0.3125: 0}
    for _ in range(150):
        shared = rng.normal(0, 0.0086)  # of the sample that all runs are made of: 0.3125 of the variance of a run
        found = [{"a": answers(0.75 + shared, rng, 400), "b": answers(0.75 - shared, rng, 400)} for _ in range(10)]
        for left_out in wrong:
            wrong[left_out] += contrast(found, of("a", found), of("b", found), splits(left_out=left_out)).low > 0
    assert wrong[0.3125] <= 8 < 2 * wrong[0.3125] + 8 <= wrong[0.0]


def test_the_choice_is_made_on_validation_and_the_first_among_equals_is_taken() -> None:
    rng = np.random.default_rng(0)
    good, bad = answers(0.9, rng, 400), answers(0.6, rng, 400)
    run = {"a": bad, "b": Answers(good.validation, bad.test, good.validation_labels, bad.test_labels), "c": good}
    assert chosen(run, ["a", "b"]) == Variant("b")
    assert chosen(run, ["b", "c"]) == Variant("b")
    assert chosen(run, ["a"]).arm == "a" and len(variants("abc")) == 6


def test_tuned_thresholds_are_judged_on_images_that_they_were_not_tuned_on() -> None:
    """Scores without knowledge: tuned and judged on the same images they look good, apart they do not."""
    rng = np.random.default_rng(0)
    labels = (np.arange(40) % 8 == 0).astype(np.int64)
    values, flattered = [], []
    for _ in range(60):
        p = rng.uniform(0.02, 0.98, len(labels))
        scores = np.log(np.stack([1 - p, p], 1))
        arm = Answers(scores, scores, labels, labels)
        values.append(arm.on_validation(True))
        flattered.append(arm.on_test(True).balanced_accuracy)
    assert np.mean(flattered) > 0.62 and abs(np.mean(values) - 0.5) < 0.04


def test_where_every_gan_has_failed_nothing_is_added() -> None:
    found = runs({"real only": 0.8, "synthetic": 0.8}, 3)
    del found[1]["synthetic"]
    ours = choices(found, ["synthetic"], ["real only"])
    assert [variant.arm for variant in ours] == ["synthetic", "real only", "synthetic"]
    theirs = choices(found, ["real only"])
    result = contrast(found, ours, theirs, splits())
    assert result.differences[1] == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60))
def test_a_patient_is_in_one_half_of_the_validation_images(images: list[tuple[int, int]]) -> None:
    labels, groups = (np.array(each) for each in zip(*images))
    half = _halves(labels, groups)
    for group in np.unique(groups):
        assert len(np.unique(half[groups == group])) == 1
    own = np.arange(len(labels))
    assert (_halves(labels, own) == _halves(labels)).all()
    for label in np.unique(labels):
        here = _halves(labels)[labels == label]
        assert here.sum() == (len(here) + 1) // 2
