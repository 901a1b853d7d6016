"""How often does a 95 % interval of the mean hold the true one, over as few seeds as comparisons have?

    python benchmarks/intervals.py [--draws 1500] [--out benchmarks/results/intervals.json]

Student's and the BCa bootstrap's, of normal and of skewed values (log-normal with a spread of 0.7). About a minute.
"""

import json
from pathlib import Path

import click
import numpy as np

from lossgen.evolution.run import versions
from lossgen.stats import bootstrap_interval, mean_interval

SPREAD = 0.7
INTERVALS = {"Student": mean_interval, "BCa": bootstrap_interval}


@click.command(context_settings={"show_default": True})
@click.option("--draws", default=1500)
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/intervals.json"))
def main(draws: int, out: Path) -> None:
    """Measure, print, and write."""
    rows = []
    for values in ("normal", "log-normal"):
        for n in (8, 25):
            rng = np.random.default_rng(n)
            drawn = rng.normal(size=(draws, n))
            drawn, mean = (drawn, 0.0) if values == "normal" else (np.exp(SPREAD * drawn), float(np.exp(SPREAD**2 / 2)))
            for name, interval in INTERVALS.items():
                inside = [low <= mean <= high for low, high in map(interval, drawn)]
                rows.append({"values": values, "n": n, "interval": name, "coverage": float(np.mean(inside))})
                print("{values}, {n} values, {interval}: {coverage:.1%}".format(**rows[-1]))
    result = {"schema": 1, "draws": draws, "spread": SPREAD, "rows": rows, "versions": versions()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
