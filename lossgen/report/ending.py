"""What a finished run prints: the table, the finding in words, the files, the commands to go on."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossgen.errors import InputError
from lossgen.evolution.audit import audit_of
from lossgen.evolution.clock import overhead
from lossgen.evolution.compare import Comparison
from lossgen.evolution.conditions import pair_text, usual_grid
from lossgen.evolution.config import DataConfig
from lossgen.evolution.discover import Discovery
from lossgen.evolution.run import Run
from lossgen.language.printer import formula
from lossgen.report.comparison import comparison_table, edge_lines, remarks, standing_lines
from lossgen.report.live import duration, waterfall_text
from lossgen.report.tables import audit_lines, rung_lines, setting_of, verdict_lines
from lossgen.runner import find_runner

if TYPE_CHECKING:
    from rich.console import RenderableType


def discovery_lines(run: Run, discovery: Discovery, written: Sequence[Path]) -> "Iterator[RenderableType]":
    """What `lossgen evolve` ends with."""
    from rich.text import Text

    waterfall = run.archive.waterfall()
    yield ""
    yield Text(f"Candidates: {waterfall_text(waterfall)}.")
    seeds = run.config.verify_seeds
    for line in (*rung_lines(run.archive), *audit_lines(audit_of(run.archive))):
        yield Text(line)
    if discovery.comparison.interim:
        if run.archive.meta("interim"):
            yield Text("Interim: the run was stopped in its search, and the best losses so far are verified.")
            yield Text("The champion's file stays, also where the search goes on and finds a better one.")
        else:
            yield Text("Interim: the run was stopped in its verification. Seeds are missing.")
    named = "the champion was named before" if discovery.champion else "there is no champion"
    yield Text(f"Verification: all retrained on {seeds} fresh seeds; {named}.")
    yield comparison_table(discovery.comparison, setting_of(run))
    if discovery.comparison.best("champion", "baseline", "runner-up") is None:
        yield Text("No training of the verification ended well, of the baselines neither: this run shows nothing.")
        yield Text("What became of each is in results.csv.")
        lines = []
    else:
        lines = verdict_lines(discovery.verdict, waterfall.get("trained", 0) + waterfall.get("cache", 0))
    for line in (*edge_lines(discovery.comparison, run.config.grid), *lines):
        yield Text(line)
    if discovery.champion is not None:
        yield Text(f"\nChampion: {formula(discovery.champion.loss)}")
    yield from files_lines(run, [*([discovery.file] if discovery.file else []), *written])
    yield Text("Go on with:")
    if discovery.file:
        file = shlex.quote(str(discovery.file))
        yield Text(f"  lossgen inspect {file} --plot champion.png")
        flags = f"{same_setting(run, discovery.plan.steps)}{_objective_flags(run)}"
        yield Text(f"  lossgen verify {file} --ladder {flags}")
    yield Text(f"  lossgen show {shlex.quote(str(run.path))}")
    if discovery.comparison.interim:
        yield Text(f"  lossgen evolve --resume {shlex.quote(str(run.path))}")
    elif discovery.champion:
        yield Text(f"  lossgen show {shlex.quote(str(run.path))} --lineage champion --plot lineage.png")


def same_setting(run: Run, steps: int) -> str:
    """The flags that train other losses under the setting of this run."""
    config = run.config
    flags: dict[str, Any] = {}
    if config.runner == "command":
        if "{steps}" in config.options["command"]:
            flags["steps"] = steps
    else:
        if not hasattr(find_runner(config.runner).cls, "own_data"):
            flags |= _data_flags(config.data)
        flags["steps"] = steps
        if config.runner != "dcgan":
            flags["runner"] = config.runner
    for name, field in find_runner(config.runner).cls.options.model_fields.items():
        if name in config.options and config.options[name] != field.get_default(call_default_factory=True):
            flags[name.replace("_", "-")] = config.options[name]
    return " ".join(_flag(name, value) for name, value in flags.items())


def _data_flags(data: DataConfig) -> dict[str, Any]:
    flags: dict[str, Any] = {"data": data.name}
    if data.root and not Path(data.name).is_absolute():
        flags["data-dir"] = data.root
    if data.image_size:
        flags["image-size"] = data.image_size
    if data.fit != "pad":
        flags["fit"] = data.fit
    return flags


def _objective_flags(run: Run) -> str:
    """Those that have the first rung look at what a robust search has verified."""
    config = run.config
    if config.objective != "robust" or not config.grid:
        return ""
    pairs = [tuple(pair) for pair in config.grid]
    try:
        usual = pairs == usual_grid(find_runner(config.runner).cls.options, config.options, config.runner)
    except InputError:  # the runner has none
        usual = False
    return " --objective robust" + ("" if usual else f" --grid {','.join(map(pair_text, pairs))}")


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


def comparison_lines(
    run: Run, comparison: Comparison, written: Sequence[Path], stopped: bool
) -> "Iterator[RenderableType]":
    """What `lossgen compare` ends with.

    Args:
        stopped: whether it was told to stop; else what is missing is missing because the time was up.
    """
    from rich.text import Text

    yield ""
    yield comparison_table(comparison, setting_of(run))
    for line in (*standing_lines(comparison), *remarks(comparison, run.config.grid)):
        yield Text(line)
    if comparison.interim:
        resume = f"lossgen compare --resume {shlex.quote(str(run.path))}"
        if not stopped:
            resume += f" --time-limit {_time_for_more(comparison)}m"
        yield Text(f"Interim: stopped, or out of time, before all trainings were done; go on with: {resume}")
    yield from files_lines(run, written)


def _time_for_more(comparison: Comparison) -> int:
    """Minutes that one training more fits into: 10, or twice the longest."""
    longest = max((outcome.seconds for result in comparison.results for outcome in result.outcomes), default=0.0)
    return max(10, math.ceil(2 * longest / 60))


def files_lines(run: Run, written: Sequence[Path]) -> "Iterator[RenderableType]":
    """Where the results are, and how long they took."""
    from rich.text import Text

    profile = run.archive.meta("profile", {})
    took = f"\nWritten after {duration(sum(profile.values()))} of work"
    yield Text(f"{took}; all but training, evaluation and their start took {overhead(profile):.1%} of it:")
    for path in written:
        yield Text(f"  {path}")
