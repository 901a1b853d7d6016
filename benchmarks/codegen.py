"""What does an emitted module cost, beside hand-written PyTorch, nn.BCEWithLogitsLoss and sympy's lambdify?

    python benchmarks/codegen.py [--quick] [--out benchmarks/results/codegen.json]

Forward and backward at n = 100, 10 000 and 1 000 000 scores, eager and under torch.compile, for the three calls of a
training: criterion(score, target), discriminator_loss(real, fake), generator_loss(fake). All contestants of a cell run
in turn, in an order that is drawn anew each round, on one torch thread; a ratio is the median of the rounds' ratios,
its interval that of the median (95 %, by order statistics; it does not know that two compilations of one function may
differ: repeat the run before reading much into a compiled cell at n = 100). n = 1 000 000 is timed once more, eager,
with torch's own number of threads (torch works on smaller tensors with one thread whatever it is set to). Before
anything is timed, all contestants are held against each other in value and gradient. About 6 minutes on 2 cores;
--quick leaves out torch.compile and takes about 1.
"""

import functools
import gc
import json
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import scipy.stats
import torch
from peers import LOSSES, Lambdified, WithTargets
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lossgen.codegen.load import load_argument, load_source
from lossgen.evolution.run import versions

SIZES = (100, 10_000, 1_000_000)
CALLS = ("criterion", "discriminator", "generator")
GOAL = 1.05
BLOCK = 2e-3  # seconds: calls are timed in blocks of about this length


class Inputs(NamedTuple):
    score: Tensor
    other: Tensor
    target: Tensor

    def of(self, call: str) -> tuple[Tensor, ...]:
        return {"criterion": (self.score, self.target), "discriminator": (self.score, self.other)}.get(call, self[:1])


def inputs(n: int) -> Inputs:
    torch.manual_seed(0)
    score, other = (torch.randn(n).requires_grad_() for _ in range(2))
    return Inputs(score, other, torch.where(torch.rand(n) < 0.5, 0.1, 0.9))


def modules(name: str) -> dict[str, nn.Module]:
    """The contestants of a loss."""
    text, hand_written, formula = LOSSES[name]
    emitted = load_source(load_argument(text).source)
    emitted.generator_loss(torch.tensor([-3.0, 3.0]))  # outside [0, 1], which ends its look at the first scores
    found = {"emitted": emitted, "hand-written": hand_written(), "lambdify": Lambdified(formula)}
    return found | ({"BCEWithLogitsLoss": WithTargets()} if name == "bce" else {})


def function_of(module: nn.Module, call: str) -> Callable[..., Tensor]:
    """What a training calls."""
    if call != "criterion":
        return getattr(module, f"{call}_loss")
    return module.loss if isinstance(module, WithTargets) else module


def check_equal(name: str, found: dict[str, nn.Module]) -> None:
    """All contestants compute one function: value and gradient on 1000 scores, all calls."""
    data = inputs(1000)
    for call in CALLS:
        results = {}
        for who, module in found.items():
            if isinstance(module, WithTargets):
                module.resize(1000)
            value = function_of(module, call)(*data.of(call))
            results[who] = torch.cat(
                [value.reshape(1), *torch.autograd.grad(value, data.of(call)[: 1 + (call[0] == "d")])]
            )
        for who, result in results.items():
            if not torch.allclose(result, results["hand-written"], rtol=1e-4, atol=1e-6):
                raise SystemExit(f"{name}, {call}: {who} computes something else")


class CountingMode(TorchDispatchMode):
    """Counts the aten operations that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(function: Callable[..., Tensor], arguments: tuple[Tensor, ...]) -> dict[str, Any]:
    """aten operations, forward and backward, and calls of functions (Python's and C's) in the forward pass."""
    with CountingMode() as mode:
        value = function(*arguments)
        ahead = mode.count
        value.backward()
    calls = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    function(*arguments)
    sys.setprofile(None)
    return {"forward": ahead, "backward": mode.count - ahead, "python_calls": calls - 1}


def interval_of_median(values: list[float]) -> list[float]:
    """The median and a 95 % interval for it, by order statistics."""
    ordered, n = sorted(values), len(values)
    low = int(scipy.stats.binom.ppf(0.025, n, 0.5))
    return [statistics.median(ordered), ordered[max(low - 1, 0)], ordered[min(n - low, n - 1)]]


def race(passes: dict[str, Callable[[], Tensor]], leaves: tuple[Tensor, ...], rounds: int) -> dict[str, list[float]]:
    """Seconds a forward and backward pass, by contestant and round; all in turn, in random order.

    On one thread they are the processor's, so that what else the machine does counts less.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter

    def block(function: Callable[[], Tensor], count: int) -> float:
        start = clock()
        for _ in range(count):
            for leaf in leaves:
                leaf.grad = None
            function().backward()
        return (clock() - start) / count

    counts = {}
    for who, function in passes.items():
        block(function, 3)
        counts[who] = max(1, round(BLOCK / block(function, 3)))
    times: dict[str, list[float]] = {who: [] for who in passes}
    order = list(passes)
    gc.disable()
    for _ in range(rounds):
        random.shuffle(order)
        for who in order:
            times[who].append(block(passes[who], counts[who]))
    gc.enable()
    return times


