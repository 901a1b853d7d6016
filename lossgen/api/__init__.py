"""lossgen from Python: evolve, compare and calibrate, as the commands of these names, and a look at what they found."""

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from lossgen import settings
from lossgen.api.asked import Asked, Kind, configuration, workers_asked
from lossgen.api.run import Run
from lossgen.api.work import carry_out
from lossgen.commands import settle
from lossgen.errors import InputError
from lossgen.evolution.events import Listener
from lossgen.evolution.run import find_run
from lossgen.evolution.selection import Select
from lossgen.evolution.variation import Vary
from lossgen.runner import Fit, find_runner

if TYPE_CHECKING:
    from lossgen.report.live import PlainView

__all__ = ["Run", "calibrate", "compare", "evolve", "open_run"]

Time = float | str
"""Seconds, or as text: "90s", "15m", "2h"."""
P = ParamSpec("P")


def _by_name(most: int, hint: str) -> Callable[[Callable[P, Run]], Callable[P, Run]]:
    """Say in a line of one's own that a call has more than so many arguments without names."""

    def decorated(function: Callable[P, Run]) -> Callable[P, Run]:
        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> Run:
            if len(args) > most:
                extra = " ".join(repr(args[most]).split())
                raise InputError(f"{function.__name__}: {extra:.60} is one too many without a name; {hint}")
            return function(*args, **options)

        return call

    return decorated


@_by_name(3, "name all after space, runner and data: evolve('ganetic', 'ring', population=8)")
def evolve(
    space: str | Path = settings.SPACE,
    runner: str | Path | type = settings.RUNNER,
    data: str | Path = settings.DATA,
    *,
    population: int = settings.POPULATION,
    generations: int | None = None,
    mode: settings.Mode = settings.MODE,
    steps: int | None = None,
    objective: settings.ObjectiveKind | None = None,
    grid: str | Sequence[tuple[float, float]] | None = None,
    seeds: int = settings.SEEDS,
    rungs: str | Sequence[tuple[int, int]] | None = None,
    verify_seeds: int = settings.VERIFY_SEEDS,
    seed_losses: Sequence[str | Path] = (),
    max_trainings: int | None = None,
    max_steps: int | None = None,
    max_candidates: int | None = None,
    time_limit: Time | None = None,
    timeout: Time | None = None,
    polish: int | None = None,
    audit: int | None = None,
    cache: bool = False,
    seed: int = settings.SEED,
    workers: int | str | None = None,
    gpus_per_worker: float | None = None,
    device: str = settings.DEVICE,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    fit: Fit = settings.FIT,
    download: bool = False,
    command: str | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    generated: str | Path = settings.GENERATED,
    resume: "str | Path | Run | None" = None,
    select: Select | None = None,
    vary: Vary | None = None,
    callbacks: Sequence[Listener] = (),
    quiet: bool = False,
    **options: Any,
) -> Run:
    """Search for a loss, verify the best on fresh seeds, and write its source: `lossgen evolve` from Python.

        run = evolve(runner="ring", time_limit="5m")
        print(run)
        criterion = run.criterion()

    All that the command has a flag for is called the same, does the same, and is the same by default; `lossgen evolve
    --help` explains it. The run's folder and record are the same, too. `resume` goes on with a run, whoever began it;
    beside it, only `workers`, `gpus_per_worker`, `generated`, a `time_limit` that counts from now, and what follows
    here may be given.

    A first Ctrl-C, or the stop button of a notebook, ends the run in order: what is being trained is finished, what was
    found is verified, and the Run is returned; `run.finished` is False, and `evolve(resume=run.path)` goes on. A second
    one raises KeyboardInterrupt. In other threads than the main one, Ctrl-C is left alone.

    Args:
        runner: a name, the path of a .py file, or a class that is defined in one.
        grid: as text, or as pairs of learning rates, the generator's first: [(1e-3, 1e-3), (3e-3, 1e-3)].
        rungs: as text, or as steps and replicates: [(500, 1), (1000, 2), (2000, 4)].
        select: in place of `evolution.selection.select`: from objectives, an array (n, 3) of fitness, spread over seeds
            (0 but of `quality`) and size, all to be minimised, inf for a failed training, and a count, the indices of
            at most so many rows that survive, the most preferred first. Parents are drawn by that order.
        vary: in place of `evolution.variation.vary`: from a space, two parents (derivations of it) and a
            numpy.random.Generator, a child and how it came: ("crossover" of both, "fresh" of none, else of the first).
            A run that is to be repeatable, or resumed, draws from that generator alone. Both functions are recorded by
            name, and needed again to resume.
        callbacks: Listeners. What they raise ends the run; `Stopped` ends it as a first Ctrl-C does.
        quiet: print nothing, in place of the lines that the command prints into a pipe.
        options: of the runner.

    Raises:
        InputError: one line that says what cannot be done, and what to do. A run in its folder stays, to be resumed.
    """
    return _run("evolve", evolve, {**locals()})


