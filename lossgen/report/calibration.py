"""A calibration in words, as tables, and as a picture."""

import csv
import io
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lossgen.evolution.calibrating import STAGE, calibration_in
from lossgen.evolution.calibration import PLATEAU, WITHIN, Calibration, Correlation, Proxy, accepted
from lossgen.evolution.conditions import at_the_edge, condition_name
from lossgen.evolution.run import Run
from lossgen.files import write_text
from lossgen.report.canvas import COLOURS, new_figure, save
from lossgen.report.documents import markdown_table, plain
from lossgen.report.ending import files_lines
from lossgen.report.live import duration
from lossgen.report.tables import setting_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

OBJECTIVES = {
    "common": "common rates", "tuned": "own best rates", "robust": "mean over rates", "stability": "spread over seeds",
}  # fmt: skip
STYLES = ("-", "--", ":")


@dataclass(frozen=True)
class Shown:
    """A table with its title and what is to be known of it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]


def shown(calibration: Calibration) -> list[Shown]:
    """All that a calibration says, table by table."""
    return [
        _signals(calibration), _foretold(calibration), *_beside(calibration), _losses(calibration),
        *([_pairs(calibration)] if len(calibration.panel.pairs) > 1 else []),
        *([_others(calibration)] if calibration.others else []),
    ]  # fmt: skip


def _signals(calibration: Calibration) -> Shown:
    """How far losses differ beside seeds."""
    panel = calibration.panel
    columns = ["steps", "time of one", "losses / seeds", "a minute", "of the mean over rates", "a minute", "failed"]
    rows = []
    for signal in calibration.signals:
        robust = signal.seconds * len(panel.pairs)
        rows.append([
            str(signal.steps), _time(signal.seconds),
            _number(signal.one), _number(60 * signal.one / signal.seconds if signal.seconds else math.nan),
            _number(signal.robust), _number(60 * signal.robust / robust if robust else math.nan), str(signal.failed),
        ])  # fmt: skip
    notes = ["Variance between losses over variance between seeds of one loss; and that a minute that a loss costs."]
    if panel.seeds == 1:
        notes.append("Of one seed there is no variance between seeds: give --seeds 2 or more.")
    trainings = len(panel.losses) * len(panel.pairs) * panel.seeds
    title = f"How much losses differ: {trainings} trainings of {len(panel.losses)} losses"
    return Shown(title, columns, rows, [*notes, plateau_line(calibration)])


def plateau_line(calibration: Calibration) -> str:
    """Where the plateau begins, or that it was not reached."""
    gains, name = calibration.gains, calibration.reference
    if calibration.plateau is not None:
        most = max(gain for steps, gain in gains.items() if steps >= calibration.plateau)
        took = f"took at most {max(most, 0.0):.0%} off {name}'s distance"
        luck = " Of one seed that may be luck." if calibration.panel.seeds == 1 else ""
        return f"Plateau: from {calibration.plateau} steps on. From there doubling the steps {took}.{luck}"
    if not gains:
        return "Whether there is a plateau cannot be told: no budget is twice another, or the metric is no distance."
    last = max(gains)
    return (
        f"The plateau was not reached: from {last} to {2 * last} steps {name}'s distance fell by {gains[last]:.0%}; on "
        f"the plateau it falls by less than {PLATEAU:.0%}. What is foretold here is a long training, not the plateau."
    )


def _foretold(calibration: Calibration) -> Shown:
    end = calibration.panel.budgets[-1]
    notes = [proxy_line(calibration.proxies, "quality"), proxy_line(calibration.proxies, "robustness")]
    own = "One seed was trained: proxy and end share it, so these are too high."
    how = "A proxy is taken from one seed, and foretells the other seeds."
    notes.insert(0, own if calibration.own_seeds else how)
    if len(calibration.panel.pairs) > 1:
        notes.insert(0, f"Common rates are {calibration.panel.pairs[calibration.panel.common]} for every loss.")
    title = f"Rank correlation with {calibration.metric} after {end} steps (95 % interval over losses)"
    return Shown(title, *_proxies(calibration.proxies), notes)


def _beside(calibration: Calibration) -> Iterator[Shown]:
    for name, proxies in calibration.beside.items():
        lines = [proxy_line(proxies, "quality"), proxy_line(proxies, "robustness")]
        yield Shown(f"Rank correlation with the end of the calibration on {name}", *_proxies(proxies), lines)


def _proxies(proxies: Sequence[Proxy]) -> tuple[list[str], list[list[str]]]:
    columns = ["objective", "steps", "time of a loss", "with each at its own best rates", "with the mean over rates"]
    rows = [
        [
            OBJECTIVES[proxy.objective], str(proxy.steps), _time(proxy.seconds), _correlation(proxy.quality),
            _correlation(proxy.robustness),
        ]
        for proxy in proxies
    ]  # fmt: skip
    return columns, rows


def proxy_line(proxies: Sequence[Proxy], truth: str) -> str:
    """The cheapest proxy that is accepted for a truth, "quality" or "robustness"."""

    def of(proxy: Proxy) -> Correlation:
        found: Correlation = getattr(proxy, truth)
        return found

    what = {"quality": "each loss at its own best rates", "robustness": "the mean over rates"}[truth]
    chosen = accepted(proxies, of)
    if chosen is None:
        return f"Nothing foretells {what}: no interval lies above 0."
    return (
        f"Cheapest that foretells {what} as well as any, within its interval: {OBJECTIVES[chosen.objective]} after "
        f"{chosen.steps} steps, {_time(chosen.seconds)} a loss, rank correlation {_correlation(of(chosen))}."
    )


def _losses(calibration: Calibration) -> Shown:
    panel = calibration.panel
    fast = f"steps to {WITHIN:g} × the best"
    columns = ["loss", *(str(steps) for steps in panel.budgets), "best rates", "mean over rates", fast, "failed"]
    rows = [
        [
            row.loss, *map(_value, row.tuned), row.pair or "–", _value(row.robust), str(row.steps or "–"),
            str(row.failed),
        ]
        for row in calibration.rows
    ]  # fmt: skip
    kind = "geometric means" if panel.logarithmic else "means"
    notes = [
        f"By steps: {kind} over seeds of {calibration.metric}, each loss at its best rates then. Quality is the last "
        "of these; how soon a loss comes near it is speed, which is another thing."
    ]
    return Shown(f"{calibration.metric} by loss", columns, rows, notes)


def _pairs(calibration: Calibration) -> Shown:
    """Where the best rates of each loss lie."""
    pairs = calibration.panel.pairs
    grid = [[float(rate) for rate in pair.split(":")] for pair in pairs]
    best = {row.loss: grid[pairs.index(row.pair)] for row in calibration.rows if row.pair}
    rows = [[row.loss, *map(_value, row.pairs)] for row in calibration.rows]
    title = f"{calibration.metric} by learning rates, after {calibration.panel.budgets[-1]} steps"
    return Shown(title, ["loss", *pairs], rows, at_the_edge(best, grid))


def _others(calibration: Calibration) -> Shown:
    rows = [[name, _correlation(found)] for name, found in calibration.others.items()]
    title = f"Rank correlation of other metrics with {calibration.metric}, mean over rates, after the last budget"
    return Shown(title, ["metric", "rank correlation"], rows, [])


def summary_lines(run: Run) -> list[str]:
    """What `lossgen show` says of a finished calibration."""
    calibration = calibration_in(run)
    if calibration is None:
        return []
    proxies = calibration.proxies
    found = [plateau_line(calibration), *(proxy_line(proxies, truth) for truth in ("quality", "robustness"))]
    return [*found, f"all of it: {run.path / 'calibration.md'}"]


def calibration_lines(run: Run, calibration: Calibration | None, written: Sequence[Path]) -> "Iterator[RenderableType]":
    """What `lossgen calibrate` ends with."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    yield ""
    for each in shown(calibration) if calibration else []:
        table = Table(title=Text(each.title), box=box.SIMPLE, title_justify="left", collapse_padding=True)
        for place, column in enumerate(each.columns):
            table.add_column(Text(column), justify="left" if place == 0 else "right", overflow="fold")
        for row in each.rows:
            table.add_row(*map(Text, row))
        yield table
        for note in each.notes:
            yield Text(note)
    if calibration is None:
        yield Text("Not all trainings have come to the first budget: there is nothing to be said yet.")
    if not run.archive.meta("finished", False):
        yield Text(
            f"Interim: trainings are missing; go on with: lossgen calibrate --resume {shlex.quote(str(run.path))}"
        )
    yield from files_lines(run, written)


