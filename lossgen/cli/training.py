"""The commands that train: evolve and compare."""

import datetime
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossgen import settings
from lossgen.cli.flags import DATA_OPTIONS, RUN_OPTIONS, SETTINGS, RunnerCommand
from lossgen.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from lossgen.evolution.config import RunConfig
    from lossgen.evolution.run import Run
    from lossgen.evolution.session import Session
    from lossgen.report.live import PlainView

LASTING = frozenset({"resume", "workers", "generated"})
"""Flags that may stand beside --resume: no result depends on them."""


@click.command(cls=RunnerCommand, context_settings=SETTINGS)
@RUN_OPTIONS
@DATA_OPTIONS
@click.option("--space", default=settings.SPACE, help="Search space: a name, or a .lark file.")
@click.option(
    "--population", type=click.IntRange(min=1), default=settings.POPULATION, help="Candidates trained a generation."
)
@click.option("--generations", type=click.IntRange(min=1), help=f"Generations. [default: {settings.GENERATIONS}]")
@click.option("--max-trainings", type=click.IntRange(min=1), help="GANs that the run may train, verification included.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Generator updates of the run, verification included.")
@click.option("--max-candidates", type=click.IntRange(min=1), help="Losses that the search may propose.")
@click.option(
    "--polish", type=click.IntRange(min=0), help="Trainings of the best loss's constants. [default: 16 or less]"
)
@click.option("--audit", type=click.IntRange(min=0), help="Rejected losses to train all the same. [default: 8 or less]")
@click.option("--cache", is_flag=True, help="Use and keep outcomes across runs; the record is then not reproducible.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=settings.SEEDS, help="Seeds that each candidate is trained on."
)
@click.option(
    "--verify-seeds",
    type=click.IntRange(min=2),
    default=settings.VERIFY_SEEDS,
    help="Fresh seeds of the verification.",
)
@click.option("--seed-loss", "seed_losses", multiple=True, metavar="LOSS", help="Start from this loss, too.")
@click.option(
    "--generated",
    type=click.Path(path_type=Path),
    default=settings.GENERATED,
    help="Folder that found losses go to.",
)
@click.pass_context
def evolve(ctx: click.Context, /, **flags: Any) -> None:
    """Search for a loss, verify the best on fresh seeds, and write its source.

    Without options: DCGANs on 1797 handwritten digits of 8 x 8 pixels, about 8 minutes on 2 cores.
    """
    from rich.text import Text

    from lossgen.evolution.discover import discover
    from lossgen.report.ending import discovery_lines
    from lossgen.report.summary import write_discovery

    generated: Path = flags["generated"]
    _check_writable(generated)
    with _open(ctx, flags, "evolve") as opened:
        discovery = discover(opened.session, generated)
        with opened.session.clock.phase("report"):
            written = write_discovery(opened.run, discovery)
        opened.session.save_profile()
        opened.view.close()
        for part in discovery_lines(opened.run, discovery, written):
            opened.console.print(part, highlight=False, soft_wrap=isinstance(part, Text))
    if opened.session.stopped:
        ctx.exit(130)


@click.command(cls=RunnerCommand, context_settings=SETTINGS)
@click.argument("losses", nargs=-1, metavar="LOSS...")
@RUN_OPTIONS
@DATA_OPTIONS
@click.option(
    "--seeds", type=click.IntRange(min=1), default=settings.COMPARE_SEEDS, help="Seeds that each loss is trained on."
)
@click.option("--trust", is_flag=True, help="Run .py files whose code is not what lossgen would write.")
@click.pass_context
def compare(ctx: click.Context, /, **flags: Any) -> None:
    """Train losses on the same seeds at equal budget; print a table, draw a box plot and samples.

    LOSS may also be `zoo`: all losses that come with lossgen, aliases left out.
    """
    from rich.text import Text

    from lossgen.evolution.discover import compare_losses
    from lossgen.report.ending import comparison_lines
    from lossgen.report.summary import write_comparison

    with _open(ctx, flags, "compare") as opened:
        comparison = compare_losses(opened.session)
        with opened.session.clock.phase("report"):
            written = write_comparison(opened.run, comparison)
        opened.session.save_profile()
        opened.view.close()
        for part in comparison_lines(opened.run, comparison, written):
            opened.console.print(part, highlight=False, soft_wrap=isinstance(part, Text))
    if opened.session.stopped:
        ctx.exit(130)


