"""lossgen.verify: losses climb the ladder of verification, a comparison a rung, each in a folder of its own.

The same call on the same folder goes on where it was stopped: what is trained is not trained again.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lossgen import settings
from lossgen.api import check_comparison, file_of
from lossgen.api.rungs import TRY, Baselines, Climb
from lossgen.codegen.load import load_argument, read_emitted
from lossgen.errors import InputError
from lossgen.evolution.comparing import loss_sources
from lossgen.evolution.config import BASELINES
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.ladder import TARGETS, Ladder
from lossgen.evolution.run import RUNS
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.report.html import write_ladder_report
from lossgen.report.ladder import ladder_lines, write_ladder
from lossgen.runner import Fit, find_runner

FIRST = ("fresh", "tuned")
"""Rungs that are climbed without being asked for all."""
FURTHER = 4
"""Times the steps, of the plateau where no other is given."""

Time = float | str


def verify(
    losses: str | Path | Sequence[str | Path],
    *,
    ladder: bool = False,
    every: bool = False,
    runner: str | Path | type = settings.RUNNER,
    data: str | Path = settings.DATA,
    verify_on: str | Path | Sequence[str | Path] = (),
    steps: int | None = None,
    plateau: int | None = None,
    seeds: int = settings.VERIFY_SEEDS,
    objective: Literal["quality", "robust"] | None = None,
    grid: str | Sequence[tuple[float, float]] | None = None,
    tune_seeds: int = settings.TUNE_SEEDS,
    extractor_weights: str | Path | None = None,
    trust: bool = False,
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
    callbacks: Sequence[Listener] = (),
    quiet: bool = False,
    **options: Any,
) -> Ladder:
    """Have losses climb the ladder of verification: `lossgen verify` from Python.

        ladder = verify("generated/found.py", ladder=True, data="mnist", verify_on=["cifar10"])
        print(ladder.headline("Found"))

    The rungs are those of `evolution.ladder.RUNGS`: better than each of BCE, least squares, hinge and GANetic on fresh
    seeds; than these and a one-sidedly smoothed BCE of three targets where all are tuned on one grid; and so on. A rung
    is tried while a loss has passed the one before. A baseline that is one of the losses stays one for the others.

    Args:
        losses: LOSS arguments, as `compare` takes them.
        ladder: climb all rungs, not only the first two.
        every: try the rungs above one that no loss has passed, too.
        verify_on: other data, for the last rung.
        plateau: steps where training longer gains little, as a calibration may have shown; else 4 times `steps`.
        seeds: of each loss; each rung that trains has other ones. They stay those of an earlier call with this `out`.
        objective: of the rung `fresh`: "robust" compares means over all pairs of the `grid`, as a robust search does.
        extractor_weights: file of the Inception network's weights, which then judges the rung `judge`.
        out: folder; the one of an earlier call, with the same arguments, is gone on with.

    The others are as `compare` has them.

    Raises:
        InputError: one line that says what cannot be done, and what to do.
        Stopped: it was stopped on its way; the same call goes on.
    """
    given = [str(text) for text in ([losses] if isinstance(losses, str | Path) else losses)]
    others = [str(text) for text in ([verify_on] if isinstance(verify_on, str | Path) else verify_on)]
    mine = [read_emitted(source, "verify") for source in loss_sources(given, trust, "verify")]
    name = "command" if command is not None else file_of(runner) if isinstance(runner, type) else str(runner)
    own_data = hasattr(find_runner(name).cls, "own_data") or command is not None
    _check(others, extractor_weights, None if own_data else str(data))
    common: dict[str, Any] = {
        "seeds": seeds, "trust": trust, "timeout": timeout, "workers": workers, "gpus_per_worker": gpus_per_worker,
        "device": device, "command": command, "metric": metric, "callbacks": callbacks, "quiet": quiet, **options,
    }  # fmt: skip
    if command is None:  # which brings data of its own
        common |= {"runner": name, "data": data, "data_dir": data_dir, "image_size": image_size, "fit": fit}
        common |= {"download": download}
    counted = command is None or "{steps}" in command
    length = (steps or settings.STEPS) if counted else None
    if plateau is not None and plateau <= (length or 0):
        raise InputError(f"--plateau {plateau}: is no longer than the {length} steps of the other rungs; give more")
    smoothed = [_smoothed(target) for target in TARGETS]
    first = {} if objective in (None, "quality") else {"objective": objective, "grid": grid}
    climb = Climb(
        given, [loss.name for loss in mine], _baselines(BASELINES, mine), _baselines([*BASELINES, *smoothed], mine),
        Path(out) if out is not None else default_folder(mine[0].name), name, others,
        str(extractor_weights) if extractor_weights is not None else "", length,
        plateau or FURTHER * (length or 1), seed, first,
        {"tune": True, "grid": grid, "tune_seeds": tune_seeds}, common,
    )  # fmt: skip
    _check_tuning(climb)
    climbed = Ladder(climb.names, [])
    for rung in TRY if ladder else FIRST:
        tried = [step for step in climbed.steps if not step.why_not]
        if tried and not tried[-1].passed and not every:
            break
        climbed = Ladder(climb.names, [*climbed.steps, TRY[rung](climb)])
        write_ladder(climbed, climb.folder)
        write_ladder_report(climb.folder)
    if not quiet:
        from rich.console import Console

        console = Console(width=120, force_terminal=False, force_jupyter=False)
        for line in ladder_lines(climbed, climb.folder):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    return climbed


def _check(others: Sequence[str], weights: str | Path | None, first: str | None) -> None:
    """Refuse what no rung could be climbed with, before hours are spent on those below it.

    Args:
        first: the data of the other rungs; None where they are the runner's own.
    """
    if others and first is None:
        raise InputError("--verify-on: the runner has data of its own; leave it out")
    for data in others:
        if data == first:
            raise InputError(f"--verify-on {data}: is what the other rungs are climbed on; give other data")
        if (Path(data).suffix or "/" in data) and not Path(data).exists():
            raise InputError(f"--verify-on {data}: no such file or folder")
        if others.count(data) > 1:
            raise InputError(f"--verify-on {data}: is given twice; give each once")
    if weights is not None and not Path(weights).is_file():
        raise InputError(f"--extractor-weights {weights}: no such file")


def _check_tuning(climb: Climb) -> None:
    """Refuse what the second rung could not begin with, before the first is climbed."""
    if climb.tunable:
        steps = {} if climb.steps is None else {"steps": climb.steps}
        check_comparison(climb.losses, **climb.common, **steps, **climb.tune)
    elif climb.tune["grid"] is not None and not climb.first:
        raise InputError("--grid: the runner has no learning rates to be tuned; leave it out")


def _baselines(texts: Sequence[str], losses: Sequence[Loss]) -> Baselines:
    """These baselines beside the losses: a loss that has the gradients of one stands in its place."""
    found = {text: load_argument(text).loss for text in texts}
    mine = {_mark(loss): loss.name for loss in losses}
    extra = [text for text, loss in found.items() if _mark(loss) not in mine]
    return Baselines(extra, [mine.get(_mark(loss), loss.name) for loss in found.values()])


def _mark(loss: Loss) -> str:
    lowered = lower_loss(loss)
    if lowered.has_batch_terms or loss.needs:
        return Entry.of(loss).digest
    return fingerprint(screen([lowered])[0].curves, scale_free=False)


def _smoothed(target: float) -> str:
    """BCE with a one-sided target (Salimans et al. 2016)."""
    return (
        f"loss BCESmooth{round(100 * target)}(y_pred):\n"
        f"    real: -({target} * log(y_pred) + {round(1 - target, 6)} * log(1 - y_pred))\n"
        "    fake: -log(1 - y_pred)\n    generator: -log(y_pred)"
    )


def default_folder(name: str) -> Path:
    """Where a loss is verified unless it is said."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return RUNS / f"{now}-verify-{name}"
