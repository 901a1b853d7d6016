"""Does the way of selecting and varying pay? Searches for a hidden loss, which costs no training.

    python benchmarks/hidden_loss.py [--seeds 5] [--jobs 2] [--out benchmarks/results/hidden_loss.json]

The fitness of a candidate is how far its score-gradients are from those of a hidden target: the root mean square of
the difference over the screen's grid, discriminator's and generator's curves each divided by their largest value, as
in the fingerprint. Targets are four losses of the zoo and four random ones of the space `ganetic`, which is searched.
Every method gets as many evaluations as the default run has trainings, the same seeds and the same targets; rejected
and duplicate candidates cost nothing, as in a run. With noise, each evaluation is multiplied by a log-normal factor,
as the luck of a training's seed would, and what counts is the true distance of the candidate that looks best.

A gradient distance is not a GAN: the landscape of Fréchet distances may reward other methods. About 4 minutes on 2
cores.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import click
import joblib
import numpy as np

from lossgen.codegen.load import load_argument
from lossgen.evolution import admission
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.engine import Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.planner import POLISH
from lossgen.evolution.polish import Polish
from lossgen.evolution.run import versions
from lossgen.evolution.selection import Objectives, Select, pareto_ranks, select
from lossgen.evolution.space import CONST, Derivation, Space
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import (
    FACTOR,
    MUTATIONS,
    Vary,
    distribution_of,
    parts,
    random_individual,
    replaced,
    vary,
)
from lossgen.kernel.screen import Curves, screen
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.settings import GENERATIONS, POPULATION

SPACE = "ganetic"
EVALUATIONS = POPULATION * GENERATIONS + POLISH
NOISE = 0.2
FLOOR = 1e-3
"""A distance below the fingerprint's resolution counts as this: the target is found."""
ZOO = ("lsgan", "hinge", "ganetic", "ngl")
RANDOM_TARGETS = 4
REFERENCE = "NSGA-II"


def by_fitness(objectives: Objectives, count: int) -> list[int]:
    """Truncation: the fittest stay."""
    return [int(i) for i in np.argsort(objectives[:, 0], kind="stable")][:count]


def by_rank_and_fitness(objectives: Objectives, count: int) -> list[int]:
    """Pareto rank over fitness and size, within a rank the fittest: no crowding."""
    ranks = pareto_ranks(objectives[:, [0, 2]])
    return sorted(range(len(objectives)), key=lambda i: (ranks[i], objectives[i, 0], i))[:count]


def among_the_fitter_half(objectives: Objectives, count: int) -> list[int]:
    """NSGA-II among rows at least as fit as the median; the others come after, by fitness."""
    fitness = objectives[:, 0]
    fit = fitness <= np.median(fitness)
    first, rest = np.flatnonzero(fit), np.flatnonzero(~fit)
    chosen = [int(first[i]) for i in select(objectives[first], count)]
    return [*chosen, *(int(i) for i in rest[np.argsort(fitness[rest], kind="stable")])][:count]


def anew(space: Space, a: Derivation, b: Derivation, rng: np.random.Generator) -> tuple[Derivation, str]:
    """Random search: no child of anyone."""
    return random_individual(space, rng), "fresh"


def scale_constant(space: Space, a: Derivation, rng: np.random.Generator) -> Derivation:
    """Constant mutation by log-normal factors alone."""
    constants = [(path, node) for path, node in parts(a) if node.alias == CONST]
    if not constants:
        return a
    path, node = constants[int(rng.integers(len(constants)))]
    drawn = distribution_of(space, node)
    value = drawn.sample(rng) if drawn.name == "choice" else drawn.nearest(node.value * rng.lognormal(0.0, FACTOR))
    return replaced(a, path, dataclasses.replace(node, value=value))


