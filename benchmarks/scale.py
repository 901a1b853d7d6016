"""How busy are the workers of a search, and how does a run grow?

    python benchmarks/scale.py [--part busy] [--part growth] [--durations FILE] [--out benchmarks/results/scale.json]

A discrete-event simulation: the engine, its archive and its races are the real ones, and take the processor's time
that they take here; trainings are not made, but have the durations of those of a real search, on a virtual clock. While
the driver thinks, that clock goes on, and workers that end meanwhile wait for it. The driver has one thread here, so
that the processor's time is the time that passes, whatever else the machine does: threads that wait for work count too.

- busy: the part of the workers' time that is training, in the search of `--mode generational` and `--mode steady`, at
  2 to 256 workers and 32 losses a worker (512 at least), with the usual population and with two losses a worker; also
  up to the moment when nothing is left to be handed out, after which workers wait for the last to end. With the
  recorded durations, and with ten times as long ones: the driver's part does not grow with them. About 30 minutes;
  what --out holds is not made again.
- growth: what 10² to 10⁵ proposals take: the driver's seconds, the archive, memory, `lossgen show`, report.html, and
  how long a browser takes to open that, where Chromium and `lossgen[browser]` are installed; before the verification,
  so that the report has no champion and lineage yet. About 6 minutes.

The durations are those of the default search (`lossgen evolve` on the digits, two workers of one core each, in
`benchmarks/results/durations.json`, seconds by "begun-steps"). `--record RUN` writes those of another run. What a
training comes to is made up: numbers that depend on the loss and the seed.
"""

import hashlib
import heapq
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click
import numba
import numpy as np
import torch

from lossgen.codegen.load import load_argument
from lossgen.evolution.clock import Clock
from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import resolve
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.run import create_run, open_run, versions
from lossgen.evolution.search import Search, engine_of
from lossgen.evolution.session import Session
from lossgen.evolution.steady import SteadySearch
from lossgen.evolution.workers.choice import Workers
from lossgen.evolution.workers.messages import Task
from lossgen.evolution.workers.pool import NEVER, Ready, Timeout
from lossgen.evolution.workers.waiting import More, Waiting, nothing_more
from lossgen.report.html import write_report
from lossgen.report.tables import show_lines
from lossgen.runner import Outcome

STEPS = 500
MODES, MANY = ("generational", "steady"), 32
"""Beyond so many workers nobody would leave the population at 16."""
CHECK_SECONDS = 0.03
"""What the comparison of a module with the kernel takes a worker."""
Durations = Mapping[str, Sequence[float]]


@dataclass
class Machine:
    """A virtual clock: it goes on as the driver thinks, and as it waits for a worker.

    Attributes:
        waited: seconds that were passed in waiting.
    """

    waited: float = 0.0
    began: float = field(default_factory=time.process_time)

    def now(self) -> float:
        return self.waited + time.process_time() - self.began

    def wait_until(self, moment: float) -> None:
        self.waited += max(0.0, moment - self.now())


