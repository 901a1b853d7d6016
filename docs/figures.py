"""Make the pictures of the README and the tutorial anew, from a real run: `make docs-figures`.

    python docs/figures.py [--run FOLDER]

Without a run it makes one first: the default search, half an hour on two cores. It takes Chromium, and
`lossgen[browser]`.

- report.png: the head of the run's report.html, as a browser shows it.
- champion.png, samples.png: of the run.
- live.svg: what a terminal shows in the middle of a search (the runner ring, a minute).
- ganetic.png, tree.svg: of the zoo's GANetic.
"""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

import lossgen
from lossgen.report.live import LiveView

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1180, 1240
MIDDLE = 75
"""Trainings of the search that is shown in its middle."""


def photographed(report: Path, picture: Path) -> None:
    """The head of a page."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.screenshot(path=str(picture))
        browser.close()


class InTheMiddle(LiveView):
    """A live view that is drawn once, and then ends the search."""

    def __init__(self, picture: Path) -> None:
        from rich.console import Console

        super().__init__(Console(file=io.StringIO(), force_terminal=True, width=100))
        self.picture = picture
        self.trainings = 0

    def trained(self, *told: Any) -> None:
        super().trained(*told)
        self.trainings += 1
        if self.trainings == MIDDLE:
            from rich.console import Console

            console = Console(record=True, file=io.StringIO(), force_terminal=True, width=100)
            console.print(self)
            svg = console.export_svg(title="lossgen evolve", unique_id="live")
            alone = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # a picture asks no server for letters
            self.picture.write_text(alone, encoding="utf-8")
            self.close()
            raise lossgen.Stopped


def live(picture: Path) -> None:
    """A search in its middle."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        lossgen.evolve(
            runner="ring", steps=100, population=16, verify_seeds=2, out=Path(folder) / "run",
            generated=Path(folder) / "g", callbacks=[InTheMiddle(picture)], quiet=True,
        )  # fmt: skip


def command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "lossgen", *words], check=True)


@click.command()
@click.option("--run", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A finished search.")
def main(run: Path | None) -> None:
    """Make all of them."""
    if run is None:
        run = Path("runs") / "docs-figures"
        command("evolve", "--out", str(run))
    command("report", str(run))
    photographed(run / "report.html", IMAGES / "report.png")
    for name in ("champion.png", "samples.png"):
        shutil.copy(run / name, IMAGES / name)
    live(IMAGES / "live.svg")
    command("inspect", "ganetic", "--plot", str(IMAGES / "ganetic.png"), "--tree", str(IMAGES / "tree.svg"))
    print(f"wrote {IMAGES}")


if __name__ == "__main__":
    main()
