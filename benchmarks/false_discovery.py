"""How often does a search claim what is not there, and does it find what is?

    python benchmarks/false_discovery.py [--searches 200] [--jobs 2] [--out benchmarks/results/false_discovery.json]

Whole searches, as `lossgen evolve` makes them by default, robust and with a race, on `null_runner.py`: a runner whose
outcomes ignore the loss, and the same with a family of losses that is truly better, by a factor of 0.7 at a luck of
0.28 in logarithms, 0.14 of a mean over four pairs of learning rates; half of its variance is the seed's, and the same
for all losses. Counted is the verdict that a user reads. Beside it stands what a search without verification shows: how
often its best value lies below every value that any baseline has on any seed, and what part of the champion's value on
fresh seeds its value in the search is.

About half an hour on 2 cores.
"""

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click
import joblib

from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import discover, resolve, session_of
from lossgen.evolution.events import Listener
from lossgen.evolution.hall_of_fame import hall_of
from lossgen.evolution.run import create_run, versions
from lossgen.stats import proportion_interval

RUNNER = Path(__file__).with_name("null_runner.py")
GRID = [(1e-3, 1e-3), (3e-3, 3e-3), (3e-3, 1e-3), (1e-3, 3e-4)]


def search(seed: int, planted: bool, **settings: Any) -> dict[str, Any]:
    """One search; its verdict, and whether the champion only seemed to beat every baseline where it was chosen."""
    os.environ["CXX"] = "no-such-compiler"  # the champion's module is checked, but not compiled: that takes 12 s
    config = RunConfig(
        kind="evolve", runner=str(RUNNER), seed=seed, options={"planted": planted},
        **{"objective": "robust", "grid": GRID, "race": True, **settings},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name, create_run(Path(name) / "run", resolve(config)) as run:
        with session_of(run, 0, Listener()) as session:
            found = discover(session, Path(name) / "generated")
        searched = min(row.value for row in hall_of(run.archive))
        (fresh,) = [result.summary.mean for result in found.comparison.of("champion") if result.summary]
        baselines = [value for result in found.comparison.of("baseline") for value in result.values]
        verdict, champion = found.verdict, found.champion
    return {
        "seed": seed, "finding": verdict.finding if verdict else "none", "p": verdict.p if verdict else None,
        "searched": searched, "fresh": fresh, "seemed": searched < min(baselines),
        "champion": champion.loss if champion else None,
    }  # fmt: skip


def counted(found: list[dict[str, Any]], wanted: str) -> tuple[int, float, float, float]:
    """How many have this finding, the part that is, and its 95 % interval."""
    count = sum(each["finding"] == wanted for each in found)
    return count, count / len(found), *proportion_interval(count, len(found))


@click.command()
@click.option("--searches", default=200, help="Of each kind.")
@click.option("--jobs", default=2, help="Processes.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/false_discovery.json"))
def main(searches: int, jobs: int, out: Path) -> None:
    """Search, count the verdicts, print and keep them."""
    result: dict[str, Any] = {"schema": 1, "searches": searches}
    for name, planted in (("null", False), ("planted", True)):
        run = joblib.delayed(search)
        found = joblib.Parallel(n_jobs=jobs)(run(seed, planted) for seed in range(searches))
        count, part, low, high = counted(found, "better")
        naive = sum(each["seemed"] for each in found)
        curse = statistics.median(each["searched"] / each["fresh"] for each in found)
        print(
            f"{name}: 'better' in {count} of {searches} searches: {part:.1%} (95 % interval {low:.1%} – {high:.1%}); "
            f"the best of the search is below every baseline's every value in {naive}; its value in the search is "
            f"{curse:.2f} of that on fresh seeds (median)"
        )
        result[name] = {
            "better": count, "part": part, "interval": [low, high], "naive": naive, "curse": curse, "searches": found,
        }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**result, "versions": versions()}, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
