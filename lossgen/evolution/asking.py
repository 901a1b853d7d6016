"""Ask for trainings that run elsewhere: modules, and a table to fill in.

What was chosen is in the archive before the first file is written; where an ask is cut off between the two, the next
one writes the same files.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.archive import CandidateRow
from lossgen.evolution.asked import (
    COLUMNS,
    ROUNDS,
    UNWRITTEN,
    VERIFICATIONS,
    State,
    Training,
    check_run,
    engine_of,
    objective_of,
    state_of,
)
from lossgen.evolution.engine import MOST_PROPOSALS
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import Run
from lossgen.files import write_text

TABLE = "results.csv"


@dataclass(frozen=True)
class Handout:
    """What was written.

    Attributes:
        folder: where.
        table: to be filled in.
        files: the modules, with their losses.
        trainings: a row each.
        earlier: whether an `ask` that was cut off had chosen them.
    """

    folder: Path
    table: Path
    files: Sequence[tuple[Path, Entry]]
    trainings: Sequence[Training]
    earlier: bool = False


def ask(run: Run, count: int, out: Path | None = None) -> Handout:
    """Choose new losses, bred from what has been told so far, and write them. What is open stays open.

    Args:
        count: how many losses.
        out: folder; by default a new one in the run's.

    Raises:
        InputError: the space holds no more, or the files cannot be written or would replace others.
    """
    check_run(run)
    if run.archive.meta(UNWRITTEN):
        return _write_chosen(run, out)
    if not run.archive.candidates() and count < len(run.config.seed_losses):
        raise InputError(f"-n {count}: fewer than there are --seed-loss; give at least {len(run.config.seed_losses)}")
    rows: list[CandidateRow] = []
    engine = engine_of(run, rows.extend)
    candidates = engine.ask(count)
    if not candidates:
        raise InputError(f"run {run.path}: no new losses in {engine.space.name} after {MOST_PROPOSALS} proposals")
    trainings = [Training("search", c.digest, seed) for c in candidates for seed in range(run.config.seeds)]
    return hand_out(run, trainings, {("search", c.digest): c.entry for c in candidates}, out, rows)


def ask_again(run: Run, out: Path | None = None) -> Handout:
    """Write what is open once more.

    Raises:
        InputError: nothing is; or as for `ask`.
    """
    check_run(run)
    if run.archive.meta(UNWRITTEN):
        return _write_chosen(run, out)
    trainings = state_of(run).open
    if not trainings:
        raise InputError(f"run {run.path}: nothing is open; leave out --again to ask for new losses")
    return hand_out(run, trainings, {}, out)


def hand_out(
    run: Run,
    trainings: Sequence[Training],
    entries: Mapping[tuple[str, str], Entry],
    out: Path | None,
    rows: Sequence[CandidateRow] = (),
    verification: Mapping[str, Any] | None = None,
) -> Handout:
    """Keep what was chosen, then write it.

    Args:
        entries: of losses that are not in the archive yet.
        rows: proposals to be kept.
        verification: as `record_of` has it, to be kept.
    """
    archive = run.archive
    rounds = archive.meta(ROUNDS, 0) + 1
    folder = out or run.path / "asked" / str(rounds)
    state = state_of(run)
    _texts(run, trainings, State(state.trainings, state.outcomes, {**state.entries, **entries}), folder)
    with archive.together():
        archive.add_candidates(list(rows))
        if verification is not None:
            archive.set_meta(VERIFICATIONS, [*archive.meta(VERIFICATIONS, []), verification])
        archive.set_meta(ROUNDS, rounds)
        archive.set_meta("finished", False)
        chosen = [[training.stage, training.digest, training.seed] for training in trainings]
        archive.set_meta(UNWRITTEN, {"out": str(folder), "trainings": chosen})
    return _write_chosen(run, folder, earlier=False)


def _write_chosen(run: Run, out: Path | None, earlier: bool = True) -> Handout:
    """Write what is in the archive and not yet in files."""
    chosen = run.archive.meta(UNWRITTEN)
    folder = out or Path(chosen["out"])
    trainings = [Training(*each) for each in chosen["trainings"]]
    state = state_of(run)
    texts = _texts(run, trainings, state, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be made: {error.strerror or error}") from None
    for path, (text, _) in texts.items():
        write_text(path, text)
    run.archive.set_meta(UNWRITTEN, None)
    files = [(path, entry) for path, (_, entry) in texts.items() if entry is not None]
    return Handout(folder, folder / TABLE, files, trainings, earlier)


def _texts(run: Run, trainings: Sequence[Training], state: State, folder: Path) -> dict[Path, tuple[str, Entry | None]]:
    """Texts by path, with the losses of those that are modules; the table comes last.

    Raises:
        InputError: one of the files is there, with another text.
    """
    names: dict[tuple[str, str], str] = {}
    texts: dict[Path, tuple[str, Entry | None]] = {}
    stems = Counter(state.entries[key].loss.name.lower() for key in {(t.stage, t.digest) for t in trainings})
    for training in trainings:
        key = training.stage, training.digest
        if key not in names:
            entry = state.entries[key]
            stem = entry.loss.name.lower()
            names[key] = f"{stem}.py" if stems[stem] == 1 else f"{stem}_{training.stage}_{training.digest}.py"
            texts[folder / names[key]] = entry.source, entry
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*COLUMNS, objective_of(run)[0]])
    for training in trainings:
        table.writerow([state.label(training), names[training.stage, training.digest], training.seed, "", ""])
    texts[folder / TABLE] = out.getvalue(), None
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; give a folder")
    for path, (text, _) in texts.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == text.encode()):
            raise InputError(f"{path}: is there already, with another text, and is left as it is; give another --out")
    return texts
