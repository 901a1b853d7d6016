"""How fast are the metrics, and how much memory do they take, beside torch-fidelity and prdc?

    python benchmarks/metrics.py [--samples 10000] [--out benchmarks/results/metrics.json]

FD, KID (100 subsets of 1000) and precision, recall, density and coverage (k = 5) of two sets of features, Gaussians,
the second shifted a little, in float64, of 64 and of 2048 dimensions. torch-fidelity is called where it has its
features already; prdc as its README does. Each contestant runs in a process of its own, one after the other, on one
thread (prdc's own eight share it out), and its seconds are the processor's, so that what else the machine does counts
less. Its memory is what the process grows by in the one call, beside the features that it is given. A ratio is the
peer's over lossgen's: above 1 lossgen is faster, or takes less. The values are held against each other. About 5
minutes.
"""

import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from lossgen.evolution.run import versions

DIMENSIONS = (64, 2048)
SUBSETS, SUBSET, K = 100, 1000, 5
Run = Callable[[np.ndarray, np.ndarray], dict[str, float]]


def features(samples: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets, float64 (samples, dimension)."""
    random = np.random.default_rng(0)
    first = random.standard_normal((samples, dimension))
    second = random.standard_normal((samples, dimension))
    second += 0.05
    return first, second


def ours_fd() -> Run:
    from lossgen.gan.metrics import frechet_distance, moments

    return lambda x, y: {"FD": frechet_distance(moments(x), moments(y))}


def ours_kid() -> Run:
    from lossgen.gan.kernel_distance import kernel_distance

    def run(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        found = kernel_distance(x, y, subset=SUBSET, subsets=SUBSETS)
        return {"KID": found.mean, "std": found.std}

    return run


def ours_near() -> Run:
    from lossgen.gan.neighbours import neighbourhoods

    return lambda x, y: dict(vars(neighbourhoods(x, y, K)))


def theirs_fd() -> Run:
    import torch
    from torch_fidelity import metric_fid

    def run(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
        return {"FD": metric_fid.fid_statistics_to_metric(*statistics, verbose=False)[metric_fid.KEY_METRIC_FID]}

    return run


def theirs_kid() -> Run:
    import torch
    from torch_fidelity import metric_kid

    def run(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        found = metric_kid.kid_features_to_metric(
            torch.from_numpy(x), torch.from_numpy(y), kid_subsets=SUBSETS, kid_subset_size=min(SUBSET, len(x)),
            kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0,
            rng_seed=0, verbose=False,
        )  # fmt: skip
        return {"KID": found[metric_kid.KEY_METRIC_KID_MEAN], "std": found[metric_kid.KEY_METRIC_KID_STD]}

    return run


def theirs_near() -> Run:
    from prdc import compute_prdc

    return lambda x, y: {name: float(value) for name, value in compute_prdc(x, y, nearest_k=K).items()}


CONTESTS: dict[str, dict[str, Callable[[], Run]]] = {
    "FD": {"lossgen": ours_fd, "torch-fidelity": theirs_fd},
    "KID": {"lossgen": ours_kid, "torch-fidelity": theirs_kid},
    "precision, recall, density, coverage": {"lossgen": ours_near, "prdc": theirs_near},
}


def peak() -> int:
    """Bytes of memory that this process has had at its most."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def once(contest: str, who: str, samples: int, dimension: int) -> dict[str, Any]:
    """One contestant in this process, which a small call beforehand lets load what it needs."""
    run = CONTESTS[contest][who]()
    run(*features(100, 16))
    x, y = features(samples, dimension)
    before, start, wall = peak(), time.process_time(), time.perf_counter()
    values = run(x, y)
    took = {"seconds": time.process_time() - start, "wall": time.perf_counter() - wall}
    return {**took, "bytes": peak() - before, "values": values}


def check(contest: str, ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Stop unless both say the same; of random subsets, within what they may differ by."""
    for name, value in ours.items():
        room = 1e-6 * max(1.0, abs(value))
        if contest == "KID":
            room = 6 * ours["std"] / math.sqrt(SUBSETS) if name == "KID" else ours["std"]
        if not abs(value - theirs[name]) <= room:
            raise SystemExit(f"error: {contest}: {name} is {value} here and {theirs[name]} there")


@click.command(context_settings={"show_default": True})
@click.option("--samples", default=10_000, type=click.IntRange(min=SUBSET), help="In each set.")
@click.option("--threads", default=1, help="Of each contestant.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/metrics.json"))
@click.option("--only", nargs=3, type=(str, str, int), hidden=True, help="One contestant, for the process of its own.")
def main(samples: int, threads: int, out: Path, only: tuple[str, str, int] | None) -> None:
    """Measure all, and print a table."""
    if only is not None:
        print(json.dumps(once(only[0], only[1], samples, only[2])))
        return
    began, rows = time.perf_counter(), []
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    for dimension in DIMENSIONS:
        print(f"\n{samples} samples of {dimension} dimensions, threads: {threads}; features: "
              f"{2 * samples * dimension * 8 / 2**20:.0f} MiB")  # fmt: skip
        for contest, contestants in CONTESTS.items():
            found: dict[str, dict[str, Any]] = {}
            for who in contestants:
                command = [sys.executable, __file__, "--samples", str(samples), "--only", contest, who, str(dimension)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
                if done.returncode:
                    raise SystemExit(f"error: {contest}, {who}, {dimension} dimensions: exit code {done.returncode}")
                found[who] = json.loads(done.stdout.splitlines()[-1])
            ours, (peer, theirs) = found["lossgen"], list(found.items())[1]
            check(contest, ours["values"], theirs["values"])
            faster, smaller = theirs["seconds"] / ours["seconds"], theirs["bytes"] / max(ours["bytes"], 1)
            rows.append({"contest": contest, "dimension": dimension, "peer": peer, "times_faster": faster,
                         "times_less_memory": smaller, "lossgen": ours, "theirs": theirs})  # fmt: skip
            for who, result in found.items():
                print(f"  {contest:<37} {who:<15} {result['seconds']:>8.2f} s {result['bytes'] / 2**20:>8.0f} MiB")
            print(f"  {'':<37} {'ratio':<15} {faster:>8.2f}   {smaller:>8.1f}")
    known = versions() | {name: version(name) for name in ("torch-fidelity", "prdc", "scikit-learn")}
    result = {"schema": 1, "samples": samples, "threads": threads, "k": K,
              "kid": {"subsets": SUBSETS, "subset": SUBSET}, "rows": rows,
              "seconds": time.perf_counter() - began, "versions": known}  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{', '.join(f'{name} {found}' for name, found in known.items())}; {result['seconds']:.0f} s; wrote {out}")


if __name__ == "__main__":
    main()
