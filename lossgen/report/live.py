"""What a run shows while it goes on: a live panel on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lossgen.evolution.events import Listener, Plan
from lossgen.language.printer import formula
from lossgen.runner import Outcome

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STAGE_NAMES = {"search": "search", "verify": "verification", "compare": "comparison"}
PLAIN_EVERY = 30.0


def console_for() -> "Console":
    """The console of standard output, wide enough for a table where it is no terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=120)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 8 min, 2 h 10 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def plan_lines(plan: Plan) -> list[str]:
    """What the budget buys, in sentences."""
    total = plan.search_trainings + plan.verify_trainings
    parts = []
    if plan.search_trainings:
        parts.append(f"{plan.search_trainings} in the search")
    if plan.verify_trainings:
        parts.append(f"{plan.verify_trainings} on fresh seeds" if plan.search_trainings else "all on the same seeds")
    lines = [
        f"Budget: {total} trainings ({', '.join(parts)}) of {plan.steps} steps, "
        f"about {duration(plan.seconds_per_training)} each; "
        f"about {duration(plan.seconds)} with {plan.workers} worker{'s'[: plan.workers != 1]}"
        + (f", {duration(plan.verify_seconds)} of it for verification." if plan.search_trainings else ".")
    ]
    return [*lines, *plan.notes]


def _counted(generation: int, generations: int | None) -> str:
    return f"{generation + 1} of {generations}" if generations else f"{generation + 1}, until the time is up"


class PlainView(Listener):
    """Lines of text, for logs and pipes."""

    def __init__(self, console: "Console") -> None:
        self.console = console
        self.best = math.inf
        self._sign = 1.0
        self._stage = ""
        self._total = 0
        self._done = 0
        self._said = 0.0
        self._began = 0.0
        self._fraction = self._first = 0.0

    def close(self) -> None:
        """Stop showing."""

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def preparing(self, what: str) -> None:
        self.say(f"… {what}")

    def planned(self, plan: Plan) -> None:
        self._sign = 1.0 if plan.minimise else -1.0
        for line in plan_lines(plan):
            self.say(line)

    def stage(self, name: str, total: int, done: int) -> None:
        if name != self._stage:
            self._stage, self._total, self._done = name, 0, 0
        self._began, self._first = time.monotonic(), math.nan  # of this round; a search has one a generation
        self._total += total
        self._done += done
        if done:
            self.say(f"{STAGE_NAMES.get(name, name)}: {done} of {total} trainings stand in the archive already")

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        fates = ", ".join(f"{count} {fate}" for fate, count in waterfall.items() if fate not in ("proposed", "trained"))
        self.say(
            f"generation {_counted(generation, generations)}: {waterfall['proposed']} proposed so far "
            f"({fates}), {waterfall.get('trained', 0)} to train"
        )

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self._done += 1
        self.best = min(self.best, fitness) if stage == "search" else self.best
        result = f"{self._sign * fitness:.4g}" if outcome.status == "ok" else f"{outcome.status}: {outcome.reason}"
        line = f"{STAGE_NAMES.get(stage, stage)} {self._done}/{self._total}: {name} {result}"
        self.say(
            line + (f" (best {self._sign * self.best:.4g})" if stage == "search" and math.isfinite(self.best) else "")
        )

    def progress(self, stage: str, fraction: float) -> None:
        self._fraction = fraction
        if math.isnan(self._first):
            self._first = fraction
        now = time.monotonic()
        if now - self._said > PLAIN_EVERY and (left := self.time_left()) is not None:
            self._said = now
            self.say(
                f"{STAGE_NAMES.get(stage, stage)}: {fraction:.0%} of this round, about {duration(left)} left in it"
            )

    def note(self, text: str) -> None:
        self.say(text)

    def time_left(self) -> float | None:
        """Seconds left in the present round of trainings, None while it is too early to say."""
        gone = self._fraction - self._first
        if not gone > 0.02:
            return None
        return (time.monotonic() - self._began) * (1.0 - self._fraction) / gone


class LiveView(PlainView):
    """A panel that is drawn anew in place."""

    def __init__(self, console: "Console") -> None:
        super().__init__(console)
        from rich.live import Live

        self._generation = ""
        self._waterfall: Mapping[str, int] = {}
        self._best_loss = ""
        self._doing = "starting"
        self._plan: Plan | None = None
        self._spent = 0.0
        self._timed = 0
        self._finished = 0
        self._live = Live(self._panel(), console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def preparing(self, what: str) -> None:
        self._doing = what
        self._draw()

    def planned(self, plan: Plan) -> None:
        self._plan = plan
        super().planned(plan)

    def stage(self, name: str, total: int, done: int) -> None:
        super().stage(name, total, done)
        self._finished += done
        self._doing = STAGE_NAMES.get(name, name)
        self._draw()

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        self._generation = _counted(generation, generations)
        self._waterfall = waterfall
        self._draw()

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self._done += 1
        self._finished += 1
        self._spent += outcome.seconds
        self._timed += 1
        if stage == "search" and fitness < self.best:
            self.best, self._best_loss = fitness, formula(loss)
        self._draw()

    def progress(self, stage: str, fraction: float) -> None:
        self._fraction = fraction
        self._draw()

    def time_left(self) -> float | None:
        """Seconds left in the whole run: by the plan, and by what trainings took as soon as some have ended."""
        plan = self._plan
        if plan is None:
            return None
        total = plan.search_trainings + plan.verify_trainings
        each = self._spent / self._timed if self._timed else plan.seconds_per_training
        return max(0, total - self._finished) * each / plan.workers

    def _draw(self) -> None:
        self._live.update(self._panel())

    def _panel(self) -> "RenderableType":
        from rich import box
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_column()
        table.add_row("now", Text(self._doing))
        if self._generation:
            table.add_row("generation", self._generation)
        if self._waterfall:
            fates = [f"{count} {fate}" for fate, count in self._waterfall.items()]
            table.add_row("candidates", Text(" · ".join(fates)))
        if self._total:
            table.add_row("trainings", f"{self._done} of {self._planned()}")
            table.add_row("", ProgressBar(total=max(self._planned(), 1), completed=self._done, width=40))
        if math.isfinite(self.best):
            table.add_row("best so far", f"{self._sign * self.best:.4g}")
            table.add_row("", Text(self._best_loss, overflow="ellipsis", no_wrap=True))
        left = self.time_left()
        if left is not None:
            table.add_row("time left", f"about {duration(left)}")
        return Panel(table, title="lossgen", box=box.ROUNDED, expand=False)

    def _planned(self) -> int:
        if self._plan is None:
            return self._total
        return self._plan.search_trainings if self._stage == "search" else self._plan.verify_trainings
