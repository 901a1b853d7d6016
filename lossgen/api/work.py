"""A run from what was asked for to what it leaves: the commands that train, and the functions of Python."""

import datetime
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lossgen.api.asked import Asked, configuration, function_name, seconds, workers_asked
from lossgen.devices import default_workers
from lossgen.errors import InputError
from lossgen.evolution.asked import ROUNDS
from lossgen.evolution.calibrating import calibrate_losses, calibration_in, panels_beside
from lossgen.evolution.comparing import compare_losses
from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import discover, resolve, session_of
from lossgen.evolution.events import Listeners, Stopped
from lossgen.evolution.interrupt import ctrl_c_stops
from lossgen.evolution.planner import SEARCH_SLACK
from lossgen.evolution.run import RUNS, Run, create_run, open_run
from lossgen.evolution.selection import select as by_fronts
from lossgen.evolution.session import Session
from lossgen.evolution.variation import vary as usual
from lossgen.evolution.widening import holds_comparison, open_wider
from lossgen.report.calibration import calibration_lines, write_calibration
from lossgen.report.ending import comparison_lines, discovery_lines
from lossgen.report.html import PageWriter, write_report
from lossgen.report.summary import write_comparison, write_discovery

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lossgen.report.live import PlainView

LASTING = frozenset({"resume", "workers", "gpus_per_worker", "generated", "time_limit", "beside"})
"""What may stand beside `resume`: no result depends on it, but for what a time limit cuts off."""


def carry_out(
    asked: Asked, show: Callable[[], "PlainView"] | None, warn: Callable[[str], None] = lambda text: None
) -> tuple[Path, bool]:
    """Begin a run or go on with one, train, write what it leaves.

    Args:
        show: makes the view, once the run is open; None to show nothing.
        warn: is told of losses that the screen rejects.

    Returns:
        The run's folder, and whether it was stopped on the way.

    Raises:
        InputError: what was asked for cannot be done.
        KeyboardInterrupt: the run was interrupted twice, or before its workers had started.
    """
    flags = asked.flags
    if asked.kind == "evolve":
        _check_writable(Path(flags["generated"]))
    with _opened(asked, warn) as run:
        panels_beside(run.config, _beside(asked))  # what cannot be is refused before hours are spent
        view = show() if show else None
        listener = Listeners([*([view] if view else []), *asked.callbacks])
        workers = workers_asked(flags["workers"], flags["gpus_per_worker"])
        workers = default_workers(run.config.device) if workers is None else workers
        try:
            if view:
                view.say(f"Run {run.path}")
            with session_of(run, workers, listener) as session, ctrl_c_stops(session):
                pages = PageWriter(run, session.clock, session.listener.note)
                session.listener = Listeners([session.listener, pages], session.stop)
                _work(asked, session, view)
                return run.path, session.stopped
        except (KeyboardInterrupt, Stopped) as end:
            if view:
                view.close()
                resume = f"lossgen {asked.kind} --resume {shlex.quote(str(run.path))}"
                view.say(f"Interrupted. What was trained is kept; go on with: {resume}")
            if isinstance(end, Stopped):
                return run.path, True
            raise
        finally:
            if view:
                view.close()


@contextmanager
def _opened(asked: Asked, warn: Callable[[str], None]) -> Iterator[Run]:
    """The run that is asked for, begun or opened, and checked to be of the kind."""
    name, out = asked.flags["resume"], asked.flags["out"]
    if name is None:
        config = resolve(configuration(asked, warn))
        folder = Path(out) if out else _default_folder(config)
        if asked.kind == "compare" and holds_comparison(folder):
            with open_wider(folder, config) as run:
                if config.time_limit is not None:
                    _count_from_now(run, config.time_limit)
                yield run
            return
        with create_run(folder, config) as run:
            yield run
        return
    others = [flag for flag in asked.flags if flag in asked.given and flag not in LASTING]
    if others:
        spelt = ", ".join("LOSS" if flag == "losses" else f"--{flag.replace('_', '-')}" for flag in others)
        raise InputError(f"--resume {name}: goes on as the run began; leave out {spelt}")
    with open_run(name) as run:
        if run.config.kind == "ask" or run.archive.meta(ROUNDS):
            raise InputError(f"run {run.path}: its trainings run elsewhere; go on with: lossgen ask {run.path}")
        if run.config.kind != asked.kind:
            raise InputError(f"run {run.path}: is of `lossgen {run.config.kind}`; resume it with that command")
        for which, function in (("select", asked.select), ("vary", asked.vary)):
            began = getattr(run.config, which)
            if began and not function:
                again = f"lossgen.evolve(resume={str(run.path)!r}, {which}={began.rpartition('.')[2]})"
                raise InputError(f"run {run.path}: has {began} for its {which}; go on from Python: {again}")
            if began != function_name(function):
                now = function_name(function)
                raise InputError(f"run {run.path}: began with {began or 'the usual'} {which}, not {now}; give the same")
        if asked.flags["time_limit"] is not None:
            _give_time(run, seconds("time_limit", asked.flags["time_limit"]))
        yield run


def _give_time(run: Run, seconds: float) -> None:
    """Set the time limit so many seconds from now, for this session; its clock goes on where the last one stopped."""
    if not run.archive.meta("finished"):
        _count_from_now(run, seconds)


def _count_from_now(run: Run, seconds: float) -> None:
    part = SEARCH_SLACK if run.config.kind == "evolve" else 1.0  # of the limit, what the search may take
    elapsed = sum(run.archive.meta("profile", {}).values())
    run.config = run.config.model_copy(update={"time_limit": elapsed / part + seconds})


def _work(asked: Asked, session: Session, view: "PlainView | None") -> None:
    """Search or compare, and leave files and a last word."""
    run = session.run
    lines: Iterable[RenderableType]
    if asked.kind == "evolve":
        generated = Path(asked.flags["generated"])
        discovery = discover(session, generated, asked.select or by_fronts, asked.vary or usual)
        with session.clock.phase("report"):
            written = [*write_discovery(run, discovery), *_page(session)]
        lines = discovery_lines(run, discovery, written)
    elif asked.kind == "calibrate":
        calibrate_losses(session)
        calibration = calibration_in(run, _beside(asked))
        with session.clock.phase("report"):
            written = [*(write_calibration(run, calibration) if calibration else []), *_page(session)]
        lines = calibration_lines(run, calibration, written)
    else:
        comparison = compare_losses(session)
        with session.clock.phase("report"):
            written = [*write_comparison(run, comparison), *_page(session)]
        lines = comparison_lines(run, comparison, written, session.stopped)
    session.save_profile()
    if view:
        from rich.text import Text

        view.close()
        for part in lines:
            view.console.print(part, highlight=False, soft_wrap=isinstance(part, Text), crop=False)


def _page(session: Session) -> list[Path]:
    """The run's page. Its results are written by then: what goes wrong with the page is said, and no more."""
    session.save_profile()
    try:
        return [write_report(session.run)]
    except Exception as error:  # noqa: BLE001
        session.listener.note(f"report.html is not written: {type(error).__name__}: {error}")
        return []


def _beside(asked: Asked) -> list[str]:
    """Runs that a calibration is to foretell."""
    return [str(name) for name in asked.flags.get("beside", ())]


def _default_folder(config: RunConfig) -> Path:
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
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--generated {folder}: is a file; give a folder")
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        raise InputError(f"--generated {folder}: cannot be written; give another folder")