@dataclass(frozen=True)
class _Opened:
    run: "Run"
    session: "Session"
    view: "PlainView"
    console: "Console"


@contextmanager
def _open(ctx: click.Context, flags: dict[str, Any], kind: str) -> Iterator[_Opened]:
    """The run that the flags describe or name, with its workers started and a view on it."""
    import joblib

    from lossgen.evolution.discover import resolve, session_of
    from lossgen.evolution.interrupt import ctrl_c_stops
    from lossgen.evolution.run import create_run, open_run
    from lossgen.report.live import LiveView, PlainView, console_for

    console = console_for()
    if flags["resume"]:
        others = [
            "LOSS" if name == "losses" else f"--{name.replace('_', '-')}"
            for name in flags
            if name not in LASTING and ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        ]
        if others:
            raise InputError(f"--resume {flags['resume']}: goes on as the run began; leave out {', '.join(others)}")
        opening = open_run(flags["resume"])
    else:
        config = resolve(_config(flags, kind))
        opening = create_run(flags["out"] or _default_folder(config), config)
    with opening as run:
        if run.config.kind != kind:
            raise InputError(f"run {run.path}: is of `lossgen {run.config.kind}`; resume it with that command")
        workers = flags["workers"] or (joblib.cpu_count() if run.config.device == "cpu" else 1)
        view = LiveView(console) if console.is_terminal else PlainView(console)
        view.say(f"Run {run.path}")
        try:
            with session_of(run, workers, view) as session, ctrl_c_stops(session):
                yield _Opened(run, session, view, console)
        except KeyboardInterrupt:
            view.close()
            view.say(f"Interrupted. What was trained is kept; go on with: lossgen {kind} --resume {_quoted(run.path)}")
            raise
        finally:
            view.close()


def _config(flags: dict[str, Any], kind: str) -> "RunConfig":
    from lossgen.evolution.config import DataConfig, RunConfig

    own = set(RunConfig.model_fields) & set(flags)
    given = {name: flags[name] for name in own if flags[name] is not None}
    data = DataConfig(
        name=flags["data"],
        root=flags["data_dir"],
        image_size=flags["image_size"],
        fit=flags["fit"],
        download=flags["download"],
    )
    known = own | {"data_dir", "image_size", "fit", "download", "workers", "out", "resume", "generated", "trust"}
    options = {name: value for name, value in flags.items() if name not in known and value is not None}
    given |= {"kind": kind, "data": data, "options": options}
    if kind == "compare":
        from lossgen.cli.screened import warn_of_rejection
        from lossgen.codegen.load import read_emitted
        from lossgen.evolution.discover import loss_sources

        given["losses"] = loss_sources(flags["losses"], flags["trust"])
        for source in given["losses"]:
            warn_of_rejection(read_emitted(source, "compare"), "trained")
    given["seed_losses"] = list(flags.get("seed_losses", ()))
    return RunConfig(**given)


def _default_folder(config: "RunConfig") -> Path:
    from lossgen.evolution.run import RUNS

    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    parts = [Path(config.runner).stem, Path(config.data.name).stem]
    path = RUNS / "-".join([now, *parts])
    number = 1
    while path.exists():  # another run began in this very second
        number += 1
        path = RUNS / "-".join([now, *parts, str(number)])
    return path


def _check_writable(folder: Path) -> None:
    """Refuse a folder for the champion before hours are spent on finding it."""
    import os

    if folder.exists() and not folder.is_dir():
        raise InputError(f"--generated {folder}: is a file; give a folder")
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        raise InputError(f"--generated {folder}: cannot be written; give another folder")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
