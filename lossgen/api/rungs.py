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
from lossgen.evolution.config import read_config
from lossgen.evolution.events import Stopped
from lossgen.evolution.ladder import RUNGS, Step, Trial, beside_baselines, under_metric
from lossgen.evolution.run import CONFIG, open_run
from lossgen.evolution.widening import holds_comparison
from lossgen.report.comparison import edge_lines
from lossgen.runner import DataSpec, find_runner

if TYPE_CHECKING:
    from lossgen.gan.rejudging import Rejudge

APART = 1_000_000
"""Between the seeds of the runs of two rungs; those of a rung's parts lie ten times as far apart. So far from the small
numbers that people give, they are those of no search or comparison."""


@dataclass(frozen=True)
class Baselines:
    """What losses are held against.

    Attributes:
        texts: LOSS arguments of those that are none of the losses.
        names: of all, the losses among them that train as one does.
    """

    texts: Sequence[str]
    names: Sequence[str]


@dataclass(frozen=True)
class Climb:
    """What a ladder is climbed with.

    Attributes:
        losses: LOSS arguments, and `names` of them, in their order.
        plain: baselines of the rung `fresh`, those of a search.
        baselines: of the rungs above, where they are tuned: those and BCE with one-sided targets.
        runner: name or path.
        verify_on: other data.
        weights: file of the Inception network's weights; "" for none.
        steps: of a training; None where the runner does not count them.
        first: arguments of the first comparison beside those of all: of the mean over all pairs of rates; else none.
        tune: arguments of a comparison that tunes.
        common: arguments of every comparison, the runner's options among them.
    """

    losses: Sequence[str]
    names: Sequence[str]
    plain: Baselines
    baselines: Baselines
    folder: Path
    runner: str
    verify_on: Sequence[str]
    weights: str
    steps: int | None
    plateau: int
    seed: int
    first: Mapping[str, Any]
    tune: Mapping[str, Any]
    common: Mapping[str, Any]

    @property
    def fields(self) -> Mapping[str, Any]:
        """The runner's options by name."""
        return find_runner(self.runner).cls.options.model_fields

    @property
    def tunable(self) -> bool:
        """Whether the runner has learning rates."""
        return set(RATES) <= set(self.fields)

    @property
    def length(self) -> str:
        """The steps in words."""
        return "trainings as long as they are" if self.steps is None else f"{self.steps} steps"

    def trial(self, rung: str, part: str = "", what: str = "", place: int = 0, **more: Any) -> Trial:
        """A comparison of a rung, its losses beside its baselines.

        Args:
            part: what tells it from others of the rung, in the name of its folder.
            what: the same in words.
            place: among these; each has seeds of its own.
        """
        own = {**self.common, **({} if self.steps is None else {"steps": self.steps}), **more}
        seed = self.seed + APART * (list(RUNGS).index(rung) + 10 * place)
        folder = self.folder / (f"{rung}-{part}" if part else rung)
        self._check_first_look(folder)
        baselines = self.plain if rung == "fresh" else self.baselines
        run = compare([*self.losses, *baselines.texts], out=folder, seed=seed, **own)
        if not run.finished:
            raise Stopped
        comparison = comparison_in(run)
        found = beside_baselines(comparison, self.names, baselines.names, what)
        return replace(found, notes=edge_lines(comparison, run.config.grid))

    def _check_first_look(self, folder: Path) -> None:
        """Raise InputError where the rung was climbed on fewer seeds: more looks are more chances to be lucky."""
        had, asked = read_config(folder / CONFIG).seeds if holds_comparison(folder) else 0, self.common["seeds"]
        if 0 < had < asked:
            raise InputError(
                f"--out {self.folder}: was verified on {had} seeds, and looking again on more is a second chance; give "
                f"--seeds {had} to go on, or another --out and --seed for a verification of its own"
            )


def comparison_in(run: Run) -> Comparison:
    """The comparison of a finished run."""
    comparison = run.comparison
    assert comparison is not None
    return comparison


def _fresh(climb: Climb) -> Step:
    how = "the mean over all pairs of learning rates" if climb.first else "one setting for all"
    return Step("fresh", f"{climb.length}, {how}", [climb.trial("fresh", **climb.first)])


