"""A comparison as a table, for a terminal and as CSV, and what a reader of it is to know."""

import csv
import io
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.conditions import at_the_edge, condition_name, condition_text, rates
from lossgen.evolution.verdict import SIGNIFICANT, standing
from lossgen.report.live import better_text
from lossgen.report.tables import few_seeds

if TYPE_CHECKING:
    from rich.table import Table

Grid = Sequence[Sequence[float]] | None
"""Pairs of learning rates, generator's and discriminator's; None for none."""
LEAST_FOR_AN_INTERVAL = 3
LOSS, RATES, P = "loss", "rates G, D", "p"
NARROW = 16
"""Characters that the names have at least."""
NUMBERS = ("best", "worst", "mean", "std", "median")
BCA, STUDENT = "95 % BCa", "95 % Student"
"""Two intervals of the mean; the first where there are enough seeds for one."""


def comparison_table(comparison: Comparison, setting: str) -> "Table":
    """The table, best mean first, with a caption that names the optimiser setting."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title_of(comparison)),
        caption=Text(setting),
        box=box.SIMPLE,
        title_justify="left",
        caption_justify="left",
        collapse_padding=True,
    )
    columns, rows = cells_of(comparison, brief=True)
    for place, column in enumerate(columns):
        words = [word for cell in (column, *(row[place] for row in rows)) for word in cell.split()]
        least = 1 + max(map(len, words))  # a number is never cut; a terminal that is too narrow breaks the lines
        if column == LOSS:
            table.add_column(column, min_width=min(least, NARROW), overflow="fold")
        else:
            table.add_column(column, justify="right", min_width=least)
    for result, row in zip(ordered(comparison), rows, strict=True):
        table.add_row(*map(Text, row), style="bold" if result.part in ("champion", "verified") else None)
    return table


def metric_of(comparison: Comparison) -> str:
    """The metric and its direction."""
    return f"{comparison.metric} ({better_text(comparison.direction == 'min')})"


def title_of(comparison: Comparison) -> str:
    """The metric, its direction, and the steps."""
    return metric_of(comparison) + f", {comparison.steps} steps" * bool(comparison.steps)


def ordered(comparison: Comparison) -> list[Result]:
    """Results with the best mean first, runners-up after all that are tested."""
    sign = 1.0 if comparison.direction == "min" else -1.0

    def place(result: Result) -> tuple[bool, bool, float]:
        return result.part == "runner-up", result.summary is None, sign * (result.summary.mean if result.summary else 0)

    return sorted(comparison.results, key=place)


def cells_of(comparison: Comparison, brief: bool = False) -> tuple[list[str], list[list[str]]]:
    """Heads of the columns, and the cells of each result as `ordered` has them; a column of empty ones is left out.

    Args:
        brief: leave out the bootstrap's intervals, which are the shorter ones of the two and cover less.
    """
    stand = standing(comparison)
    rows = []
    for result in ordered(comparison):
        s = result.summary
        row = {LOSS: row_label(result)} | dict.fromkeys((*NUMBERS, BCA, STUDENT), "–")
        if s is not None:
            row |= {name: f"{getattr(s, name):.{3 if name == 'std' else 4}g}" for name in NUMBERS}
            row[BCA] = f"{s.bootstrap[0]:.4g} – {s.bootstrap[1]:.4g}" if s.bootstrap else "–"
            row[STUDENT] = f"{s.low:.4g} – {s.high:.4g}" if s.n >= LEAST_FOR_AN_INTERVAL else "–"
        row["seeds"] = f"{len(result.values)}" + (f", {result.failed} failed" if result.failed else "")
        row[RATES] = result.rates.replace(":", ", ")
        if stand is not None:
            row[P] = "best" if result is stand.best else _p(stand.p.get(result.label))
        rows.append(row)
    empty = {column for column in (BCA, RATES) if all(row[column] in ("", "–") for row in rows)}
    if brief:
        empty.add(BCA)
    kept = [column for column in rows[0] if column not in empty]
    return kept, [[row[column] for column in kept] for row in rows]


def other_metrics(comparison: Comparison) -> list[str]:
    """Names of what was measured besides, in every training that ended well."""
    outcomes = [outcome for result in comparison.results for outcome in result.outcomes if outcome.status == "ok"]
    names = [name for name in (outcomes[0].metrics if outcomes else ()) if name != comparison.metric]
    return [name for name in names if all(name in outcome.metrics for outcome in outcomes)]


def other_cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the other metrics, mean ± standard deviation over seeds; no rows where there are none."""
    names = other_metrics(comparison)
    rows = []
    for result in ordered(comparison) if names else []:
        cells = [row_label(result)]
        for name in names:
            values = [outcome.metrics[name] for outcome in result.outcomes if outcome.status == "ok"]
            spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.4g}{spread}" if values else "–")
        rows.append(cells)
    return [LOSS, *names], rows


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return f"{p:.2g}" if p >= 0.001 else "< 0.001"


def row_label(result: Result) -> str:
    """What tables and pictures call a result: its label, and its part unless that is the usual one."""
    return result.label if result.part in ("baseline", "loss") else f"{result.label} ({result.parts})"


