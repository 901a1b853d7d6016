"""What a calibration says: how well a cheap training of a loss foretells a long one.

A loss is given a score by an objective at a budget, from one seed; what is to be foretold is its quality on the other
seeds after the last budget, the plateau if the hardware allows. So what a seed did early is never compared with what
the same seed did late.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossgen.runner import Direction, Outcome
from lossgen.stats import mean_rank_correlation, variance_components

Array = NDArray[np.float64]
FEWEST = 5
"""Losses that a rank correlation is computed over, at least."""
REFERENCE = "BCE"
PLATEAU = 0.1
"""The plateau begins where each doubling of the steps takes less than this part off the reference's distance."""
WITHIN = 2.0
"""Speed is the steps that a loss takes to come to within this factor of the best distance of all."""
OBJECTIVES = "common", "tuned", "robust", "stability"
"""One pair of learning rates for all losses; each loss's best pair; the mean over pairs; the spread over seeds."""


@dataclass(frozen=True)
class Panel:
    """Results of losses × pairs × seeds × budgets, to be minimised; logarithms where all are positive distances.

    Attributes:
        metric: name of what `held_out` holds.
        losses, pairs, budgets: names, texts of pairs of learning rates ("" where the runner has none), steps.
        fitness: (losses, pairs, seeds, budgets); infinite where a training failed.
        held_out: the same against images that no choice is made on, where the runner has such; else the fitness.
        seconds: (budgets,) of a training from its start, median.
        logarithmic: whether they are logarithms.
        sign: -1.0 where the metric is maximised, and fitness and held_out are its negative.
        common: which pair is the one that all losses share: the runner's own where it is in the grid, else the first.
        others: more metrics at the last budget by name, mean over pairs and seeds, (losses,); nan where one failed.
    """

    metric: str
    losses: Sequence[str]
    pairs: Sequence[str]
    budgets: Sequence[int]
    fitness: Array
    held_out: Array
    seconds: Array
    logarithmic: bool
    sign: float
    common: int
    others: Mapping[str, Array]

    @property
    def seeds(self) -> int:
        return int(self.fitness.shape[2])


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation over losses with its 95 % bootstrap interval; nan where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Signal:
    """How far losses differ at a budget, beside how far seeds do.

    Attributes:
        steps, seconds: of a training.
        one: variance between losses over that between seeds of one loss, under one pair, mean over pairs; nan of
            one seed.
        robust: the same of the mean over pairs.
        failed: trainings that failed until there.
    """

    steps: int
    seconds: float
    one: float
    robust: float
    failed: int


@dataclass(frozen=True)
class Proxy:
    """An objective at a budget, from one seed.

    Attributes:
        objective, steps: of OBJECTIVES, and how long each training is.
        seconds: that a loss costs, all trainings together.
        quality: rank correlation with each loss's distance at its own best pair after the last budget.
        robustness: with its mean over pairs there.
    """

    objective: str
    steps: int
    seconds: float
    quality: Correlation
    robustness: Correlation


@dataclass(frozen=True)
class Row:
    """A loss: its distance at its best pair at each budget, its mean over pairs at the last, and its speed.

    Attributes:
        tuned: geometric means over seeds where distances are positive, in the metric's own direction; infinite where
            trainings failed.
        pair: the best one at the last budget; "" where trainings failed with each.
        pairs: its distance with each, there.
        robust: mean over pairs (geometric where distances are positive) at the last budget.
        steps: first budget within `WITHIN` of the best distance of all; None where none is.
        failed: trainings.
    """

    loss: str
    tuned: Sequence[float]
    pair: str
    pairs: Sequence[float]
    robust: float
    steps: int | None
    failed: int


@dataclass(frozen=True)
class Calibration:
    """What the trainings of a panel come to.

    Attributes:
        gains: of the reference, by budget, what doubling it takes off the distance.
        plateau: the first budget from which on doubling gains little; None where none was seen.
        others: rank correlation of other metrics with the metric, at the last budget.
        beside: proxies of this calibration as they foretell another's, by the other's name.
        own_seeds: whether proxies and what they foretell share their seeds, since there is one only.
    """

    panel: Panel
    signals: Sequence[Signal]
    proxies: Sequence[Proxy]
    rows: Sequence[Row]
    reference: str
    gains: Mapping[int, float]
    plateau: int | None
    others: Mapping[str, Correlation]
    beside: Mapping[str, Sequence[Proxy]]
    own_seeds: bool

    @property
    def metric(self) -> str:
        """What is foretold, at the last budget."""
        return self.panel.metric


