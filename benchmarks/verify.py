"""What does it cost to prove a candidate's module, and how many are refused? Nothing is trained.

    python benchmarks/verify.py [--count 1000] [--out benchmarks/results/verify.json]

Losses are drawn at random from the space `ganetic`, in which those that the screen passes are candidates. Each one's
module is verified as a worker verifies it (one thread, warm), and how far it is from the kernel is measured against
the bounds of `codegen.verify`. About a minute on one core.
"""

import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # as the workers have it

import click
import numpy as np
import torch

from lossgen.codegen.curves import kernel_curves, module_curves, score_rows
from lossgen.codegen.full_checks import full_checks
from lossgen.codegen.load import load_source
from lossgen.codegen.torch_module import emit_torch
from lossgen.codegen.verify import TOLERANCE, excess, verify_module
from lossgen.errors import CheckError
from lossgen.evolution.run import versions
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import random_individual
from lossgen.files import without_nan, write_text
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower_loss

BATCH = 2000
GOAL_MS = 50.0
PARTS = (0.01, 0.1, 0.5, 1.0, 2.0, 10.0)


def candidates(count: int) -> list[Loss]:
    """Losses that pass the screen."""
    space, rng = find_space("ganetic"), np.random.default_rng(0)
    found: list[Loss] = []
    while len(found) < count:
        lowered = []
        for _ in range(BATCH):
            loss = random_individual(space, rng).loss("Drawn")
            try:
                lowered.append((loss, lower_loss(loss)))
            except NotFiniteError:
                continue
        judged = screen([form for _, form in lowered])
        found += [loss for (loss, _), verdict in zip(lowered, judged, strict=True) if verdict.rejection is None]
    return found[:count]


def farthest(loss: Loss, source: str, dtype: torch.dtype) -> float:
    """The largest difference of a value or gradient from the kernel's, in units of what is allowed."""
    criterion = load_source(source)
    criterion.reduction = "none"
    (rows,) = score_rows(loss)
    kind = str(dtype).removeprefix("torch.")
    expected = kernel_curves(loss, rows)
    found = module_curves(criterion, torch.tensor(rows, dtype=dtype, requires_grad=True))
    pairs = ((expected.values, found.values), (expected.gradients, found.gradients))
    return max(float(excess(theirs, ours, TOLERANCE[kind]).max()) for theirs, ours in pairs)


def in_halves(loss: Loss, source: str) -> bool:
    """Whether the checks under autocast and of scores in half precision pass, the first four of `full_checks`."""
    checks = full_checks(loss, source)
    try:
        for _ in range(4):
            next(checks)
    except CheckError:
        return False
    return True


@click.command()
@click.option("--count", default=1000, help="Candidates.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/verify.json"))
def main(count: int, out: Path) -> None:
    """Verify candidates, and print times, shares and distances."""
    torch.set_num_threads(1)
    losses = candidates(count)
    sources = [emit_torch(loss) for loss in losses]
    verify_module(losses[0], emit_torch(losses[0]))
    seconds, refused = [], []
    for loss, source in zip(losses, sources, strict=True):
        began = time.perf_counter()
        try:
            verify_module(loss, source)
        except CheckError as error:
            refused.append(str(error).removeprefix("Drawn: the emitted module's "))
        seconds.append(time.perf_counter() - began)
    median, high, most = (float(ms) for ms in 1e3 * np.quantile(seconds, [0.5, 0.95, 1.0]))
    print(f"{count} candidates: verified in {median:.1f} ms (median), {high:.1f} ms (95 %), {most:.1f} ms (most)")
    print(f"  goal: at most {GOAL_MS:g} ms at 95 %: {'met' if high <= GOAL_MS else 'NOT met'}")
    print(f"refused as ill-conditioned: {len(refused)} ({len(refused) / count:.1%})")
    for reason in refused:
        print(f"  {reason}")
    within: dict[str, dict[str, float]] = {}
    for dtype in (torch.float64, torch.float32):
        kind = str(dtype).removeprefix("torch.")
        far = np.sort([farthest(loss, source, dtype) for loss, source in zip(losses, sources, strict=True)])
        within[kind] = {f"{part:g}": float(np.mean(far <= part)) for part in PARTS}
        shares = ", ".join(f"{share:.1%} within {part}" for part, share in within[kind].items())
        print(f"{kind}, in units of the bound {TOLERANCE[kind]:g}: {shares} of it")
    halves = sum(in_halves(loss, source) for loss, source in zip(losses, sources, strict=True))
    print(f"finite and equal under autocast and from half precision, too: {halves} of {count}")
    result = {
        "schema": 1, "count": count, "milliseconds": {"median": median, "p95": high, "max": most}, "refused": refused,
        "within": within, "halves": halves, "machine": platform.processor() or platform.machine(),
        "versions": versions(),
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, json.dumps(without_nan(result), indent=2) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
