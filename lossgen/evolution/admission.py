"""Who may be trained: what is new, passes the screen, and has a sound module; every rejection with its reason."""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lossgen.errors import CheckError, InputError
from lossgen.evolution.archive import CandidateRow, found_name
from lossgen.evolution.entry import Entry
from lossgen.evolution.space import Derivation
from lossgen.kernel.fingerprint import probes
from lossgen.kernel.screen import Rejection, Screening, screen
from lossgen.language.loss import Loss
from lossgen.language.lower import Known, LoweredLoss, NotFiniteError, lower_loss
from lossgen.language.printer import print_loss

Proposal = tuple[Derivation, str, tuple[str, ...]]
"""A derivation, how it was made, and the digests of its parents."""
Judged = tuple[Loss, str, Screening | str | None]
"""A loss, its digest, and what the screen says of it, or why it cannot be screened; None for a text that is known."""
Check = Callable[[Sequence[Entry]], Mapping[str, str]]
"""Says by digest what is wrong with modules: "" for nothing, else one line."""
SAME_GRADIENTS = "same gradients as "
"""Before the place that a duplicate's reason names."""


@dataclass(frozen=True)
class _Seen:
    """Places of the first candidate with a text, and of the first that was trained with a fingerprint."""

    digests: ChainMap[str, str]
    fingerprints: ChainMap[str, str]


def check_here(entries: Sequence[Entry]) -> dict[str, str]:
    """What is wrong with modules, found out in this process."""
    from lossgen.codegen.verify import verify_module

    found = {}
    for entry in entries:
        try:
            verify_module(entry.loss, entry.source)
            found[entry.digest] = ""
        except (CheckError, InputError) as error:
            found[entry.digest] = f"{Rejection.ILL_CONDITIONED}: {error}"
    return found


class Admission:
    """Judges proposals in their order, and remembers what it has seen.

    Args:
        scale_free: whether a positive factor on a loss changes nothing in training.
        check: says what is wrong with modules.
        faults: what it has said before, by digest.
    """

    def __init__(self, scale_free: bool, check: Check, faults: Mapping[str, str]) -> None:
        self.scale_free = scale_free
        self.check = check
        self._faults = dict(faults)
        self._seen = _Seen(ChainMap(), ChainMap())
        self._same: dict[str, str] = {}  # from places of the same gradients to that which was trained

    def _judge(self, derivations: Sequence[Derivation]) -> list[Judged]:
        """Each derivation's loss with its screening, or with the reason why it has none.

        Texts that are known, whatever the order of their operands, are not screened again.
        """
        losses = [derivation.loss("Candidate") for derivation in derivations]
        digests = [loss.digest() for loss in losses]
        fresh: set[str] = set()
        lowered: list[LoweredLoss | str | None] = []
        shared = Known(dict)  # of one batch: what is kept for longer costs as much as it saves
        for loss, digest in zip(losses, digests, strict=True):
            if digest in fresh or digest in self._seen.digests:
                lowered.append(None)
                continue
            fresh.add(digest)
            try:
                lowered.append(lower_loss(loss, shared))
            except NotFiniteError as error:
                lowered.append(f"{Rejection.NOT_FINITE}: {error}")
        screened = iter(screen([form for form in lowered if isinstance(form, LoweredLoss)]))
        judged = [next(screened) if isinstance(form, LoweredLoss) else form for form in lowered]
        return list(zip(losses, digests, judged, strict=True))

    def admit(
        self, generation: int, first: int, proposals: Sequence[Proposal], wanted: int
    ) -> tuple[list[CandidateRow], dict[str, Entry]]:
        """Rows of a batch, up to the last of `wanted` candidates that are to be trained, and entries by digest.

        A module that nobody has checked is taken for sound at first. The workers then check all such at once, and the
        batch is gone through again, since places that were thought taken are free; until no unchecked one is left.
        """
        judged = self._judge([derivation for derivation, _, _ in proposals])
        entries: dict[str, Entry] = {}
        while True:
            seen = _Seen(self._seen.digests.new_child(), self._seen.fingerprints.new_child())
            rows: list[CandidateRow] = []
            missing = wanted
            for i, found in enumerate(judged):
                if not missing:
                    break
                row, loss = self._admit(generation, first + i, found, proposals[i], seen)
                rows.append(row)
                if row.fate == "trained":
                    missing -= 1
                    entries[row.digest] = entries.get(row.digest) or Entry.of(loss)
            unchecked = [entry for digest, entry in entries.items() if digest not in self._faults]
            if not unchecked:
                self._seen.digests.update(seen.digests.maps[0])
                self._seen.fingerprints.update(seen.fingerprints.maps[0])
                for row in rows:
                    self._follow(row)
                return rows, entries
            self._faults.update(self.check(unchecked))

    def _admit(
        self, generation: int, number: int, judged: Judged, proposal: Proposal, seen: _Seen
    ) -> tuple[CandidateRow, Loss]:
        loss, digest, screening = judged
        _, origin, parents = proposal
        loss = loss.renamed(found_name(digest))
        mark, fate, reason = "", "trained", ""
        if digest in seen.digests:
            fate, reason = "duplicate", f"same text as {seen.digests[digest]}"
        elif isinstance(screening, str):
            fate, reason = "rejected", screening
        elif screening is None or screening.rejection is not None:
            assert screening is not None, "a text that is not known was not screened"
            fate, reason = "rejected", f"{screening.rejection}: {screening.detail}"
        else:
            cells = probes(screening.curves, self.scale_free)
            mark = cells[0]
            same = next((seen.fingerprints[cell] for cell in cells if cell in seen.fingerprints), None)
            if same is not None:
                seen.fingerprints.setdefault(mark, same)
                fate, reason = "duplicate", SAME_GRADIENTS + same
            elif self._faults.get(digest):
                fate, reason = "rejected", self._faults[digest]
        place = f"{generation}.{number}"
        seen.digests.setdefault(digest, place)
        if fate == "trained":  # not one that float32 does not follow: another with its gradients may be better made
            seen.fingerprints.setdefault(mark, place)
        text = print_loss(loss)
        row = CandidateRow(generation, number, text, loss.size, digest, mark, fate, reason, origin, parents)
        return row, loss

    def restore(self, rows: Sequence[CandidateRow]) -> None:
        """Remember what was judged before.

        Args:
            rows: in the order in which they were judged.
        """
        ill = f"{Rejection.ILL_CONDITIONED}:"
        for row in rows:
            place = f"{row.generation}.{row.number}"
            self._seen.digests.setdefault(row.digest, place)
            if row.fate in ("trained", "untrained"):
                self._seen.fingerprints.setdefault(row.fingerprint, place)
                self._faults[row.digest] = ""
            elif row.reason.startswith(SAME_GRADIENTS):
                self._seen.fingerprints.setdefault(row.fingerprint, row.reason.removeprefix(SAME_GRADIENTS))
            elif row.reason.startswith(ill):
                self._faults[row.digest] = row.reason
            self._follow(row)

    def _follow(self, row: CandidateRow) -> None:
        if row.reason.startswith(SAME_GRADIENTS):
            self._same[f"{row.generation}.{row.number}"] = row.reason.removeprefix(SAME_GRADIENTS)

    def place(self, row: CandidateRow) -> str:
        """Place of the loss that was, or is to be, trained for a row's loss; where there is none, of the first with
        its text."""
        first = self._seen.digests[row.digest]
        return self._same.get(first, first)
