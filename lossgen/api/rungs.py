"""The rungs of `lossgen verify`: each is a comparison, or several, in folders of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossgen.api import compare
from lossgen.api.run import Run
from lossgen.errors import InputError
from lossgen.evolution.compare import Comparison
from lossgen.evolution.conditions import RATES
from lossgen.evolution.events import Stopped
from lossgen.evolution.ladder import Step, Trial, beside_baselines, under_metric
from lossgen.evolution.run import open_run
from lossgen.runner import DataSpec, find_runner

if TYPE_CHECKING:
    from lossgen.gan.rejudging import Rejudge

APART = 1000
"""Between the seeds of the runs of two rungs."""


@dataclass(frozen=True)
class Climb:
    """What a ladder is climbed with.

    Attributes:
        losses: LOSS arguments, and `names` of them, in their order.
        baselines: LOSS arguments of those that are none of the losses.
        known: names of all that are baselines, the losses among them that train as one does.
        rungs: names of those to be climbed.
        steps: of a training; None where the runner does not count them.
        has: names of the runner's options.
        common: arguments of every comparison.
    """

    losses: Sequence[str]
    names: Sequence[str]
    baselines: Sequence[str]
    known: Sequence[str]
    rungs: Sequence[str]
    folder: Path
    steps: int | None
    plateau: int
    seed: int
    grid: Any
    tune_seeds: int
    options: Mapping[str, Any]
    common: Mapping[str, Any]
    has: Sequence[str]

    def compared(self, rung: str, number: int, **more: Any) -> Run:
        """The comparison of a rung, or of a part of it."""
        arguments = {**self.common, **self.options, **more}
        run = compare(
            [*self.losses, *self.baselines], out=self.folder / rung, seed=self.seed + APART * (number + 1), **arguments
        )
        if not run.finished:
            raise Stopped
        return run

    def counted(self, steps: int | None) -> dict[str, int]:
        """Steps as an argument of a comparison."""
        return {} if steps is None else {"steps": steps}

    def length(self, steps: int | None) -> str:
        """Steps in words."""
        return "trainings as long as they are" if steps is None else f"{steps} steps"

    def trial(self, comparison: Comparison, what: str = "") -> Trial:
        """Its losses beside its baselines."""
        return beside_baselines(comparison, self.names, self.known, what)


def _fresh(climb: Climb, number: int, more: Mapping[str, Any]) -> Step:
    run = climb.compared("fresh", number, **climb.counted(climb.steps))
    return _step("fresh", f"{climb.length(climb.steps)}, one setting for all", run, climb)


def _tuned(climb: Climb, number: int, more: Mapping[str, Any]) -> Step:
    if not set(RATES) <= set(climb.has):
        return Step("tuned", "", [], "the runner has no learning rates to be tuned")
    how = {"tune": True, "grid": climb.grid, "tune_seeds": climb.tune_seeds}
    run = climb.compared("tuned", number, **climb.counted(climb.steps), **how)
    return _step("tuned", f"{climb.length(climb.steps)}, each at its own learning rates", run, climb)


def _plateau(climb: Climb, number: int, more: Mapping[str, Any]) -> Step:
    if climb.steps is None:
        return Step("plateau", "", [], "the command does not say how long it trains")
    run = climb.compared("plateau", number, steps=climb.plateau, rates=_rates(climb))
    return _step("plateau", f"{climb.plateau} steps{_as_tuned(climb)}", run, climb)


def _judge(climb: Climb, number: int, more: Mapping[str, Any]) -> Step:
    """What the trainings of the rung before have kept, by another extractor; nothing is trained."""
    before = next((each for each in ("plateau", "tuned", "fresh") if (climb.folder / each).exists()), "fresh")
    run = Run(climb.folder / before)
    comparison = run.comparison
    assert comparison is not None
    well = [outcome for result in comparison.results for outcome in result.outcomes if outcome.status == "ok"]
    models = [outcome.files["model"] for outcome in well if "model" in outcome.files]
    if not models or len(models) < len(well) or not all(model.is_file() for model in models):
        return Step("judge", "", [], "the runner keeps no models that could be judged again")
    seen = comparison.metric.partition("[")[2].partition("]")[0] or "inception"
    other = "inception" if more["weights"] and seen != "inception" else "classifier" if seen == "random" else "random"
    with open_run(run.path, locked=False) as opened:
        protocol = opened.archive.meta("protocol", {})
    spec, count = DataSpec(**run.config.data.model_dump()), int(protocol.get("n_generated", 1024))
    try:
        from lossgen.gan.rejudging import Rejudge

        rejudge = Rejudge(models[0], spec, other, count, more["weights"], run.config.device)
    except InputError as error:
        return Step("judge", "", [], f"no other extractor can be had: {error}")
    judged = _judged(comparison, rejudge)
    trials = [
        climb.trial(under_metric(judged, rejudge.title(metric), direction), rejudge.title(metric))
        for metric, direction in (("FD", "min"), ("KID", "min"), ("coverage", "max"))
    ]
    return Step("judge", f"the models of the rung {before}; {rejudge.description}", trials)


def _wide(climb: Climb, number: int, more: Mapping[str, Any]) -> Step:
    if "width" not in climb.has:
        return Step("wide", "", [], "the runner has no width")
    fields = find_runner(more["runner"]).cls.options.model_fields
    width = 2 * int(climb.options.get("width", fields["width"].default))
    kinds = ("none", "batch") if "normalisation" in climb.has else ("",)
    trials = []
    for place, kind in enumerate(kinds):
        own = {"width": width, **({"normalisation": kind} if kind else {}), "rates": _rates(climb)}
        folder = f"wide-{kind}" if kind else "wide"
        comparison = climb.compared(folder, number + 10 * place, **climb.counted(climb.steps), **own).comparison
        assert comparison is not None
        trials.append(climb.trial(comparison, f"normalisation {kind}" if kind else ""))
    return Step("wide", f"width {width}, {climb.length(climb.steps)}{_as_tuned(climb)}", trials)


def _data(climb: Climb, number: int, more: Mapping[str, Any]) -> Step:
    if not more["verify_on"]:
        return Step("data", "", [], "no other data were given (--verify-on)")
    tuned = set(RATES) <= set(climb.has)
    tune = {"tune": True, "grid": climb.grid, "tune_seeds": climb.tune_seeds} if tuned else {}
    trials = []
    for place, data in enumerate(more["verify_on"]):
        name = f"data-{Path(data).stem}" + f"-{place + 1}" * (place > 0)
        comparison = climb.compared(
            name, number + 10 * place, **climb.counted(climb.steps), data=data, **tune
        ).comparison
        assert comparison is not None
        trials.append(climb.trial(comparison, Path(data).stem))
    return Step("data", climb.length(climb.steps) + ", each at its own learning rates there" * tuned, trials)


def _step(rung: str, detail: str, run: Run, climb: Climb) -> Step:
    comparison = run.comparison
    assert comparison is not None
    return Step(rung, detail, [climb.trial(comparison)])


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


def _rates(climb: Climb) -> dict[str, tuple[float, float]] | None:
    """Pairs that the rung `tuned` has chosen, by the name of the loss."""
    comparison = Run(climb.folder / "tuned").comparison if (climb.folder / "tuned").exists() else None
    if comparison is None:
        return None
    pairs = {result.name: result.rates.split(":") for result in comparison.results}
    return {name: (float(generator), float(discriminator)) for name, (generator, discriminator) in pairs.items()}


def _as_tuned(climb: Climb) -> str:
    return ", at the learning rates of the tuning" if _rates(climb) else ", one setting for all"


TRY: Mapping[str, Callable[[Climb, int, Mapping[str, Any]], Step]] = {
    "fresh": _fresh, "tuned": _tuned, "plateau": _plateau, "judge": _judge, "wide": _wide, "data": _data,
}  # fmt: skip
"""By the name of a rung, in their order: what tries it."""
