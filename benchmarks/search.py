"""Does racing pay, and does evolution? Searches on a pool of trained losses, and searches that train.

    python benchmarks/search.py [--part pool|ring|digits] [--searches 10] [--replays 400] [--jobs 2]

**The pool** (`pool.json`, written by `pool.py`): losses trained on the digits at every rung with four pairs of learning
rates. A replay draws losses in random order and selects as a search does; what counts is the verified quality of what
comes first, which is its mean over the pairs on fresh seeds, and the steps until then. All ways see the same orders.
Steps to the quality that training every loss the whole way has after 96 losses are given as a part of what that takes.
A second table chooses among the same losses by each objective of `lossgen evolve`, at four trainings a loss: how good
the chosen are on fresh seeds over all pairs, and at their own best one. What was far behind at the middle rung was
trained no further: a race has of it what it came to there, and no objective chooses it. The losses were bred by the
objective `robust`, so it is among what that likes that the others choose. A last line has the best of each generation.

**The ring**: real searches of equal steps on the runner `ring`, by evolution, by random draws from the screened space,
which is the null model of any search, and by a plain (mu + lambda) genetic algorithm, each with racing and with one
training a loss. The champion is verified on seeds of its own.

**The digits**: the same by evolution and by random draws, with a race of 250 steps, and the usual pairs. Only if
it is asked for: a quarter of an hour on a core each; what is in the file is not searched again.

About 50 minutes on 2 cores.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import click
import joblib
import numpy as np
from hidden_loss import anew, by_fitness
from scipy.stats import mannwhitneyu, wilcoxon

from lossgen.evolution.batch import Job, Keep
from lossgen.evolution.conditions import condition_text, rates
from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import resolve, session_of
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.objective import Objective
from lossgen.evolution.racing import Race, Rung
from lossgen.evolution.run import create_run, versions
from lossgen.evolution.search import Search, engine_of
from lossgen.evolution.selection import Select, select
from lossgen.evolution.variation import Vary, vary
from lossgen.files import without_nan
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome
from lossgen.settings import ObjectiveKind

POOL = Path(__file__).with_name("results") / "pool.json"
GENERATION = 16
DRAWN = 96
"""Losses after which the ways are compared; the reference trains as many the whole way."""
RING_RUNGS = ((50, 1), (100, 1), (200, 1), (200, 4))
RING_PLAIN = ((200, 1),)
RING_GRID = [(1e-3, 2e-3), (3e-3, 3e-3), (3e-3, 1e-3), (5e-4, 1e-3)]
RING_STEPS = 60 * 200
RING_SEEDS = 4
DIGITS_RUNGS = ((62, 1), (125, 1), (250, 1), (250, 4))
DIGITS_GRID = [(3e-3, 9e-3), (1e-3, 3e-3), (1e-3, 3e-2), (3e-3, 1e-3)]
DIGITS_SEEDS = 6


class Pool:
    """Losses with their outcomes, as a `racing.Trainer`."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        pairs = tuple(condition_text(rates(pair)) for pair in content["pairs"])
        self.objective = Objective("robust", content["metric"], "min", True, pairs)
        self.rungs = [int(steps) for steps in content["rungs"]]
        self.entries: list[Entry] = []
        self._values: dict[str, dict[int, list[float | None]]] = {}
        self._tuned: dict[str, list[float | None]] = {}
        for row in content["losses"]:
            loss = parse_loss(row["loss"])
            entry = Entry(loss, "", loss.digest())
            self.entries.append(entry)
            self._values[entry.digest] = {int(steps): values for steps, values in row["values"].items()}
            self._tuned[entry.digest] = row["tuned"]

    def train(self, jobs: Sequence[Job], steps: int, keep: Keep) -> dict[tuple[str, int], Outcome]:
        """What a training came to; of a loss that was trained no further, what it had come to there."""
        return {job.key: self._outcome(job.entry.digest, job.replicate, steps) for job in jobs}

    def forget(self, jobs: Sequence[Job], steps: int) -> None:
        """There is nothing to forget."""

    def verified(self, entry: Entry) -> float:
        """Geometric mean over the pairs on fresh seeds at the last rung; infinite where there are none."""
        return math.exp(np.mean(np.log(self._fresh(entry))))

    def at_its_best(self, entry: Entry) -> float:
        """On fresh seeds at the last rung, with the pair that is best there; infinite where there is none."""
        return float(self._fresh(entry).min())

    def chosen_by(self, kind: ObjectiveKind, entry: Entry) -> float:
        """Fitness of the whole way by an objective, four trainings a loss; infinite where there are none."""
        top = self.rungs[-1]
        pairs = self._values[entry.digest][top][: len(self.objective.conditions)]
        values = pairs if kind == "robust" else self._tuned[entry.digest]
        objective = replace(self.objective, kind=kind, geometric=kind != "quality")
        return objective.fitness(objective.values([self._result(value) for value in values]))

    def _fresh(self, entry: Entry) -> np.ndarray:
        values = self._values[entry.digest][self.rungs[-1]][len(self.objective.conditions) :]
        return np.array([math.inf if value is None else value for value in values or [None]])

    def _outcome(self, digest: str, replicate: int, steps: int) -> Outcome:
        known = self._values[digest]
        at = steps if known[steps] else max(s for s in known if s < steps and known[s])
        return self._result(known[at][replicate])

    def _result(self, value: float | None) -> Outcome:
        if value is None:
            return Outcome("diverged", reason="in the pool")
        return Outcome("ok", {self.objective.metric: value})