@_by_name(1, "give losses as a list, and all else by name: compare(['hinge', 'bce'], runner='ring')")
def compare(
    losses: str | Path | Sequence[str | Path] = (),
    *,
    runner: str | Path | type = settings.RUNNER,
    data: str | Path = settings.DATA,
    seeds: int = settings.COMPARE_SEEDS,
    steps: int | None = None,
    regulariser: str | Sequence[str] | None = None,
    objective: Literal["quality", "robust"] | None = None,
    tune: bool = False,
    grid: str | Sequence[tuple[float, float]] | None = None,
    tune_seeds: int = settings.TUNE_SEEDS,
    rates: str | Mapping[str, tuple[float, float]] | None = None,
    trust: bool = False,
    time_limit: Time | None = None,
    timeout: Time | None = None,
    seed: int = settings.SEED,
    workers: int | str | None = None,
    gpus_per_worker: float | None = None,
    device: str = settings.DEVICE,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    fit: Fit = settings.FIT,
    download: bool = False,
    command: str | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    resume: "str | Path | Run | None" = None,
    callbacks: Sequence[Listener] = (),
    quiet: bool = False,
    **options: Any,
) -> Run:
    """Train losses on the same seeds at equal budget: `lossgen compare` from Python.

        run = compare(["bce", "hinge", "loss Mine(y_real, y_pred) = square(y_pred - y_real)"], runner="ring", seeds=3)
        for result in run.comparison.results:
            print(result.name, result.summary)

    Args:
        losses: one, or a list; each a name of the zoo, a .loss or emitted .py file, or an expression; "zoo"
            for all of the zoo.
        regulariser: what each loss is trained with in place of what it asks for, as text or as a list:
            ["none", "r1", "gradient_penalty(10)+drift"].
        objective: "robust" for each of `seeds` results to be the mean over all pairs of the `grid`, a fresh seed each.
        tune: whether each loss is given the best of the `grid` on `tune_seeds` seeds of their own; `grid` as text or as
            pairs of learning rates, the generator's first: [(1e-3, 1e-3), (3e-3, 1e-3)].
        rates: pairs that were chosen before, by a loss's name: {"BCE": (1e-3, 1e-3)}.
        out: also the folder of an earlier comparison under the same setting, to go on with more losses or seeds.

    Everything else is as `evolve` has it.
    """
    return _run("compare", compare, {**locals()})


@_by_name(1, "give losses as a list, and all else by name: calibrate(['hinge', 'bce'], runner='ring')")
def calibrate(
    losses: str | Path | Sequence[str | Path] = (),
    *,
    runner: str | Path | type = settings.RUNNER,
    data: str | Path = settings.DATA,
    budgets: str | Sequence[int] = settings.BUDGETS,
    seeds: int = settings.CALIBRATE_SEEDS,
    grid: str | Sequence[tuple[float, float]] | None = None,
    beside: Sequence[str | Path] = (),
    trust: bool = False,
    time_limit: Time | None = None,
    timeout: Time | None = None,
    seed: int = settings.SEED,
    workers: int | str | None = None,
    gpus_per_worker: float | None = None,
    device: str = settings.DEVICE,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    fit: Fit = settings.FIT,
    download: bool = False,
    command: str | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    resume: "str | Path | Run | None" = None,
    callbacks: Sequence[Listener] = (),
    quiet: bool = False,
    **options: Any,
) -> Run:
    """Find out how short a training may be that still tells losses apart: `lossgen calibrate` from Python.

        found = calibrate(runner="dcgan", data="digits", budgets=[500, 1000, 2000]).calibration()
        print(found.plateau, found.proxies)

    Args:
        losses: of the panel; without any, the zoo and other known forms.
        budgets: steps at which each training is looked at, as text or as numbers.
        beside: runs of calibrations of other data, which this one is to foretell.

    Everything else is as `compare` has it.
    """
    return _run("calibrate", calibrate, {**locals()})


def open_run(name: str | Path) -> Run:
    """A run that exists, to be looked at: its folder, or a unique prefix of its name under ./runs.

    Raises:
        InputError: no such run, several, or one that is damaged.
    """
    return Run(find_run(name))


def _run(kind: Kind, function: Callable[..., Run], values: dict[str, Any]) -> Run:
    """Carry out a call, by the values of its parameters."""
    show = None if values.pop("quiet") else _view
    asked = _asked(kind, function, values)
    path, _ = carry_out(asked, show, lambda warning: _view().say(warning) if show else None)
    return Run(path)


def check_comparison(losses: Sequence[str | Path], **arguments: Any) -> None:
    """Raise InputError where `compare` could not begin with these arguments; nothing is trained."""
    bound = inspect.signature(compare).bind(losses, **arguments)
    bound.apply_defaults()
    configuration(_asked("compare", compare, {**bound.arguments}))


