"""Learning rates of a loss's own for each loss of a comparison, chosen on seeds that it does not report."""

import dataclasses
import math
from collections.abc import Sequence

from lossgen.evolution.compare import Contestant
from lossgen.evolution.conditions import condition_of, pair_text, rates
from lossgen.evolution.session import Session
from lossgen.runner import Outcome

TUNED = "tuned"
"""In the archive: the pair that was chosen and its fitness, by `Entry.key` of what it was chosen for."""


def tune(session: Session, contestants: Sequence[Contestant], steps: int) -> list[Contestant] | None:
    """Train each contestant with each pair of the grid on the tuning's own seeds, and let it have its best pair.

    The best has the fewest failed trainings and then the best mean fitness, which is measured on the validation split;
    of equals the first in the grid.

    Returns:
        The contestants under their pairs; None where trainings are missing, because the time was up or the run was
        stopped.
    """
    config = session.run.config
    grid, seeds = config.grid or [], config.tune_seeds or 0

    def under(contestant: Contestant, pair: Sequence[float]) -> Contestant:
        entry = contestant.entry
        condition = {**condition_of(entry.condition), **rates(pair)}
        return dataclasses.replace(contestant, entry=entry.under(condition), rates=pair_text(pair))

    tried = [[under(contestant, pair) for pair in grid] for contestant in contestants]
    outcomes = session.train("tune", [each.entry for row in tried for each in row], seeds, steps, reserve=0)
    if any(len(group) < seeds for group in outcomes.values()):
        return None
    best, kept = [], {}
    for contestant, row in zip(contestants, tried, strict=True):
        places = [_place(session, outcomes[each.entry.key]) for each in row]
        chosen = row[places.index(min(places))]
        failed, fitness = min(places)
        if failed:
            how = f"with {chosen.rates}, the best of its pairs, {failed} of {seeds} trainings failed"
            session.listener.note(f"{contestant.entry.name}: {how}")
        kept[contestant.entry.key] = {"rates": chosen.rates, "fitness": fitness if math.isfinite(fitness) else None}
        best.append(chosen)
    session.run.archive.set_meta(TUNED, kept)
    return best


def _place(session: Session, outcomes: Sequence[Outcome]) -> tuple[int, float]:
    """How many failed, and the mean fitness of the others; less is better."""
    well = [outcome for outcome in outcomes if outcome.status == "ok"]
    return len(outcomes) - len(well), session.fitness(well)