def calibration_of(panel: Panel, beside: Mapping[str, Panel]) -> Calibration:
    """All that a panel says.

    Args:
        beside: panels of other data by name, to be foretold by this one's proxies; of some of its losses at least.
    """
    reference = panel.losses.index(REFERENCE) if REFERENCE in panel.losses else 0
    tuned = [_score("tuned", panel.held_out[..., b], panel) for b in range(len(panel.budgets))]
    gains = _gains(panel, [float(each[reference]) for each in tuned])
    plateau = None
    for steps, gain in reversed(gains.items()):
        if gain >= PLATEAU:
            break
        plateau = steps
    own = panel.seeds == 1
    return Calibration(
        panel, _signals(panel), _proxies(panel, panel), _rows(panel, tuned),
        panel.losses[reference], gains, plateau, _others(panel),
        {name: _beside(panel, other) for name, other in beside.items()}, own,
    )  # fmt: skip


def accepted(proxies: Sequence[Proxy], of: Callable[[Proxy], Correlation]) -> Proxy | None:
    """The cheapest proxy whose interval reaches the best rank correlation of all and stays above 0; None of none."""
    sound = [proxy for proxy in proxies if of(proxy).low > 0]
    if not sound:
        return None
    best = max(of(proxy).value for proxy in sound)
    return min((proxy for proxy in sound if of(proxy).high >= best), key=lambda proxy: proxy.seconds)


def panel_of(
    outcomes: Mapping[tuple[str, str, int, int], Outcome], losses: Sequence[str], pairs: Sequence[str], seeds: int,
    budgets: Sequence[int], objective: str, metric: str, direction: Direction, common: int = 0,
) -> Panel | None:  # fmt: skip
    """The panel of outcomes by loss, pair, seed and budget; of the budgets that all trainings have come to.

    Returns:
        None where there is no such budget, or fewer than two losses.
    """
    keys = [(loss, pair, seed) for loss in losses for pair in pairs for seed in range(seeds)]
    done: list[int] = [steps for steps in budgets if all((*key, steps) in outcomes for key in keys)]
    if not done or len(losses) < 2:
        return None
    shape = (len(losses), len(pairs), seeds, len(done))
    table = [outcomes[(*key, steps)] for key in keys for steps in done]

    def values(name: str) -> Array:
        found = [outcome.metrics[name] if outcome.status == "ok" else math.inf for outcome in table]
        array = np.reshape(np.asarray(found, float), shape)
        return np.where(np.isfinite(array), array if direction == "min" else -array, np.inf)

    fitness, held_out = values(objective), values(metric)
    logarithmic = all(bool((array > 0).all()) for array in (fitness, held_out)) and direction == "min"
    if logarithmic:
        fitness, held_out = np.log(fitness), np.log(held_out)
    # The median: a training that a machine has slept through, or shared with others, says nothing of its price.
    seconds = np.median(np.reshape([outcome.seconds for outcome in table], shape), axis=(0, 1, 2))
    if any(
        "state" in outcome.files for outcome in table
    ):  # trainings go on from budget to budget; else they begin anew
        seconds = seconds.cumsum()
    last = np.reshape(np.asarray(table, object), shape)[..., -1]
    names = sorted({name for outcome in last.flat for name in outcome.metrics} - {metric})
    others = {
        name: np.asarray([
            [outcome.metrics.get(name, math.nan) for outcome in row.flat] for row in last
        ], float).mean(1)
        for name in names
    }  # fmt: skip
    sign = 1.0 if direction == "min" else -1.0
    return Panel(metric, losses, pairs, done, fitness, held_out, seconds, logarithmic, sign, common, others)


def _score(objective: str, values: Array, panel: Panel) -> Array:
    """Scores (losses,), to be minimised, of values (losses, pairs, seeds)."""
    if objective == "common":
        scores = values[:, panel.common].mean(1)
    elif objective == "tuned":
        scores = values.mean(2).min(1)
    elif objective == "robust":
        scores = values.mean((1, 2))
    else:
        with np.errstate(invalid="ignore"):
            scores = values.std(2, ddof=1).mean(1)
    return np.where(np.isfinite(scores), scores, np.inf)


