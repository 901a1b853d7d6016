"""The commands of the documentation: those of two pages are run in their order, all others are read and not run."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lossgen.cli import cli

ROOT = Path(__file__).parents[2]
RUN = [ROOT / "docs" / name for name in ("tutorial.md", "extending.md")]
READ = [ROOT / "README.md", ROOT / "grammar" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SET_UP = ("git ", "make ", ". ")
FENCE = re.compile(r"^```(?:python)?\n# file: (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^    (?:\$ )?(?P<line>(?:lossgen|python|cp) (?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """Files (name, text) and commands ("", line) in the order in which they stand."""
    text = page.read_text(encoding="utf-8")
    found = [*FENCE.finditer(text), *COMMAND.finditer(text)]
    for match in sorted(found, key=lambda match: match.start()):
        if match.re is FENCE:
            yield match["name"], match["text"]
        elif not any(fence.start() < match.start() < fence.end() for fence in FENCE.finditer(text)):
            yield "", match["line"].replace("\\\n", " ")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_a_reader_who_types_it_in_gets_what_is_told(page: Path, tmp_path: Path) -> None:
    ran = 0
    for name, text in steps(page):
        if name:
            (tmp_path / name).write_text(text.removeprefix("// file\n"), encoding="utf-8")
            continue
        line, _, remark = text.partition("  # ")
        if remark.startswith("not here"):
            continue
        words = shlex.split(line)
        if words[0] == "cp":
            (source,) = sorted(tmp_path.glob(words[1]))
            (tmp_path / words[2]).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
            continue
        program = [sys.executable, "-m", "lossgen"] if words[0] == "lossgen" else [sys.executable]
        done = subprocess.run([*program, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        ran += 1
    assert ran >= 3


def read_lines() -> Iterator[tuple[str, str]]:
    for page in READ:
        for name, text in steps(page):
            line = text.partition("  # ")[0].strip()
            if (
                not name
                and line.startswith("lossgen ")
                and "--help" not in line
                and "…" not in line
                and "..." not in line
            ):
                yield page.name, line


def test_many_commands_are_found() -> None:
    assert len(list(read_lines())) > 60


@pytest.mark.parametrize(("page", "line"), list(read_lines()))
def test_every_command_has_the_flags_that_it_is_given(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are parsed, and not run; runners of the reader's own are not there, and stand for one that is."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0])[1:]
    if "--runner" in words and words[words.index("--runner") + 1] == "mine.py":
        words = [word for word in words if word != "--lr" and word != "0.01"]
        words[words.index("--runner") + 1] = "ring"
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, f"{page}: {line}"
    command.make_context(words[0], words[1:])
