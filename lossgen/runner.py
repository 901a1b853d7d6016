"""The contract between the search and what it searches for: Member, Budget, Outcome, and the Runner protocol.

A runner is one Python file with one class that has `objectives` and `train`. It is trained with members and hands
back outcomes; it never sees the search. `find_runner` finds one by name, by path or by entry point.
"""

import hashlib
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from lossgen.errors import InputError
from lossgen.resources import resource_dir
from lossgen.settings import DATA, FIT

if TYPE_CHECKING:
    from pydantic import BaseModel
    from torch import nn

Status = Literal["ok", "diverged", "collapsed", "timeout", "crashed"]
Direction = Literal["min", "max"]
Fit = Literal["pad", "crop", "stretch"]
ENTRY_POINTS = "lossgen.runners"
SCRIPTS = ("ensemble",)
"""Files of runners/ that are no runners."""


@dataclass(frozen=True)
class DataSpec:
    """Which images to train on, as the command line says it.

    Attributes:
        name: a data set's name, or the path of an .npz file or of a folder of images.
        root: folder that names are looked up in; None means `LOSSGEN_DATA`, else a cache folder.
        image_size: side of the square images in pixels; None leaves the choice to the runner's sizes.
        fit: how an image that is not square becomes so.
        download: whether a data set that is absent may be fetched.
        seed: seed of a validation or test split that has to be made.
    """

    name: str = DATA
    root: str | None = None
    image_size: int | None = None
    fit: Fit = FIT
    download: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Member:
    """One loss, one seed and one condition, to be trained.

    Attributes:
        name: name of the loss, for messages and file names.
        source: text of the emitted module; the very text that is trained.
        seed: entropy of the training's random stream, for `numpy.random.SeedSequence`.
        condition: optimiser setting by name, in place of the runner's options; empty for the options themselves.
        state: file to continue from, as an `Outcome` named it; None starts at step 0.
        keep: folder for what outlives the training (model, samples, state), None to keep nothing.
        state_only: whether of these only the state is wanted, to continue from; then nothing more is to be measured.
    """

    name: str
    source: str
    seed: tuple[int, ...]
    condition: Mapping[str, float] = field(default_factory=dict)
    state: Path | None = None
    keep: Path | None = None
    state_only: bool = False

    def criterion(self) -> "nn.Module":
        """The live module of `source`, on the CPU."""
        from lossgen.codegen.load import load_source

        return load_source(self.source)


@dataclass(frozen=True)
class Budget:
    """How far to train, and who hears of it.

    Attributes:
        steps: absolute step to reach (generator updates), counted from step 0 also when a member continues.
        on_step: called with (member index, step) now and then, for progress.
        on_note: called with what the user should know of how it goes, in a sentence.
        trial: whether only the price of a step is asked for; then each is to cost what the dearest of a training does.
    """

    steps: int
    on_step: Callable[[int, int], None] | None = None
    on_note: Callable[[str], None] | None = None
    trial: bool = False

    def note(self, text: str) -> None:
        """Say something to whoever listens."""
        if self.on_note is not None:
            self.on_note(text)


@dataclass(frozen=True)
class Outcome:
    """What became of a member.

    Attributes:
        status: "ok", or why there is no result worth having.
        metrics: value of each objective, and of whatever else was measured; empty unless status is "ok".
        reason: one line, for any status but "ok".
        step: the step reached.
        seconds: wall time of this training.
        files: what was kept, by kind: "model", "samples", "state".
        curve: (step, metrics) at the checkpoints.
    """

    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    step: int = 0
    seconds: float = 0.0
    files: Mapping[str, Path] = field(default_factory=dict)
    curve: Sequence[tuple[int, Mapping[str, float]]] = ()


@dataclass(frozen=True)
class Preparation:
    """What `Runner.prepare` found out.

    Attributes:
        protocol: everything that a number needs beside it to be compared (data hash, split, extractor, N, resize,
            optimiser setting), as JSON values.
        notes: sentences that the user should read before the training starts.
    """

    protocol: Mapping[str, Any]
    notes: Sequence[str] = ()


