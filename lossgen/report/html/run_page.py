"""The page of a run: of a search, a comparison or a calibration."""

import shlex
from dataclasses import replace
from pathlib import Path

from lossgen.codegen.load import read_emitted
from lossgen.evolution.asked import ROUNDS
from lossgen.evolution.calibrating import STAGE, calibration_in
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.ladder import beside_baselines
from lossgen.evolution.results import comparison_of, verdict_of
from lossgen.evolution.run import Run
from lossgen.evolution.verdict import standing
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula
from lossgen.report.calibration import calibration_figure, plateau_line, shown
from lossgen.report.comparison import ordered
from lossgen.report.html.blocks import Block, Page, Section, Sheet, Words, drawn
from lossgen.report.html.compared import compared
from lossgen.report.html.losses import curves_of, loss_card
from lossgen.report.html.making import made_of
from lossgen.report.html.search import Known, champion_part, known_of, search_part
from lossgen.report.live import duration
from lossgen.report.tables import setting_of, verdict_lines

KINDS = {"evolve": "Search", "compare": "Comparison", "calibrate": "Calibration", "ask": "Search, trained elsewhere"}


def run_page(run: Run) -> Page:
    """What a run's folder holds, as it is now."""
    config, archive = run.config, run.archive
    comparison = comparison_of(archive)
    known = known_of(run) if config.kind in ("evolve", "ask") else None
    sections = [
        *(compared(run, comparison) if comparison else []),
        *(champion_part(run, comparison) if comparison and config.kind in ("evolve", "ask") else []),
        *(search_part(run, known, comparison) if known else []),
        *(_calibration(run) if config.kind == STAGE else []),
        *(_losses(run, comparison) if comparison and config.kind == "compare" else []),
        Section("How it was made", made_of(run)),
    ]
    data = archive.meta("protocol", {}).get("data", {}).get("name", config.data.name)
    on = f"{Path(config.runner).stem} on {Path(str(data)).name}" if config.runner else f"space {config.space}"
    about = f"{on}; {setting_of(run)}" if archive.meta("protocol") else on
    return Page(f"{KINDS[config.kind]}: {run.name}", about, _headline(run, comparison, known), _state(run), sections)


def _state(run: Run) -> tuple[str, str]:
    archive, kind = run.archive, run.config.kind
    if archive.meta("finished", False):
        return "finished", f"after {duration(sum(archive.meta('profile', {}).values()))} of work"
    again = f"lossgen {kind} --resume {shlex.quote(str(run.path))}"
    if kind == "ask" or archive.meta(ROUNDS):
        return "open", f"its trainings run elsewhere; go on with: lossgen ask {shlex.quote(str(run.path))}"
    if (archive.meta("result") or {}).get("interim"):
        return "interim", f"stopped on the way; go on with: {again}"
    return "running", f"or stopped; this page is written anew while it goes on. A stopped run goes on with: {again}"


def _headline(run: Run, comparison: Comparison | None, known: Known | None) -> list[str]:
    """The finding, as far as there is one."""
    archive = run.archive
    if comparison is not None and run.config.kind in ("evolve", "ask"):
        waterfall = archive.waterfall()
        said = verdict_lines(verdict_of(archive), waterfall.get("trained", 0) + waterfall.get("cache", 0))
        return [*said[:1], *_effect(comparison), *said[1:]]
    if comparison is not None:
        return _best_of(comparison)
    if run.config.kind == STAGE:
        calibration = calibration_in(run)
        return [plateau_line(calibration)] if calibration else ["Not all trainings have come to the first budget yet."]
    if known is not None and known.hall:
        best = known.best
        return [
            f"Best so far: {best.name}, {known.objective} {best.value:.4g} in the search.",
            "Not verified yet: of many losses the best by few trainings is one that was lucky, too.",
        ]
    return ["Nothing is trained the whole way yet."]


def _effect(comparison: Comparison) -> list[str]:
    """How much the champion differs from the baseline that is hardest for it."""
    champion = next(iter(comparison.of("champion")), None)
    if champion is None or not champion.values or not comparison.of("baseline"):
        return []
    only = replace(comparison, results=[r for r in comparison.results if r.part in ("champion", "baseline")])
    beside = beside_baselines(only, [champion.name]).found[champion.name]
    ratio = ""
    if beside.ratio:
        ratio = "ratio of the means {:.2f} (95 % interval {:.2f} to {:.2f}), ".format(*beside.ratio)
    delta = f"Cliff's delta {beside.delta:+.2f} (1 where each of its trainings is better)"
    return [f"Beside {beside.baseline}: {ratio}{delta}."]


def _best_of(comparison: Comparison) -> list[str]:
    found = standing(comparison)
    if found is None:
        return ["Nothing can be told apart: too few trainings ended well."]
    near = [label for label, p in found.p.items() if p >= 0.05]
    behind = [label for label, p in found.p.items() if p < 0.05]
    best = found.best
    mean = f"{best.summary.mean:.4g}" if best.summary else ""
    lines = [f"{best.label} has the best mean: {comparison.metric} {mean} over {len(best.values)} seeds."]
    if near:
        lines.append(f"Not shown to differ from it: {', '.join(near)}.")
    if behind:
        lines.append(f"Behind it (p < 0.05, corrected): {', '.join(behind)}.")
    return lines


def _calibration(run: Run) -> list[Section]:
    calibration = calibration_in(run)
    if calibration is None:
        return []
    told = f"{calibration.metric} of each loss at its best rates over steps"
    caption = "A line a loss, at the learning rates that are best for it."
    sections = [Section("Over steps", [drawn(calibration_figure(calibration), told, caption, "calibration")])]
    for each in shown(calibration):
        sections.append(Section(each.title, [Sheet(each.columns, each.rows), Words(each.notes)]))
    return sections


def _losses(run: Run, comparison: Comparison) -> list[Section]:
    """The losses of a comparison, each once."""
    sources = {read_emitted(source, "run.toml").name: source for source in run.config.losses}
    first: dict[str, Result] = {}
    for result in ordered(comparison):
        first.setdefault(result.name, result)
    cards: list[Block] = [
        loss_card(parse_loss(result.loss), formula(result.loss), sources.get(name, ""))
        for name, result in first.items()
    ]
    return [Section("Losses", [*curves_of([parse_loss(result.loss) for result in first.values()]), *cards])]
