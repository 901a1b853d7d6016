"""What does it cost to prove a candidate's module, and how many are refused? Nothing is trained.

    python benchmarks/verify.py [--count 1000] [--others 200] [--out benchmarks/results/verify.json]

Losses are drawn at random from the space `ganetic`, in which those that the screen passes are candidates. Each one's
module is verified as a worker verifies it (one thread, warm), and how far it is from the kernel is measured against
the bounds of `codegen.verify`. The time is measured for the other spaces, too, and for losses of `ganetic` whose
constants are named (the first three; each is verified at two more values). Beside the wall clock's time stands the
processor's, which tells more on a busy machine. About a minute on one core.
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
from lossgen.language.expression import Expression, constant
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower_loss

BATCH = 2000
SPACES = ("taylor", "score", "roles")
NAMED = 3
GOAL_MS = 50.0
PARTS = (0.01, 0.1, 0.5, 1.0, 2.0, 10.0)


def candidates(space_name: str, count: int, named: bool = False) -> list[Loss]:
    """Losses that pass the screen; with `named`, those that have constants, which are given names."""
    space, rng = find_space(space_name), np.random.default_rng(0)
    found: list[Loss] = []
    while len(found) < count:
        lowered = []
        for _ in range(BATCH):
            loss = random_individual(space, rng).loss("Drawn")
            if named:
                loss = with_names(loss)
                if not loss.constants:
                    continue
            try:
                lowered.append((loss, lower_loss(loss)))
            except NotFiniteError:
                continue
        judged = screen([form for _, form in lowered])
        found += [loss for (loss, _), verdict in zip(lowered, judged, strict=True) if verdict.rejection is None]
    return found[:count]


def with_names(loss: Loss) -> Loss:
    """The loss with names for its first NAMED constants."""
    names: dict[Expression, str] = {}

    def change(node: Expression) -> Expression:
        if node.is_constant and (node in names or len(names) < NAMED):
            return constant(node.value, names.setdefault(node, f"c{len(names)}"))
        return node

    return loss.with_clauses({name: clause.map(change) for name, clause in loss.clauses.items()})


def timed(losses: list[Loss]) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """Milliseconds of verifying by the wall and by the processor's clock, and what was refused."""
    wall, processor, refused = [], [], []
    verify_module(losses[0], emit_torch(losses[0]))
    for loss in losses:
        source = emit_torch(loss)
        began, busy = time.perf_counter(), time.process_time()
        try:
            verify_module(loss, source)
        except CheckError as error:
            refused.append(str(error).removeprefix("Drawn: the emitted module's "))
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - busy)
    return quantiles(wall), quantiles(processor), refused


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median, 95 % and largest, in milliseconds."""
    return dict(zip(("median", "p95", "max"), (1e3 * np.quantile(seconds, [0.5, 0.95, 1.0])).tolist(), strict=True))


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
@click.option("--others", default=200, help="Candidates of each other kind.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/verify.json"))
def main(count: int, others: int, out: Path) -> None:
    """Verify candidates, and print times, shares and distances."""
    torch.set_num_threads(1)
    losses = candidates("ganetic", count)
    kinds = {"ganetic": losses, "ganetic, constants named": candidates("ganetic", others, named=True)}
    kinds |= {space: candidates(space, others) for space in SPACES}
    refused: list[str] = []
    times = {}
    for kind, drawn in kinds.items():
        wall, processor, found = timed(drawn)
        refused = found if kind == "ganetic" else refused
        times[kind] = {"count": len(drawn), "milliseconds": wall, "processor": processor, "refused": len(found)}
        print(f"{kind}: {len(drawn)} candidates, {len(found)} refused as ill-conditioned; milliseconds to verify one")
        for clock, ms in (("wall clock", wall), ("processor", processor)):
            print(f"  {clock:10}  {ms['median']:5.1f} (median)  {ms['p95']:5.1f} (95 %)  {ms['max']:5.1f} (most)")
        print(f"  goal: at most {GOAL_MS:g} ms at 95 %: {'met' if wall['p95'] <= GOAL_MS else 'NOT met'}")
    print("refused of ganetic:")
    for reason in refused:
        print(f"  {reason}")
    sources = [emit_torch(loss) for loss in losses]
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
        "schema": 1, "count": count, "times": times, "refused": refused, "within": within, "halves": halves,
        "machine": platform.processor() or platform.machine(), "versions": versions(),
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, json.dumps(without_nan(result), indent=2) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