def _asked(kind: Kind, function: Callable[..., Run], values: dict[str, Any]) -> Asked:
    """What a call asks for, by the values of its parameters."""
    values.pop("quiet", None)
    if _LOADING.get():
        where = "where its runner's file is loaded, too; put it under"
        raise InputError(f'{kind}: is called {where} `if __name__ == "__main__":`')
    options = {name: _plain(value) for name, value in values.pop("options").items()}
    functions = {name: values.pop(name, None) for name in ("select", "vary")}
    for name, replaced in functions.items():
        if not (replaced is None or callable(replaced)):
            raise InputError(f"{name}: {replaced!r} is no function; leave it out for the usual {name}")
    callbacks = _listeners(values.pop("callbacks"))
    if isinstance(values.get("seed_losses"), str | Path):
        raise InputError("seed_losses: give a list of losses")
    if isinstance(values.get("losses"), str | Path):
        values["losses"] = (values["losses"],)
    if isinstance(values.get("regulariser"), Sequence) and not isinstance(values["regulariser"], str):
        values["regulariser"] = ",".join(map(str, values["regulariser"]))
    if isinstance(values.get("grid"), Sequence) and not isinstance(values["grid"], str):
        values["grid"] = ",".join(_pair(pair) for pair in values["grid"])
    if isinstance(values.get("rates"), Mapping):
        values["rates"] = ",".join(f"{name}={_pair(pair, 'rates')}" for name, pair in values["rates"].items())
    if isinstance(values.get("rungs"), Sequence) and not isinstance(values["rungs"], str):
        values["rungs"] = ",".join(_rung(rung) for rung in values["rungs"])
    for name, example in (("rates", '{"BCE": (1e-3, 1e-3)}'), ("rungs", "[(500, 1), (1000, 2)]")):
        if not isinstance(values.get(name), str | None):
            raise InputError(f"{name}: {values[name]!r} is none; give for example {example}")
    if isinstance(values.get("budgets"), Sequence) and not isinstance(values["budgets"], str):
        values["budgets"] = ",".join(map(str, values["budgets"]))
    workers_asked(values["workers"], values["gpus_per_worker"])
    resume = values["resume"]
    values["resume"] = resume.path if isinstance(resume, Run) else resume
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    given = {name for name, value in values.items() if value != defaults[name]} | set(options)
    if resume is None:
        values |= settle(values, given)
        values["runner"] = _runner(kind, values["runner"], options, defaults)
    values = {name: _plain(value) for name, value in values.items()}
    return Asked(kind, values | options, given, callbacks, functions["select"], functions["vary"])


def _listeners(callbacks: object) -> list[Listener]:
    """What is to hear of a run, if that is what was given."""
    if not isinstance(callbacks, Iterable):
        raise InputError(f"callbacks: {callbacks!r} is no list; give a list of Listeners: callbacks=[Mine()]")
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Listener):
            raise InputError(f"callbacks: {callback!r} is no Listener; subclass lossgen.Listener, and give an object")
    return found


def _rung(rung: object) -> str:
    """A rung as the command line has it."""
    if not (isinstance(rung, Sequence) and len(rung) == 2):
        raise InputError(f"rungs: {rung!r} is no rung; give steps and replicates: [(500, 1), (1000, 2)]")
    return "x".join(map(str, rung))


def _pair(pair: object, name: str = "grid") -> str:
    """A pair of learning rates as the command line has it."""
    if not (isinstance(pair, Sequence) and len(pair) == 2):
        example = "[(1e-3, 1e-3), (3e-3, 1e-3)]" if name == "grid" else '{"BCE": (1e-3, 1e-3)}'
        raise InputError(f"{name}: {pair!r} is no pair of learning rates; give for example {example}")
    return ":".join(map(str, pair))


def _view() -> "PlainView":
    """Plain lines on standard output, in a notebook as well."""
    from rich.console import Console

    from lossgen.report.live import PlainView

    return PlainView(Console(width=120, force_terminal=False, force_jupyter=False))


def _plain(value: object) -> object:
    """Paths as text, as the command line has them."""
    return str(value) if isinstance(value, Path) else value


_LOADING: ContextVar[bool] = ContextVar("loading", default=False)


def _runner(kind: Kind, runner: object, options: Collection[str], parameters: Collection[str]) -> str:
    """The name or the file of a runner, which has such options.

    Raises:
        InputError: there is no such runner, or it has other options; or a run would begin wherever its file is loaded.
    """
    name = file_of(runner) if isinstance(runner, type) else str(runner)
    token = _LOADING.set(True)
    try:
        found = find_runner(name)
    finally:
        _LOADING.reset(token)
    if isinstance(runner, type) and found.cls.__name__ != runner.__qualname__:
        raise InputError(f"runner {name}: its runner is {found.cls.__name__}, not {runner.__qualname__}")
    known = list(found.cls.options.model_fields)
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, [*parameters, *known], 1)
            hint = f"did you mean {near[0]}?" if near else f"the runner {name} has: {', '.join(known) or 'none'}"
            raise InputError(f"{kind}: there is no option {option}; {hint}")
    return name


def file_of(runner: type) -> str:
    """The file that a runner's class is defined in.

    Raises:
        InputError: there is none.
    """
    try:
        file = inspect.getsourcefile(runner)
    except (TypeError, OSError):
        file = None
    if file is None or not Path(file).is_file():
        raise InputError(
            f"runner {runner.__name__}: stands in no file, and runners are loaded from files; write it to one (in a "
            "notebook with %%writefile my_runner.py) and give that"
        )
    return str(Path(file).resolve())
