"""Only what has passed its checks is verified on fresh seeds, and handed out."""

from collections.abc import Sequence

from lossgen.evolution.session import Entry, Session
from lossgen.language.printer import formula


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
