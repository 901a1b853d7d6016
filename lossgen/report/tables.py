"""Runs in words and as tables: for a terminal, as CSV."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive
from lossgen.evolution.asked import ROUNDS, engine_of, objective_of, state_of
from lossgen.evolution.audit import Audit, audit_of
from lossgen.evolution.calibrating import STAGE
from lossgen.evolution.compare import needs_text, recommended_applied
from lossgen.evolution.conditions import RECOMMENDED, condition_name, condition_text, pair_text
from lossgen.evolution.ladder import headline_of_search
from lossgen.evolution.racing import FORETOLD
from lossgen.evolution.run import CONFIG, Run, open_run
from lossgen.evolution.searched import TOLD_STEPS, searched
from lossgen.evolution.searched import objective_of as search_objective
from lossgen.evolution.verdict import SIGNIFICANT, Verdict
from lossgen.gan.describe import SourceRow
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula
from lossgen.report.live import waterfall_text
from lossgen.stats import expected_coverage


def few_seeds(floor: float) -> str:
    """Said where the smallest p-value that can be reached is not small."""
    return f"With so few seeds no difference could have been shown (smallest p {floor:.2g})."


def verdict_lines(verdict: Verdict | None, found: int) -> list[str]:
    """The finding in words, and what it does not say."""
    if verdict is None:
        return ["Nothing found trained well enough to be verified: no loss of this search beats the baselines."]
    lines = [verdict.sentence, headline_of_search(verdict.champion, verdict.finding)]
    if verdict.finding != "better":
        lines.append("Nothing found in this run is shown to beat the baselines.")
    if verdict.smallest_p is not None and verdict.smallest_p >= SIGNIFICANT:
        lines.append(few_seeds(verdict.smallest_p))
    if found < 100:
        losses = f"{found} loss{'es' * (found != 1)}"
        lines.append(f"{losses} trained in the search: a sample of the space rather than a search of it.")
    return lines


def audit_lines(audit: Audit | None) -> list[str]:
    """How often the screen was wrong to reject, as far as this run can tell."""
    if audit is None:
        return []
    whose = f" ({', '.join(audit.kinds)})" if audit.kinds else ""
    return [
        f"Screen: of {audit.trained} rejected candidates, drawn at random and trained, {audit.as_good}{whose} came out "
        f"at least as well as the median of those that passed: false-rejection rate {audit.rate:.0%} "
        f"(95 % interval {audit.low:.0%} – {audit.high:.0%})."
    ]


def rung_lines(archive: Archive) -> list[str]:
    """How well the rungs of a race foretold the next ones."""
    lines = []
    for each in archive.meta(FORETOLD, []):
        told = [
            f"{rank_text(each[f'of_{group}'])} over {each[group]} {words}"
            for group, words in (("control", "drawn at random"), ("promoted", "that were promoted"))
        ]
        dropped = each["dropped"]
        out = f"; it was left out from generation {dropped + 1} on" if dropped is not None else ""
        lines.append(f"Rung {each['rung']}: rank correlation with {each['next']} {', '.join(told)}{out}.")
    return lines


def rank_text(correlation: Sequence[float | None]) -> str:
    """A rank correlation with its interval, as an archive keeps them."""
    value, low, high = correlation
    if value is None:
        return "unknown"
    return f"{value:.2f}" + (f" ({low:.2f} – {high:.2f})" if low is not None and high is not None else "")


def setting_text(protocol: Mapping[str, Any]) -> str:
    """The data and the optimiser setting in one line; of a runner that names no setting, its options."""
    options = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in protocol.get("options", {}).items())
    data = protocol.get("data", {})
    on = f"{data['name']} at {data['size']} pixels; " if "name" in data and "size" in data else ""
    return on + str(protocol.get("setting", options))


def numbers_of(protocol: Mapping[str, Any]) -> str:
    """How many images the metrics of a run compare, and what that means for coverage; "" where that is not known."""
    try:
        fake, real, k = int(protocol["n_generated"]), int(protocol["n_reference"]["test"]), int(protocol["k"])
    except (KeyError, TypeError, ValueError):  # of a runner of somebody's own
        return ""
    if min(fake, real) <= k:
        return f"{fake} generated images against {real} of the test split."
    return (
        f"{fake} generated images against {real} of the test split; neighbourhoods of k = {k}. Were they of one "
        f"distribution, density would be 1 and coverage {expected_coverage(real, fake, k):.2f}."
    )


def setting_of(run: Run) -> str:
    """What the trainings of a run had in common, and what in a comparison each row has of its own."""
    config = run.config
    setting, pairs = setting_text(run.archive.meta("protocol", {})), ", ".join(map(pair_text, config.grid or []))
    own = ["regularisers"] * (config.regularisers is not None)
    if config.kind == "calibrate":
        parts = [f"but each loss and seed with the learning rates {pairs}" if pairs else ""]
    elif config.objective == "robust" and config.grid:
        mean = "geometric mean" if search_objective(run.archive).geometric else "mean"
        what = f"each result is the {mean} of {len(config.grid)} trainings, with the learning rates {pairs}"
        parts = [f"but {own[0]} of each row's own, and {what}" if own else f"but {what}"]
    elif config.grid is not None or config.rates is not None:
        chosen = "these rates were chosen by fitness on seeds of their own" if config.grid else "these rates were given"
        parts = [f"but {' and '.join([*own, 'learning rates'])} of each row's own", chosen]
    else:
        parts = [f"but {' and '.join(own)} of each row's own" if own else ""]
    return "; ".join(part for part in (setting, *parts) if part)


def candidates_csv(archive: Archive) -> str:
    """One row a candidate: its place, fate, reason, origin, and its fitness in the search, with the steps of the
    trainings that this is of and their number."""
    objective = next(iter(archive.meta("objectives", {"fitness": "min"})))
    known = searched(archive)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    head = ["generation", "number", "fate", "reason", "origin", "size"]
    rows.writerow([*head, objective, "status", "steps", "trainings", "loss"])
    for row in archive.candidates():
        found = known.get(row.digest) if row.fate == "trained" else None
        how = ["", "", "", ""]
        if found is not None:
            value = "" if found.value is None else repr(found.value)
            how = [value, found.status, str(found.steps), str(len(found.outcomes))]
        place = [row.generation, row.number, row.fate, row.reason, row.origin, row.size]
        rows.writerow([*place, *how, formula(row.loss)])
    return out.getvalue()


def source_lines(rows: Sequence[SourceRow]) -> list[str]:
    """What `lossgen data` lists."""
    width = max(len(row.name) for row in rows)
    return [f"{row.name:<{width}}  {row.state:<8}  {row.contents}  {row.where}".rstrip() for row in rows]


def run_lines(root: Path) -> list[str]:
    """A line a run under a folder, oldest first."""
    found = []
    for path in sorted(root.glob(f"*/{CONFIG}")):
        try:
            with open_run(path.parent, locked=False) as run:
                found.append(f"{run.name:<40}  {run.config.kind:<9} {_state(run)}")
        except InputError as error:
            found.append(f"{path.parent.name:<40}  {error}")
    return found


def _state(run: Run) -> str:
    result = run.archive.meta("result")
    outcomes = run.archive.outcomes()
    trained = len(outcomes)
    if run.archive.meta(ROUNDS):
        still, told = state_of(run).open, sum(key.steps == TOLD_STEPS for key, _, _ in outcomes)
        own = f"{trained - told} trainings of its own, {told}" if run.config.kind == "evolve" else f"{told} trainings"
        return f"{own} told, " + (f"{len(still)} open" if still else "none open")
    if not run.archive.meta("finished", False):
        return f"unfinished, {trained} trainings kept"
    verdict = (result or {}).get("verdict")
    return f"finished, {trained} trainings" + (f", {verdict['champion']}: {verdict['finding']}" if verdict else "")


def _shown(text: str, options: Mapping[str, Any]) -> str:
    """A trained loss on one line, with what became of the regularisers that it asks for."""
    loss = parse_loss(text)
    if not loss.needs:
        return formula(text)
    how = {True: "applied", False: "not applied", None: "left to the runner"}[recommended_applied(options)]
    return f"{formula(dataclasses.replace(loss, needs={}))}; needs: {needs_text(loss)}, {how}"


def _under(row: Mapping[str, Any]) -> str:
    """The condition of a row of a result, where it has one."""
    return f" ({condition_name(condition_text(row['condition']))})" if row.get("condition") else ""


def best_line(run: Run) -> list[str]:
    """The best loss so far of a run whose trainings run elsewhere; nothing where none is known to train well."""
    ranking, (metric, direction) = engine_of(run).ranking(), objective_of(run)
    if not ranking:
        return []
    loss, value = ranking[0].entry.loss, ranking[0].fitness if direction == "min" else -ranking[0].fitness
    over = f" over {run.config.seeds} seeds" if run.config.seeds > 1 else ""
    return [f"Best of {len(ranking)} so far: {loss.name}, {metric} {value:.4g}{over}: {formula(loss)}"]


def show_lines(run: Run) -> list[str]:
    """What `lossgen show` prints of a run."""
    lines = [f"{run.path}: {run.config.kind}, {_state(run)}"]
    waterfall = run.archive.waterfall()
    if waterfall["proposed"]:
        asked = "trained or " * (run.config.kind == "evolve") + "asked for"
        lines.append(f"candidates: {waterfall_text(waterfall, asked if run.archive.meta(ROUNDS) else 'trained')}")
    lines += rung_lines(run.archive)
    lines += audit_lines(audit_of(run.archive))
    result = run.archive.meta("result")
    if result and result.get("interim"):
        lines.append(f"interim: the run was stopped; go on with: lossgen {run.config.kind} --resume {run.path}")
    if run.archive.meta(ROUNDS):
        lines += best_line(run)
    if run.config.kind == STAGE and run.archive.meta("finished", False):
        from lossgen.report.calibration import summary_lines

        return [*lines, *summary_lines(run)]
    if not result:
        how = "ask" if run.config.kind == "ask" else f"{run.config.kind} --resume"
        return [*lines, f"go on with: lossgen {how} {run.path}"]
    lines.append(result["metric"] + (f" after {result['steps']} steps:" if result["steps"] else ":"))
    crossed = run.config.regularisers is not None
    names = [row["name"] + _under(row) for row in result["results"]]
    width = max([20, *map(len, names)])
    for name, row in zip(names, result["results"], strict=True):
        value = f"{row['mean']:.4g} ± {row['std']:.3g}" if row["mean"] is not None else "failed"
        part = f"seed, {row['part']}" if row.get("given") else row["part"]
        shown = _shown(row["loss"], {**run.config.options, **({RECOMMENDED: False} if crossed else {})})
        lines.append(f"  {name:<{width}} {part:<10} {value:<20} {shown}".rstrip())
    if result["verdict"]:
        lines.append(result["verdict"]["sentence"])
    return lines
