"""From the ranking of a search to the losses that are verified on fresh seeds: simplified, told apart, checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lossgen.algebra.rounding import round_constants
from lossgen.algebra.simplify import simplify
from lossgen.evolution.archive import found_name
from lossgen.evolution.candidate import Individual
from lossgen.evolution.compare import Contestant
from lossgen.evolution.config import RUNNERS_UP
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.run import Run
from lossgen.evolution.session import Session
from lossgen.evolution.workers.pool import Ready
from lossgen.kernel.fingerprint import probes
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula, print_loss
from lossgen.runner import Outcome


class Workshop(Protocol):
    """What of a `Session` it takes to choose."""

    @property
    def run(self) -> Run: ...
    @property
    def listener(self) -> Listener: ...
    @property
    def ready(self) -> Ready: ...
    def check(self, entries: Sequence[Entry], full: bool = False) -> Mapping[str, Outcome]: ...


def choose_finalists(
    session: Workshop, ranking: list[Individual], baselines: list[Entry], runners_up: int = RUNNERS_UP
) -> list[Contestant]:
    """Champion and runners-up in their simplified form. The form is what is verified; it names what was searched.

    One that the search was given as a seed loss, and gives back, says so instead of being called found.

    Each module is checked first: the champion's in full, since it is what will be written.
    """
    found: list[Contestant] = []
    given = {loss.digest(): loss.name for loss in map(parse_loss, session.run.config.seed_losses)}
    known = {_marks(session, entry)[0]: entry.loss.name for entry in baselines}
    for place, individual in enumerate(ranking):
        if len(found) == 1 + runners_up:
            break
        session.listener.preparing("simplifying the best losses")
        searched = individual.entry.loss
        seed = ""
        if searched.digest() in given:
            seed = f"given as --seed-loss {given[searched.digest()]}"
            seed += "; the search found nothing better" * (place == 0)
        entry = _simple(session, searched, seed)
        marks = _marks(session, entry)
        same = next((known[mark] for mark in marks if mark in known), None)
        if same is not None:
            session.listener.note(f"{formula(entry.loss)} trains as {same} does, and is passed over")
            continue
        note = _note(session, searched, seed, rounded=False)
        as_searched = Entry.of(searched.renamed(searched.name, note))  # where only the simpler form is at fault
        forms = [entry, as_searched] if entry.digest != as_searched.digest else [entry]
        sound = first_sound(session, forms, full=not found)
        if sound is not None:
            known[marks[0]] = sound.loss.name
            found.append(Contestant(sound, "runner-up" if found else "champion", seed))
    return found


def check_ahead(session: Session, ranking: list[Individual]) -> None:
    """Have what will probably be the champion checked in full beside the next trainings: no check takes longer."""
    if ranking:
        entry = _simple(session, ranking[0].entry.loss, "")
        archive, key = session.run.archive, _checked_key(entry, full=True)
        if archive.meta(key) is None:
            session.check_beside(entry, lambda outcome: archive.set_meta(key, _verdict(outcome)))


def _simple(session: Workshop, searched: Loss, seed: str) -> Entry:
    """The form of a loss that is verified, which names the form that was searched."""
    simple, rounded = _simplified(session, searched)
    return Entry.of(simple.renamed(simple.name, _note(session, searched, seed, rounded)))


def _marks(session: Workshop, entry: Entry) -> tuple[str, ...]:
    """The fingerprint, and those beside it: losses that train alike have the first of one among those of the other."""
    return probes(screen([lower_loss(entry.loss)])[0].curves, session.ready.scale_free)


def _simplified(session: Workshop, searched: Loss) -> tuple[Loss, bool]:
    """The form that is verified, and whether its constants were rounded.

    From the archive where it stands there: sympy works under a time limit, so its answer may differ next time.
    """
    archive = session.run.archive
    key = f"simplified {searched.digest()}"
    text = archive.meta(key)
    if text is None:
        # Where sympy was stopped by its time limit, another machine's may get further.
        exact = simplify(searched, on_late=lambda: archive.set_meta("reproducible", False))
        simple = round_constants(exact)
        text = print_loss(simple.renamed(found_name(simple.digest())))
        archive.set_meta(f"rounded {searched.digest()}", simple.digest() != exact.digest())
        archive.set_meta(key, text)
    return parse_loss(text), archive.meta(f"rounded {searched.digest()}", False)


def _note(session: Workshop, searched: Loss, seed: str, rounded: bool) -> str:
    """Where a finalist comes from, for its docstring."""
    config = session.run.config
    trained = f"runner {Path(config.runner).stem}, data {Path(config.data.name).name}"
    if config.kind == "ask":
        trained = "trained elsewhere"
    setting = f"lossgen, search space {config.space}, {trained}, seed {config.seed}"
    origin = f"G{seed[1:]} ({setting})." if seed else f"Found by genetic programming: {setting}."
    form = f"Searched as: {formula(searched)}" + "; constants rounded to an equal fingerprint." * rounded
    return f"{origin}\n{form}"


def first_sound(session: Workshop, forms: Sequence[Entry], full: bool) -> Entry | None:
    """The first form of a loss whose module passes the workers' check; the user is told what is wrong with others.

    Args:
        forms: of one loss, the preferred one first.
        full: whether `codegen.full_checks` are part of the check; what they found is told, too.
    """
    for form in forms:
        session.listener.preparing("checking the modules of the best losses")
        fault, found = _checked(session, form, full)
        if not fault:
            if found:
                session.listener.note(f"{form.loss.name}: {found}")
            return form
        session.listener.note(f"{formula(form.loss)} is passed over, and the next form or loss taken: {fault}")
    return None


def _checked(session: Workshop, entry: Entry, full: bool) -> tuple[str, str]:
    """What is wrong with a module, and what else was found; from the archive where it stands there."""
    archive = session.run.archive
    key = _checked_key(entry, full)
    if archive.meta(key) is None:
        archive.set_meta(key, _verdict(session.check([entry], full)[entry.digest]))
    fault, found = archive.meta(key)
    return fault, found


def _checked_key(entry: Entry, full: bool) -> str:
    return f"checked {'in full ' if full else ''}{entry.digest}"


def _verdict(outcome: Outcome) -> list[str]:
    """The fault, and what else was found."""
    return ["", outcome.reason] if outcome.status == "ok" else [outcome.reason, ""]