class Simulated:
    """Does what a `Pool` does, in no time.

    Attributes:
        busy: seconds that all workers have trained.
        full: and until they were last all at work, with that moment.
    """

    def __init__(self, count: int, durations: Durations, machine: Machine) -> None:
        self.count = count
        self.durations = durations
        self.machine = machine
        self.busy = 0.0
        self.full = (0.0, 0.0)
        self.trainings = 0

    def run(
        self,
        tasks: Iterable[Task],
        on_done: Callable[[Task, Outcome], None],
        on_step: Callable[[Task, int], None] = lambda task, step: None,
        go_on: Callable[[], bool] = lambda: True,
        timeout: Timeout = NEVER,
        on_note: Callable[[str], None] = lambda text: None,
        more: More = nothing_more,
    ) -> None:
        """As `Pool.run` has it."""
        waiting, machine = Waiting(tasks, together=False), self.machine
        ends: list[tuple[float, str, Task, float]] = []
        while True:
            for idle in range(self.count - len(ends), 0, -1):
                for task in waiting.next(idle, go_on, more):
                    seconds = self._seconds(task)
                    heapq.heappush(ends, (machine.now() + seconds, task.key, task, seconds))
            if not ends:
                return
            if len(ends) == self.count:
                self.full = self.busy + sum(machine.now() - end + seconds for end, _, _, seconds in ends), machine.now()
            moment, _, task, seconds = heapq.heappop(ends)
            machine.wait_until(moment)
            if not task.check:
                self.busy += seconds
                self.trainings += 1
            on_done(task, _outcome(task, seconds))

    def _seconds(self, task: Task) -> float:
        """One of those that a training of so many steps took, drawn by what it is."""
        if task.check:
            return CHECK_SECONDS
        replicate, steps = map(int, task.key.rsplit(" ", 2)[-2:])
        begun = 0 if replicate else max(int(key.split("-")[0]) for key in self.durations if key.endswith(f"-{steps}"))
        key = f"{begun}-{steps}"
        return float(_drawn(task.key).choice(self.durations[key]))


def _drawn(key: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()[:16]))


def _outcome(task: Task, seconds: float) -> Outcome:
    """A number that depends on the loss, and less on the seed."""
    of_loss, of_seed = _drawn(task.member.name), _drawn(task.key)
    return Outcome(
        "ok", {"distance": float(np.exp(of_loss.normal() + 0.1 * of_seed.normal()))}, step=task.steps, seconds=seconds
    )


def recorded(run: str) -> Durations:
    """Durations of the trainings of a search that raced, by the steps at which they began and ended."""
    found: dict[str, list[float]] = {}
    with open_run(run, locked=False) as opened:
        outcomes = opened.archive.outcomes("search")
        rungs = sorted({key.steps for key, _, _ in outcomes})
        for key, _, outcome in outcomes:
            before = max((steps for steps in rungs if steps < key.steps), default=0) if key.replicate == 0 else 0
            found.setdefault(f"{before}-{key.steps}", []).append(round(outcome.seconds, 3))
    return found


def search(
    folder: Path, mode: str, workers: int, population: int, durations: Durations, **limits: int
) -> tuple[Simulated, Machine, Search]:
    """One simulated search, without what follows it, and all that it holds."""
    rungs = sorted({(int(key.split("-")[1]), 1) for key in durations})
    config = resolve(
        RunConfig.model_validate({
            "kind": "evolve", "runner": "ring", "population": population, "mode": mode, "steps": STEPS,
            "rungs": [*rungs, (STEPS, 4)], "polish": 0, "audit": 0, "verify_seeds": 2, **limits,
        })
    )  # fmt: skip
    with create_run(folder, config) as run:
        machine = Machine()
        pool = Simulated(workers, durations, machine)
        ready = Ready({"distance": "min"}, True, {}, [])
        run.archive.set_meta("objectives", ready.objectives)
        session = Session(run, cast(Workers, pool), ready, Listener(), Clock({}, machine.now))
        run.archive.set_meta("timing", [0.0, float(np.mean(durations[f"0-{STEPS}"])) / STEPS])
        engine = engine_of(session)
        plan = session.plan(Entry.of(load_argument("bce").loss), 0)
        made = (SteadySearch if engine.steady else Search)(session, engine, plan)
        made.run()
    return pool, machine, made


