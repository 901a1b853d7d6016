"""What a run's budget buys: steps of a training, trainings of each part, and their price."""

import math
from collections.abc import Sequence

from lossgen.errors import InputError
from lossgen.evolution.config import RunConfig
from lossgen.evolution.events import Plan
from lossgen.evolution.racing import Rung, race_steps
from lossgen.settings import GENERATIONS, RACE_GENERATIONS, ROBUST_STEPS, STEPS

SHORTEST = 50
SEARCH_SLACK = 0.95
VERIFY_SHARE = 0.45
COMPARE_SHARE = 0.9
"""Of a time limit: when the search is to be over with verification done, what verification may take of it, and what
a comparison may be planned to take."""
POLISH, AUDIT = 16, 8
POLISH_PART, AUDIT_PART = 6, 12
"""Most trainings of the polish and of the audit, and what part of the search's they are at most: one in so many."""
FEW = 100
"""Distinct losses below which a search is a sample of its space."""
PASS_RATE = 1 / 25
"""Part of the proposals that are trained, in the default search; from one in a hundred at first to one in ten later."""

Timing = tuple[float, float]
"""Seconds that a training takes apart from its steps, and a step's seconds."""


def mean_timing(timings: Sequence[Timing | None]) -> Timing | None:
    """The timing of what is spread evenly over several; None where one is not known."""
    known = [timing for timing in timings if timing is not None]
    if len(known) < len(timings):
        return None
    return sum(apart for apart, _ in known) / len(known), sum(a_step for _, a_step in known) / len(known)


