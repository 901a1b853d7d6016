"""lossgen.verify: losses climb the ladder of verification, a comparison a rung, each in a folder of its own.

The same call on the same folder goes on where it was stopped: what is trained is not trained again.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossgen import settings
from lossgen.api import compare
from lossgen.api.run import Run
from lossgen.codegen.load import load_argument, read_emitted
from lossgen.errors import InputError
from lossgen.evolution.compare import Comparison
from lossgen.evolution.comparing import loss_sources
from lossgen.evolution.conditions import RATES
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener, Stopped
from lossgen.evolution.ladder import BASELINES, TARGETS, Ladder, Step, beside_baselines, under_metric
from lossgen.evolution.run import RUNS, open_run
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.report.ladder import ladder_lines, write_ladder
from lossgen.runner import DataSpec, Fit, find_runner

if TYPE_CHECKING:
    from lossgen.gan.rejudging import Rejudge

FIRST = ("fresh", "tuned")
"""Rungs that are climbed without being asked for all."""
APART = 1000
"""Between the seeds of the runs of two rungs."""
FURTHER = 4
"""Times the steps, of the plateau where no other is given."""

Time = float | str


@dataclass(frozen=True)
class _Climb:
    """What a ladder is climbed with.

    Attributes:
        losses: LOSS arguments; names of them, in their order; and the baselines' arguments.
        rungs: names of those to be climbed.
        common: arguments of every comparison.
    """

    losses: Sequence[str]
    names: Sequence[str]
    baselines: Sequence[str]
    rungs: Sequence[str]
    folder: Path
    steps: int
    plateau: int
    seed: int
    grid: Any
    tune_seeds: int
    options: Mapping[str, Any]
    common: Mapping[str, Any]
    known: Sequence[str]

    def compared(self, rung: str, number: int, **more: Any) -> Run:
        """The comparison of a rung, or of a part of it."""
        arguments = {**self.common, **self.options, **more}
        run = compare(
            [*self.losses, *self.baselines], out=self.folder / rung, seed=self.seed + APART * number, **arguments
        )
        if not run.finished:
            raise Stopped
        return run


def verify(
    losses: str | Path | Sequence[str | Path],
    *,
    ladder: bool = False,
    every: bool = False,
    runner: str | Path | type = settings.RUNNER,
    data: str | Path = settings.DATA,
    verify_on: Sequence[str | Path] = (),
    steps: int = settings.STEPS,
    plateau: int | None = None,
    seeds: int = settings.VERIFY_SEEDS,
    grid: str | Sequence[tuple[float, float]] | None = None,
    tune_seeds: int = settings.TUNE_SEEDS,
    extractor_weights: str | Path | None = None,
    trust: bool = False,
    timeout: Time | None = None,
    seed: int = settings.SEED,
    workers: int | None = None,
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

    The rungs are those of `evolution.ladder.RUNGS`: better than the best of BCE, least squares, hinge, GANetic and a
    one-sidedly smoothed BCE of three targets on fresh seeds; where all are tuned on one grid; and so on. A rung is
    tried while a loss has passed the one before. A baseline that is one of the losses is left out.

    Args:
        losses: LOSS arguments, as `compare` takes them.
        ladder: climb all rungs, not only the first two.
        every: try the rungs above one that no loss has passed, too.
        verify_on: other data, for the last rung.
        plateau: steps of a training where training longer gains little; 4 times `steps` where it is not given.
        seeds: of each loss on each rung, other ones on each.
        extractor_weights: file of the Inception network's weights, which then judges the rung `judge`.
        out: folder; the one of an earlier call, with the same arguments, is gone on with.

    The others are as `compare` has them.

    Raises:
        InputError: one line that says what cannot be done, and what to do.
        Stopped: it was stopped on its way; the same call goes on.
    """
    given = [str(text) for text in ([losses] if isinstance(losses, str | Path) else losses)]
    sources = loss_sources(given, trust, "verify")
    mine = [read_emitted(source, "verify") for source in sources]
    found = find_runner(str(runner) if command is None else "command")
    known = list(found.cls.options.model_fields)
    folder = Path(out) if out is not None else _default_folder(mine[0].name)
    common = {
        "runner": runner, "data": data, "seeds": seeds, "trust": trust, "timeout": timeout, "workers": workers,
        "device": device, "data_dir": data_dir, "image_size": image_size, "fit": fit, "download": download,
        "command": command, "metric": metric, "callbacks": callbacks, "quiet": quiet,
    }  # fmt: skip
    climb = _Climb(
        given, [loss.name for loss in mine], _baselines(mine), tuple(_TRY) if ladder else FIRST, folder, steps,
        plateau or FURTHER * steps, seed, grid, tune_seeds, options, common, known,
    )  # fmt: skip
    done: list[Step] = []
    weights = str(extractor_weights) if extractor_weights is not None else ""
    for number, rung in enumerate(climb.rungs):
        tried = [step for step in done if not step.why_not]
        if tried and not tried[-1].passed and not every:
            break
        for step in _TRY[rung](climb, number, {"done": done, "verify_on": verify_on, "weights": weights}):
            done.append(step)
            write_ladder(Ladder(climb.names, done), folder)
    result = Ladder(climb.names, done)
    if not quiet:
        from rich.console import Console

        console = Console(width=120, force_terminal=False, force_jupyter=False)
        for line in ladder_lines(result, folder):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    return result


