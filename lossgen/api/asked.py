"""What is asked for, by the flags of a command or the arguments of a function, and the configuration that it makes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from lossgen import settings
from lossgen.codegen.load import read_emitted
from lossgen.errors import InputError
from lossgen.evolution.calibrating import PANEL
from lossgen.evolution.calibration import FEWEST
from lossgen.evolution.comparing import loss_sources
from lossgen.evolution.conditions import (
    RATES,
    check_grid,
    check_regularisers,
    parse_grid,
    parse_rates,
    parse_regularisers,
    usual_grid,
)
from lossgen.evolution.config import DataConfig, RunConfig
from lossgen.evolution.events import Listener
from lossgen.evolution.racing import parse_rungs
from lossgen.evolution.selection import Select
from lossgen.evolution.variation import Vary
from lossgen.report.screened import rejection_of
from lossgen.runner import find_runner
from lossgen.settings import ObjectiveKind, RayWorkers

Kind = Literal["evolve", "compare", "calibrate"]
_OF_DATA = {"data": "name", "data_dir": "root", "image_size": "image_size", "fit": "fit", "download": "download"}
_OF_THE_CALL = {"workers", "gpus_per_worker", "out", "resume", "generated", "trust", "regulariser", "tune", "beside"}


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
    given |= {name: seconds(name, given[name]) for name in ("time_limit", "timeout") if name in given}
    if asked.kind == "evolve":
        given |= _search(asked, given, warn)
    else:
        losses = [str(text) for text in flags["losses"]] or list(PANEL if asked.kind == "calibrate" else ())
        given["losses"] = loss_sources(losses, flags["trust"], asked.kind)
        for source in given["losses"]:
            warning = rejection_of(read_emitted(source, asked.kind), "trained")
            if warning:
                warn(warning)
        given |= _conditions(asked, given) if asked.kind == "compare" else _calibration(asked, given)
    try:
        data = DataConfig(**{field: flags[name] for name, field in _OF_DATA.items()})
        return RunConfig(**given, data=_data_of(data, given.get("runner", settings.RUNNER)))
    except ValidationError as error:
        problem = error.errors()[0]
        where = {field: name for name, field in _OF_DATA.items() if error.title == "DataConfig"}
        flag = where.get(str(problem["loc"][0]), str(problem["loc"][0])).replace("_", "-")
        raise InputError(f"--{flag}: {problem['msg']} (got {problem.get('input')!r})") from None


def _search(asked: Asked, given: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """What a search aims at and how it races, by the fields of its configuration.

    Raises:
        InputError: what was given means nothing, or the runner does not have it.
    """
    flags = asked.flags
    runner = find_runner(given.get("runner", settings.RUNNER))
    has_rates = set(RATES) <= set(runner.cls.options.model_fields)
    kind: ObjectiveKind = flags["objective"] or ("robust" if has_rates else "quality")
    if kind == "robust" and not has_rates:
        warn(f"--objective robust: the runner {runner.name} has no learning rates to vary; its one setting is searched")
        kind = "quality"
    found: dict[str, Any] = {"objective": kind, "grid": None, "rungs": None, "seeds": flags["seeds"]}
    if flags["grid"] is not None and kind != "robust":
        why = f"the runner {runner.name} has none" if not has_rates else f"and not {kind}"
        raise InputError(f"--grid: says which learning rates --objective robust looks at, {why}; leave it out")
    if kind == "robust":
        found["grid"] = _grid(flags["grid"], given, runner.cls.options, runner.name, "--grid")
        found["race"] = flags["rungs"] is None
    if flags["rungs"] is not None:
        for flag in ("steps", "seeds"):
            if flag in asked.given:
                raise InputError(f"--{flag}: the last of --rungs says it; leave out one of them")
        found["rungs"] = parse_rungs(flags["rungs"])
        found["steps"], last = found["rungs"][-1]
        if found["grid"] and last % len(found["grid"]):
            pairs = f"{len(found['grid'])} pairs of learning rates"
            raise InputError(f"--rungs {flags['rungs']}: the last has {last} replicates, of {pairs}; give a multiple")
    if kind == "stability" and "seeds" not in asked.given:
        found["seeds"] = settings.STABILITY_SEEDS
    replicates = found["rungs"][-1][1] if found["rungs"] else found["seeds"]
    if kind == "stability" and isinstance(replicates, int) and replicates < 2:
        raise InputError("--objective stability: the spread over seeds takes two; give --seeds 2 or more")
    return found


def _conditions(asked: Asked, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a comparison is crossed with and tuned over, by the fields of its configuration.

    Raises:
        InputError: what was given means nothing, or the runner does not have it.
    """
    flags, runner = asked.flags, given.get("runner", settings.RUNNER)
    model, name = find_runner(runner).cls.options, Path(runner).stem
    kind = flags["objective"] or "quality"
    if kind not in ("quality", "robust"):
        raise InputError(f"--objective {kind}: a comparison shows the spread over seeds; give quality or robust")
    found: dict[str, Any] = {"objective": kind, "regularisers": None, "grid": None, "tune_seeds": None, "rates": None}
    if flags["regulariser"] is not None:
        found["regularisers"] = parse_regularisers(flags["regulariser"])
        check_regularisers(found["regularisers"], model.model_fields, name)
    if flags["tune"] or kind == "robust":
        flag = "--tune" if flags["tune"] else "--objective robust"
        found["grid"] = _grid(flags["grid"], given, model, name, flag)
    if flags["tune"]:
        found["tune_seeds"] = flags["tune_seeds"]
    if kind == "robust":
        for flag in ("tune", "rates"):
            if flags[flag]:
                raise InputError(
                    f"--{flag}: --objective robust trains with all pairs of the grid; leave out one of them"
                )
    if flags["rates"] is not None:
        if flags["tune"]:
            raise InputError("--rates: are what --tune would choose; leave out one of them")
        found["rates"] = parse_rates(flags["rates"])
        check_grid(list(found["rates"].values()), model, name, "--rates")
        names = [read_emitted(source, asked.kind).name for source in given["losses"]]
        for loss in found["rates"]:
            if loss not in names:
                raise InputError(f"--rates {loss}: is none of the losses: {', '.join(names)}")
    if "grid" in asked.given and not found["grid"]:
        raise InputError("--grid: is of --tune or --objective robust; give one of them, too, or leave --grid out")
    if "tune_seeds" in asked.given and not flags["tune"]:
        raise InputError("--tune-seeds: says how --tune tunes; give that, too, or leave --tune-seeds out")
    return found


