"""Which models of a pool to take: every ensemble where they are few, else Optuna's TPE or NSGA-II, or greedily.

All look for ensembles of high intra_d and low inter_d. What is not dominated is the front; the pick is its point of the
highest intra_d, as Tronchin et al. (2026) have it.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, combinations
from typing import Any, Literal

from lossgen.errors import InputError
from lossgen.gan.ensembles.overlap import Chosen, Overlaps, Worth

How = Literal["auto", "exhaustive", "tpe", "nsga2", "greedy"]
FEW = 15
"""Models up to which every ensemble is looked at."""
MOST = 20
"""Models up to which every ensemble can be asked for."""
TRIALS = 1000
_WORST = (-1.0, 1e9)


def select(
    overlaps: Overlaps, how: How = "auto", trials: int = TRIALS, seed: int = 0,
    told: Callable[[int], None] = lambda count: None,
) -> list[Worth]:  # fmt: skip
    """All ensembles that were looked at.

    Args:
        how: auto is exhaustive up to `FEW` models, else tpe.
        trials: of tpe and nsga2.
        told: called with how many were looked at.

    Raises:
        InputError: optuna is not installed.
    """
    count = overlaps.count
    if how == "auto":
        how = "exhaustive" if count <= FEW else "tpe"
    if how in ("tpe", "nsga2"):
        return _by_optuna(overlaps, how, trials, seed, told)
    if how == "exhaustive" and count > MOST:
        raise InputError(f"--select exhaustive: {count} models have {2**count} ensembles; choose tpe, nsga2 or greedy")
    every = chain.from_iterable(combinations(range(count), size) for size in range(2, count + 1))
    return _looked_at(overlaps, every if how == "exhaustive" else _greedily(overlaps), told)


def front(found: Iterable[Worth]) -> list[Worth]:
    """Those that no other is at least as good as in both, and better in one; by intra_d, highest first."""
    kept: list[Worth] = []
    for worth in sorted(set(found), key=lambda each: (-each.intra_d, each.inter_d, len(each.models), each.models)):
        if not kept or worth.inter_d < kept[-1].inter_d:
            kept.append(worth)
    return kept


def pick(found: Iterable[Worth]) -> Worth:
    """The front's point of the highest intra_d."""
    return front(found)[0]


def hypervolume(found: Iterable[Worth], worst: tuple[float, float] = (0.0, 1.5)) -> float:
    """Area that the front dominates, up to an intra_d and an inter_d that are the worst that count."""
    area, above = 0.0, worst[1]
    for worth in front(found):
        if worth.intra_d > worst[0] and worth.inter_d < above:
            area += (worth.intra_d - worst[0]) * (above - worth.inter_d)
            above = worth.inter_d
    return area


def _looked_at(overlaps: Overlaps, ensembles: Iterable[Chosen], told: Callable[[int], None]) -> list[Worth]:
    found = []
    for ensemble in ensembles:
        found.append(overlaps.worth(ensemble))
        told(len(found))
    return found


def _greedily(overlaps: Overlaps) -> Iterable[Chosen]:
    """From the best pair on, the model that brings the most intra_d each time."""
    pairs = list(combinations(range(overlaps.count), 2))
    yield from pairs
    chosen: Chosen = max(pairs, key=lambda pair: overlaps.worth(pair).intra_d)
    while len(chosen) < overlaps.count:
        longer = [tuple(sorted((*chosen, model))) for model in range(overlaps.count) if model not in chosen]
        yield from longer
        chosen = max(longer, key=lambda each: overlaps.worth(each).intra_d)


def _by_optuna(overlaps: Overlaps, how: str, trials: int, seed: int, told: Callable[[int], None]) -> list[Worth]:
    try:
        import optuna
    except ModuleNotFoundError:
        raise InputError(f"--select {how}: needs optuna; pip install 'lossgen[ensemble]', or --select greedy") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: Any = optuna.samplers.TPESampler(seed=seed) if how == "tpe" else optuna.samplers.NSGAIISampler(seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    found: list[Worth] = []

    def objective(trial: Any) -> tuple[float, float]:
        models = [i for i in range(overlaps.count) if trial.suggest_categorical(f"model {i}", [False, True])]
        if len(models) < 2:
            return _WORST
        found.append(overlaps.worth(models))
        told(len(found))
        return found[-1].intra_d, found[-1].inter_d

    # All of them first, so that there is something whatever the sampler draws.
    study.enqueue_trial({f"model {i}": True for i in range(overlaps.count)})
    study.optimize(objective, n_trials=trials)
    return found


def random_ensembles(count: int, size: int, how_many: int, rng: Any) -> Sequence[Chosen]:
    """Ensembles of one size, drawn at random."""
    return [tuple(sorted(rng.choice(count, size, replace=False).tolist())) for _ in range(how_many)]