def _fresh(climb: _Climb, number: int, more: Mapping[str, Any]) -> list[Step]:
    run = climb.compared("fresh", number, steps=climb.steps)
    return [_step("fresh", f"{climb.steps} steps, one setting for all", run, climb)]


def _tuned(climb: _Climb, number: int, more: Mapping[str, Any]) -> list[Step]:
    if not set(RATES) <= set(climb.known):
        return [Step("tuned", "", [], "the runner has no learning rates to be tuned")]
    how = {"tune": True, "grid": climb.grid, "tune_seeds": climb.tune_seeds}
    run = climb.compared("tuned", number, steps=climb.steps, **how)
    return [_step("tuned", f"{climb.steps} steps, each at its own learning rates", run, climb)]


def _plateau(climb: _Climb, number: int, more: Mapping[str, Any]) -> list[Step]:
    run = climb.compared("plateau", number, steps=climb.plateau, rates=_rates(climb))
    detail = f"{climb.plateau} steps" + ", learning rates as tuned" * bool(_rates(climb))
    return [_step("plateau", detail, run, climb)]


def _judge(climb: _Climb, number: int, more: Mapping[str, Any]) -> list[Step]:
    """What the trainings of the rung before have kept, by another extractor; nothing is trained."""
    before = next((each for each in ("plateau", "tuned", "fresh") if (climb.folder / each).exists()), "fresh")
    run = Run(climb.folder / before)
    comparison = run.comparison
    assert comparison is not None
    well = [outcome for result in comparison.results for outcome in result.outcomes if outcome.status == "ok"]
    models = [outcome.files["model"] for outcome in well if "model" in outcome.files]
    if not models or len(models) < len(well) or not all(model.is_file() for model in models):
        return [Step("judge", "", [], "the runner keeps no models that could be judged again")]
    seen = comparison.metric.partition("[")[2].partition("]")[0] or "inception"
    other = "inception" if more["weights"] and seen != "inception" else "classifier" if seen == "random" else "random"
    with open_run(run.path, locked=False) as opened:
        protocol = opened.archive.meta("protocol", {})
    spec, count = DataSpec(**run.config.data.model_dump()), int(protocol.get("n_generated", 1024))
    try:
        from lossgen.gan.rejudging import Rejudge

        rejudge = Rejudge(models[0], spec, other, count, more["weights"], run.config.device)
    except InputError as error:
        return [Step("judge", "", [], f"no other extractor can be had: {error}")]
    judged = _judged(comparison, rejudge)
    trials = []
    for metric, direction in (("FD", "min"), ("KID", "min"), ("coverage", "max")):
        by = under_metric(judged, rejudge.title(metric), direction)
        trials.append(beside_baselines(by, climb.names, rejudge.title(metric)))
    return [Step("judge", f"the models of the rung {before}; {rejudge.description}", trials)]


