"""Tell how trainings that ran elsewhere came out: the table that `asking` wrote, filled in.

It may come back from a spreadsheet: with `;` or tabs between its cells and a decimal comma, a byte order mark, columns
of its own, rows left out or in another order. What is wrong is refused by its row, and then nothing of it is kept.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossgen.errors import InputError
from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.asked import FIRST_FRESH, Training, check_run, engine_of, objective_of, state_of
from lossgen.evolution.hall_of_fame import HallOfFame
from lossgen.evolution.run import Run
from lossgen.evolution.searched import TOLD_STEPS
from lossgen.evolution.searched import objective_of as search_objective
from lossgen.runner import Outcome, Status

MOST_BYTES = 2**24
SEPARATORS = ",;\t"
TOLD = "told"
"""Reason of a failure that was told as one."""
SAME = 1e-12
"""Relative difference of two values that are the same: a spreadsheet keeps 15 digits."""
FAILED: dict[str, Status] = {
    "failed": "crashed", "crashed": "crashed", "diverged": "diverged", "collapsed": "collapsed", "timeout": "timeout",
}  # fmt: skip
"""What may stand for a failure, as a status or in place of the value."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = re.compile(r"nan|[+-]?inf(inity)?", re.IGNORECASE)
_SEED = re.compile(r"\d{1,9}(\.0*)?", re.ASCII)


@dataclass(frozen=True)
class Told:
    """What a table came to.

    Attributes:
        new: outcomes that were kept; of them
        failed: trainings that failed; of them
        endless: those whose value is no finite number.
        known: rows that say what stood already.
        replaced: outcomes that stood, in place of which others are kept now.
        blank: rows that say nothing yet.
        verified: whether any row is of a verification.
    """

    new: int
    failed: int
    endless: int
    known: int
    replaced: int
    blank: int
    verified: bool


@dataclass(frozen=True)
class _Row:
    number: int
    loss: str
    seed: str
    status: str
    value: str


def tell(run: Run, table: Path, replace: bool = False) -> Told:
    """Keep what a table says, and write the run's hall of fame.

    Args:
        replace: whether what was told before gives way to what the table says.

    Raises:
        InputError: the table cannot be read, or a row of it is wrong or contradicts what stands; nothing is kept then.
    """
    check_run(run)
    objective, _ = objective_of(run)
    state = state_of(run)
    by_name: dict[tuple[str, int], Training] = {}
    for training in state.trainings:
        by_name[training.digest, training.seed] = training
        by_name[state.label(training), training.seed] = training
    rows = list(_rows(table, objective))
    points = next((row.number for row in rows if "." in row.value and _NUMBER.fullmatch(row.value)), None)
    told: dict[Training, tuple[_Row, Outcome]] = {}
    known = blank = 0
    verified = False
    for row in rows:
        training = _training(by_name, row, f"{table}, row {row.number}", run)
        outcome = _outcome(row, objective, f"{table}, row {row.number}", points)
        verified |= training.stage == "verify"
        if outcome is None:
            blank += 1
            continue
        stands = state.outcomes.get(training)
        differs = stands is not None and not _same(stands, outcome, objective)
        if differs and not (replace and _was_told(run, training)):
            way = "put the row right or leave it out"
            if _was_told(run, training):
                way += "; where it is right and what stands is wrong: --replace"
            raise InputError(
                f"{table}, row {row.number}: {row.loss} with seed {row.seed} is told as {_said(outcome, objective)}, "
                f"but {_said(stands, objective)} stands in {run.path}; {way}"
            )
        if training in told:
            first, other = told[training]
            if not _same(other, outcome, objective):
                raise InputError(
                    f"{table}, row {row.number}: {row.loss} with seed {row.seed} has another result in row "
                    f"{first.number}; leave one"
                )
        elif stands is not None and not differs:
            known += 1
        else:
            told[training] = row, outcome
    with run.archive.together():
        for training, (_, outcome) in told.items():
            run.archive.add_outcome(_key(training), state.entries[training.stage, training.digest].loss.name, outcome)
        if told:
            run.archive.set_meta("reproducible", False)
    write_hall(run)
    failed = [outcome for _, outcome in told.values() if outcome.status != "ok"]
    endless = sum(outcome.reason != TOLD for outcome in failed)
    replaced = sum(training in state.outcomes for training in told)
    return Told(len(told) - replaced, len(failed), endless, known, replaced, blank, verified)


def _was_told(run: Run, training: Training) -> bool:
    """Whether what stands was told, rather than trained by the run itself."""
    return run.archive.outcome(_key(training)) is not None


def _key(training: Training) -> OutcomeKey:
    return OutcomeKey(training.stage, training.digest, training.seed, TOLD_STEPS)


def write_hall(run: Run) -> Path:
    """Write the best loss of each size."""
    hall = HallOfFame(run.path / "hall_of_fame.csv", search_objective(run.archive))
    outcomes = state_of(run).outcomes
    for individual in engine_of(run).trained:
        trainings = [Training("search", individual.entry.digest, seed) for seed in range(run.config.seeds)]
        hall.add(individual.candidate, [outcomes[training] for training in trainings])
    hall.write()
    return hall.path


