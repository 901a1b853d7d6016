"""How fast is the kernel, beside its peers, and how long does it take to screen 100 000 candidates?

    python benchmarks/kernel.py [--rounds 7] [--candidates 100000] [--out benchmarks/results/kernel.json]

1000 random trees of 5 to 40 nodes, arithmetic or mixed with exp, log, sqrt, square, tanh, sin and cos, at 128, 512 and
4096 points, as values and as values with derivatives by the score, in float32 and in float64, on one thread and on all.
The trees are such that no guard acts and that float32 has the digits, and all must agree before the clock starts; each
is given the same trees, built or compiled beforehand. All are measured in turn, round after round; a rate is the median
of all rounds, a ratio the median of the ratios of each round. Ends with that to pyoperon at 512 points on one thread.
About 3 minutes.
"""

import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import kernel_peers as peers
import numba
import numpy as np

from lossgen.errors import InputError
from lossgen.evolution.engine import BATCH
from lossgen.evolution.run import versions
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import random_individual
from lossgen.kernel.evaluate import values, values_and_gradients
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.program import encode
from lossgen.kernel.screen import SCORES, judge_all
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import ROLES
from lossgen.language.lower import Known, NotFiniteError, lower, lower_loss
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss

ARITHMETIC = {"add": 2, "sub": 2, "mul": 2, "div": 2}
KINDS = {"arithmetic": ARITHMETIC, "mixed": {**ARITHMETIC, **dict.fromkeys(tuple(peers.NUMPY)[4:], 1)}}
"""Operators and how often each is drawn."""
TREES, SIZES, POINTS = 1000, (5, 40), (128, 512, 4096)
AT_LEAST = 0.02
"""Seconds that one measurement lasts; what is faster is repeated."""