def _tuned(climb: Climb) -> Step:
    if not climb.tunable:
        return Step("tuned", "", [], "the runner has no learning rates to be tuned")
    return Step("tuned", f"{climb.length}, each at its own learning rates", [climb.trial("tuned", **climb.tune)])


def _plateau(climb: Climb) -> Step:
    if climb.steps is None:
        return Step("plateau", "", [], "the command does not say how long it trains")
    rates = _rates(climb)
    trial = climb.trial("plateau", steps=climb.plateau, rates=rates)
    return Step("plateau", f"{climb.plateau} steps, {_chosen(rates)}", [trial])


def _judge(climb: Climb) -> Step:
    """What the trainings of the rung before have kept, by another extractor; nothing is trained."""
    before = next(each for each in ("plateau", "tuned", "fresh") if (climb.folder / each).exists())
    run = Run(climb.folder / before)
    comparison = comparison_in(run)
    well = [outcome for result in comparison.results for outcome in result.outcomes if outcome.status == "ok"]
    models = [outcome.files["model"] for outcome in well if "model" in outcome.files]
    if not models or len(models) < len(well) or not all(model.is_file() for model in models):
        return Step("judge", "", [], "the runner keeps no models that could be judged again")
    seen = comparison.metric.partition("[")[2].partition("]")[0] or "inception"
    other = "inception" if climb.weights and seen != "inception" else "classifier" if seen == "random" else "random"
    with open_run(run.path, locked=False) as opened:
        protocol = opened.archive.meta("protocol", {})
    spec, count = DataSpec(**run.config.data.model_dump()), int(protocol.get("n_generated", 1024))
    try:
        from lossgen.gan.rejudging import Rejudge

        weights = climb.weights if other == "inception" else ""
        rejudge = Rejudge(models[0], spec, other, count, weights, run.config.device)
    except InputError as error:
        return Step("judge", "", [], f"no other extractor can be had: {error}")
    judged = _judged(comparison, rejudge)
    titles = {rejudge.title(metric): way for metric, way in (("FD", "min"), ("KID", "min"), ("coverage", "max"))}
    against = climb.plain if before == "fresh" else climb.baselines
    trials = [
        beside_baselines(under_metric(judged, title, way), climb.names, against.names, title)
        for title, way in titles.items()
    ]
    return Step("judge", f"the models of the rung '{RUNGS[before][0]}'; {rejudge.description.rstrip('.')}", trials)


def _wide(climb: Climb) -> Step:
    if "width" not in climb.fields:
        return Step("wide", "", [], "the runner has no width")
    width, rates = 2 * int(climb.common.get("width", climb.fields["width"].default)), _rates(climb)
    kinds = ("none", "batch") if "normalisation" in climb.fields else ("",)
    trials = [
        climb.trial(
            "wide", kind, f"normalisation {kind}" * bool(kind), place, width=width, rates=rates,
            **({"normalisation": kind} if kind else {}),
        )
        for place, kind in enumerate(kinds)
    ]  # fmt: skip
    return Step("wide", f"width {width}, {climb.length}, {_chosen(rates)}", trials)


def _data(climb: Climb) -> Step:
    if not climb.verify_on:
        return Step("data", "", [], "no other data were given (--verify-on)")
    trials = []
    for place, data in enumerate(climb.verify_on):
        part = Path(data).stem + f"-{place + 1}" * (place > 0)
        tune = climb.tune if climb.tunable else {}
        trials.append(climb.trial("data", part, Path(data).stem, place, **{**tune, "data": data}))
    return Step("data", climb.length + ", each at its own learning rates there" * climb.tunable, trials)


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
    """Pairs that the rung `tuned` has chosen, by the name of the loss; None where it was not tried."""
    if not (climb.folder / "tuned").exists():
        return None
    results = comparison_in(Run(climb.folder / "tuned")).results
    pairs = {result.name: result.rates.split(":") for result in results}
    return {name: (float(generator), float(discriminator)) for name, (generator, discriminator) in pairs.items()}


def _chosen(rates: Mapping[str, tuple[float, float]] | None) -> str:
    return "at the learning rates of the tuning" if rates else "one setting for all"


TRY: Mapping[str, Callable[[Climb], Step]] = {
    "fresh": _fresh, "tuned": _tuned, "plateau": _plateau, "judge": _judge, "wide": _wide, "data": _data,
}  # fmt: skip
"""By the name of a rung, in their order: what tries it."""
