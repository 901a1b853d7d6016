"""Verify what was found by trainings elsewhere: the best one beside the baselines, on fresh seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lossgen.codegen.load import load_argument
from lossgen.errors import CheckError, InputError
from lossgen.evolution.admission import check_here
from lossgen.evolution.asked import (
    UNWRITTEN,
    VERIFICATIONS,
    check_run,
    contestants_of,
    engine_of,
    fresh,
    objective_of,
    record_of,
    scale_free,
    state_of,
)
from lossgen.evolution.asking import Handout, ask_again, hand_out
from lossgen.evolution.compare import Comparison, Contestant, summarise_outcomes
from lossgen.evolution.comparing import result_record
from lossgen.evolution.config import BASELINES
from lossgen.evolution.discover import write_found
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.finalists import choose_finalists
from lossgen.evolution.run import Run
from lossgen.evolution.verdict import Verdict, judge
from lossgen.evolution.workers.pool import Ready
from lossgen.runner import Outcome


class _Here:
    """What it takes to choose finalists without workers (`finalists.Workshop`)."""

    def __init__(self, run: Run, listener: Listener) -> None:
        name, direction = objective_of(run)
        self.run = run
        self.listener = listener
        self.ready = Ready({name: direction}, scale_free(run), {}, [])

    def check(self, entries: Sequence[Entry], full: bool = False) -> dict[str, Outcome]:
        from lossgen.codegen.full_checks import full_checks

        found = {}
        for digest, fault in check_here(entries).items():
            found[digest] = Outcome("crashed", reason=fault) if fault else Outcome("ok")
        for entry in entries:
            if full and found[entry.digest].status == "ok":
                try:
                    found[entry.digest] = Outcome("ok", reason="; ".join(full_checks(entry.loss, entry.source)))
                except CheckError as error:
                    found[entry.digest] = Outcome("crashed", reason=str(error))
        return found


def ask_verification(run: Run, seeds: int | None, listener: Listener, out: Path | None = None) -> Handout:
    """Write the best loss, simplified, and the baselines, to be trained on fresh seeds.

    Seeds that were told of before, for instance of the baselines, are not asked for again.

    Args:
        seeds: of each loss, no fewer than before; None as before, at first as the run has it.
        listener: is told what is passed over, and why.
        out: folder; by default a new one in the run's.

    Raises:
        InputError: nothing has trained well, the best has been verified, or on more seeds; or as for `asking.ask`.
    """
    check_run(run)
    if run.archive.meta(UNWRITTEN):
        return ask_again(run, out)
    before = max((record["seeds"] for record in run.archive.meta(VERIFICATIONS, [])), default=0)
    seeds = seeds or before or run.config.verify_seeds
    if seeds < before:
        raise InputError(
            f"--verify-seeds {seeds}: run {run.path} was verified on {before} seeds before; give that many or more, "
            "or leave it out"
        )
    ranking = engine_of(run).ranking()
    if not ranking:
        raise InputError(f"run {run.path}: no loss is known to train well; tell results before --verify")
    baselines = [Entry.of(load_argument(name).loss) for name in BASELINES]
    champion = choose_finalists(_Here(run, listener), ranking, baselines, runners_up=0)
    if not champion:
        raise InputError(f"run {run.path}: all that was found trains as a baseline does; ask for more losses first")
    contestants = [*champion, *(Contestant(entry, "baseline") for entry in baselines)]
    record = record_of(contestants, seeds)
    known = state_of(run).outcomes
    missing = [t for c in contestants for t in fresh(c, seeds) if t not in known]
    if not missing:
        raise InputError(
            f"run {run.path}: its best loss is verified on {seeds} seeds; ask for more losses, or for more seeds "
            "with --verify-seeds, or see `lossgen show`"
        )
    entries = {("verify", contestant.entry.digest): contestant.entry for contestant in contestants}
    return hand_out(run, missing, entries, out, verification=record)


@dataclass(frozen=True)
class Verified:
    """What the last verification came to; `file` is the champion's module."""

    champion: Entry
    comparison: Comparison
    verdict: Verdict | None
    file: Path


def conclude(run: Run, generated: Path) -> Verified | None:
    """The last verification, kept as the run's result; None where there is none, or some of it is open.

    Args:
        generated: folder that the champion's module is written to.

    Raises:
        InputError: it cannot be written; all else is kept.
    """
    records = run.archive.meta(VERIFICATIONS, [])
    if not records:
        return None
    contestants, known = contestants_of(records[-1]), state_of(run).outcomes
    seeds = records[-1]["seeds"]
    while all(fresh(c, seeds + 1)[-1] in known for c in contestants):
        seeds += 1  # every seed that all were told on counts, whoever it was asked for
    trainings = {c.entry.digest: fresh(c, seeds) for c in contestants}
    if any(training not in known for each in trainings.values() for training in each):
        return None
    outcomes = {digest: [known[training] for training in each] for digest, each in trainings.items()}
    comparison = summarise_outcomes(*objective_of(run), contestants, outcomes, seeds, steps=0)
    champion = comparison.of("champion")[0]
    verdict = judge(comparison, champion, len(records))
    with run.archive.together():
        run.archive.set_meta("result", result_record(comparison, verdict))
        run.archive.set_meta("finished", True)
    try:
        file = write_found(contestants[0].entry, generated)
    except InputError:
        raise InputError(
            f"--generated {generated}: cannot be written; what was told is kept, tell it again with another --generated"
        ) from None
    run.archive.set_meta("champion_file", str(file.absolute()))
    return Verified(contestants[0].entry, comparison, verdict, file)
