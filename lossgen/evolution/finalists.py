"""From the ranking of a search to the losses that are verified on fresh seeds: simplified, told apart, checked."""

from collections.abc import Sequence
from pathlib import Path

from lossgen.algebra.rounding import round_constants
from lossgen.algebra.simplify import simplify
from lossgen.evolution.config import RUNNERS_UP
from lossgen.evolution.engine import Individual, found_name
from lossgen.evolution.session import Entry, Session
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula, print_loss


def choose_finalists(session: Session, ranking: list[Individual], baselines: list[Entry]) -> list[Entry]:
    """Champion and runners-up in their simplified form. The form is what is verified; it names what was searched.

    Each module is checked first: the champion's in full, since it is what will be written.
    """
    found: list[Entry] = []
    known = {_mark(session, entry): entry.loss.name for entry in baselines}
    for individual in ranking:
        if len(found) == 1 + RUNNERS_UP:
            break
        session.listener.preparing("simplifying the best losses")
        searched = individual.entry.loss
        simple = _simplified(session, searched)
        entry = Entry.of(simple)
        mark = _mark(session, entry)
        if mark in known:
            session.listener.note(f"{formula(simple)} trains as {known[mark]} does, and is passed over")
            continue
        as_searched = Entry.of(searched.renamed(searched.name, simple.note))  # where only the simpler form is at fault
        forms = [entry, as_searched] if entry.digest != as_searched.digest else [entry]
        sound = first_sound(session, forms, full=not found)
        if sound is not None:
            known[mark] = sound.loss.name
            found.append(sound)
    return found


def _mark(session: Session, entry: Entry) -> str:
    """Equal for losses that train alike."""
    return fingerprint(screen([lower_loss(entry.loss)])[0].curves, session.ready.scale_free)


def _simplified(session: Session, searched: Loss) -> Loss:
    """From the archive where it stands there: sympy works under a time limit, so its answer may differ next time."""
    archive = session.run.archive
    key = f"simplified {searched.digest()}"
    text = archive.meta(key)
    if text is None:
        # Where sympy was stopped by its time limit, another machine's may get further.
        simple = round_constants(simplify(searched, on_late=lambda: archive.set_meta("reproducible", False)))
        text = print_loss(simple.renamed(found_name(simple)))
        archive.set_meta(key, text)
    config = session.run.config
    note = (
        f"Found by genetic programming: lossgen, search space {config.space}, runner {Path(config.runner).stem}, "
        f"data {Path(config.data.name).name}, seed {config.seed}.\n"
        f"Searched as: {formula(searched)}"
    )
    simple = parse_loss(text)
    return simple.renamed(simple.name, note)


def first_sound(session: Session, forms: Sequence[Entry], full: bool) -> Entry | None:
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
        session.listener.note(f"{formula(form.loss)} is passed over: {fault}")
    return None


def _checked(session: Session, entry: Entry, full: bool) -> tuple[str, str]:
    """What is wrong with a module, and what else was found; from the archive where it stands there."""
    archive = session.run.archive
    key = f"checked {'in full ' if full else ''}{entry.digest}"
    if archive.meta(key) is None:
        outcome = session.check([entry], full)[entry.digest]
        archive.set_meta(key, ["", outcome.reason] if outcome.status == "ok" else [outcome.reason, ""])
    fault, found = archive.meta(key)
    return fault, found