@dataclass(frozen=True)
class Way:
    """A way to choose among losses: rungs of steps and replicates."""

    rungs: tuple[tuple[int, int], ...]


def ways(pool: Pool) -> dict[str, Way]:
    """The whole way for all, which is the reference; races; and trainings of one seed under one pair."""
    first, middle, top = pool.rungs
    return {
        "all the whole way": Way(((top, 4),)),
        f"race {first}x1, {middle}x1, {top}x1, {top}x4": Way(((first, 1), (middle, 1), (top, 1), (top, 4))),
        f"race {first}x1, {middle}x2, {top}x4": Way(((first, 1), (middle, 2), (top, 4))),
        f"race {first}x4, {middle}x4, {top}x4": Way(((first, 4), (middle, 4), (top, 4))),
        f"race {first}x2, {top}x4": Way(((first, 2), (top, 4))),
        f"race {middle}x1, {top}x4": Way(((middle, 1), (top, 4))),
        f"race {middle}x4, {top}x4": Way(((middle, 4), (top, 4))),
        f"all, {top}x1": Way(((top, 1),)),
        f"all, {middle}x4": Way(((middle, 4),)),
        f"all, {first}x4": Way(((first, 4),)),
    }


def replay(pool: Pool, way: Way, seed: int, generations: int) -> list[tuple[int, float]]:
    """After each generation of one search, the steps that it has taken and the verified quality of its best loss."""
    order = np.random.default_rng((seed, 1)).permutation(len(pool.entries))
    race = Race([Rung(*rung) for rung in way.rungs], pool.objective, seed)
    best: tuple[int, float, float] = (99, math.inf, math.inf)
    found = []
    for generation in range(generations):
        chosen = [pool.entries[i] for i in order[generation * GENERATION : (generation + 1) * GENERATION]]
        for entry, raced in zip(chosen, race.run(generation, chosen, pool), strict=True):
            fitness = pool.objective.fitness(raced.values or ())
            best = min(best, (raced.short, fitness, pool.verified(entry)))
        found.append((race.spent, best[2]))
    return found


def replays(pool: Pool, count: int) -> list[dict[str, Any]]:
    """A row a way: its verified quality after so many losses, and the part of the reference's steps that it takes to be
    as good."""
    generations = len(pool.entries) // GENERATION
    curves = {
        name: np.array([replay(pool, way, seed, generations) for seed in range(count)])
        for name, way in ways(pool).items()
    }
    at = DRAWN // GENERATION - 1
    reference = next(iter(curves.values()))
    goal, steps = float(np.median(reference[:, at, 1])), float(reference[:, at, 0].mean())
    rows = []
    for name, curve in curves.items():
        medians, spent = np.median(curve[:, :, 1], axis=0), curve[:, :, 0].mean(0)
        reached = np.flatnonzero(medians <= goal * 1.02)
        part = float(spent[reached[0]] / steps) if len(reached) else None
        quartiles = np.percentile(curve[:, at, 1], [25, 75])
        rows.append({
            "way": name, "steps": float(spent[at]), "verified": float(medians[at]), "quartiles": quartiles.tolist(),
            "part": part, "losses": int(GENERATION * (reached[0] + 1)) if len(reached) else None,
            "at_the_end": float(medians[-1]), "curve": [spent.tolist(), medians.tolist()],
        })  # fmt: skip
    return rows


