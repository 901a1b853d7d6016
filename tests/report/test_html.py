"""report.html: it holds all that it shows, says what the run's files say, and is written while a run goes on."""

import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lossgen
from lossgen.api import Run
from lossgen.cli import cli
from lossgen.codegen.load import load_argument, read_emitted
from lossgen.errors import InputError
from lossgen.evolution.clock import Clock
from lossgen.evolution.lineage import CHAMPION, ancestry, find_loss, in_order, lineage
from lossgen.evolution.run import open_run
from lossgen.report import html
from lossgen.report.html import PageWriter, rendered
from lossgen.report.html.blocks import Page, Section, Sheet, Words
from lossgen.report.html.making import for_toml, reproducing

SMALL: dict[str, Any] = {
    "runner": Path(__file__).parents[1] / "racing_runner.py", "objective": "robust",
    "rungs": [(20, 1), (40, 2), (80, 4)], "population": 8, "generations": 3,
    "verify_seeds": 2, "polish": 8, "audit": 2, "quiet": True,
}  # fmt: skip
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Read(HTMLParser):
    """What a page is made of; elements have to be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("page")
    return lossgen.evolve(out=folder / "run", generated=folder / "g", **SMALL)


def check(text: str) -> Read:
    """That a page asks nobody else for anything, and that its pictures are told of."""
    page = Read(text)
    ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            if value is None:
                continue
            assert value.startswith(("#", "data:")), (tag, name, value[:60])
            if value.startswith("#"):
                assert value[1:] in ids, (tag, value)
    assert not re.findall(r"url\((?!#)", text) and "@import" not in text
    assert all(attributes.get("aria-label") and attributes.get("role") == "img" for attributes in page.all("svg"))
    assert all(attributes.get("alt") for attributes in page.all("img"))
    return page


def test_a_search_ends_with_a_page_that_says_what_its_files_say(searched: Run) -> None:
    text = (searched.path / "report.html").read_text()
    page = check(text)
    assert searched.verdict is not None and searched.champion is not None
    assert " ".join(searched.verdict.sentence.split()) in page.text
    anchors = [str(attributes.get("id")) for attributes in page.all("section")]
    assert anchors == [
        "verification", "champion", "lineage", "from-proposals-to-losses", "progress", "hall-of-fame", "how-it-was-made"
    ]  # fmt: skip
    with open_run(searched.path, locked=False) as run:
        graph = lineage(run.archive)
        above = in_order(ancestry(graph, find_loss(run.archive, graph, CHAMPION)))
    assert re.findall(r'<td class="left">([0-9a-f]{8})</td>', text) == [digest[:8] for digest in above]
    source = searched.champion_file
    assert source is not None and " ".join(source.read_text().split()) in page.text
    for row in searched.hall_of_fame:
        assert row.name in page.text and f"{row.value:.4g}" in page.text
    assert len(page.all("math")) >= len(searched.hall_of_fame)
    assert len(page.all("svg")) == 6  # box plot, curves, lineage, waterfall, progress, front
    assert f"{searched.waterfall['proposed']} proposed" in page.text
    assert 'id="reload"' not in text and ">finished<" in text
    assert searched.record()["config"]["runner"] in page.text


def test_the_command_on_it_makes_the_same_run_once_more(searched: Run, tmp_path: Path) -> None:
    with open_run(searched.path, locked=False) as run:
        words = shlex.split(reproducing(run))
    assert words[:2] == ["lossgen", "evolve"]
    words += ["--out", str(tmp_path / "again"), "--generated", str(tmp_path / "g"), "--workers", "1"]
    words[words.index("--runner") + 1] = str(SMALL["runner"])
    done = CliRunner().invoke(cli, words[1:])
    assert done.exit_code == 0, done.output
    again = Run(tmp_path / "again").record()
    assert again == searched.record()


@pytest.mark.parametrize("losses", [["zoo"], ["y_pred - y_real", "hinge"]])
def test_the_command_of_a_comparison_names_losses_that_are_found(losses: list[str], tmp_path: Path) -> None:
    made: Any = {"runner": SMALL["runner"], "steps": 10, "seeds": 1, "quiet": True}
    run = lossgen.compare(losses, out=tmp_path / "run", rates={"Hinge": (1e-3, 3e-3)}, **made)
    with open_run(run.path, locked=False) as opened:
        words = shlex.split(reproducing(opened))
    given = words[2 : next(place for place, word in enumerate(words) if word.startswith("--"))]
    found = [load_argument(word).loss.digest() for word in given]
    assert found == [read_emitted(source, "").digest() for source in run.config.losses]
    assert words[words.index("--rates") + 1] == "Hinge=0.001:0.003"


def test_a_protocol_is_printed_whatever_is_in_it(searched: Run) -> None:
    assert for_toml({"a": [1, None, {"b": None, "c": (2, None)}], "d": None}) == {"a": [1, {"c": [2]}]}


def test_it_is_rebuilt_as_it_was(searched: Run, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["report", str(searched.path), "--out", str(tmp_path / "r.html")])
    assert done.output.strip() == str(tmp_path / "r.html")
    texts = [path.read_text() for path in (tmp_path / "r.html", searched.path / "report.html")]
    anew, before = (re.sub(r"<dt>time</dt>.*|after [^<]* of work", "", text) for text in texts)
    assert anew == before
    assert searched.report(tmp_path / "s.html").read_text() == (tmp_path / "r.html").read_text()


class Stop(lossgen.Listener):
    def __init__(self, after: int) -> None:
        self.left = after

    def trained(self, *told: Any) -> None:
        self.left -= 1
        if not self.left:
            raise lossgen.Stopped


def test_a_page_is_written_while_a_run_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []
    usual = html.write_report

    def kept(run: Any) -> None:  # of the first training, and of the last before the search ends
        pages.append(usual(run).read_text() if len(pages) in (0, 24) else "")

    monkeypatch.setattr(html, "write_report", kept)
    monkeypatch.setattr(PageWriter.__init__, "__defaults__", (0.0, 1e9))
    lossgen.evolve(out=tmp_path / "run", generated=tmp_path / "g", callbacks=[Stop(25)], **SMALL)
    first, last = check(pages[0]), check(pages[24])
    assert "Nothing is trained the whole way yet." in first.text and ">running<" in pages[0]
    assert 'id="reload"' in pages[0]
    assert "Best so far: Evolved_" in last.text and "Not verified yet" in last.text
    assert ">interim<" in (tmp_path / "run" / "report.html").read_text()


def test_what_goes_wrong_with_it_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(run: object) -> None:
        raise ZeroDivisionError("somewhere in a picture")

    said: list[str] = []
    now = [0.0]
    monkeypatch.setattr(html, "write_report", fails)
    writer = PageWriter(object(), Clock({}, lambda: now[0]), said.append)  # type: ignore[arg-type]
    for moment in (10.0, 59.0, 61.0, 500.0):
        now[0] = moment
        writer.trained("search", "", "", None, 0.0)  # type: ignore[arg-type]
    assert said == ["report.html is not written anew while the run goes on: ZeroDivisionError: somewhere in a picture"]


def test_it_takes_a_small_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [0.0], list[float]()

    def slow(run: object) -> None:
        written.append(now[0])
        now[0] += 5.0

    monkeypatch.setattr(html, "write_report", slow)
    writer = PageWriter(object(), Clock({}, lambda: now[0]), print)  # type: ignore[arg-type]
    while now[0] < 2000.0:
        now[0] += 1.0
        writer.trained("search", "", "", None, 0.0)  # type: ignore[arg-type]
    assert written[0] == 60.0 and 5.0 * len(written) <= 0.025 * 2000.0 and len(written) > 5


def test_a_comparison_and_a_ladder_have_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = lossgen.verify(
        "ganetic", runner=SMALL["runner"], steps=10, seeds=2, out=tmp_path / "runs" / "ladder", quiet=True,
        tune_seeds=1, grid=[(3e-3, 3e-3)], ladder=True, every=True, plateau=20,
    )  # fmt: skip
    page = check((tmp_path / "runs" / "ladder" / "report.html").read_text())
    assert ladder.headline("GANetic") in page.text
    for step in ladder.steps:
        for trial in step.trials:
            assert all(" ".join(b.sentence(trial.comparison.metric).split()) in page.text for b in trial.found.values())
        assert not step.why_not or step.why_not in page.text
    fresh = check((tmp_path / "runs" / "ladder" / "fresh" / "report.html").read_text())
    assert "has the best mean" in fresh.text and "compare ganetic" in fresh.text
    again = CliRunner().invoke(cli, ["report", str(tmp_path / "runs" / "ladder"), "--out", str(tmp_path / "l.html")])
    assert again.exit_code == 0
    assert (tmp_path / "l.html").read_text() == (tmp_path / "runs" / "ladder" / "report.html").read_text()
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["report", "lad"]).output == "runs/ladder/report.html\n"


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 1, "losses": [{}], "steps": []}', '{"schema": 9}', "[]"])
def test_a_damaged_ladder_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "ladder.json").write_text(content)
    done = CliRunner().invoke(cli, ["report", str(tmp_path)])
    assert isinstance(done.exception, InputError)
    assert re.search("is damaged|schema 9, this lossgen reads 1", str(done.exception))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "run nosuch: not found"),
        (["{run}", "--out", "{folder}"], "is a folder; give a file"),
        (["{run}", "--out", "{folder}/none/r.html"], "there is no folder"),
        (["{folder}"], "no run.toml or ladder.json in this folder"),
    ],
)
def test_what_cannot_be_written_is_said(arguments: list[str], message: str, searched: Run, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["report", *(a.format(run=searched.path, folder=tmp_path) for a in arguments)])
    assert isinstance(done.exception, InputError) and message in str(done.exception)


def test_text_of_others_is_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    sections = [Section(f"A {evil}", [Words([evil]), Sheet([evil, "n"], [[evil, "1"]], evil)])]
    text = rendered(Page(evil, evil, [evil], ("finished", evil), sections))
    assert evil not in text
    assert len(Read(text).all("script")) == 1


def test_a_hundred_thousand_proposals_make_no_long_page(searched: Run, tmp_path: Path) -> None:
    """What grows with the number of losses is pixels."""
    from lossgen.report.figures import progress_figure
    from lossgen.report.html.blocks import drawn
    from lossgen.report.html.charts import front_figure

    points = [(i // 50, 5 + i % 20, 1.0 + (i * 7919 % 1000) / 100) for i in range(20_000)]
    few, many = (
        len(drawn(front_figure(some, [(5, 1.0)], "FD", True), "told").drawing)
        + len(drawn(progress_figure([(g, v) for g, _, v in some], "FD", True), "told").drawing)
        for some in (points[:1500], points)
    )
    assert many < 2 * few + 400_000