def draw(kind: str, size: int, rng: np.random.Generator) -> Expression:
    """A random tree of `size` nodes; where the operators all have two operands, of one less if it is even."""
    weights = KINDS[kind]
    names = [name for name in weights if size > 2 or OPERATORS[name].arity == 1]
    if size == 1 or not names:
        leaf = ("score", "y_real", "")[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
        return variable(leaf) if leaf else constant(round(float(rng.uniform(0.1, 2.0)), 3))
    chances = np.array([weights[name] for name in names], float)
    name = names[int(rng.choice(len(names), p=chances / chances.sum()))]
    if OPERATORS[name].arity == 1:
        return apply(name, draw(kind, size - 1, rng))
    left = int(rng.integers(1, size - 1))
    if kind == "arithmetic":
        left -= 1 - left % 2
    return apply(name, draw(kind, left, rng), draw(kind, size - 1 - left, rng))


def tame(tree: Expression, scores: np.ndarray, targets: np.ndarray) -> bool:
    """Whether no peer's guard acts on a tree, and float32 gives 4 digits."""
    nodes: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        exact = peers.numpy_values(tree, scores, targets, nodes)
        rough = peers.numpy_values(tree, scores.astype(np.float32), targets.astype(np.float32))
    if not np.max(np.abs(nodes)) < 1e6 or not np.all(np.abs(rough - exact) < 1e-4 * np.maximum(1.0, np.abs(exact))):
        return False
    found = {id(node): value for node, value in zip(tree.walk(), nodes, strict=True)}
    for node in tree.walk():
        last = found[id(node.operands[-1])] if node.operands else None
        if (node.head == "div" and np.min(np.abs(last)) < 0.01) or (
            node.head in ("log", "sqrt") and np.min(last) < 0.01
        ):
            return False
    return bool(tree.variables())


def draw_all(kind: str, scores: np.ndarray, targets: np.ndarray) -> list[Expression]:
    """The trees of a kind, in lowered form: as drawn, for they hold nothing that lowering changes."""
    rng, found = np.random.default_rng(0), []
    while len(found) < TREES:
        size = int(rng.integers(SIZES[0], SIZES[1] + 1))
        size -= kind == "arithmetic" and size % 2 == 0
        while not tame(tree := draw(kind, size, rng), scores, targets):
            pass
        found.append(tree)
    return found


def check(name: str, found: np.ndarray, exact: np.ndarray, dtype: type) -> None:
    """Stop unless a peer computes what lossgen does."""
    error = np.max(np.abs(found - exact) / np.maximum(1.0, np.abs(exact)))
    if not error < (1e-9 if dtype is np.float64 else 1e-3):
        raise InputError(f"{name} computes something else: {error:.2g} apart")


def seconds(run: Callable[[], object]) -> float:
    """Seconds of one call, from as many as take AT_LEAST."""
    calls, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < AT_LEAST or calls == 0:
        run()
        calls += 1
    return passed / calls


def measure(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, of each in turn, round after round."""
    for run in runs.values():
        run()
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(seconds(run))
    return found


def contestants(
    kind: str, trees: Sequence[Expression], scores: np.ndarray, targets: np.ndarray, dtype: type, threads: int
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """What is measured, by name, and the number of nodes that each evaluates at every point."""
    population, scores, targets = encode(trees), scores.astype(dtype), targets.astype(dtype)
    exact = values(population, scores.astype(np.float64), targets.astype(np.float64))
    check("lossgen", values(population, scores, targets, dtype), exact, dtype)
    nodes = sum(tree.size for tree in trees)
    runs: dict[str, Callable[[], object]] = {
        "lossgen": lambda: values(population, scores, targets, dtype),
        "lossgen, values and gradients": lambda: values_and_gradients(population, scores, targets, dtype),
    }
    found: dict[str, tuple[Callable[[], object], Callable[[], Any]]] = {}
    if dtype is np.float32:
        found["pyoperon"] = peers.pyoperon(trees, scores, targets, threads)
    if threads == 1:
        found["DEAP"] = peers.deap(trees, scores, targets)
        if dtype is np.float64:
            found["gplearn"] = peers.gplearn(trees, scores, targets)
        hand, result, formulas = peers.fused(kind, scores, targets)
        same = encode([lower(parse_loss(formula).expressions()[0]) for formula in formulas])
        hand()
        expected = values(same, scores.astype(np.float64), targets.astype(np.float64))
        check("the function written by hand", result(), expected, dtype)
        runs |= {"hand-fused Numba": hand, "lossgen, the hand-fused ones": lambda: values(same, scores, targets, dtype)}
    for name, (run, result) in found.items():
        run()
        check(name, result(), exact, dtype)
        runs[name] = run
    fused = sum(parse_loss(formula).size for formula in formulas) if threads == 1 else 0
    return runs, {name: fused if "hand-fused" in name else nodes for name in runs}


def ratio(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Median, least and largest ratio of two contestants' seconds, round by round."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return [statistics.median(ratios), min(ratios), max(ratios)]


def screening(count: int) -> dict[str, float]:
    """Seconds of each part of screening random candidates, in the engine's batches and as it does; one thread."""
    space, rng = find_space("ganetic"), np.random.default_rng(0)
    took = dict.fromkeys(("draw", "lower", "encode", "evaluate", "judge", "fingerprint"), 0.0)
    passed: set[str] = set()
    for first in range(0, count, BATCH):
        marks = [time.perf_counter()]
        drawn = [random_individual(space, rng).loss("Drawn") for _ in range(min(BATCH, count - first))]
        marks.append(time.perf_counter())
        lowered, known = [], Known(dict)
        for loss in drawn:
            try:
                lowered.append(lower_loss(loss, known))
            except NotFiniteError:
                continue
        marks.append(time.perf_counter())
        population = encode([loss.roles[role] for loss in lowered for role in ROLES])
        marks.append(time.perf_counter())
        value, gradient = values_and_gradients(population, SCORES)
        marks.append(time.perf_counter())
        judged = judge_all(value.reshape(len(lowered), 3, -1), gradient.reshape(len(lowered), 3, -1))
        marks.append(time.perf_counter())
        passed |= {fingerprint(found.curves) for found in judged if found.rejection is None}
        marks.append(time.perf_counter())
        for part, (start, end) in zip(took, itertools.pairwise(marks), strict=True):
            took[part] += end - start
    return {**took, "total": sum(took.values()), "candidates": count, "passed": len(passed)}


@click.command()
@click.option("--rounds", default=7, help="Measurements of each.")
@click.option("--candidates", default=100_000, help="Candidates to screen.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/kernel.json"))
def main(rounds: int, candidates: int, out: Path) -> None:
    """Measure all, and print a table."""
    began = time.perf_counter()
    cores = numba.get_num_threads()
    rng = np.random.default_rng(1)
    scores, targets = rng.uniform(0.1, 2.0, max(POINTS)), rng.uniform(0.1, 1.0, max(POINTS))
    trees = {kind: draw_all(kind, scores, targets) for kind in KINDS}
    numba.set_num_threads(1)
    screened = screening(candidates)
    parts = ", ".join(f"{part} {took:.2f}" for part, took in screened.items() if part not in ("candidates", "passed"))
    print(f"screening {candidates} candidates, seconds: {parts}; {screened['passed']:.0f} pass")
    rows: list[dict[str, Any]] = []
    ratios: dict[str, list[float]] = {}
    order = [(n, d, t) for n in (128, 4096, 512) for d in (np.float64, np.float32) for t in (cores, 1)]
    times: dict[tuple[str, int, str, int], dict[str, list[float]]] = {}
    for points, dtype, threads in order if cores > 1 else [one for one in order if one[2] == 1]:
        for kind, some in trees.items():
            numba.set_num_threads(threads)
            runs, nodes = contestants(kind, some, scores[:points], targets[:points], dtype, threads)
            found = measure(runs, rounds)
            setting = (kind, points, np.dtype(dtype).name, threads)
            times[setting] = found
            print(f"\n{kind}, {points} points, {setting[2]}, threads: {threads}; 10^6 nodes x points a second")
            for name, took in found.items():
                rates = sorted(nodes[name] * points / second / 1e6 for second in took)
                row = dict(zip(("kind", "points", "dtype", "threads"), setting, strict=True))
                rows.append({**row, "name": name, "rate": statistics.median(rates), "low": rates[0], "high": rates[-1]})
                print(f"  {name:<32} {rows[-1]['rate']:>8.0f}   ({rates[0]:.0f} to {rates[-1]:.0f})")
    for (kind, points, dtype_name, threads), found in times.items():
        where = f"{kind}, {points} points, {dtype_name}"
        if threads > 1:
            alone = times[kind, points, dtype_name, 1]["lossgen"]
            ratios[f"{threads} threads over one: {where}"] = ratio(alone, found["lossgen"])
            continue
        slopes = ratio(found["lossgen, values and gradients"], found["lossgen"])
        ratios[f"seconds with gradients over values: {where}"] = slopes
        ratios[f"lossgen over hand-fused: {where}"] = ratio(
            found["hand-fused Numba"], found["lossgen, the hand-fused ones"]
        )
        for peer in ("gplearn", "DEAP", "pyoperon"):
            if peer in found:
                ratios[f"lossgen over {peer}: {where}"] = ratio(found[peer], found["lossgen"])
    print()
    for name in sorted(ratios, key=lambda name: name.startswith("lossgen over pyoperon")):
        middle, low, high = ratios[name]
        print(f"{name:<75} {middle:>6.2f}   ({low:.2f} to {high:.2f})")
    both = [ratios[f"lossgen over pyoperon: {kind}, 512 points, float32"][0] for kind in KINDS]
    known = versions() | {name: version(name) for name in ("pyoperon", "gplearn", "deap")}
    result = {"schema": 1, "cores": cores, "rounds": rounds, "screening": screened, "rates": rows, "ratios": ratios,
              "over_pyoperon": statistics.geometric_mean(both), "seconds": time.perf_counter() - began,
              "versions": known}  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{', '.join(f'{name} {found}' for name, found in known.items())}; {result['seconds']:.0f} s; wrote {out}")
    print(f"over pyoperon at 512 points, float32, one thread: {statistics.geometric_mean(both):.2f}, "
          f"the geometric mean of {both[0]:.2f} (arithmetic) and {both[1]:.2f} (mixed)")  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