def objectives(pool: Pool, count: int) -> list[dict[str, Any]]:
    """A row an objective: how good the loss is that it chooses among `DRAWN` of the pool, and how it ranks those that
    were trained the whole way."""
    from scipy.stats import spearmanr

    draws = [np.random.default_rng((seed, 2)).permutation(len(pool.entries))[:DRAWN] for seed in range(count)]
    whole = [entry for entry in pool.entries if math.isfinite(pool.verified(entry))]
    rows = []
    for kind in get_args(ObjectiveKind):
        fitness = [pool.chosen_by(kind, entry) for entry in pool.entries]
        best = [pool.entries[min(draw, key=fitness.__getitem__)] for draw in draws]
        row: dict[str, Any] = {"objective": kind}
        for name, judged in (("over_pairs", pool.verified), ("at_its_best", pool.at_its_best)):
            low, median, high = np.percentile([judged(entry) for entry in best], [25, 50, 75]).tolist()
            ranks = spearmanr([pool.chosen_by(kind, entry) for entry in whole], [judged(entry) for entry in whole])
            row[name] = {"median": median, "quartiles": [low, high], "rank_correlation": float(ranks.statistic)}
        rows.append(row)
    return rows


def generations(pool: Pool, of: Sequence[int]) -> list[dict[str, Any]]:
    """A row a generation of the search that has made the pool: how good the loss is that it would have named.

    Args:
        of: the generation of each loss.
    """
    rows = []
    for number in sorted(set(of)):
        own = [entry for entry, its in zip(pool.entries, of, strict=True) if its == number]
        best = min(own, key=lambda entry: pool.chosen_by("robust", entry))
        rows.append({"generation": number, "losses": len(own), "verified": pool.verified(best)})
    return rows


METHODS: Mapping[str, tuple[Select, Vary]] = {
    "evolution (NSGA-II)": (select, vary), "(mu + lambda)": (by_fitness, vary), "random draws": (select, anew),
}  # fmt: skip


def search_ring(method: str, racing: bool, seed: int) -> dict[str, Any]:
    """One search on the ring, of equal steps."""
    rungs = RING_RUNGS if racing else RING_PLAIN
    config = RunConfig(
        kind="evolve", runner="ring", objective="robust", grid=RING_GRID, rungs=list(rungs), steps=rungs[-1][0],
        seed=seed, max_steps=RING_STEPS, polish=0, audit=0, population=GENERATION,
    )  # fmt: skip
    return searched(config, method, racing, RING_SEEDS)


def search_digits(method: str, seed: int) -> dict[str, Any]:
    """One search on the digits, of as many losses."""
    config = RunConfig(
        kind="evolve", runner="dcgan", objective="robust", grid=DIGITS_GRID, rungs=list(DIGITS_RUNGS),
        steps=DIGITS_RUNGS[-1][0], seed=seed, generations=8, polish=0, audit=0, population=GENERATION,
    )  # fmt: skip
    return searched(config, method, True, DIGITS_SEEDS)


def searched(config: RunConfig, method: str, racing: bool, seeds: int) -> dict[str, Any]:
    """Search, and verify the best loss: the mean of its fitness over all pairs and fresh seeds."""
    chosen, varied = METHODS[method]
    with (
        tempfile.TemporaryDirectory() as name,
        create_run(Path(name) / "run", resolve(config)) as run,
        session_of(run, 0, Listener()) as session,
    ):
        engine = engine_of(session, chosen, varied)
        plan = session.plan(Entry.of(parse_loss("loss L(y_pred) = y_pred")), 0)
        search = Search(session, engine, plan)
        search.run()
        best = engine.ranking()[0].entry
        jobs = [Job(session.aim.under(best, r), r) for r in range(seeds * len(session.aim.conditions))]
        fresh = session.train_jobs("verify", jobs, config.steps)
        values = session.aim.values(list(fresh.values()))
    return {
        "method": method, "racing": racing, "seed": config.seed, "steps": search.race.spent,
        "losses": len(engine.trained), "verified": session.aim.shown(session.aim.fitness(values)),
        "loss": print_loss(best.loss),
    }  # fmt: skip


def ring(searches: int, jobs: int) -> list[dict[str, Any]]:
    """All searches on the ring."""
    run: Callable[..., Any] = joblib.delayed(search_ring)
    work = [(m, racing, seed) for seed in range(searches) for m in METHODS for racing in (True, False)]
    return list(joblib.Parallel(n_jobs=jobs)(run(*each) for each in work))


