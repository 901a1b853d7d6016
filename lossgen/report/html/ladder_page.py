"""The page of a ladder, from its ladder.json."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.ladder import RUNGS, Beside
from lossgen.evolution.run import CONFIG, open_run
from lossgen.language.parser import parse_loss
from lossgen.report.comparison import LOSS, cells_of, title_of
from lossgen.report.html.blocks import Block, Page, Section, Sheet, Words
from lossgen.report.html.compared import boxes
from lossgen.report.html.losses import loss_card
from lossgen.report.html.making import made_of
from lossgen.report.ladder import JSON
from lossgen.report.tables import setting_of
from lossgen.runner import Outcome
from lossgen.stats import summarise

SCHEMA = 1
WHAT_IT_IS = (
    "Each loss stands beside the baseline that is hardest for it: ratio of the means with its 95 % bootstrap interval; "
    "Cliff's delta, 1 where all its trainings are better; two-sided Mann–Whitney p, with Holm's correction for the "
    "losses that are verified, and where it is behind for the number of baselines. The interval has no correction."
)


def ladder_page(folder: Path) -> Page:
    """What `lossgen verify` has left in a folder.

    Raises:
        InputError: it is no ladder, or damaged.
    """
    path = folder / JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise InputError(f"{path}: schema {content['schema']}, this lossgen reads {SCHEMA}")
        losses: list[Mapping[str, Any]] = content["losses"]
        sections = [_overview(losses, content["steps"]), *map(_step, content["steps"]), _cards(losses, content)]
        sections += _made(folder)
        headline = [loss["headline"] for loss in losses]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{path}: is damaged ({error}); the same `lossgen verify --out {folder}` writes it anew"
        ) from None
    tried = sum(not step["why_not"] for step in content["steps"])
    state = "finished", f"{tried} of {len(RUNGS) - 1} rungs tried"
    more = f"The same call with --out {shlex.quote(str(folder))} goes on, and trains nothing twice"
    return Page(f"Ladder: {folder.resolve().name}", f"{more}.", headline, state, sections)


def _made(folder: Path) -> list[Section]:
    """How the first rung was made; each has a page of its own."""
    first = next((folder / rung for rung in RUNGS if (folder / rung / CONFIG).is_file()), None)
    if first is None:
        return []
    with open_run(first, locked=False) as run:
        said = Words(
            [f"{setting_of(run)}. Below, of the rung {RUNGS[first.name][0]}; each rung's folder has its own page."]
        )
        return [Section("How it was made", [said, *made_of(run)])]


def _overview(losses: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> Section:
    def mark(step: Mapping[str, Any], loss: str) -> str:
        if step["why_not"]:
            return "not tried"
        return "passed" if loss in step["passed"] else "not passed"

    names = [loss["name"] for loss in losses]
    rows = [[RUNGS[step["rung"]][0], *(mark(step, name) for name in names)] for step in steps]
    columns = ["rung", *names]
    return Section("The rungs", [Sheet(columns, rows, left=list(range(len(columns)))), Words([WHAT_IT_IS])])


def _step(step: Mapping[str, Any]) -> Section:
    title = RUNGS[step["rung"]][0].capitalize()
    if step["why_not"]:
        return Section(title, [Words([f"Not tried: {step['why_not']}."])])
    detail = step["detail"]
    blocks: list[Block] = [Words([f"{detail[:1].upper()}{detail[1:]}."])] if detail else []
    for number, trial in enumerate(step["trials"]):
        comparison = _comparison(trial)
        found = [
            Beside(**{**each, "ratio": tuple(each["ratio"]) if each["ratio"] else None}) for each in trial["found"]
        ]
        columns, rows = cells_of(comparison)
        blocks += [Words([trial["what"]], strong=True)] if trial["what"] else []
        blocks.append(Words([*(beside.sentence(trial["metric"]) for beside in found), *trial["notes"]]))
        blocks.append(Sheet(columns, rows, title_of(comparison), [columns.index(LOSS)]))
        blocks += boxes(comparison, "A point is a seed.", f"box-{step['rung']}-{number}")
    return Section(title, blocks)


def _comparison(trial: Mapping[str, Any]) -> Comparison:
    """The numbers of a trial; of its trainings, that they failed or not is all that is known here."""
    direction = trial["direction"]
    results = []
    for row in trial["results"]:
        values = row["values"]
        outcomes = [Outcome("ok")] * len(values) + [Outcome("crashed")] * row["failed"]
        verified = {beside["loss"] for beside in trial["found"]}
        summary = summarise(values, direction == "min") if values else None
        results.append(
            Result(
                row["name"], "verified" if row["name"] in verified else "baseline", row["loss"], "", outcomes, values,
                summary, row["needs"], row["given"], row.get("rates", ""),
            )
        )  # fmt: skip
    return Comparison(trial["metric"], direction, results, trial["steps"], False)


def _cards(losses: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> Section:
    texts = {
        row["name"]: row["loss"] for step in content["steps"] for trial in step["trials"] for row in trial["results"]
    }
    names = [loss["name"] for loss in losses if loss["name"] in texts]
    highest = {loss["name"]: loss["highest"] for loss in losses}
    said = {name: f"highest rung: {RUNGS[highest[name]][0] if highest[name] else 'none'}" for name in names}
    return Section("The losses", [loss_card(parse_loss(texts[name]), said[name]) for name in names])
