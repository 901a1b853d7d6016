"""report.html in a real browser: Chromium without a window, where one is installed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lossgen

playwright = pytest.importorskip("playwright.sync_api", reason="needs lossgen[browser]")

RUNNER = Path(__file__).parents[1] / "racing_runner.py"
WIDTHS = (360, 1600)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        own = running.chromium.executable_path
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if found is None and not Path(own).exists():
            pytest.skip("no Chromium is installed")
        opened = running.chromium.launch(executable_path=found, args=["--no-sandbox"])  # it opens our own file alone
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    rungs = [(20, 1), (40, 2), (80, 4)]
    run = lossgen.evolve(
        runner=RUNNER, objective="robust", rungs=rungs, population=8, generations=3, verify_seeds=2, workers=1,
        out=folder / "run", generated=folder / "g", quiet=True,
    )  # fmt: skip
    lossgen.verify(
        "ganetic", runner=RUNNER, steps=10, seeds=2, workers=1, out=folder / "ladder", quiet=True,
        grid=[(3e-3, 3e-3)], tune_seeds=1,
    )  # fmt: skip
    compared = lossgen.compare(
        ["bce", "hinge"], runner=RUNNER, steps=10, seeds=3, workers=1, out=folder / "compare", quiet=True
    )
    found = {"search": run.path, "ladder": folder / "ladder", "comparison": compared.path}
    return {name: path / "report.html" for name, path in found.items()}


class Tab:
    """An open page, with all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


@pytest.mark.parametrize("name", ["search", "ladder", "comparison"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_word_and_asks_for_nothing(
    browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    tab = Tab(browser, pages[name], width, scheme)
    assert tab.said == []
    assert [url for url in tab.asked if not url.startswith("data:")] == [pages[name].as_uri()]
    wide = tab.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "the page is wider than the window; tables and figures scroll in boxes of their own"
    drawn = tab.page.evaluate("[...document.querySelectorAll('figure svg, figure img')].map(e => e.clientHeight)")
    assert drawn and min(drawn) > 50
    ink, paper = tab.page.evaluate("['color', 'backgroundColor'].map(n => getComputedStyle(document.body)[n])")
    assert _lightness(ink) < 0.2 < 0.8 < _lightness(paper) or _lightness(paper) < 0.2 < 0.8 < _lightness(ink)
    assert (_lightness(paper) < 0.5) == (scheme == "dark")


def _lightness(rgb: str) -> float:
    numbers = [float(part) for part in rgb.removeprefix("rgb(").rstrip(")").split(",")]
    return sum(numbers) / 3 / 255


def test_tables_sort_by_number_and_by_text(browser: Any, pages: dict[str, Path]) -> None:
    tab = Tab(browser, pages["search"], 1600).page
    table = tab.locator("#hall-of-fame table")
    sizes = [int(text) for text in table.locator("tbody tr td:nth-child(1)").all_inner_texts()]
    assert len(sizes) > 2 and sizes == sorted(sizes)
    size, name = table.locator("thead th:nth-child(1)"), table.locator("thead th:nth-child(7)")
    size.get_by_role("button").click()
    size.get_by_role("button").click()
    assert size.get_attribute("aria-sort") == "descending"
    assert [int(text) for text in table.locator("tbody tr td:nth-child(1)").all_inner_texts()] == sizes[::-1]
    name.get_by_role("button").click()
    names = table.locator("tbody tr td:nth-child(7)").all_inner_texts()
    assert names == sorted(names) and size.get_attribute("aria-sort") is None


def test_source_is_a_click_away_and_is_copied(browser: Any, pages: dict[str, Path]) -> None:
    tab = Tab(browser, pages["search"], 1600).page
    champion = tab.locator("#champion article")
    source = champion.locator("details").first
    assert not source.locator("pre").is_visible()
    source.locator("summary").click()
    text = source.locator("pre").inner_text()
    assert "class " in text and "def discriminator_loss" in text
    source.get_by_role("button").click()
    tab.wait_for_function("document.querySelector('#champion .copy').textContent !== 'Copy'")
    assert source.get_by_role("button").inner_text() == "Copied"
    tab.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    tab.locator("#paste").focus()
    tab.keyboard.press("Control+V")
    assert tab.locator("#paste").input_value().strip() == text.strip()


def test_formulas_are_set_and_pictures_are_told_of(browser: Any, pages: dict[str, Path]) -> None:
    tab = Tab(browser, pages["search"], 1600).page
    heights = tab.evaluate("[...document.querySelectorAll('math')].map(e => e.getBoundingClientRect().height)")
    assert heights and min(heights) > 10
    told = tab.evaluate(
        "[...document.querySelectorAll('figure')].map(f => f.querySelector('img')?.alt ?? "
        "f.querySelector('svg').getAttribute('aria-label'))"
    )
    assert len(told) == 6 and all(len(text) > 20 for text in told)


def test_it_prints_in_black_on_white(browser: Any, pages: dict[str, Path]) -> None:
    tab = Tab(browser, pages["search"], 1600, "dark").page
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.pdf(format="A4")[:4] == b"%PDF"
