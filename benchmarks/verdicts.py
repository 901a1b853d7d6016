"""How often is a verdict wrong? Studies whose true answer is known, on small draws from a large real data set.

    LOSSGEN_DATA=DIR python benchmarks/verdicts.py [--studies 200] [--out benchmarks/results/verdicts.json]

A study is what `runners/imbalance.py` does, but with logistic regressions in place of networks, so that it takes
two seconds and hundreds can be made: 200 fours and 50 nines of MNIST, 7 x 7 pixels, are split by the same code,
the arms answer, and the same code makes an interval and a word of it. What an arm is truly above another comes from
hundreds of classifiers on other draws, tested on all images that these were not taken from. Held beside it is the
paired t-test, which takes runs that share images to be independent ones. Half an hour of one core.

Treatments: `nothing`: both arms learn from a bootstrap sample each, and differ by luck alone; `chosen`: the best of two
such arms on validation against the best of five, plain or with tuned thresholds; `weights`: class weights against none,
a gain that is real; `half`: half of the images against all, a loss that is real.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.linear_model import LogisticRegression

from lossgen.evolution.run import versions
from lossgen.gan.data import Dataset, ImageSet, load
from lossgen.gan.downstream.answers import Answers, Variant
from lossgen.gan.downstream.folds import Splits, split_again
from lossgen.gan.downstream.verdict import choices, contrast
from lossgen.runner import DataSpec
from lossgen.stats import CONFIDENCE

RARE, COMMON = (50, "9"), (200, "4")
TESTED = 100
"""Images of either class in a test split of the data's own."""
EFFECT = 0.05
TREATMENTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "nothing": (["luck 0"], ["luck 1"]),
    "chosen": (["luck 0", "luck 1"], [f"luck {i}" for i in range(2, 7)]),
    "weights": (["weights"], ["all"]),
    "half": (["half"], ["all"]),
}
"""Arms that are held against one another: ours, theirs."""
ARMS = list(dict.fromkeys(arm for pair in TREATMENTS.values() for side in pair for arm in side))
DESIGNS = ("cross-validation", "own test split")

Floats = NDArray[np.float64]


