"""What does lossgen add to the training that a search pays for, and is what it says of the time left true?

    python benchmarks/overhead.py [--workers 2] [--run FOLDER] [--out benchmarks/results/overhead.json] [-- FLAGS]

Runs `lossgen evolve` in a temporary folder, without flags unless some are given, or takes a finished run that nobody
has disturbed, and reads from it where its time went: the engine's own phases as parts of the wall time, workers that
had nothing to train while others did, the time that was said to be left after the first tenth of the trainings against
what it took. About 9 minutes on 2 cores.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from lossgen.evolution.clock import TRAINING, overhead
from lossgen.evolution.run import open_run, versions


@click.command(context_settings={"show_default": True})
@click.option("--workers", default=2, help="Worker processes.")
@click.option("--run", type=click.Path(path_type=Path, exists=True), help="A finished run to read instead.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/overhead.json"))
@click.argument("flags", nargs=-1)
def main(workers: int, run: Path | None, out: Path, flags: tuple[str, ...]) -> None:
    """Run a search and print its profile."""
    with tempfile.TemporaryDirectory() as folder:
        path = run or Path(folder) / "run"
        if run is None:
            command = [sys.executable, "-m", "lossgen", "evolve", "--workers", str(workers), "--out", "run", *flags]
            done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise SystemExit(f"error: lossgen evolve ended with exit code {done.returncode}: {done.stdout[-500:]}")
        with open_run(path, locked=False) as opened:
            archive = opened.archive
            seconds: dict[str, float] = archive.meta("profile")
            forecast: dict[str, float] = archive.meta("forecast")
            waterfall = archive.waterfall()
            trainings = [outcome.seconds for _, _, outcome in archive.outcomes()]
    if not forecast:
        raise SystemExit(f"error: run {path}: keeps no forecast; it was not trained from its beginning to its end")
    total = sum(seconds.values())
    for phase, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{phase:<12} {spent:8.2f} s  {spent / total:6.2%}{'' if phase in TRAINING else '  engine'}")
    idle = 1.0 - sum(trainings) / (workers * seconds["train"])
    took = total - forecast["at"]
    result = {
        "schema": 1,
        "flags": list(flags),
        "workers": workers,
        "seconds": seconds,
        "overhead": overhead(seconds),
        "propose": seconds["propose"] / total,
        "idle": idle,
        "forecast": {**forecast, "took": took, "ratio": forecast["left"] / took},
        "trainings": len(trainings),
        "waterfall": waterfall,
        "versions": versions(),
    }
    print(f"engine: {result['overhead']:.2%} of {total:.0f} s; proposing and screening {result['propose']:.2%}")
    print(f"workers without a training while others had one: {idle:.2%} of the time of all")
    print(f"after the first tenth {forecast['left']:.0f} s were said to be left; it took {took:.0f} s")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