def _proxies(panel: Panel, other: Panel) -> list[Proxy]:
    """Every objective at every budget of a panel, and how well it foretells the end of another, or its own.

    Within a panel each seed in turn foretells the others; `stability` needs two, so its halves of four foretell each
    other. Panels of different data share no luck.
    """
    seeds = list(range(panel.seeds))
    alone = [([seed], [s for s in seeds if s != seed] or seeds) for seed in seeds]
    half = len(seeds) // 2
    halves = [(seeds[:half], seeds[half:]), (seeds[half:], seeds[:half])] if half > 1 else []
    if other is not panel:
        theirs = list(range(other.seeds))
        alone, halves = [([seed], theirs) for seed in seeds], [(seeds, theirs)] if len(seeds) > 1 else []
    end = other.held_out[..., -1]
    found = []
    for objective in OBJECTIVES:
        splits = halves if objective == "stability" else alone
        trainings = (1 if objective == "common" else len(panel.pairs)) * (len(splits[0][0]) if splits else 1)
        if not splits or (objective in ("tuned", "robust") and len(panel.pairs) == 1):
            continue
        for place, steps in enumerate(panel.budgets):
            now = panel.fitness[..., place]
            foretold = {
                truth: [
                    (_score(objective, now[:, :, mine], panel), _score(truth, end[:, :, rest], other))
                    for mine, rest in splits
                ]
                for truth in ("tuned", "robust")
            }
            quality, robustness = (Correlation(*mean_rank_correlation(pairs)) for pairs in foretold.values())
            found.append(Proxy(objective, steps, float(panel.seconds[place]) * trainings, quality, robustness))
    return found


def _beside(panel: Panel, other: Panel) -> list[Proxy]:
    both = [loss for loss in panel.losses if loss in other.losses]
    return _proxies(_only(panel, both), _only(other, both))


def _only(panel: Panel, losses: Sequence[str]) -> Panel:
    chosen = [list(panel.losses).index(loss) for loss in losses]
    return replace(panel, losses=losses, fitness=panel.fitness[chosen], held_out=panel.held_out[chosen], others={})


def _signals(panel: Panel) -> list[Signal]:
    found = []
    for place, steps in enumerate(panel.budgets):
        now = panel.fitness[..., place]
        well = now[np.isfinite(now).all((1, 2))]
        one = robust = math.nan
        if panel.seeds > 1 and len(well) > 1:
            each = [variance_components(well[:, pair]) for pair in range(len(panel.pairs))]
            one = _ratio(float(np.mean([b for b, _ in each])), float(np.mean([w for _, w in each])))
            robust = _ratio(*variance_components(well.mean(1)))
        failed = int((~np.isfinite(now)).sum())
        found.append(Signal(steps, float(panel.seconds[place]), one, robust, failed))
    return found


def _ratio(between: float, within: float) -> float:
    return max(between, 0.0) / within if within else math.inf


def _gains(panel: Panel, reference: Sequence[float]) -> dict[int, float]:
    """By budget whose double is one, too: what part of the reference's distance the doubling takes off."""
    if not panel.logarithmic:
        return {}
    at = dict(zip(panel.budgets, reference, strict=True))
    pairs = {steps: (at[steps], at[2 * steps]) for steps in panel.budgets if 2 * steps in at}
    return {
        steps: 1 - math.exp(later - now)
        for steps, (now, later) in pairs.items()
        if math.isfinite(now) and math.isfinite(later)
    }


def _rows(panel: Panel, tuned: Sequence[Array]) -> list[Row]:
    """A row a loss, the best at its own pair first."""
    out: Callable[[Any], Any] = np.exp if panel.logarithmic else panel.sign.__mul__
    end = panel.held_out[..., -1]
    means, robust = end.mean(2), end.mean((1, 2))
    reach = float(tuned[-1].min()) + math.log(WITHIN) if panel.logarithmic else -math.inf
    rows = []
    for place in np.argsort(tuned[-1], kind="stable"):
        each = [float(scores[place]) for scores in tuned]
        steps = next((b for b, value in zip(panel.budgets, each, strict=True) if value <= reach), None)
        failed = int((~np.isfinite(end[place])).sum())
        pair = panel.pairs[int(means[place].argmin())] if np.isfinite(means[place]).any() else ""
        values = [float(out(value)) for value in each]
        at = [float(out(value)) for value in means[place]]
        rows.append(Row(panel.losses[place], values, pair, at, float(out(robust[place])), steps, failed))
    return rows


def _others(panel: Panel) -> dict[str, Correlation]:
    """Of losses whose trainings all ended well."""
    end = panel.sign * _score("robust", panel.held_out[..., -1], panel)
    found = {}
    for name, values in panel.others.items():
        well = np.isfinite(values) & np.isfinite(end)
        if well.sum() >= FEWEST:
            found[name] = Correlation(*mean_rank_correlation([(values[well], end[well])]))
    return found