FACTORS_ALONE = partial(
    vary, mutations=[(name, scale_constant if name == "constant" else how, rate) for name, how, rate in MUTATIONS]
)


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to search: who survives, how children are made, and the evaluations that a polish gets of them all."""

    select: Select = select
    vary: Vary = vary
    polish: int = 0


METHODS = {
    REFERENCE: Method(),
    "NSGA-II among the fitter half": Method(among_the_fitter_half),
    "rank, then fitness": Method(by_rank_and_fitness),
    "fitness alone": Method(by_fitness),
    "random search": Method(vary=anew),
    "NSGA-II, constants by factors alone": Method(vary=FACTORS_ALONE),
    f"NSGA-II, the last {POLISH} for a polish": Method(polish=POLISH),
}


def shape(curves: Curves) -> np.ndarray:
    """Score-gradients (387,) without their scales."""
    both, generator = curves.gradient[:2], curves.gradient[2]
    return np.concatenate([both.ravel() / np.abs(both).max(), generator / np.abs(generator).max()])


def curves_of(losses: list[Loss]) -> list[np.ndarray]:
    return [shape(screening.curves) for screening in screen([lower_loss(loss) for loss in losses])]


def targets() -> dict[str, np.ndarray]:
    """Hidden losses: of the zoo, and random ones that pass the screen."""
    losses = {name: load_argument(name).loss for name in ZOO}
    space, rng = find_space(SPACE), np.random.default_rng(20021)
    while len(losses) < len(ZOO) + RANDOM_TARGETS:
        loss = random_individual(space, rng).loss(f"random_{len(losses) - len(ZOO) + 1}")
        try:
            if 12 <= loss.size <= 30 and screen([lower_loss(loss)])[0].rejection is None:
                losses[loss.name] = loss
        except NotFiniteError:
            continue
    return dict(zip(losses, curves_of(list(losses.values())), strict=True))


def search(method: Method, target: np.ndarray, seed: int, noise: float) -> tuple[float, int]:
    """One search: the true distance of the candidate that looks best at its end, and its size."""
    admission.Entry = _Unwritten  # type: ignore[attr-defined, misc]  # nothing is trained: no module is written
    engine = Engine(SPACE, POPULATION, seed, select=method.select, vary=method.vary, check=_all_sound)
    true: dict[str, float] = {}
    luck = np.random.default_rng((seed, 1))

    def evaluate(candidates: list[Candidate]) -> None:
        found = curves_of([candidate.loss for candidate in candidates])
        distances = [math.sqrt(np.mean((curve - target) ** 2)) for curve in found]
        true.update({candidate.digest: value for candidate, value in zip(candidates, distances, strict=True)})
        engine.tell(candidates, [value * luck.lognormal(0.0, noise) for value in distances])

    while len(true) < EVALUATIONS - method.polish:
        evaluate(engine.ask(min(POPULATION, EVALUATIONS - method.polish - len(true))))
    if method.polish:
        best = engine.ranking()[0]
        polish = Polish(engine.space, best.derivation, np.random.default_rng((seed, 2)), method.polish)
        while not polish.done:
            offered = engine.offer(polish.ask(), "polish", best.entry.digest)
            evaluate([each for each in offered if isinstance(each, Candidate)])
            fitness = {individual.entry.digest: individual.fitness for individual in engine.trained}
            polish.tell([fitness[each.digest] if isinstance(each, Candidate) else each for each in offered])
    best = engine.ranking()[0]
    return max(true[best.entry.digest], FLOOR), best.entry.loss.size


class _Unwritten(Entry):
    @classmethod
    def of(cls, loss: Loss, source: str | None = None) -> Entry:
        return Entry(loss, "", loss.digest())


def _all_sound(entries: object) -> dict[str, str]:
    return {entry.digest: "" for entry in entries}  # type: ignore[attr-defined]


def compared(found: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Geometric mean of the ratios to the reference, pair by pair, and the two-sided p of Wilcoxon's test."""
    from scipy.stats import wilcoxon

    logs = np.log(found) - np.log(reference)
    return math.exp(logs.mean()), float(wilcoxon(logs).pvalue) if np.any(logs != 0.0) else 1.0


@click.command()
@click.option("--seeds", default=5, help="Searches a target, each with its own seed.")
@click.option("--first", default=0, help="The first seed; another for a second look at what a first one suggests.")
@click.option("--method", "names", multiple=True, type=click.Choice(list(METHODS)), help="Beside NSGA-II; repeatable.")
@click.option("--jobs", default=2, help="Processes.")
@click.option("--noise", "noises", multiple=True, type=float, default=(0.0, NOISE), help="Standard deviation.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/hidden_loss.json"))
def main(seeds: int, first: int, names: tuple[str, ...], jobs: int, noises: tuple[float, ...], out: Path) -> None:
    """Search for every target by every method and print how close each came."""
    hidden = targets()
    methods = [name for name in METHODS if not names or name in (REFERENCE, *names)]
    pairs = [(name, seed) for seed, name in product(range(seeds), hidden)]
    rows = []
    for noise in noises:
        work = [(name, pair) for pair in pairs for name in methods]
        run: Callable[..., tuple[float, int]] = joblib.delayed(search)
        found = joblib.Parallel(n_jobs=jobs)(
            run(METHODS[name], hidden[target], first + 100 * list(hidden).index(target) + seed, noise)
            for name, (target, seed) in work
        )
        results = {name: [r for (n, _), r in zip(work, found, strict=True) if n == name] for name in methods}
        reference = np.array([distance for distance, _ in results[REFERENCE]])
        print(f"noise {noise:g}; {len(pairs)} searches of {EVALUATIONS} evaluations a method")
        print(f"{'method':<42}{'median distance':>16}{'ratio':>8}{'p':>9}{'median size':>13}")
        for name, result in results.items():
            distances, sizes = np.array([d for d, _ in result]), np.array([s for _, s in result])
            ratio, p = compared(distances, reference)
            by_target = {t: float(np.median(distances[[t == u for u, _ in pairs]])) for t in hidden}
            rows.append(
                {"method": name, "noise": noise, "median": float(np.median(distances)), "ratio": ratio, "p": p,
                 "median_size": float(np.median(sizes)), "by_target": by_target}
            )  # fmt: skip
            print(f"{name:<42}{np.median(distances):>16.4f}{ratio:>8.3f}{p:>9.2g}{np.median(sizes):>13.1f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    result = {"schema": 1, "evaluations": EVALUATIONS, "population": POPULATION, "searches": len(pairs), "rows": rows}
    out.write_text(json.dumps({**result, "versions": versions()}, indent=2) + "\n", encoding="utf-8")
    print(f"ratio: geometric mean of the distances over those of {REFERENCE}; below 1 is better. p: Wilcoxon, paired")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
