"""How much simpler do evolved losses get, how often is a form refused, and how long does it take?

    python benchmarks/simplify.py [--limit 500] [--show 0] [--out benchmarks/results/simplify.json]

Simplifies a fixed corpus of losses (benchmarks/corpora/expressions.txt) as champions of a search are: sympy's forms
and the language's own rules, each accepted only when the kernel agrees, then constants rounded to as few digits as
leave the fingerprint unchanged. Sizes are numbers of nodes. About 3 minutes on one core.
"""

import json
import statistics
import time
from collections import Counter
from pathlib import Path

import click
import numpy as np

from lossgen.algebra.numbers import digits
from lossgen.algebra.rounding import round_constants
from lossgen.algebra.simplify import TIME_LIMIT, Simplification, simplification
from lossgen.errors import InputError
from lossgen.evolution.run import versions
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import random_individual, vary
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula

CORPUS = Path(__file__).parent / "corpora" / "expressions.txt"
LINEAGES, GENERATIONS, POPULATION, PICKED = 25, 10, 20, 20
SIZES = range(5, 41)
FRESH_RATE = 0.1
DRAWN_DIGITS = 4
"""Digits of a constant that a search draws; one that has more was worked out."""


def make_corpus(seed: int = 0) -> list[str]:
    """Losses as a search finds them, with chance in place of training."""
    space, rng = find_space("ganetic"), np.random.default_rng(seed)
    seen: set[str] = set()
    corpus: list[str] = []
    for _ in range(LINEAGES):
        parents, found = [], []
        for _ in range(GENERATIONS):
            fresh = []
            while len(fresh) < POPULATION:
                if not parents or rng.random() < FRESH_RATE:
                    drawn = random_individual(space, rng)
                else:
                    a, b = (parents[int(rng.integers(len(parents)))] for _ in range(2))
                    drawn, _ = vary(space, a, b, rng)
                try:
                    screening = screen([lower_loss(drawn.loss("Drawn"))])[0]
                except NotFiniteError:
                    continue
                if screening.rejection is None and (mark := fingerprint(screening.curves)) not in seen:
                    seen.add(mark)
                    fresh.append(drawn)
            found += [drawn for drawn in fresh if drawn.size in SIZES]
            both = [*parents, *fresh]
            parents = [both[i] for i in rng.permutation(len(both))[:POPULATION]]
        picked = sorted(rng.permutation(len(found))[:PICKED])
        corpus += [formula(found[i].loss("Drawn")) for i in picked]
    return corpus


def read_corpus() -> list[Loss]:
    """The losses of the committed corpus."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [parse_loss(line, f"{CORPUS.name}:{i}") for i, line in enumerate(lines, 1) if line and line[0] != "#"]


def numbers_in(loss: Loss) -> list[Expression]:
    """The loss's constants that have no name."""
    return [node for expression in loss.expressions() for node in expression.walk() if node.is_number]


def summary(losses: list[Loss], found: list[Simplification], rounded: list[Loss], seconds: list[float]) -> dict:
    """What is printed and written, by name."""
    ratios = [new.loss.size / loss.size for loss, new in zip(losses, found, strict=True)]
    smaller = [ratio for ratio in ratios if ratio < 1.0]
    refused, finders, alone = Counter(), Counter(), Counter()
    for loss, new in zip(losses, found, strict=True):
        refused.update({(a.method, a.verdict) for a in new.attempts if a.verdict in ("unequal", "gains a guard")})
        if new.loss.size < loss.size:
            last = max(a.round for a in new.attempts if a.verdict == "taken")
            ways = {a.method for a in new.attempts if a.form == new.loss.label and a.round == last}
            finders.update(ways)
            alone.update(ways if len(ways) == 1 else ())
    pairs = [
        (digits(before.value), digits(after.value))
        for new, short in zip(found, rounded, strict=True)
        for before, after in zip(numbers_in(new.loss), numbers_in(short), strict=True)
    ]
    long = [pair for pair in pairs if pair[0] > DRAWN_DIGITS]
    return {
        "losses": len(losses),
        "simplified": len(smaller) / len(losses),
        "median_size_ratio": statistics.median(ratios),
        "median_size_ratio_of_simplified": statistics.median(smaller) if smaller else 1.0,
        "mean_size": [statistics.mean(x.size for x in losses), statistics.mean(x.loss.size for x in found)],
        "refused_as_unequal": {m: n for (m, verdict), n in sorted(refused.items()) if verdict == "unequal"},
        "refused_for_a_guard": {m: n for (m, verdict), n in sorted(refused.items()) if verdict == "gains a guard"},
        "losses_with_a_form_refused_as_unequal": sum(any(a.verdict == "unequal" for a in s.attempts) for s in found),
        "methods_that_found_the_result": dict(finders.most_common()),
        "methods_that_alone_found_it": dict(alone.most_common()),
        "late": sum(new.late for new in found),
        "broken": sum(new.broken for new in found),
        "rounded": sum(a != b.loss for a, b in zip(rounded, found, strict=True)) / len(losses),
        "constants": len(pairs),
        "mean_digits_a_constant": [statistics.mean(column) for column in zip(*pairs, strict=True)],
        "median_digits_a_constant": [statistics.median(column) for column in zip(*pairs, strict=True)],
        "constants_over_4_digits": len(long),
        "median_digits_of_these": [statistics.median(column) for column in zip(*long, strict=True)],
        "seconds_median": statistics.median(seconds),
        "seconds_p95": float(np.quantile(seconds, 0.95)),
        "seconds_longest": max(seconds),
        "seconds_total": sum(seconds),
    }


@click.command()
@click.option("--limit", default=500, help="Losses, spread over the corpus.")
@click.option("--show", default=0, help="Print every n-th result.")
@click.option("--make-corpus", "make", is_flag=True, help="Print a corpus drawn anew, and nothing else.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/simplify.json"))
def main(limit: int, show: int, make: bool, out: Path) -> None:
    """Simplify the corpus and print what came of it."""
    if make:
        print("\n".join(make_corpus()))
        return
    corpus = read_corpus()
    losses = [corpus[i] for i in sorted({int(x) for x in np.linspace(0, len(corpus) - 1, limit)})]
    simplification(losses[0])  # sympy starts, and the kernel compiles, before the clock does
    found, rounded, seconds = [], [], []
    for i, loss in enumerate(losses):
        start = time.perf_counter()
        found.append(simplification(loss, TIME_LIMIT))
        rounded.append(round_constants(found[-1].loss))
        seconds.append(time.perf_counter() - start)
        if show and i % show == 0:
            print(f"{loss.size:>3} {formula(loss)}\n{rounded[-1].size:>3} {formula(rounded[-1])}\n")
    result = summary(losses, found, rounded, seconds)
    for name, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
        elif isinstance(value, list):
            value = " -> ".join(f"{x:.3g}" for x in value)
        elif isinstance(value, float):
            value = f"{value:.3g}"
        print(f"{name.replace('_', ' '):<40} {value}")
    known = versions()
    print(f"{'versions':<40} {', '.join(f'{k} {v}' for k, v in known.items())}")
    if limit >= len(corpus):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"schema": 1, **result, "versions": known}, indent=2) + "\n")
        print(f"wrote {out}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