def small(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 1, 28, 28) -> (N, 1, 7, 7), means of blocks."""
    return images.reshape(len(images), 1, 7, 4, 7, 4).mean((3, 5)).round().astype(np.uint8)


def features(images: NDArray[np.uint8]) -> Floats:
    return images.reshape(len(images), -1) / 255.0


def answered(arm: str, run: Dataset, others: ImageSet, rng: np.random.Generator) -> Answers:
    """An arm that has learnt from a run's training images, asked about its validation images and about others."""
    rows = np.arange(len(run.train))
    if arm.startswith("luck"):
        rows = rng.integers(0, len(rows), len(rows))
    elif arm == "half":
        rows = rng.permutation(rows)[: len(rows) // 2]
    labels = run.train.known_labels[rows]
    model = LogisticRegression(max_iter=300, class_weight="balanced" if arm == "weights" else None)
    model.fit(features(run.train.images[rows]), labels)
    of_validation, of_others = (model.predict_log_proba(features(part.images)) for part in (run.validation, others))
    return Answers(of_validation, of_others, run.validation.known_labels, others.known_labels)


def drawn(population: ImageSet, design: str, seed: int) -> tuple[Splits, ImageSet]:
    """A small data set, split again and again, and the images that it was not drawn from."""
    rng = np.random.default_rng((seed, DESIGNS.index(design)))
    order = [rng.permutation(np.flatnonzero(population.labels == label)) for label in (0, 1)]
    few = np.concatenate([rows[:count] for rows, (count, _) in zip(order, (COMMON, RARE))])
    tested = np.concatenate([rows[COMMON[0] : COMMON[0] + TESTED] for rows in order])
    rest = np.concatenate([rows[COMMON[0] + TESTED :] for rows in order])
    own = design == DESIGNS[1]
    pool, test = population.take(few), population.take(tested)
    made = () if own else ("validation", "test")
    nothing = population.take(np.empty(0, np.int64))
    data = Dataset("mnist", pool, nothing, test if own else nothing, (COMMON[1], RARE[1]), "", (), made)
    return split_again(data, "folds", seed), population.take(rest)


def true_differences(population: ImageSet, design: str, seed: int) -> dict[str, float]:
    """By treatment, in one run of a new draw, tested on all other images."""
    splits, others = drawn(population, design, seed)
    rng = np.random.default_rng((1, seed))
    found = {arm: answered(arm, splits.runs[0], others, rng) for arm in ARMS}
    differences = {}
    for name, pair in TREATMENTS.items():
        ours, theirs = (sides([found], arms)[0] for arms in pair)
        right = [found[side.arm].on_test(side.tuned).balanced_accuracy for side in (ours, theirs)]
        differences[name] = right[0] - right[1]
    return differences


def sides(runs: Sequence[Mapping[str, Answers]], arms: Sequence[str]) -> Sequence[Variant]:
    """The arm, or of several the best variant on validation, of each run."""
    return choices(runs, arms) if len(arms) > 1 else [Variant(arms[0])] * len(runs)


def study(population: ImageSet, design: str, seed: int) -> dict[str, tuple[str, float, float, float]]:
    """By treatment: the word, the interval, and half that of a paired t-test."""
    splits, _ = drawn(population, design, seed)
    rng = np.random.default_rng((2, seed))
    runs = [{arm: answered(arm, run, run.test, rng) for arm in ARMS} for run in splits.runs]
    found = {}
    for name, (ours, theirs) in TREATMENTS.items():
        one = contrast(runs, sides(runs, ours), sides(runs, theirs), splits)
        spread = float(np.std(one.differences, ddof=1)) / len(runs) ** 0.5
        plain = float(t.ppf((1 + CONFIDENCE) / 2, len(runs) - 1)) * spread
        found[name] = (one.words(EFFECT), one.low, one.high, plain)
    return found


def summary(found: Sequence[tuple[str, float, float, float]], truth: float) -> dict[str, Any]:
    """Shares of the studies."""
    words, low, high, plain = (np.array(column) for column in zip(*found))
    middle = (low + high) / 2
    counted = Counter(words.tolist())
    return {
        "truth": truth,
        "words": {word: counted[word] / len(found) for word in ("helps", "does not help", "cannot be told", "hurts")},
        "holds the truth": float(np.mean((low <= truth) & (truth <= high))),
        "mean width": float(np.mean(high - low)),
        "paired t-test": {
            "helps": float(np.mean(middle - plain > 0)), "hurts": float(np.mean(middle + plain < 0)),
            "holds the truth": float(np.mean(np.abs(middle - truth) <= plain)),
            "mean width": float(np.mean(2 * plain)),
        },
    }  # fmt: skip


@click.command(help=__doc__)
@click.option("--studies", default=200, type=click.IntRange(min=10), show_default=True)
@click.option("--workers", default=-1)
@click.option("--out", default="benchmarks/results/verdicts.json", type=click.Path(path_type=Path), show_default=True)
def main(studies: int, workers: int, out: Path) -> None:
    data = load(DataSpec("mnist"))
    parts = [data.train, data.validation, data.test]
    images, labels = (np.concatenate(each) for each in zip(*((p.images, p.known_labels) for p in parts)))
    rows = np.flatnonzero((labels == int(COMMON[1])) | (labels == int(RARE[1])))
    population = ImageSet(small(images[rows]), (labels[rows] == int(RARE[1])).astype(np.int64))
    results: dict[str, Any] = {}
    with Parallel(n_jobs=workers) as parallel:
        for design in DESIGNS:
            truths = parallel(delayed(true_differences)(population, design, 10**6 + i) for i in range(2 * studies))
            found = parallel(delayed(study)(population, design, i) for i in range(studies))
            results[design] = {}
            for name in TREATMENTS:
                values = [each[name] for each in truths]
                one = summary([each[name] for each in found], 0.0 if name == "nothing" else float(np.mean(values)))
                one["standard error of the truth"] = float(np.std(values) / len(values) ** 0.5)
                results[design][name] = one
                words = ", ".join(f"{word} {share:.3f}" for word, share in one["words"].items())
                plain = one["paired t-test"]
                click.echo(
                    f"{design}, {name}: truth {one['truth']:+.4f}; {words}; holds the truth "
                    f"{one['holds the truth']:.3f}, width {one['mean width']:.3f}; paired t-test: helps "
                    f"{plain['helps']:.3f}, hurts {plain['hurts']:.3f}, holds the truth {plain['holds the truth']:.3f}"
                )
    about = {"schema": 1, "studies": studies, "effect": EFFECT, "images": [COMMON, RARE], "versions": versions()}
    out.write_text(json.dumps({**about, "designs": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