def write_calibration(run: Run, calibration: Calibration) -> list[Path]:
    """Write a calibration's tables, its trainings and its picture; returns the files written."""
    folder = run.path
    write_text(folder / "calibration.md", calibration_markdown(calibration, setting_of(run)))
    write_text(folder / "trainings.csv", trainings_csv(run))
    save(calibration_figure(calibration), folder / "calibration.png")
    return [folder / name for name in ("calibration.md", "trainings.csv", "calibration.png")]


def calibration_markdown(calibration: Calibration, setting: str) -> str:
    """All tables as one page."""
    lines = ["# Calibration", "", plain(setting)]
    for each in shown(calibration):
        lines += ["", f"## {plain(each.title)}", "", *markdown_table(each.columns, each.rows)]
        for note in each.notes:
            lines += ["", plain(note)]
    return "\n".join(lines) + "\n"


def trainings_csv(run: Run) -> str:
    """A row a training and budget: seconds are those since the budget that it went on from."""
    outcomes = run.archive.outcomes(STAGE)
    names = sorted({name for _, _, outcome in outcomes for name in outcome.metrics})
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["loss", "condition", "seed", "steps", "status", "seconds", *names])
    for key, name, outcome in outcomes:
        condition = condition_name(key.condition) if key.condition else ""
        values = [outcome.metrics.get(metric, "") for metric in names]
        rows.writerow([name, condition, key.replicate, key.steps, outcome.status, f"{outcome.seconds:.3f}", *values])
    return out.getvalue()


def calibration_figure(calibration: Calibration) -> "Figure":
    """Distance over steps, a line a loss at its best rates then, the best at the end first in the legend."""
    figure = new_figure(7.5, 4.4)
    axis = figure.subplots()
    budgets = list(calibration.panel.budgets)
    for place, row in enumerate(calibration.rows):
        style = STYLES[place // len(COLOURS) % len(STYLES)]
        values = [value if math.isfinite(value) else math.nan for value in row.tuned]
        axis.plot(budgets, values, style, marker="o", markersize=3, color=COLOURS[place % len(COLOURS)], label=row.loss)
    axis.set_xscale("log")
    axis.set_xticks(budgets, [str(steps) for steps in budgets])
    axis.minorticks_off()
    if calibration.panel.logarithmic:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
        axis.tick_params(axis="y", which="minor", labelsize=7)
    axis.set_xlabel("generator updates")
    axis.set_ylabel(calibration.metric)
    axis.grid(alpha=0.25, which="both")
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _correlation(found: Correlation) -> str:
    if not math.isfinite(found.value):
        return "–"
    return f"{found.value:.2f} ({found.low:.2f} – {found.high:.2f})"


def _number(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "–"


def _value(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "failed"


def _time(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)