def _wide(climb: _Climb, number: int, more: Mapping[str, Any]) -> list[Step]:
    if "width" not in climb.known:
        return [Step("wide", "", [], "the runner has no width")]
    fields = find_runner(str(climb.common["runner"])).cls.options.model_fields
    width = 2 * int(climb.options.get("width", fields["width"].default))
    kinds = ("none", "batch") if "normalisation" in climb.known else ("",)
    trials = []
    for place, kind in enumerate(kinds):
        own = {"width": width, **({"normalisation": kind} if kind else {}), "rates": _rates(climb)}
        run = climb.compared(f"wide-{kind}" if kind else "wide", number + 10 * place, steps=climb.steps, **own)
        comparison = run.comparison
        assert comparison is not None
        trials.append(beside_baselines(comparison, climb.names, f"normalisation {kind}" if kind else ""))
    return [Step("wide", f"width {width}, {climb.steps} steps, learning rates as tuned", trials)]


def _data(climb: _Climb, number: int, more: Mapping[str, Any]) -> list[Step]:
    if not more["verify_on"]:
        return [Step("data", "", [], "no other data were given (--verify-on)")]
    tune = {"tune": True, "grid": climb.grid, "tune_seeds": climb.tune_seeds} if set(RATES) <= set(climb.known) else {}
    steps = []
    for place, data in enumerate(map(str, more["verify_on"])):
        name = f"data-{Path(data).stem}"
        run = climb.compared(name, number + 10 * place, data=data, steps=climb.steps, **tune)
        how = ", each at its own learning rates" * bool(tune)
        steps.append(_step("data", f"{Path(data).stem}, {climb.steps} steps{how}", run, climb))
    return steps


_TRY: Mapping[str, Callable[[_Climb, int, Mapping[str, Any]], list[Step]]] = {
    "fresh": _fresh, "tuned": _tuned, "plateau": _plateau, "judge": _judge, "wide": _wide, "data": _data,
}  # fmt: skip


def _step(rung: str, detail: str, run: Run, climb: _Climb) -> Step:
    comparison = run.comparison
    assert comparison is not None
    return Step(rung, detail, [beside_baselines(comparison, climb.names)])


def _judged(comparison: Comparison, rejudge: "Rejudge") -> Comparison:
    """The comparison with what another extractor says of every model in it."""
    results = []
    for result in comparison.results:
        outcomes = [
            replace(outcome, metrics=rejudge.measure(outcome.files["model"])) if outcome.status == "ok" else outcome
            for outcome in result.outcomes
        ]
        results.append(replace(result, outcomes=outcomes))
    return replace(comparison, results=results)


def _rates(climb: _Climb) -> dict[str, tuple[float, float]] | None:
    """Pairs that the rung `tuned` has chosen, by the name of the loss."""
    comparison = Run(climb.folder / "tuned").comparison if (climb.folder / "tuned").exists() else None
    if comparison is None:
        return None
    pairs = {result.name: result.rates.split(":") for result in comparison.results}
    return {name: (float(generator), float(discriminator)) for name, (generator, discriminator) in pairs.items()}


def _baselines(losses: Sequence[Loss]) -> list[str]:
    """LOSS arguments of the baselines, without those that train as one of the losses does."""
    texts = [*BASELINES, *map(_smoothed, TARGETS)]
    mine = {_mark(loss) for loss in losses}
    return [text for text in texts if _mark(load_argument(text).loss) not in mine]


def _mark(loss: Loss) -> str:
    lowered = lower_loss(loss)
    if lowered.has_batch_terms or loss.needs:
        return Entry.of(loss).digest
    return fingerprint(screen([lowered])[0].curves)


def _smoothed(target: float) -> str:
    """BCE with a one-sided target (Salimans et al. 2016)."""
    return (
        f"loss BCESmooth{round(100 * target)}(y_pred):\n"
        f"    real: -({target} * log(y_pred) + {round(1 - target, 6)} * log(1 - y_pred))\n"
        "    fake: -log(1 - y_pred)\n    generator: -log(y_pred)"
    )


def _default_folder(name: str) -> Path:
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return RUNS / f"{now}-verify-{name}"