def plan_steps(config: RunConfig, timing: Timing | None, verify_trainings: int, workers: int) -> tuple[int, list[str]]:
    """Steps of a training: as asked, else what the time limit buys, else the default; and what is to be said of it."""
    usual = ROBUST_STEPS if config.kind == "evolve" and config.objective == "robust" else STEPS
    steps = config.steps or usual
    if config.steps is None and config.time_limit and timing:
        share = VERIFY_SHARE if config.kind == "evolve" else COMPARE_SHARE
        rounds = -(-(config.tune_trainings + verify_trainings) // workers)
        apart, a_step = timing
        affordable = int((config.time_limit * share / rounds - apart) / a_step)
        if affordable < steps:
            steps = max(affordable, SHORTEST)
            said = f"the time limit buys {steps} steps a training instead of {usual}"
            if usual == ROBUST_STEPS and steps < ROBUST_STEPS / 2:
                said += (
                    f", with each of {len(config.grid or [])} pairs of learning rates: so short ones tell little; give "
                    "more time, or --objective quality for one longer training a loss"
                )
            return steps, [said]
    return steps, []


def make_plan(
    config: RunConfig,
    timing: Timing | None,
    verify_trainings: int,
    workers: int,
    elapsed: float = 0.0,
    minimise: bool = True,
    notes: Sequence[str] = (),
    continues: bool = True,
) -> Plan:
    """Fit a run into its limits.

    Args:
        timing: None where it is not known before the first training.
        verify_trainings: those on fresh seeds, or of a comparison; they come first in any budget.
        elapsed: seconds that are gone.
        continues: whether trainings of a race go on from rung to rung.

    Raises:
        InputError: a limit does not buy verification and one loss more.
    """
    said = list(notes)
    steps, why = plan_steps(config, timing, verify_trainings, workers)
    said += why
    price = timing[0] + steps * timing[1] if timing else None
    if config.kind in ("compare", "calibrate"):
        tune = config.tune_trainings
        in_all = -(-(tune + verify_trainings) // workers) * price if price else 0.0
        if config.time_limit and in_all > config.time_limit:
            said.append(f"the time limit ends it first: all trainings would take about {in_all:.0f} s")
        return Plan(0, 0, 0, verify_trainings, True, steps, price, workers, minimise, said, tune)

    prices = _Prices(config, steps, continues)
    room = _room(config, steps, verify_trainings, prices)
    asked = generations_asked(config) is not None
    search = math.ceil(prices.generation * (config.generations or _generations(config)))
    if config.max_candidates:
        proposed = config.max_candidates if asked else max(1, int(PASS_RATE * config.max_candidates))
        passing = math.ceil(proposed * prices.loss)
        search = min(search, passing) if asked else passing
        said.append(f"how many of {config.max_candidates} proposals are worth training shows as they are made")
    polish, audit = _shares(config, search)
    if room is not None and (not asked or search + polish + audit > room):
        search, polish, audit = _divided(config, room, prices)
    most = search if asked or room is not None else None
    if config.time_limit and price:
        in_time = _in_time(config, price, verify_trainings, workers, elapsed, prices)
        if most is None or search + polish + audit > in_time:
            search, polish, audit = _divided(config, in_time, prices)
            said.append("the search goes on until the time that verification needs is left")
    if config.races:
        said.append(_race_line(config, steps, continues))
    losses = int(search / prices.loss) + polish // prices.whole
    if losses < FEW:
        many = "1 loss" if losses == 1 else f"{losses} losses"
        said.append(
            f"{many} in the search: a sample of the space rather than a search of it; `lossgen compare zoo` under the "
            "same flags tells more for that price"
        )
    return Plan(search, polish, audit, verify_trainings, most, steps, price, workers, minimise, said)


def generations_asked(config: RunConfig) -> int | None:
    """Generations of a search, as asked for or by default; None where other limits end it."""
    limits = (config.max_trainings, config.max_steps, config.max_candidates, config.time_limit)
    return config.generations or (None if any(limits) else _generations(config))


def _generations(config: RunConfig) -> int:
    return RACE_GENERATIONS if config.races else GENERATIONS


class _Prices:
    """What a search's losses cost, in trainings of so many steps.

    Attributes:
        generation: that races.
        loss: of a generation, on average.
        whole: a loss alone, which goes the whole way.
    """

    def __init__(self, config: RunConfig, steps: int, continues: bool) -> None:
        rungs = [Rung(*rung) for rung in config.rungs_at(steps)]
        self.generation = race_steps(rungs, config.population, continues) / steps
        self.loss = self.generation / config.population
        self.whole = math.ceil(race_steps(rungs, 1, continues) / steps)


def _race_line(config: RunConfig, steps: int, continues: bool) -> str:
    rungs = [Rung(*rung) for rung in config.rungs_at(steps)]
    ways = ", ".join(f"{rung.steps} steps on {rung.replicates}" for rung in rungs)
    whole = config.population * rungs[-1].replicates * rungs[-1].steps
    part = race_steps(rungs, config.population, continues) / whole
    anew = "" if continues else "; the runner keeps no states, so each rung trains anew"
    line = f"losses race ({ways} replicates; the better go on): {part:.0%} of the steps of training all the whole way"
    return line + anew


def _in_time(
    config: RunConfig, price: float, verify_trainings: int, workers: int, elapsed: float, prices: _Prices
) -> int:
    """Trainings that the time limit leaves beside verification."""
    limit = config.time_limit or 0.0
    verify_seconds = -(-verify_trainings // workers) * price
    least = verify_seconds + -(-prices.whole // workers) * price
    if limit < least:
        raise InputError(
            f"--time-limit: verification alone takes about {verify_seconds:.0f} s ({verify_trainings} trainings of "
            f"{price:.2g} s, {workers} at a time); give at least {least:.0f} s, or fewer --verify-seeds"
        )
    in_time = int((limit * SEARCH_SLACK - verify_seconds - elapsed) * workers / price)
    return max(in_time, prices.whole)


def _room(config: RunConfig, steps: int, verify_trainings: int, prices: _Prices) -> int | None:
    """Trainings that the run's counts leave beside verification, None where nothing counts them."""
    rooms = []
    for flag, limit, each in (("--max-trainings", config.max_trainings, 1), ("--max-steps", config.max_steps, steps)):
        if limit is not None:
            rooms.append(limit // each - verify_trainings)
            if rooms[-1] < prices.whole:
                raise InputError(
                    f"{flag} {limit}: verification alone trains {verify_trainings} GANs"
                    + (f" of {steps} steps" if each > 1 else "")
                    + f"; give at least {(verify_trainings + prices.whole) * each}, or fewer --verify-seeds"
                )
    return min(rooms, default=None)


def _divided(config: RunConfig, room: int, prices: _Prices) -> tuple[int, int, int]:
    """Trainings of search, polish and audit, of so many together."""
    polish, audit = _shares(config, room * POLISH_PART // (POLISH_PART + 1))
    search = room - polish - audit
    if search < prices.whole:
        raise InputError(
            f"--polish and --audit ask for {polish + audit} trainings; the limits leave {room} beside verification, "
            "and the search is to have some of them"
        )
    return search if config.races else search - search % prices.whole, polish, audit


def _shares(config: RunConfig, search: int) -> tuple[int, int]:
    """Trainings of the polish and of the audit beside so many of the search."""
    polish = min(POLISH * config.replicates, search // POLISH_PART) if config.polish is None else config.polish
    audit = min(AUDIT, search // AUDIT_PART) if config.audit is None else config.audit
    return polish, audit
