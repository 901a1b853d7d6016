"""What a run was asked to do: everything that its results depend on, as run.toml keeps it."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lossgen import settings
from lossgen.errors import InputError
from lossgen.files import write_text
from lossgen.runner import Fit

SCHEMA = 1
BASELINES = ("bce", "lsgan", "hinge", "ganetic")
RUNNERS_UP = 2


class DataConfig(BaseModel):
    """The fields of `runner.DataSpec`."""

    model_config = ConfigDict(extra="forbid")

    name: str = settings.DATA
    root: str | None = None
    image_size: int | None = Field(default=None, ge=1)
    fit: Fit = settings.FIT
    download: bool = False
    seed: int = 0


class RunConfig(BaseModel):
    """Configuration of a run.

    `steps`, `generations`, `polish` and `audit` None are planned when the run starts. The limits count the run's
    trainings and their steps, verification included, and the search's proposals. `select` and `vary` name functions
    that were given from Python; the command line cannot go on with a run that has them.

    `mode` says whether a search waits for a whole generation, or breeds as workers are free (`steady.py`).

    Of a search, `objective` says what becomes of the outcomes of a loss; `grid` are the pairs of learning rates that
    `robust` trains each with, `seeds` times; `rungs` are steps and replicates of a race, the last of them `steps` and
    all replicates. Where there are none, `race` says whether losses race over a quarter of the steps on one replicate,
    half of them, all, and all on all replicates, or are all trained the whole way.

    Of a comparison, `regularisers` are what each loss is trained with (`conditions.parse_regularisers`), None for what
    it asks for itself; `grid` are the pairs of learning rates that each is tuned over on `tune_seeds` seeds, or where
    `objective` is `robust` trained with on each seed; `rates` are pairs that were chosen before, by a loss's name.

    Of a calibration, `budgets` are the steps at which its trainings are looked at, ascending, the last of them `steps`,
    and `grid` the pairs that each loss is trained with.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["evolve", "compare", "calibrate", "ask"]
    runner: str = settings.RUNNER
    runner_digest: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    data: DataConfig = Field(default_factory=DataConfig)
    space: str = settings.SPACE
    space_text: str = ""
    population: int = Field(settings.POPULATION, ge=1)
    generations: int | None = Field(None, ge=1)
    mode: settings.Mode = settings.MODE
    steps: int | None = Field(None, ge=1)
    objective: settings.ObjectiveKind = "quality"
    seeds: int = Field(settings.SEEDS, ge=1)
    rungs: list[tuple[int, int]] | None = None
    race: bool = False
    verify_seeds: int = Field(settings.VERIFY_SEEDS, ge=2)
    polish: int | None = Field(None, ge=0)
    audit: int | None = Field(None, ge=0)
    max_trainings: int | None = Field(None, ge=1)
    max_candidates: int | None = Field(None, ge=1)
    max_steps: int | None = Field(None, ge=1)
    cache: bool = False
    select: str = ""
    vary: str = ""
    seed: int = Field(settings.SEED, ge=0)
    device: str = settings.DEVICE
    seed_losses: list[str] = Field(default_factory=list)
    losses: list[str] = Field(default_factory=list)
    regularisers: list[str] | None = None
    grid: list[tuple[float, float]] | None = None
    tune_seeds: int | None = Field(None, ge=1)
    rates: dict[str, tuple[float, float]] | None = None
    budgets: list[int] | None = None
    time_limit: float | None = Field(None, gt=0)
    timeout: float | None = Field(None, gt=0)

    @property
    def replicates(self) -> int:
        """Trainings of a loss that is searched the whole way."""
        if self.rungs:
            return self.rungs[-1][1]
        return self.seeds * (len(self.grid or [""]) if self.objective == "robust" else 1)

    @property
    def races(self) -> bool:
        """Whether some losses are trained a part of the way only."""
        return bool(self.rungs) or self.race

    def rungs_at(self, steps: int) -> list[tuple[int, int]]:
        """Steps and replicates of the race of a search whose trainings have so many steps; one rung is none."""
        if self.rungs:
            return self.rungs
        alone = [(steps // part, 1) for part in (4, 2, 1) if self.race and steps >= part]
        return list(dict.fromkeys([*alone, (steps, self.replicates)]))

    @property
    def rows(self) -> int:
        """Of a comparison's table: losses, each with each regulariser."""
        return len(self.losses) * len(self.regularisers or [""])

    @property
    def tune_trainings(self) -> int:
        """Trainings that choose learning rates for a comparison."""
        return self.rows * len(self.grid or []) * (self.tune_seeds or 0)

    @property
    def calibrated(self) -> int:
        """Trainings of a calibration, each to its last budget."""
        return len(self.losses) * len(self.grid or [""]) * self.seeds


def write_config(config: RunConfig, path: Path, versions: dict[str, str]) -> None:
    """Write run.toml: the configuration and the versions it began with."""
    text = {"schema": SCHEMA, **config.model_dump(exclude_none=True), "versions": versions}
    write_text(path, tomli_w.dumps(text))


def read_config(path: Path) -> RunConfig:
    """Read run.toml.

    Raises:
        InputError: it is not there, or not one of lossgen's.
    """
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
        schema = text.pop("schema", None)
        complete = bool(text.pop("versions", None))  # they are written last
        if schema is not None and schema != SCHEMA:
            raise InputError(f"{path}: schema {schema}, this lossgen reads {SCHEMA}")
        config = RunConfig.model_validate(text) if schema else None
        if config is None or not complete:
            raise InputError(f"{path}: is cut short; restore it from a copy, or start a new run")
        return config
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