def busy(durations: Durations, most: int, rows: list[dict[str, Any]], keep: Callable[[], None]) -> None:
    """How busy the workers are, by their number, the mode, the population and the length of trainings.

    Args:
        rows: those that are known, to which the others are added.
        keep: called after each.
    """
    done = {(row["stretch"], row["workers"], row["mode"], row["population"], row["losses"]) for row in rows}
    for stretch in (1, 10):
        longer = {key: [stretch * each for each in seconds] for key, seconds in durations.items()}
        for workers in (2, 4, 8, 16, 32, 64, 128, 256):
            ways = [(mode, population) for mode in MODES for population in sorted({16, max(16, 2 * workers)})]
            for mode, population in ways if workers <= MANY else ways[1::2]:
                generations = -(-max(512, 32 * workers) // population)
                if workers > most or (stretch, workers, mode, population, generations * population) in done:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    pool, machine, _ = search(
                        Path(folder) / "run", mode, workers, population, longer, generations=generations
                    )
                wall = machine.now()
                rows.append({
                    "stretch": stretch, "workers": workers, "mode": mode, "population": population,
                    "losses": generations * population, "trainings": pool.trainings, "seconds": round(wall, 1),
                    "busy": round(pool.busy / (workers * wall), 4),
                    "busy_while_full": round(pool.full[0] / (workers * pool.full[1]), 4) if pool.full[1] else None,
                    "driver": round((wall - machine.waited) / wall, 4),
                })  # fmt: skip
                print(json.dumps(rows[-1]), flush=True)
                keep()


def _memory() -> int:
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def opened_in(report: Path) -> float | None:
    """Seconds until Chromium has loaded a page; None where it, or playwright, is not installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        return None
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(report.as_uri())
        spent = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        browser.close()
    return round(spent / 1000, 2)


def growth(durations: Durations, most: int) -> list[dict[str, Any]]:
    """What a steady search with 16 workers comes to by its number of proposals."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        search(Path(folder) / "run", "steady", 16, 16, durations, max_candidates=100)  # imports and compiles
        with open_run(str(Path(folder) / "run"), locked=False) as opened:
            write_report(opened)
    for proposals in (100, 1000, 10_000, 100_000):
        if proposals > most:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path, before = Path(folder) / "run", _memory()
            pool, machine, kept = search(path, "steady", 16, 16, durations, max_candidates=proposals)
            after, driver = _memory(), machine.now() - machine.waited
            del kept
            size = sum(file.stat().st_size for file in path.glob("archive.sqlite*"))
            with open_run(str(path), locked=False) as opened:
                began = time.process_time()
                show_lines(opened)
                shown = time.process_time()
                report = write_report(opened)
                written = time.process_time()
            rows.append({
                "proposals": proposals, "trainings": pool.trainings, "driver_seconds": round(driver, 2),
                "archive_bytes": size, "memory_bytes": after - before, "show_seconds": round(shown - began, 2),
                "report_seconds": round(written - shown, 2), "report_bytes": report.stat().st_size,
                "open_seconds": opened_in(report),
            })  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
    return rows


@click.command(context_settings={"show_default": True})
@click.option("--part", "parts", multiple=True, type=click.Choice(["busy", "growth"]), help="Else both.")
@click.option("--most-workers", default=256, help="Of busy.")
@click.option("--most-proposals", default=100_000, help="Of growth.")
@click.option(
    "--durations", type=click.Path(path_type=Path), default=Path("benchmarks/results/durations.json"),
    help="Seconds of trainings.",
)  # fmt: skip
@click.option("--record", metavar="RUN", help="Write the durations of a run's search to --durations, and nothing else.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/scale.json"))
def main(
    parts: tuple[str, ...], most_workers: int, most_proposals: int, durations: Path, record: str | None, out: Path
) -> None:
    """Simulate searches and print what they come to."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    if record:
        durations.write_text(json.dumps(recorded(record)) + "\n", encoding="utf-8")
        print(f"wrote {durations}")
        return
    seconds: Durations = json.loads(durations.read_text(encoding="utf-8"))
    result = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"schema": 1}

    def keep() -> None:
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")

    result["versions"] = versions()
    if not parts or "busy" in parts:
        busy(seconds, most_workers, result.setdefault("busy", []), keep)
    if not parts or "growth" in parts:
        result["growth"] = growth(seconds, most_proposals)
    keep()
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
