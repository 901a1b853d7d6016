"""The ladder of verification in words and tables: for a terminal, as Markdown, as JSON."""

import json
from pathlib import Path

from lossgen.evolution.ladder import RUNGS, Ladder, Step
from lossgen.evolution.verdict import SIGNIFICANT
from lossgen.files import without_nan, write_text
from lossgen.report.comparison import cells_of, title_of
from lossgen.report.documents import markdown_table, plain
from lossgen.report.tables import few_seeds

JSON, MARKDOWN = "ladder.json", "ladder.md"


def ladder_lines(ladder: Ladder, folder: Path) -> list[str]:
    """What `lossgen verify` ends with."""
    lines = [""]
    for step in ladder.steps:
        lines += step_lines(step)
    lines += ["", *(ladder.headline(loss) for loss in ladder.losses)]
    return [
        *lines,
        f"{folder / MARKDOWN} has the tables, report.html all of it; each rung's folder is a run of its own.",
    ]


def step_lines(step: Step) -> list[str]:
    """A rung, and how each loss stands on it."""
    title = f"Rung {step.rung}, {RUNGS[step.rung][0]}" + f" ({step.detail})" * bool(step.detail)
    if step.why_not:
        return [f"{title}: not tried, {step.why_not}."]
    lines = [f"{title}:"]
    for trial in step.trials:
        where = f"{trial.what}: " if trial.what else ""
        lines += [f"  {where}{beside.sentence(trial.comparison.metric)}" for beside in trial.found.values()]
        floor = max(beside.smallest_p for beside in trial.found.values())
        if floor >= SIGNIFICANT:
            lines.append(f"  {few_seeds(floor)}")
        lines += [f"  {note}" for note in trial.notes]
    return lines


def write_ladder(ladder: Ladder, folder: Path) -> None:
    """Write ladder.json and ladder.md."""
    content = {
        "schema": 1,
        "losses": [
            {"name": loss, "highest": ladder.highest(loss), "headline": ladder.headline(loss)} for loss in ladder.losses
        ],
        "steps": [step.as_json() for step in ladder.steps],
    }
    write_text(folder / JSON, json.dumps(without_nan(content), indent=2, allow_nan=False) + "\n")
    write_text(folder / MARKDOWN, ladder_markdown(ladder))


def ladder_markdown(ladder: Ladder) -> str:
    """Headlines, a table of who passed what, and a table a comparison."""
    lines = ["# Verification", "", *(f"- {plain(ladder.headline(loss))}" for loss in ladder.losses), ""]
    rows = [[RUNGS[step.rung][0], *(_mark(step, loss) for loss in ladder.losses)] for step in ladder.steps]
    lines += markdown_table(["rung", *ladder.losses], rows)
    for step in ladder.steps:
        lines += ["", f"## {RUNGS[step.rung][0].capitalize()}", ""]
        detail = f"{step.detail[:1].upper()}{step.detail[1:]}."
        lines += [plain(detail if step.detail else f"Not tried: {step.why_not}.")]
        for trial in step.trials:
            lines += ["", f"**{plain(trial.what or title_of(trial.comparison))}**", ""]
            lines += [*markdown_table(*cells_of(trial.comparison)), ""]
            lines += [f"- {plain(beside.sentence(trial.comparison.metric))}" for beside in trial.found.values()]
            lines += [f"- {plain(note)}" for note in trial.notes]
    lines += [
        "",
        "Each loss beside the baseline that is hardest for it: ratio of the means with its 95 % bootstrap interval; "
        "Cliff's delta, 1 where all its trainings are better; two-sided Mann–Whitney p, with Holm's correction for the "
        "losses that are verified, and where it is behind for the number of baselines. The interval has no correction.",
    ]
    return "\n".join(lines) + "\n"


def _mark(step: Step, loss: str) -> str:
    if step.why_not:
        return "not tried"
    return "passed" if loss in step.passed else "not passed"