class Runner(Protocol):
    """What a runner file's class offers.

    Attributes:
        options: pydantic model class; its fields become command-line flags.
        objectives: metric name to direction, known after `prepare`; the first is the fitness.
        scale_free: whether a positive factor on the loss changes nothing (Adam, and no other term beside it).

    A runner may also have `counts_steps`: False where the length of a training does not depend on the budget's steps,
    so that its price cannot be told from a few short ones. `own_data`: the name of the data that it makes itself, where
    no others can be chosen. And `together`: whether, once prepared, it trains the members of a list side by side; then
    it is given long lists, and a crash is traced to its member by halves of them. `positive`: whether the fitness is a
    distance, positive and minimised, so that ratios of it are what counts and a mean over conditions is geometric.
    `place(data)`: reads the files that `prepare` wants, by way of `lossgen.once`, and does nothing else; where workers
    are on other machines, it is called on that of the run, and they are given what was read.
    """

    options: "type[BaseModel]"
    objectives: Mapping[str, Direction]
    scale_free: bool

    def __init__(self, options: "BaseModel") -> None: ...

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Load the data and train or load what judges the results."""
        ...

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Train each member to `budget.steps`; one outcome a member, in order."""
        ...


@dataclass(frozen=True)
class RunnerFile:
    """A runner that was found: its name, its file, the hash of its text, and its class."""

    name: str
    path: Path
    digest: str
    cls: type[Runner]


def find_runner(name: str) -> RunnerFile:
    """The runner called `name`: a path to a Python file, a file of runners/, or an entry point of `lossgen.runners`.

    Raises:
        InputError: nothing is called so, the file does not load, or it holds no runner or several.
    """
    from pydantic import BaseModel

    path = _runner_path(name)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"runner {name}: cannot read {path}: {error.strerror}") from None
    module = load_file(path, "runner")
    classes: list[Any] = [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and callable(getattr(cls, "train", None)) and hasattr(cls, "objectives")
    ]
    if len(classes) != 1:
        found = "no class" if not classes else "several classes (" + ", ".join(c.__name__ for c in classes) + ")"
        raise InputError(f"runner {path}: holds {found} with `objectives` and `train`; a runner file defines one")
    missing = [name for name in ("options", "scale_free", "prepare") if not hasattr(classes[0], name)]
    if missing:
        raise InputError(f"runner {path}: {classes[0].__name__} has no {', '.join(missing)}; see lossgen/runner.py")
    options = classes[0].options
    if not (inspect.isclass(options) and issubclass(options, BaseModel) and options is not BaseModel):
        where = f"runner {path}: the options of {classes[0].__name__}"
        raise InputError(f"{where} are no pydantic model; without any, write: class Options(BaseModel): pass")
    return RunnerFile(path.stem, path, hashlib.sha256(text).hexdigest(), cast("type[Runner]", classes[0]))


def runner_names() -> list[str]:
    """Names that `find_runner` knows without a path."""
    shipped = {path.stem for path in resource_dir("runners").glob("*.py") if not path.stem.startswith("_")}
    shipped -= set(SCRIPTS)
    return sorted(shipped | {point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)})


def _runner_path(name: str) -> Path:
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"runner {name}: no such file")
        return path.resolve()
    shipped = resource_dir("runners") / f"{name}.py"
    if name.isidentifier() and name not in SCRIPTS and shipped.is_file():
        return shipped
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name == name:
            spec = importlib.util.find_spec(point.module)
            if spec is None or spec.origin is None:
                raise InputError(f"runner {name}: its entry point names the module {point.module}, which is not there")
            return Path(spec.origin)
    raise InputError(f"runner {name}: unknown; give a path to a .py file, or one of: {', '.join(runner_names())}")


def load_file(path: Path, what: str) -> ModuleType:
    """Run a Python file of the user's, under a module name of its own; `what` it is, for messages.

    Raises:
        InputError: it is no Python file, or does not load.
    """
    import sys

    module_name = f"lossgen_{what.strip('-')}_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{what} {path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(f"{what} {path}, line {error.lineno}: syntax error: {error.msg}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  user code: whatever it raises is its author's news
        raise InputError(f"{what} {path}: does not load: {type(error).__name__}: {error}") from None
    return module
