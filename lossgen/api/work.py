"""A run from what was asked for to what it leaves: the commands evolve and compare, and the functions of Python."""

import datetime
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from lossgen import settings
from lossgen.codegen.load import read_emitted
from lossgen.devices import default_workers
from lossgen.errors import InputError
from lossgen.evolution.asked import ROUNDS
from lossgen.evolution.comparing import compare_losses, loss_sources
from lossgen.evolution.config import DataConfig, RunConfig
from lossgen.evolution.discover import discover, resolve, session_of
from lossgen.evolution.events import Listener, Listeners, Stopped
from lossgen.evolution.interrupt import ctrl_c_stops
from lossgen.evolution.planner import SEARCH_SLACK
from lossgen.evolution.run import RUNS, Run, create_run, open_run
from lossgen.evolution.selection import Select
from lossgen.evolution.selection import select as by_fronts
from lossgen.evolution.session import Session
from lossgen.evolution.variation import Vary
from lossgen.evolution.variation import vary as usual
from lossgen.report.ending import comparison_lines, discovery_lines
from lossgen.report.screened import rejection_of
from lossgen.report.summary import write_comparison, write_discovery
from lossgen.runner import find_runner

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lossgen.report.live import PlainView

Kind = Literal["evolve", "compare"]
LASTING = frozenset({"resume", "workers", "generated", "time_limit"})
"""What may stand beside `resume`: no result depends on it, but for what a time limit cuts off."""
_OF_DATA = {"data": "name", "data_dir": "root", "image_size": "image_size", "fit": "fit", "download": "download"}
_OF_THE_CALL = {"workers", "out", "resume", "generated", "trust"}


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Attributes:
        kind: which command.
        flags: values by the names of the command's flags, underscores in them; the runner's options among them.
        given: names of those that were given, and are not as they are by default.
        callbacks: hear of the run, beside the view.
        select, vary: in place of the usual ones.
    """

    kind: Kind
    flags: Mapping[str, Any]
    given: Collection[str]
    callbacks: Sequence[Listener] = ()
    select: Select | None = None
    vary: Vary | None = None


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
        view = show() if show else None
        listener = Listeners([*([view] if view else []), *asked.callbacks])
        workers = flags["workers"] or default_workers(run.config.device)
        try:
            if view:
                view.say(f"Run {run.path}")
            with session_of(run, workers, listener) as session, ctrl_c_stops(session):
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
        with create_run(Path(out) if out else _default_folder(config), config) as run:
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
            _give_time(run, _seconds("time_limit", asked.flags["time_limit"]))
        yield run


def _give_time(run: Run, seconds: float) -> None:
    """Set the time limit so many seconds from now, for this session; its clock goes on where the last one stopped."""
    if run.archive.meta("finished"):
        return
    part = SEARCH_SLACK if run.config.kind == "evolve" else 1.0  # of the limit, what the search may take
    elapsed = sum(run.archive.meta("profile", {}).values())
    run.config = run.config.model_copy(update={"time_limit": elapsed / part + seconds})


def _seconds(name: str, time: Any) -> float:
    try:
        return settings.seconds(time)
    except ValueError as error:
        raise InputError(f"--{name.replace('_', '-')}: {error}") from None


def _work(asked: Asked, session: Session, view: "PlainView | None") -> None:
    """Search or compare, and leave files and a last word."""
    run = session.run
    lines: Iterable[RenderableType]
    if asked.kind == "evolve":
        generated = Path(asked.flags["generated"])
        discovery = discover(session, generated, asked.select or by_fronts, asked.vary or usual)
        with session.clock.phase("report"):
            written = write_discovery(run, discovery)
        lines = discovery_lines(run, discovery, written)
    else:
        comparison = compare_losses(session)
        with session.clock.phase("report"):
            written = write_comparison(run, comparison)
        lines = comparison_lines(run, comparison, written, session.stopped)
    session.save_profile()
    if view:
        from rich.text import Text

        view.close()
        for part in lines:
            view.console.print(part, highlight=False, soft_wrap=isinstance(part, Text))


def configuration(asked: Asked, warn: Callable[[str], None] = lambda text: None) -> RunConfig:
    """The configuration that flags make.

    Raises:
        InputError: a value means nothing.
    """
    flags = asked.flags
    own = set(RunConfig.model_fields) & set(flags) - {"data"}
    known = own | set(_OF_DATA) | _OF_THE_CALL
    settled = {name: value for name, value in flags.items() if value is not None}
    given = {name: value for name, value in settled.items() if name in own}
    given["options"] = {name: value for name, value in settled.items() if name not in known}
    given |= {"kind": asked.kind, "select": function_name(asked.select), "vary": function_name(asked.vary)}
    given["seed_losses"] = [str(text) for text in flags.get("seed_losses", ())]
    given |= {name: _seconds(name, given[name]) for name in ("time_limit", "timeout") if name in given}
    if asked.kind == "compare":
        given["losses"] = loss_sources([str(text) for text in flags["losses"]], flags["trust"])
        for source in given["losses"]:
            warning = rejection_of(read_emitted(source, "compare"), "trained")
            if warning:
                warn(warning)
    try:
        data = DataConfig(**{field: flags[name] for name, field in _OF_DATA.items()})
        return RunConfig(**given, data=_data_of(data, given.get("runner", settings.RUNNER)))
    except ValidationError as error:
        problem = error.errors()[0]
        where = {field: name for name, field in _OF_DATA.items() if error.title == "DataConfig"}
        flag = where.get(str(problem["loc"][0]), str(problem["loc"][0])).replace("_", "-")
        raise InputError(f"--{flag}: {problem['msg']} (got {problem.get('input')!r})") from None


def _data_of(data: DataConfig, runner: str) -> DataConfig:
    """The data of a runner that makes its own; else those that were chosen."""
    own = getattr(find_runner(runner).cls, "own_data", "")
    usual = DataConfig()
    chosen = [flag for flag, field in _OF_DATA.items() if getattr(data, field) != getattr(usual, field)]
    if own and chosen:
        flags = ", ".join(f"--{flag.replace('_', '-')}" for flag in chosen)
        raise InputError(f"runner {runner}: makes its own data; leave out {flags}")
    return DataConfig(name=own) if own else data


def function_name(function: Callable[..., Any] | None) -> str:
    """Module and name of a function, or of an object's class; "" for none."""
    if function is None:
        return ""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


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
