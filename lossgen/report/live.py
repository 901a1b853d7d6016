"""What a run shows while it goes on: a live panel on a terminal, plain lines elsewhere."""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lossgen.evolution.events import Listener, Plan
from lossgen.gan.splits import plural
from lossgen.language.printer import formula
from lossgen.runner import Outcome

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STAGE_NAMES = {
    "search": "search", "polish": "polish", "audit": "audit of the screen", "verify": "verification",
    "interim": "interim verification", "compare": "comparison", "tune": "tuning", "calibrate": "calibration",
}  # fmt: skip
STAGES_TO_VERIFY = ("search", "polish", "audit")
"""Stages that a verification follows."""
SEARCHING = ("search", "polish")
"""Stages whose trainings come round by round."""
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


def better_text(minimise: bool) -> str:
    """Which way a metric points."""
    return f"{'lower' if minimise else 'higher'} is better"


def waterfall_text(waterfall: Mapping[str, int], trained: str = "trained") -> str:
    """How many candidates came how far: 60 proposed: rejected (18 flat, …), 26 duplicates, 8 trained, 3 verified."""
    later = {
        "duplicate": "duplicates", "untrained": "left untrained", "cache": "from the cache", "trained": trained,
        "verified": "verified",
    }  # fmt: skip
    rejections = [f"{n} {fate}" for fate, n in waterfall.items() if fate != "proposed" and fate not in later]
    parts = [f"rejected ({', '.join(rejections)})"] if rejections else []
    parts += [f"{waterfall[fate]} {words}" for fate, words in later.items() if fate in waterfall]
    parts = ["1 duplicate" if part == "1 duplicates" else part for part in parts]
    return f"{waterfall['proposed']} proposed: {', '.join(parts)}"


def plan_lines(plan: Plan) -> list[str]:
    """What the budget buys, in sentences."""
    parts = [f"{plan.tune_trainings} to tune learning rates", f"{plan.verify_trainings} on the same seeds for all"]
    if plan.search_trainings:
        parts = [
            f"{plan.search_trainings} in the search",
            f"{plan.polish_trainings} to polish the best one's constants",
            f"{plan.audit_trainings} of what the screen rejects",
            f"{plan.verify_trainings} on fresh seeds",
        ]
    said = ", ".join(part for part in parts if not part.startswith("0 "))
    about = "about " if plan.search_trainings and plan.most is None else ""
    each = f" of {plan.steps} steps" if plan.counts_steps else ""
    line = f"Budget: {about}{plural(plan.trainings, 'training')}{each}: {said}."
    if plan.known:
        line += f" {plan.known} of them {'is' if plan.known == 1 else 'are'} known already."
    seconds, workers = plan.seconds(plan.trainings - plan.known), plural(plan.workers, "worker")
    if seconds is None or plan.seconds_per_training is None:
        return [line, f"What a training takes, the first ones tell; {workers}.", *plan.notes]
    one = plan.seconds_per_training
    each = f"{one:.2g} s" if one < 10 else duration(one)
    price = f"Price of the trainings: about {each} each, {duration(seconds)} in all with {workers}"
    verify = plan.seconds(plan.verify_trainings) or 0.0
    price += f", {duration(verify)} of it for verification." if plan.search_trainings else "."
    return [line, price, *plan.notes]


def _counted(generation: int, generations: int | None) -> str:
    return f"{generation + 1} of {generations}" if generations else f"{generation + 1}"


