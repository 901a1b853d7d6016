"""What classifiers get right, against scikit-learn and closed forms; and thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support, roc_auc_score

from lossgen.gan.downstream.rates import decided, mean_rates, needed_images, rates, tuned_offsets


def drawn(seed: int, count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities that know a little of the labels; every class is there."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count)])
    scores = rng.normal(size=(len(labels), classes)) + 1.5 * np.eye(classes)[labels]
    return scores - np.log(np.exp(scores).sum(1, keepdims=True)), labels.astype(np.int64)


@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(2, 5))
def test_rates_are_those_of_scikit_learn(seed: int, count: int, classes: int) -> None:
    log_probabilities, labels = drawn(seed, count, classes)
    found, taken = rates(log_probabilities, labels), log_probabilities.argmax(1)
    assert (found.confusion == confusion_matrix(labels, taken, labels=range(classes))).all()
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, taken))
    precision, recall, f1, _ = precision_recall_fscore_support(labels, taken, labels=range(classes), zero_division=0.0)
    assert np.allclose(found.precision, precision) and np.allclose(found.recall, recall) and np.allclose(found.f1, f1)
    assert found.g_mean == pytest.approx(float(np.prod(recall)) ** (1 / classes))
    assert found.accuracy == pytest.approx(float((taken == labels).mean()))
    probabilities = np.exp(log_probabilities)
    auroc = (
        roc_auc_score(labels, probabilities[:, 1])
        if classes == 2
        else roc_auc_score(labels, probabilities / probabilities.sum(1, keepdims=True), multi_class="ovr")
    )
    assert found.auroc == pytest.approx(auroc, abs=1e-9)


def test_who_never_names_the_rare_class_is_half_right() -> None:
    labels = np.array([0] * 95 + [1] * 5)
    found = rates(np.log(np.tile([0.9, 0.1], (100, 1))), labels)
    assert (found.accuracy, found.balanced_accuracy, found.g_mean) == (0.95, 0.5, 0.0)
    assert found.precision.tolist() == [0.95, 0.0] and found.auroc == 0.5


def test_a_class_without_images_counts_in_no_mean() -> None:
    found = rates(np.log(np.eye(3)[[0, 1, 1]] * 0.98 + 0.01), np.array([0, 1, 1]))
    assert found.balanced_accuracy == 1.0 and np.isnan(found.recall[2]) and np.isnan(found.auroc)


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_tuned_thresholds_are_never_worse_where_they_were_tuned(seed: int, classes: int) -> None:
    log_probabilities, labels = drawn(seed, 40, classes)
    offsets = tuned_offsets(log_probabilities, labels)
    before, after = rates(log_probabilities, labels), rates(log_probabilities, labels, offsets)
    assert offsets[0] == 0.0 and after.balanced_accuracy >= before.balanced_accuracy
    assert after.auroc == before.auroc


def test_a_threshold_is_found_and_left_alone_where_it_is_right() -> None:
    probability = np.array([0.02, 0.05, 0.08, 0.2, 0.25, 0.3])
    shifted = np.log(np.stack([1 - probability, probability], 1))
    labels = np.array([0, 0, 0, 1, 1, 1])
    offsets = tuned_offsets(shifted, labels)
    assert (decided(shifted) == 0).all() and (decided(shifted, offsets) == labels).all()
    right = np.log(np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert tuned_offsets(right, np.array([0, 1])).tolist() == [0.0, 0.0]


def test_needed_images_turn_the_binomial_interval_round() -> None:
    count = needed_images(0.05, 0.75)
    assert 1.96 * (0.75 * 0.25 / count) ** 0.5 <= 0.05 < 1.96 * (0.75 * 0.25 / (count - 1)) ** 0.5


def test_runs_are_pooled_by_adding_their_matrices() -> None:
    each = {str(seed): rates(*drawn(seed, 30, 3)) for seed in range(4)}
    pooled = mean_rates(each)
    assert pooled.confusion.sum() == 4 * 33
    assert pooled.auroc == pytest.approx(np.mean([found.auroc for found in each.values()]))