def digits(searches: int, jobs: int, known: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The searches on the digits that are not known, as they end."""
    run: Callable[..., Any] = joblib.delayed(search_digits)
    done = {(row["method"], row["seed"]) for row in known}
    work = [(m, seed) for seed in range(searches) for m in ("evolution (NSGA-II)", "random draws")]
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(
        run(*each) for each in work if each not in done
    )


def compared(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a method: its median, and a Wilcoxon test, pair by pair of seeds, against random draws without racing."""

    def of(method: str, racing: bool) -> np.ndarray:
        return np.array([row["verified"] for row in rows if (row["method"], row["racing"]) == (method, racing)])

    null = np.log(of("random draws", False))
    found = []
    for method in METHODS:
        for racing in (True, False):
            logs = np.log(of(method, racing))
            same = not np.any(logs != null)
            found.append({
                "method": method, "racing": racing, "median": float(np.median(np.exp(logs))),
                "ratio": float(np.exp((logs - null).mean())), "p": 1.0 if same else float(wilcoxon(logs, null).pvalue),
                "losses": float(np.mean([r["losses"] for r in rows if (r["method"], r["racing"]) == (method, racing)])),
            })  # fmt: skip
    return found


@click.command()
@click.option("--searches", default=10, help="On the ring or the digits, of each method.")
@click.option("--replays", "count", default=400, help="On the pool, of each way.")
@click.option("--jobs", default=2, help="Processes.")
@click.option("--part", type=click.Choice(["both", "pool", "ring", "digits"]), default="both")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/search.json"))
def main(searches: int, count: int, jobs: int, part: str, out: Path) -> None:
    """Replay, search, print and keep what came out."""
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if part != "both" and out.exists() else {}
    result |= {"schema": 1, "versions": versions()}
    if part in ("both", "pool"):
        content = json.loads(POOL.read_text(encoding="utf-8"))
        pool = Pool(content)
        result["pool"] = rows = replays(pool, count)
        print(f"pool: {len(pool.entries)} losses, {count} replays; after {DRAWN} losses, and steps to the first row's:")
        print(f"{'way':<40}{'steps':>10}{'verified':>10}{'quartiles':>16}{'part of the steps':>19}{'losses':>8}")
        for row in rows:
            low, high = row["quartiles"]
            as_good = f"{row['part']:.2f}" if row["part"] is not None else "never"
            print(
                f"{row['way']:<40}{row['steps']:>10.0f}{row['verified']:>10.2f}{low:>8.1f} –{high:>6.1f}{as_good:>19}"
                f"{row['losses'] or '':>8}"
            )
        result["objectives"] = chosen = objectives(pool, count)
        print(
            f"chosen among {DRAWN} losses by each objective; on fresh seeds, median (quartiles) and rank correlation:"
        )
        for row in chosen:
            said = [
                f"{name.replace('_', ' ')} {found['median']:.2f} ({found['quartiles'][0]:.2f} – "
                f"{found['quartiles'][1]:.2f}), {found['rank_correlation']:.2f}"
                for name, found in row.items()
                if name != "objective"
            ]
            print(f"{row['objective']:<12}" + "; ".join(said))
        result["generations"] = bred = generations(pool, [loss["generation"] for loss in content["losses"]])
        said = [f"{row['verified']:.1f} (of {row['losses']})" for row in bred]
        print(f"verified, the best of each generation, the first of random draws: {', '.join(said)}")
    if part in ("both", "ring"):
        result["ring"] = found = ring(searches, jobs)
        result["ring_methods"] = methods = compared(found)
        print(
            f"ring: {searches} searches of {RING_STEPS} steps of each; verified SW[ring], over random draws', no races:"
        )
        print(f"{'method':<24}{'racing':>8}{'losses':>8}{'median':>9}{'ratio':>8}{'p':>8}")
        for row in methods:
            said = "yes" if row["racing"] else "no"
            print(
                f"{row['method']:<24}{said:>8}{row['losses']:>8.0f}{row['median']:>9.4f}{row['ratio']:>8.2f}{row['p']:>8.2g}"
            )
    if part == "digits":
        rows = result.setdefault("digits", [])
        for row in digits(searches, jobs, rows):
            rows.append(row)
            write(result, out)
            print(f"{row['method']:<24}seed {row['seed']}: of {row['losses']} losses {row['loss']}")
            print(f"    verified FD[classifier] {row['verified']:.2f}", flush=True)
        # A champion that fails on a fresh seed stands there as null, and counts as worse than any.
        of = {
            name: [math.inf if row["verified"] is None else row["verified"] for row in rows if row["method"] == name]
            for name in METHODS
        }
        bred, drawn = of["evolution (NSGA-II)"], of["random draws"]
        print(
            f"digits: evolution {np.median(bred):.2f}, random draws {np.median(drawn):.2f} (medians of {len(bred)} and "
            f"{len(drawn)}), Mann–Whitney p = {mannwhitneyu(bred, drawn).pvalue:.2g}"
        )
    write(result, out)
    print(f"wrote {out}")


def write(result: Mapping[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(without_nan(result), allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