class PlainView(Listener):
    """Lines of text, for logs and pipes."""

    def __init__(self, console: "Console") -> None:
        self.console = console
        self._sign = 1.0
        self._stage = ""
        self._total = 0
        self._done = 0
        self._said = 0.0
        self._left: float | None = None
        self._plan: Plan | None = None

    def close(self) -> None:
        """Stop showing."""

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def preparing(self, what: str) -> None:
        self.say(f"… {what}")

    def planned(self, plan: Plan) -> None:
        self._plan = plan
        self._sign = 1.0 if plan.minimise else -1.0
        for line in plan_lines(plan):
            self.say(line)

    def stage(self, name: str, total: int, done: int) -> None:
        if name != self._stage:
            self._stage, self._total, self._done = name, 0, 0
        self._total += total
        self._done += done
        if done:
            are = f"{plural(total, 'training')} {'is' if done == 1 else 'are'}"
            self.say(f"{STAGE_NAMES.get(name, name)}: {done} of {are} known already")

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        self.say(f"generation {_counted(generation, generations)}: {waterfall_text(waterfall, 'to train')} so far")

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self._done += 1
        result = f"{self._sign * fitness:.4g}" if outcome.status == "ok" else f"{outcome.status}: {outcome.reason}"
        self.say(f"{STAGE_NAMES.get(stage, stage)} {self._done}/{self._total}: {name} {result}")

    def improved(self, name: str, loss: str, value: float) -> None:
        self.say(f"best so far: {name} {value:.4g}: {formula(loss)}")

    def progress(self, stage: str, fraction: float, left: float | None) -> None:
        self._left = left
        now = time.monotonic()
        if now - self._said > PLAIN_EVERY and left is not None:
            self._said = now
            self.say(
                f"{STAGE_NAMES.get(stage, stage)}: {fraction:.0%} of this round, about {duration(left)} left in all"
            )

    def note(self, text: str) -> None:
        self.say(text)

    def stopping(self) -> None:
        message = f"\nStopping: {self._what_is_left()}. Ctrl-C again stops at once.\n"
        os.write(2, message.encode())  # not through a stream, which may be in the middle of a write

    def _what_is_left(self) -> str:
        """What is still done when the run has been stopped."""
        plan, doing = self._plan, "what is being trained is finished"
        if plan is None or self._stage not in STAGES_TO_VERIFY:
            return doing
        seconds = plan.seconds(plan.verify_trainings)
        price = f"{plan.verify_trainings} trainings" + (f", about {duration(seconds)}" if seconds else "")
        return f"{doing}, and the best losses so far are verified ({price})"


class LiveView(PlainView):
    """A panel that is drawn anew in place."""

    def __init__(self, console: "Console") -> None:
        super().__init__(console)
        from rich.live import Live

        self._generation = ""
        self._waterfall: Mapping[str, int] = {}
        self._best: tuple[str, str] | None = None
        self._doing = "starting"
        self._stop = ""
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def preparing(self, what: str) -> None:
        self._doing = what

    def stage(self, name: str, total: int, done: int) -> None:
        super().stage(name, total, done)
        self._doing = STAGE_NAMES.get(name, name)

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        self._generation = _counted(generation, generations)
        self._waterfall = waterfall

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self._done += 1

    def improved(self, name: str, loss: str, value: float) -> None:
        self._best = f"{value:.4g}", formula(loss)

    def progress(self, stage: str, fraction: float, left: float | None) -> None:
        self._left = left

    def stopping(self) -> None:
        self._stop = self._what_is_left()  # the panel is drawn by another thread, and soon

    def __rich__(self) -> "RenderableType":
        """The panel as it is now."""
        from rich import box
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_column()
        table.add_row("now", Text(self._doing))
        if self._stop:
            table.add_row("stopping", Text(f"{self._stop}; Ctrl-C again stops at once"))
        if self._generation:
            table.add_row("generation", self._generation)
        if self._waterfall:
            table.add_row("candidates", Text(waterfall_text(self._waterfall, "to train")))
        if self._total:
            table.add_row("trainings", f"{self._done} of {self._planned()}")
            table.add_row("", ProgressBar(total=max(self._planned(), 1), completed=self._done, width=40))
        if self._best:
            table.add_row("best so far", Text(self._best[0] + self._measured()))
            table.add_row("", Text(self._best[1], overflow="ellipsis", no_wrap=True))
        if self._left is not None:
            table.add_row("time left", f"about {duration(self._left)}")
        return Panel(table, title="lossgen", box=box.ROUNDED, expand=False)

    def _measured(self) -> str:
        """What the best so far is best in."""
        plan = self._plan
        if plan is None or not plan.objective:
            return ""
        return f" ({plan.objective}, {better_text(plan.minimise)})"

    def _planned(self) -> int:
        """Trainings of the present stage: as planned, of those that come round by round."""
        plan = self._plan
        if plan is None or self._stage not in SEARCHING:
            return self._total
        return plan.search_trainings if self._stage == "search" else plan.polish_trainings
