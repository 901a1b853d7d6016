"""A comparison that is asked for more: other losses and seeds beside those that it has, which are not trained again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lossgen.codegen.load import read_emitted
from lossgen.errors import InputError
from lossgen.evolution.conditions import pair_text
from lossgen.evolution.config import RunConfig, read_config, write_config
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import CONFIG, Run, open_run, versions
from lossgen.settings import STEPS


def holds_comparison(path: Path) -> bool:
    """Whether a folder is that of a comparison."""
    return (path / CONFIG).is_file() and read_config(path / CONFIG).kind == "compare"


@contextmanager
def open_wider(path: Path, asked: RunConfig) -> Iterator[Run]:
    """Open a comparison that exists, to do what `asked` asks for beyond it.

    All that it was asked for before is to be asked for again, so nothing that it shows is lost, and it ends with the
    record of a new run that is asked for all of it. The folder keeps its configuration until `take_up`.

    Raises:
        InputError: its setting is another, or some of it is not asked for; or as `open_run`.
    """
    with open_run(path) as run:
        check_wider(path, run.config, asked, run.archive.meta("steps"))
        run.config = asked
        yield run


def take_up(run: Run) -> None:
    """Write what a run is now asked for to its folder; what it came to before no longer is its result."""
    began = read_config(run.path / CONFIG)
    wider = run.config.model_copy(update={"time_limit": began.time_limit, "timeout": began.timeout})
    if wider == began:
        return
    with run.archive.together():  # should the next write not come about, a resume finds the old result again
        run.archive.set_meta("finished", False)
        run.archive.set_meta("result", {})
    if run.config.time_limit:
        run.archive.set_meta("reproducible", False)
    write_config(run.config, run.path / CONFIG, run.archive.meta("versions") or versions())


def check_wider(path: Path, began: RunConfig, asked: RunConfig, steps: int | None) -> None:
    """Raise InputError unless `asked` is `began`, and more losses, regularisers or seeds beside it.

    Args:
        steps: of the trainings that were made; None where there are none.
    """
    other = "or choose another --out"
    before, now = _setting(began, steps), _setting(asked, steps)
    pairs = {name: (value, now.get(name, "an option")) for name, value in before.items()}
    differs = [f"{name} was {value}, not {new}" for name, (value, new) in pairs.items() if value != new]
    if differs:
        what = "; ".join(differs)
        raise InputError(f"--out {path}: holds a comparison under another setting ({what}); give the same, {other}")
    mine, theirs = _losses(began), _losses(asked)
    called = {digest: name for name, digest in theirs.items()}
    for name, digest in mine.items():
        if theirs.get(name, digest) != digest:
            raise InputError(f"--out {path}: {name} is another loss than it was there; give it another name, {other}")
        if called.get(digest, name) != name:
            raise InputError(f"--out {path}: {called[digest]} is called {name} there; give it that name, {other}")
    missing = ", ".join(name for name in mine if name not in theirs)
    if missing:
        raise InputError(f"--out {path}: holds {missing}, too; name all, what is trained is not trained again, {other}")
    for name in mine:
        pair = (began.rates or {}).get(name)
        if pair != (asked.rates or {}).get(name):
            had = f"--rates {pair_text(pair)}" if pair else "no --rates"
            raise InputError(f"--out {path}: {name} had {had} there; give the same, {other}")
    missing = ", ".join(text for text in began.regularisers or [] if text not in (asked.regularisers or []))
    if missing:
        raise InputError(f"--out {path}: holds --regulariser {missing}, too; give all, {other}")
    if asked.seeds < began.seeds:
        has = f"has {began.seeds} seeds of each loss; give --seeds {began.seeds} or more"
        raise InputError(f"--out {path}: {has}, {other}")


def _losses(config: RunConfig) -> dict[str, str]:
    """Digest by name."""
    losses = {}
    for source in config.losses:
        loss = read_emitted(source, CONFIG)
        losses[loss.name] = Entry.of(loss, source).digest
    return losses


def _setting(config: RunConfig, steps: int | None) -> Mapping[str, Any]:
    """What has to be the same, by what it is called."""
    data = config.data
    # Without --steps, a comparison has those that it was trained for if it began so, too, else the usual ones.
    counted = config.steps or (steps if steps is not None and config.time_limit else STEPS)
    grid = ",".join(map(pair_text, config.grid)) if config.grid else "off"
    given: dict[str, Any] = {
        "--runner": Path(config.runner).stem, "the runner's file": config.runner_digest[:12],
        **{f"--{name.replace('_', '-')}": value for name, value in config.options.items()},
        "--data": data.name, "--data-dir": data.root, "--image-size": data.image_size, "--fit": data.fit,
        "the split's seed": data.seed, "--steps": counted, "--seed": config.seed, "--device": config.device,
        "the crossing with --regulariser": "off" if config.regularisers is None else "on",
        "--objective": config.objective, "the grid of learning rates": grid, "--tune-seeds": config.tune_seeds,
    }  # fmt: skip
    return {name: "not given" if value in (None, "") else value for name, value in given.items()}
