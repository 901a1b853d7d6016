"""What a run leaves in its folder at the end: summary.json, tables, pictures."""

import json
from pathlib import Path
from typing import Any

from lossgen.evolution.compare import Comparison
from lossgen.evolution.discover import Discovery
from lossgen.evolution.ladder import highest_of_search
from lossgen.evolution.run import Run
from lossgen.evolution.verdict import standing
from lossgen.files import without_nan, write_text
from lossgen.language.parser import parse_loss
from lossgen.report.comparison import comparison_csv
from lossgen.report.curves import beside_known, loss_curves
from lossgen.report.documents import comparison_latex, comparison_markdown
from lossgen.report.figures import box_plot, progress_curve, sample_grids
from lossgen.report.tables import numbers_of, setting_of


def write_discovery(run: Run, discovery: Discovery) -> list[Path]:
    """Write a search's summary and pictures; returns the files written."""
    comparison, folder = discovery.comparison, run.path
    written = _write_common(run, comparison)
    file = str(discovery.file) if discovery.file else None
    metric = comparison.metric
    summary = {
        "schema": 1,
        "champions": [result.as_json(metric, file) for result in comparison.of("champion")],
        "baselines": [result.as_json(metric, None) for result in comparison.of("baseline")],
        "runners_up": [result.as_json(metric, None) for result in comparison.of("runner-up")],
        "verdict": run.archive.meta("result")["verdict"],
        "highest_rung": highest_of_search(discovery.verdict.finding) if discovery.verdict else None,
        "interim": comparison.interim,
        "waterfall": run.archive.waterfall(),
        "reproducible": run.archive.meta("reproducible", True),
    }
    written.append(_write_json(folder / "summary.json", summary))
    if discovery.champion is not None:
        champion = parse_loss(discovery.champion.loss)
        path = folder / "champion.png"
        loss_curves(beside_known(champion), path)
        written.append(path)
    objective, direction = next(iter(run.archive.meta("objectives").items()))
    progress_curve(run.archive, objective, direction == "min", folder / "progress.png")
    return [*written, folder / "progress.png", folder / "hall_of_fame.csv"]


def write_comparison(run: Run, comparison: Comparison) -> list[Path]:
    """Write a comparison's summary and pictures; returns the files written."""
    written = _write_common(run, comparison)
    found = standing(comparison)
    summary = {
        "schema": 1,
        "results": [result.as_json(comparison.metric, None) for result in comparison.results],
        "best": found.best.label if found else None,
        "p_against_best": dict(found.p) if found else {},
        "interim": comparison.interim,
        "reproducible": run.archive.meta("reproducible", True),
    }
    return [*written, _write_json(run.path / "summary.json", summary)]


def _write_common(run: Run, comparison: Comparison) -> list[Path]:
    setting, grid = setting_of(run), run.config.grid
    texts = {
        "results.csv": comparison_csv(comparison),
        "results.md": comparison_markdown(comparison, setting, numbers_of(run.archive.meta("protocol", {})), grid),
        "results.tex": comparison_latex(comparison, setting, grid),
    }
    for name, text in texts.items():
        write_text(run.path / name, text)
    written = [run.path / name for name in texts]
    if any(result.values for result in comparison.results):
        box_plot(comparison, run.path / "box_plot.png")
        written.append(run.path / "box_plot.png")
    if sample_grids(comparison, run.path / "samples.png"):
        written.append(run.path / "samples.png")
    return written


def _write_json(path: Path, content: dict[str, Any]) -> Path:
    write_text(path, json.dumps(without_nan(content), indent=2, allow_nan=False) + "\n")
    return path