def measure(
    name: str, found: dict[str, nn.Module], mode: str, sizes: tuple[int, ...], rounds: int, threads: int = 1
) -> list[dict[str, Any]]:
    """Rows of one loss in one mode ("eager", "compiled"). lambdify is compiled for one of the calls, to save time."""
    torch.set_num_threads(threads)
    rows = []
    for call in CALLS:
        torch.compiler.reset()
        functions = {who: function_of(module, call) for who, module in found.items()}
        if mode == "compiled":  # the method, not the module: all modules' __call__ is one code object, with one cache
            methods = {who: f.forward if isinstance(f, nn.Module) else f for who, f in functions.items()}
            functions = {
                who: torch.compile(f, dynamic=True, fullgraph=True)
                for who, f in methods.items()
                if who != "lambdify" or call == "criterion"
            }
        for n in sizes:
            data = inputs(n)
            for module in found.values():
                if isinstance(module, WithTargets):
                    module.resize(n)
            passes = {who: functools.partial(function, *data.of(call)) for who, function in functions.items()}
            times = race(passes, data[:2], rounds if n < SIZES[-1] else max(9, rounds // 4))
            row = {"loss": name, "mode": mode, "threads": threads, "n": n, "call": call}
            row["rounds"] = len(times["emitted"])
            row["microseconds"] = {who: round(statistics.median(t) * 1e6, 2) for who, t in times.items()}
            row["emitted_over"] = {
                who: [round(x, 4) for x in interval_of_median([a / b for a, b in zip(times["emitted"], t)])]
                for who, t in times.items()
                if who != "emitted"
            }
            rows.append(row)
            print(line_of(row), flush=True)
    return rows


def line_of(row: dict[str, Any]) -> str:
    ratios = row["emitted_over"]
    cells = [f"{row['loss']:<9}{row['mode']:<9}{row['threads']:>2} {row['n']:>8}  {row['call']:<14}"]
    cells.append(f"{row['microseconds']['emitted']:>9.1f} µs ")
    for who in ("hand-written", "BCEWithLogitsLoss", "lambdify"):
        middle, low, high = ratios.get(who, (None, 0.0, 0.0))
        cells.append(f"{middle:>7.3f} [{low:.3f}, {high:.3f}]" if middle else f"{'':>22}")
    return " ".join(cells)


HEAD = f"{'loss':<9}{'mode':<9}{'th':>2} {'n':>8}  {'call':<14}{'emitted':>12}  " + "".join(
    f"{'/ ' + who:<23}" for who in ("hand-written", "BCEWithLogitsLoss", "lambdify")
)


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each goal: how many cells keep it, and the worst."""
    found = []
    for who in ("hand-written", "BCEWithLogitsLoss"):
        for mode in ("eager", "compiled"):
            cells = [row for row in rows if row["mode"] == mode and who in row["emitted_over"]]
            if not cells:
                continue
            worst = max(cells, key=lambda row: row["emitted_over"][who][0])
            kept = sum(row["emitted_over"][who][0] <= GOAL for row in cells)
            beyond = sum(row["emitted_over"][who][1] > GOAL for row in cells)
            found.append({"beside": who, "mode": mode, "cells": len(cells), "kept": kept, "surely_missed": beyond})
            found[-1] |= {"worst": worst["emitted_over"][who], "worst_cell": [worst[k] for k in ("loss", "n", "call")]}
    return found


@click.command()
@click.option("--quick", is_flag=True, help="Eager only, and shorter.")
@click.option("--only", type=click.Choice(list(LOSSES)), multiple=True, help="Only this loss.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/codegen.json"))
def main(quick: bool, only: tuple[str, ...], out: Path) -> None:
    """Race emitted modules against their peers, and count the operations of each."""
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    random.seed(0)
    threads = torch.get_num_threads()
    rounds = 20 if quick else 50
    rows, counts = [], []
    print(f"forward + backward; ratios of the emitted module's time, median [95 %]; goal {GOAL}\n{HEAD}")
    for name in only or LOSSES:
        found = modules(name)
        check_equal(name, found)
        for call in CALLS:
            data = inputs(100)
            for who, module in found.items():
                if isinstance(module, WithTargets):
                    module.resize(100)
                counts.append({"loss": name, "call": call, "who": who})
                counts[-1] |= operations(function_of(module, call), data.of(call))
        rows += measure(name, found, "eager", SIZES, rounds)
        if not quick:
            rows += measure(name, found, "eager", SIZES[-1:], rounds, threads) if threads > 1 else []
            rows += measure(name, found, "compiled", SIZES, rounds)
    print("\noperations: aten forward + backward, Python calls of the forward pass")
    for name in only or LOSSES:
        for call in CALLS:
            of = [c for c in counts if c["loss"] == name and c["call"] == call]
            cells = [f"{c['who']} {c['forward']} + {c['backward']}, {c['python_calls']}" for c in of]
            print(f"{name:<9}{call:<14} " + "   ".join(cells))
    reached = goals(rows)
    print()
    for goal in reached:
        loss, n, call = goal["worst_cell"]
        print(
            f"emitted ≤ {GOAL} × {goal['beside']}, {goal['mode']}: {goal['kept']} of {goal['cells']} cells;"
            f" surely missed in {goal['surely_missed']}; worst {goal['worst'][0]:.3f} ({loss}, n = {n}, {call})"
        )
    result = {"schema": 1, "goal": GOAL, "default_threads": threads, "goals": reached, "cells": rows}
    result |= {"operations": counts, "versions": versions()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
