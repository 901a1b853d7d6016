"""How often is the screen wrong to reject? A random sample of what it has rejected is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey
from lossgen.evolution.candidate import Individual
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Plan
from lossgen.evolution.searched import objective_of
from lossgen.evolution.session import Session
from lossgen.kernel.screen import Rejection
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.stats import proportion_interval

AUDIT = 2
"""Purpose of the random stream, beside those of the search."""
TRAINED = ("ok", "diverged", "collapsed")
"""What a training ends as; others ended before, for a reason that need not be the loss."""


@dataclass(frozen=True)
class Audit:
    """What became of rejected candidates.

    Attributes:
        trained: how many were trained, to the end or until they diverged or collapsed. A module that a worker refuses,
            a crash and a training that took too long say nothing of the screen: they do not count.
        as_good: how many of them came out, on the search's first seed, at least as well there as the median of those
            that passed and came to a value.
        kinds: the reasons for which those had been rejected.
        rate: as_good / trained, the screen's false-rejection rate.
        low, high: 95 % Wilson interval of the rate.
    """

    trained: int
    as_good: int
    kinds: Sequence[str]
    rate: float
    low: float
    high: float


def audit(session: Session, searched: Sequence[Individual], plan: Plan) -> None:
    """Train a sample on one replicate each, the first of the search's first rung, and keep what came of it.

    Args:
        searched: what was trained in the search.
    """
    archive, config = session.run.archive, session.run.config
    steps, _ = config.rungs_at(plan.steps)[0]
    objective = objective_of(archive)
    condition = objective.condition(0)
    firsts = (archive.outcome(OutcomeKey("search", i.entry.digest, 0, steps, condition)) for i in searched)
    passed = sorted(session.fitness([first]) for first in firsts if first is not None and first.status == "ok")
    if not (plan.audit_trainings and passed) or session.stopping:
        return
    sample = _sample(archive.candidates(), plan.audit_trainings, config.seed)
    entries = [objective.under(Entry.of(parse_loss(row.loss)), 0) for row in sample]
    found = session.train("audit", entries, 1, steps, reserve=plan.verify_trainings)
    outcomes = {entry.digest: found[entry.key] for entry in entries}
    bar = passed[(len(passed) - 1) // 2]
    trained = [row for row in sample if any(outcome.status in TRAINED for outcome in outcomes[row.digest])]
    well = [row for row in trained if session.fitness(outcomes[row.digest]) <= bar]
    kinds = sorted(row.reason.split(":")[0] for row in well)
    archive.set_meta("audit", {"trained": len(trained), "as_good": len(well), "kinds": kinds})


def audit_of(archive: Archive) -> Audit | None:
    """The audit of a run, None where it trained nothing for one."""
    found = archive.meta("audit")
    if not found or not found["trained"]:
        return None
    trained, well = found["trained"], found["as_good"]
    return Audit(trained, well, found["kinds"], well / trained, *proportion_interval(well, trained))


def _sample(rows: Sequence[CandidateRow], count: int, seed: int) -> list[CandidateRow]:
    """Rejected candidates, drawn whatever their reasons: but not those for which there is no module to train, or none
    that computes what was judged."""
    rejected = [
        row for row in rows if row.fate == "rejected" and not row.reason.startswith(f"{Rejection.ILL_CONDITIONED}:")
    ]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 0, AUDIT)))
    chosen: list[CandidateRow] = []
    for i in rng.permutation(len(rejected)):
        if len(chosen) == count:
            break
        try:
            lower_loss(parse_loss(rejected[i].loss))
        except NotFiniteError:
            continue
        chosen.append(rejected[i])
    return chosen