def _rows(table: Path, objective: str) -> Iterator[_Row]:
    """The rows that say something, with their numbers in a spreadsheet."""
    wanted = ["loss", "seed", objective]
    text = _text(table)
    read = [_split(table, text, separator) for separator in SEPARATORS]
    missing = [[name for name in wanted if _folded(name) not in names] for _, names, _ in read]
    which = min(range(len(read)), key=lambda i: len(missing[i]))
    separator, (header, names, records) = SEPARATORS[which], read[which]
    if missing[which]:
        raise InputError(f"{table}: no column {missing[which][0]}; its first row is to name {', '.join(wanted)}")
    for name in (*wanted, "status"):
        if names.count(_folded(name)) > 1:
            raise InputError(f"{table}: two columns {name}; leave one")
    places = [names.index(_folded(name)) if _folded(name) in names else None for name in (*wanted[:2], "status")]
    places.append(names.index(_folded(objective)))
    for number, record in enumerate(records[header + 1 :], header + 2):
        needed = ["" if at is None or at >= len(record) else record[at] for at in places]
        if not any(needed):
            continue
        if separator == "," and any(record[len(names) :]):
            raise InputError(
                f"{table}, row {number}: {len(record)} cells under {len(names)} columns; "
                "write decimal points, or put ; between the cells"
            )
        if separator == "," and _COMMA.fullmatch(needed[3]):
            raise InputError(f"{table}, row {number}: {objective} {needed[3]}: not a number; write a decimal point")
        yield _Row(number, *needed)


def _split(table: Path, text: str, separator: str) -> tuple[int, list[str], list[list[str]]]:
    """Where the header stands, its names, and all records."""
    try:
        cells = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        records = [[cell.strip() for cell in record] for record in cells]
    except csv.Error as error:
        raise InputError(f"{table}: not a CSV file: {error}") from None
    said = [i for i, record in enumerate(records) if any(record) and "".join(record)[:4] != "sep="]
    if not said:
        raise InputError(f"{table}: is empty; give the table that `lossgen ask` wrote, filled in")
    return said[0], [_folded(name) for name in records[said[0]]], records


def _text(table: Path) -> str:
    try:
        with table.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{table}: cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{table}: larger than {MOST_BYTES // 2**20} MiB; give the table that `lossgen ask` wrote")
    coding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(coding)
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")  # as a spreadsheet may save a note; names and numbers are ASCII


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _training(by_name: dict[tuple[str, int], Training], row: _Row, where: str, run: Run) -> Training:
    seeds = sorted({seed for name, seed in by_name if name == row.loss})
    if not seeds:
        raise InputError(f"{where}: loss {row.loss or '(empty)'}: was not asked for in run {run.path}")
    found = by_name.get((row.loss, int(float(row.seed)))) if _SEED.fullmatch(row.seed) else None
    if found is None:
        raise InputError(
            f"{where}: seed {row.seed or '(empty)'}: {row.loss} was asked for with seed {', '.join(map(str, seeds))}"
        )
    return found


def _outcome(row: _Row, objective: str, where: str, points: int | None) -> Outcome | None:
    """What a row says; None for nothing yet.

    Args:
        points: a row that has a decimal point, None where none has.
    """
    status, value = row.status.casefold(), row.value
    if status not in ("", "ok", *FAILED):
        raise InputError(f"{where}: status {row.status}: give ok, {', '.join(FAILED)}, or leave it empty")
    if status in FAILED:
        if _NUMBER.fullmatch(value) or _COMMA.fullmatch(value):
            raise InputError(f"{where}: status {row.status}, but {objective} {value}; leave one of them empty")
        return Outcome(FAILED[status], reason=TOLD)
    if not value:
        if status:
            raise InputError(f"{where}: status ok, but no {objective}")
        return None
    if value.casefold() in FAILED:
        return Outcome(FAILED[value.casefold()], reason=TOLD)
    if _NOT_FINITE.fullmatch(value):
        return Outcome("crashed", reason=f"metric {objective} is {value}")
    if _COMMA.fullmatch(value):
        if points is not None:
            raise InputError(
                f"{where}: {objective} {value}: may be a thousand, since row {points} has a decimal point; "
                "write all with points, or all with commas, and none between thousands"
            )
        value = value.replace(",", ".")
    if not _NUMBER.fullmatch(value):
        raise InputError(f"{where}: {objective} {value}: not a number; write one, failed, or nothing while it is open")
    number = float(value)
    if not math.isfinite(number):
        return Outcome("crashed", reason=f"metric {objective} is {value}")
    return Outcome("ok", {objective: number})


def _same(one: Outcome, other: Outcome, objective: str) -> bool:
    if "ok" not in (one.status, other.status):
        return True
    if one.status != other.status:
        return False
    return math.isclose(one.metrics[objective], other.metrics[objective], rel_tol=SAME)


def _said(outcome: Outcome | None, objective: str) -> str:
    return f"{objective} {outcome.metrics[objective]!r}" if outcome and outcome.status == "ok" else "failed"


def open_lines(trainings: Sequence[Training]) -> str:
    """How many trainings are open, in words."""
    losses = len({training.digest for training in trainings})
    fresh = sum(training.seed >= FIRST_FRESH for training in trainings)
    of_them = f", {fresh} of them to verify" if fresh else ""
    return f"{len(trainings)} training{'s'[: len(trainings) != 1]} of {losses} loss{'es'[: 2 * (losses != 1)]}{of_them}"