def remarks(comparison: Comparison, grid: Grid = None) -> list[str]:
    """What a reader of the table is to know: who alone was regularised and what regularisers cost, what was tuned, and
    whether so few seeds can show anything.

    Args:
        grid: of learning rates that each was tuned over, or trained with.
    """
    lines = _alone(comparison) + _costs(comparison)
    if any(result.rates for result in comparison.results):
        lines.append(
            "Learning rates (generator, discriminator) are each row's own; the setting says how they were chosen."
        )
    lines += edge_lines(comparison, grid)
    found = standing(comparison)
    if found is not None and found.smallest_p >= SIGNIFICANT:
        lines.append(few_seeds(found.smallest_p))
    return lines


def edge_lines(comparison: Comparison, grid: Grid) -> list[str]:
    """Who is best at an edge of the grid of learning rates; none where there is no grid."""
    return at_the_edge(_best_pairs(comparison, grid), grid) if grid else []


def _best_pairs(comparison: Comparison, grid: Sequence[Sequence[float]]) -> dict[str, Sequence[float]]:
    """By label: the pair that was chosen for a result, or of all that it was trained with the best by its mean."""
    sign = 1.0 if comparison.direction == "min" else -1.0
    under = {f"{comparison.metric} {condition_name(condition_text(rates(pair)))}": pair for pair in grid}
    found: dict[str, Sequence[float]] = {}
    for result in comparison.results:
        well = [outcome.metrics for outcome in result.outcomes if outcome.status == "ok"]
        if result.rates and well:
            found[result.label] = [float(rate) for rate in result.rates.split(":")]
        elif well and all(name in metrics for metrics in well for name in under):
            means = {name: sign * statistics.fmean(metrics[name] for metrics in well) for name in under}
            found[result.label] = under[min(means, key=means.__getitem__)]
    return found


def standing_lines(comparison: Comparison) -> list[str]:
    """What the column p is."""
    found = standing(comparison)
    if found is None:
        return []
    corrected = f", Holm's correction for {len(found.p)} tests" if len(found.p) > 1 else ""
    return [
        f"p: two-sided Mann–Whitney test against {found.best.label}, failed trainings as the worst{corrected}. It was "
        "chosen as the best by these very seeds, which favours it; fresh ones would tell."
    ]


def _alone(comparison: Comparison) -> list[str]:
    """Who had a regulariser that others had not, and what it took."""
    lines = []
    everyone = {result.name for result in comparison.results}
    regularised: dict[str, list[Result]] = {}
    for result in comparison.results:
        if result.needs:
            regularised.setdefault(result.needs, []).append(result)
    for needs, having in regularised.items():
        names = list(dict.fromkeys(result.name for result in having))
        if len(names) == len(everyone):
            continue
        whom = ", ".join(names) + (" alone" if len(names) == 1 else " and no other")
        others = _seconds([result for result in comparison.results if not result.needs])
        took = _seconds(having) / others if others else 0.0
        cost = f" A step took {took:.2f} × as long as theirs, evaluation included." if took else ""
        lines.append(
            f"{needs} was applied to {whom}: a difference from the others is not the loss's own "
            f"(--no-recommended leaves it out).{cost}"
        )
    return lines


def _costs(comparison: Comparison) -> list[str]:
    """What a step takes with each regulariser that losses were crossed with."""
    crossed = [result for result in comparison.results if result.condition]
    plain = {result.name: _seconds([result]) for result in crossed if not result.needs}
    lines = []
    for needs in dict.fromkeys(result.needs for result in crossed if result.needs):
        pairs = [(_seconds([r]), plain.get(r.name, 0.0)) for r in crossed if r.needs == needs]
        ratios = [those / without for those, without in pairs if those and without]
        if ratios:
            over = f", geometric mean over {len(ratios)} losses" if len(ratios) > 1 else ""
            lines.append(
                f"{needs}: a step took {statistics.geometric_mean(ratios):.2f} × that of the same loss without it "
                f"(evaluation included{over})."
            )
    return lines


def _seconds(results: Sequence[Result]) -> float:
    """Median of the trainings that ended well; 0.0 where there are none."""
    seconds = [outcome.seconds for result in results for outcome in result.outcomes if outcome.status == "ok"]
    return statistics.median(seconds) if seconds else 0.0


def comparison_csv(comparison: Comparison) -> str:
    """One row a training: loss, the regularisers it was trained with, part, replicate, status, metric, then what else
    was measured.

    Where learning rates were chosen, they stand in a column more.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    tuned = any(result.rates for result in comparison.results)
    head = ["loss", "needs", "part", "replicate", "status", "reason", comparison.metric, "seconds"]
    others = other_metrics(comparison)
    table.writerow([*head, *(["rates"] if tuned else []), *others])
    for result in comparison.results:
        for replicate, outcome in enumerate(result.outcomes):
            value = outcome.metrics.get(comparison.metric, "")
            how = [replicate, outcome.status, outcome.reason, value, f"{outcome.seconds:.2f}"]
            also = [*([result.rates] if tuned else []), *(outcome.metrics.get(name, "") for name in others)]
            table.writerow([result.name, result.needs, result.part, *how, *also])
    return out.getvalue()
