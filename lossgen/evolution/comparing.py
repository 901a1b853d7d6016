"""The command compare: which losses are asked for, their trainings, and what a run keeps of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lossgen.codegen.load import load_argument, read_emitted, shortlist_names, zoo_names
from lossgen.errors import InputError
from lossgen.evolution.archive import Archive, found_name
from lossgen.evolution.compare import Comparison, Contestant, compare, summarise_outcomes
from lossgen.evolution.conditions import NONE, pair_text, rates, regularised
from lossgen.evolution.config import RunConfig
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import CONFIG, open_run
from lossgen.evolution.searched import keep_objective, ranking
from lossgen.evolution.session import Session
from lossgen.evolution.tuning import tune
from lossgen.evolution.verdict import Verdict
from lossgen.evolution.widening import take_up
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome


def compare_losses(session: Session) -> Comparison:
    """Train the losses of a comparison's configuration on its seeds."""
    config, archive = session.run.config, session.run.archive
    contestants = contestants_of(config)
    priced = [contestant.entry for contestant in contestants]
    known = [key for stage in ("tune", "compare") for key, _, _ in archive.outcomes(stage)]
    trainings = config.rows * config.seeds * len(session.aim.conditions)
    plan = session.plan(priced[0], trainings, *priced[1:], known=len(known))
    session.listener.planned(plan)
    take_up(session.run)
    forget_interim(archive)
    keep_objective(archive, session.aim, plan.steps, config.seeds * len(session.aim.conditions))
    tuned = tune(session, contestants, plan.steps) if config.tune_seeds else contestants
    if tuned is not None:
        comparison = compare(session, "compare", tuned, config.seeds, plan.steps, reserve=0, objective=session.aim)
    else:
        nothing: dict[str, list[Outcome]] = {contestant.entry.key: [] for contestant in contestants}
        found = (session.objective, session.direction, contestants, nothing, config.seeds, plan.steps)
        comparison = summarise_outcomes(*found)
    if session.stopped and not any(result.outcomes for result in comparison.results):
        session.nothing_yet()
    finish(session, comparison, None)
    return comparison


def contestants_of(config: RunConfig) -> list[Contestant]:
    """The losses of a comparison's configuration, each with each of its regularisers in turn."""
    found = []
    for source in config.losses:
        entry = Entry.of(read_emitted(source, "run.toml"), source)
        pair = (config.rates or {}).get(entry.loss.name)
        condition, chosen = (rates(pair), pair_text(pair)) if pair else ({}, "")
        for text in config.regularisers or []:
            needs = "" if text == NONE else text
            under = entry.under(regularised(text, config.options) | condition)
            found.append(Contestant(under, "loss", needs=needs, rates=chosen))
        if config.regularisers is None:
            found.append(Contestant(entry.under(condition) if condition else entry, "loss", rates=chosen))
    return found


def forget_interim(archive: Archive) -> None:
    """Take back what a stopped run came to, now that it goes on; a finished one's stands until the same comes again."""
    archive.set_meta("interim", False)
    if (archive.meta("result") or {}).get("interim"):
        archive.set_meta("result", {})


def finish(session: Session, comparison: Comparison, verdict: Verdict | None) -> None:
    """Keep what a run came to."""
    archive = session.run.archive
    archive.set_meta("result", result_record(comparison, verdict))
    archive.set_meta("finished", not comparison.interim)
    session.save_profile()


def loss_sources(arguments: Sequence[str], trust: bool, command: str = "compare") -> list[str]:
    """Emitted modules of the LOSS arguments of a command.

    `zoo` means the known losses that come with lossgen, without aliases, `shortlist` those that searches have found,
    RUN:N the N best losses of a search.

    Raises:
        InputError: no loss, one that cannot be read, or two of one name or of one kind.
    """
    names = [name for text in arguments for name in (GROUPS[text]() if text in GROUPS else _best(text) or [text])]
    if not names and arguments:
        raise InputError(f"{command}: no loss has been put on the {arguments[0]} yet; give at least one LOSS")
    if not names:
        raise InputError(f"{command}: give at least one LOSS, for example: lossgen {command} bce lsgan hinge ganetic")
    found = [load_argument(name, trust) for name in names]
    for i, one in enumerate(found):
        for other in found[:i]:
            if names[i] == names[found.index(other)]:
                raise InputError(f"{command}: {names[i]} is given twice; give each loss once")
            if Entry.of(one.loss, one.source).digest == Entry.of(other.loss, other.source).digest:
                raise InputError(f"{command}: {names[i]} is the same loss as {other.name}; give each loss once")
            if one.name == other.name:
                raise InputError(f"{command}: two losses are called {one.name}; rename one in its .loss file")
    return [one.source for one in found]


def _best(argument: str) -> list[str]:
    """Texts of the best losses of a search, by its fitness; none where the argument is of another kind.

    Raises:
        InputError: it names a run that has not found so many.
    """
    run, _, count = argument.rpartition(":")
    if not (count.isdecimal() and len(count) < 6 and (Path(run) / CONFIG).is_file()):
        return []
    with open_run(run, locked=False) as opened:
        best = [row for row, _ in ranking(opened.archive)]
    wanted = int(count)
    if not 0 < wanted <= len(best):
        most = f"has {len(best)} losses that trained well; give {run}:{len(best)} or fewer"
        raise InputError(f"loss {argument}: the run {most if best else 'has no loss that trained well'}")
    return [print_loss(parse_loss(row.loss).renamed(found_name(row.digest))) for row in best[:wanted]]


def _zoo() -> list[str]:
    """The known losses that come with lossgen, without those that train as one before them does."""
    kept: dict[str, str] = {}
    for name in zoo_names():
        loss = load_argument(name).loss
        lowered = lower_loss(loss)
        alone = not (lowered.has_batch_terms or loss.needs)  # then its gradient curves say all
        kept.setdefault(fingerprint(screen([lowered])[0].curves, scale_free=False) if alone else loss.digest(), name)
    return list(kept.values())


GROUPS: Mapping[str, Callable[[], list[str]]] = {"zoo": _zoo, "shortlist": shortlist_names}
"""LOSS arguments that mean several."""


def result_record(comparison: Comparison, verdict: Verdict | None) -> dict[str, object]:
    """A comparison as a run's archive keeps it for its result."""
    return {
        "metric": comparison.metric,
        "steps": comparison.steps,
        "interim": comparison.interim,
        "results": [{"part": result.part, **result.as_json(comparison.metric, None)} for result in comparison.results],
        "verdict": asdict(verdict) if verdict else None,
    }