def _calibration(asked: Asked, given: Mapping[str, Any]) -> dict[str, Any]:
    """Budgets and learning rates of a calibration, by the fields of its configuration.

    Raises:
        InputError: what was given means nothing, or the runner does not have it.
    """
    flags = asked.flags
    if "steps" in asked.given:
        raise InputError(
            "--steps: a calibration looks at several; give --budgets, the last of which ends its trainings"
        )
    if len(given["losses"]) < FEWEST:
        raise InputError(f"calibrate: a rank correlation takes {FEWEST} losses; give more, or none for the usual panel")
    runner = given.get("runner", settings.RUNNER)
    model, name = find_runner(runner).cls.options, Path(runner).stem
    budgets = _budgets(flags["budgets"])
    found: dict[str, Any] = {"budgets": budgets, "steps": budgets[-1], "grid": None}
    if flags["grid"] is not None or set(RATES) <= set(model.model_fields):
        found["grid"] = _grid(flags["grid"], given, model, name, "--grid")
    return found


def _grid(
    text: str | None, given: Mapping[str, Any], options: type[BaseModel], runner: str, flag: str
) -> list[tuple[float, float]]:
    """The grid that was given, or the usual one of a runner.

    Raises:
        InputError: it means nothing, or the runner does not have it; then the flag that asked for it is named.
    """
    check_grid([], options, runner, flag)
    if text is not None:
        grid = parse_grid(text)
        check_grid(grid, options, runner, flag)
        return grid
    grid = usual_grid(options, given["options"], runner)
    try:
        check_grid(grid, options, runner, flag)
    except InputError as error:
        around = "the usual grid lies around --lr-generator and --lr-discriminator; change these, or give a --grid"
        raise InputError(f"{error}: {around}") from None
    return grid


def _budgets(text: str) -> list[int]:
    """Read `500,1000,2000`: steps, ascending.

    Raises:
        InputError: it is something else.
    """
    try:
        budgets = [int(part) for part in text.split(",")]
    except ValueError:
        budgets = []
    if not budgets or budgets[0] < 1 or any(a >= b for a, b in pairwise(budgets)):
        raise InputError(f"--budgets {text!r}: is no list of steps, each more than the one before: 500,1000,2000")
    return budgets


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


def seconds(name: str, time: Any) -> float:
    """A length of time that was given as a flag; InputError where it is none."""
    try:
        return settings.seconds(time)
    except ValueError as error:
        raise InputError(f"--{name.replace('_', '-')}: {error}") from None


def workers_asked(workers: int | str | None, gpus_per_worker: float | None) -> int | RayWorkers | None:
    """Workers as they are asked for.

    Raises:
        InputError: there are none such.
    """
    try:
        found = None if workers is None else settings.workers(workers)
    except ValueError as error:
        raise InputError(f"--workers {workers}: {error}") from None
    if gpus_per_worker is None:
        return found
    if not isinstance(found, RayWorkers):
        raise InputError("--gpus-per-worker: is for Ray; give --workers ray, too, or leave it out")
    if not 0 < gpus_per_worker < float("inf"):
        raise InputError(
            f"--gpus-per-worker {gpus_per_worker}: give a part of a GPU, such as 0.25, or a number of them"
        )
    return replace(found, gpus=gpus_per_worker)
