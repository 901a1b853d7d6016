"""report.html: one page a run, comparison, calibration or ladder, that opens by a double click and asks nobody else."""

import math
from collections.abc import Callable
from pathlib import Path

from lossgen.evolution.clock import Clock
from lossgen.evolution.events import Listener
from lossgen.evolution.run import Run
from lossgen.files import write_text
from lossgen.report.html.blocks import Page
from lossgen.runner import Outcome

REPORT = "report.html"


def write_page(page: Page, path: Path) -> Path:
    """Write a page, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    write_text(path, rendered(page))
    return path


def rendered(page: Page) -> str:
    """A page as HTML that holds all that it shows."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return environment.get_template("page.html").render(page=page, style=style, script=script) + "\n"


def write_report(run: Run, path: Path | None = None) -> Path:
    """Write a run's page as it is now, in the run's folder where no other file is given.

    Raises:
        InputError: it cannot be written.
    """
    from lossgen.report.html.run_page import run_page

    return write_page(run_page(run), path or run.path / REPORT)


def write_ladder_report(folder: Path, path: Path | None = None) -> Path:
    """Write a ladder's page, in its folder where no other file is given.

    Raises:
        InputError: it is no ladder, is damaged, or the page cannot be written.
    """
    from lossgen.report.html.ladder_page import ladder_page

    return write_page(ladder_page(folder), path or folder / REPORT)


class PageWriter(Listener):
    """Writes the page of a run anew from time to time, but spends little of the run's time on it.

    The page is beside the point of a run: what goes wrong with it is said once, and ends nothing.

    Args:
        clock: that the time is counted on.
        note: is told what went wrong.
        least: seconds between two pages.
        share: of the time, that may go into them.
    """

    def __init__(
        self, run: Run, clock: Clock, note: Callable[[str], None], least: float = 60.0, share: float = 0.02
    ) -> None:
        self.run = run
        self.clock = clock
        self._say = note
        self.least = least
        self.share = share
        self._next = clock.elapsed + least

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        """Write it, where it is time."""
        began = self.clock.elapsed
        if began < self._next:
            return
        try:
            with self.clock.phase("report"):
                write_report(self.run)
        except Exception as error:  # noqa: BLE001  a long run is not to end for this
            self._say(f"{REPORT} is not written anew while the run goes on: {type(error).__name__}: {error}")
            self._next = math.inf
            return
        took = self.clock.elapsed - began
        self._next = began + took + max(self.least, took / self.share)
