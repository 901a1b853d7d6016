"""Overlaps in closed form, and selections held against looking at every ensemble."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.gan.ensembles.overlap import Alone, Overlaps, Worth
from lossgen.gan.ensembles.selection import front, hypervolume, pick, random_ensembles, select
from lossgen.gan.neighbours import neighbourhoods


def cloud(count: int, seed: int, centre: float = 0.0, spread: float = 1.0, dimension: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, spread, (count, dimension))


def pool(count: int = 7) -> Overlaps:
    """Models that know a part of the data each, and one that draws elsewhere."""
    rng = np.random.default_rng(0)
    real = np.concatenate([cloud(60, i, 4.0 * i) for i in range(3)])
    models = [
        np.concatenate([cloud(60, 10 + i, 4.0 * (i % 3), 0.6), cloud(20, 30 + i, 4.0 * ((i + 1) % 3), 0.6)])
        for i in range(count - 1)
    ]
    return Overlaps(real, [*(rng.permutation(model) for model in models), cloud(80, 99, 40.0)])


def d(real: np.ndarray, fake: np.ndarray) -> float:
    found = neighbourhoods(real, fake)
    return 2 * found.density * found.coverage / (found.density + found.coverage)


def test_d_is_the_harmonic_mean_of_density_and_coverage_in_both_orders() -> None:
    real, one, other = cloud(90, 0), cloud(70, 1, 0.5), cloud(70, 2, -0.5)
    overlaps = Overlaps(real, [one, other])
    together = np.concatenate([one[:35], other[:35]])
    worth = overlaps.worth([1, 0])
    assert worth.models == (0, 1)
    assert worth.intra_d == pytest.approx((d(real, together) + d(together, real)) / 2)
    assert worth.inter_d == pytest.approx((d(one, other) + d(other, one)) / 2)
    assert overlaps.intra((0,)) == pytest.approx((d(real, one) + d(one, real)) / 2)
    alone, found = overlaps.alone(0), neighbourhoods(real, one)
    assert alone == Alone(pytest.approx(found.density), pytest.approx(found.coverage), overlaps.intra((0,)))  # type: ignore[arg-type]


def test_the_authors_variant_takes_one_order_and_all_images() -> None:
    real, one, other = cloud(90, 0), cloud(70, 1, 0.5), cloud(70, 2, -0.5)
    worth = Overlaps(real, [one, other], variant="authors").worth((0, 1))
    assert worth.intra_d == pytest.approx(d(real, np.concatenate([one, other])))
    assert worth.inter_d == pytest.approx(d(one, other))


def test_the_same_images_overlap_wholly_and_far_ones_not_at_all() -> None:
    x = cloud(80, 0)
    overlaps = Overlaps(x, [x, x, x + 1000])
    assert overlaps.intra((0,)) == pytest.approx(1.0, abs=0.12) and overlaps.pair(0, 1) == overlaps.intra((0,))
    assert overlaps.pair(0, 2) == 0.0 and overlaps.intra((2,)) == 0.0


def test_pooled_images_are_as_many_however_many_models() -> None:
    """Models of one distribution: more of them are not worth more, as they would be with more images."""
    gains: dict[str, list[float]] = {"symmetric": [], "authors": []}
    for seed in (0, 100, 200):
        models = [cloud(200, seed + i) for i in range(1, 7)]
        for variant, found in gains.items():
            overlaps = Overlaps(cloud(200, seed), models, variant=variant)  # type: ignore[arg-type]
            found.append(overlaps.intra(tuple(range(6))) - float(np.mean([overlaps.intra((i,)) for i in range(6)])))
    assert abs(np.mean(gains["symmetric"])) < 0.005 < 0.01 < np.mean(gains["authors"])


def test_selections_find_what_looking_at_all_finds() -> None:
    overlaps = pool()
    every = select(overlaps, "exhaustive")
    assert len(every) == 2**7 - 8 and len({worth.models for worth in every}) == len(every)
    best = pick(every)
    assert best.intra_d == max(worth.intra_d for worth in every) and 6 not in best.models and len(best.models) >= 2
    assert {worth.models for worth in select(overlaps)} == {worth.models for worth in every}
    for how, share in (("tpe", 0.97), ("nsga2", 0.9), ("greedy", 0.9)):
        found = select(overlaps, how, 150, seed=3)  # type: ignore[arg-type]
        assert min(len(worth.models) for worth in found) >= 2
        assert pick(found).intra_d >= share * best.intra_d
        assert share * hypervolume(every) <= hypervolume(found) <= hypervolume(every) + 1e-9
        assert found == select(overlaps, how, 150, seed=3)  # type: ignore[arg-type]
    assert select(overlaps, "tpe", 60, seed=1) != select(overlaps, "tpe", 60, seed=2)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1.4)), min_size=1, max_size=30))
def test_the_front_is_what_nothing_dominates(values: list[tuple[float, float]]) -> None:
    found = [Worth((i, i + 1), intra, inter) for i, (intra, inter) in enumerate(values)]
    kept = front(found)
    for worth in found:
        better = [w for w in found if w.intra_d >= worth.intra_d and w.inter_d <= worth.inter_d]
        dominated = any(w.intra_d > worth.intra_d or w.inter_d < worth.inter_d for w in better)
        same = any((w.intra_d, w.inter_d) == (worth.intra_d, worth.inter_d) for w in kept)
        assert dominated != same
    assert pick(found).intra_d == max(w.intra_d for w in found)
    grid = (np.arange(300) + 0.5) / 300
    area = np.mean([[any(w.intra_d >= x and w.inter_d <= 1.5 * y for w in kept) for x in grid[::6]] for y in grid[::6]])
    assert hypervolume(found) == pytest.approx(1.5 * area, abs=0.15)


def test_random_ensembles_are_of_one_size() -> None:
    found = random_ensembles(9, 4, 20, np.random.default_rng(0))
    assert all(len(set(models)) == 4 and max(models) < 9 for models in found) and len(set(found)) > 10


def test_pools_that_are_none() -> None:
    x = cloud(40, 0)
    with pytest.raises(InputError, match="a pool of 1 model; it takes at least 2"):
        Overlaps(x, [x])
    with pytest.raises(InputError, match="features of model 2 are NaN or infinite; choose another embedding"):
        Overlaps(x, [x, np.where(x > 1, np.nan, x)])
    with pytest.raises(InputError, match="too few for neighbourhoods of 5; give more than 10"):
        Overlaps(x, [x, x[:10]])
