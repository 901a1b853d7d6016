"""The hall of fame is what sorting everything that was added would give, and its file is whole at all times."""

import csv
import errno
import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.entry import Entry
from lossgen.evolution.hall_of_fame import HallOfFame
from lossgen.evolution.objective import Objective
from lossgen.evolution.space import Derivation
from lossgen.files import write_text
from lossgen.language.parser import parse_loss
from lossgen.runner import Direction, Outcome

TEXTS = [
    "y_pred * y_real", "y_pred - y_real", "y_real / y_pred", "y_pred^2 - y_real", "y_pred^3 - y_real", "sqrt(y_pred)",
    "abs(y_pred)", "y_pred * (y_real - 0.5)", "log(y_pred) - y_real * y_pred",
]  # fmt: skip
LOSSES = [parse_loss(f"loss L{i}(y_real, y_pred) = {text}") for i, text in enumerate(TEXTS)]
CANDIDATES = [
    Candidate(i // 3, i % 3, Derivation("start", "y_pred"), Entry(loss, "", loss.digest()), "fresh", ())
    for i, loss in enumerate(LOSSES)
]
VALUES = st.lists(st.sampled_from([1.0, 2.0, 2.5, 4.0, None]), max_size=3)


def outcomes_of(values: list[float | None]) -> list[Outcome]:
    return [Outcome("diverged") if value is None else Outcome("ok", {"FD": value, "other": 0.0}) for value in values]


def expected(known: dict[int, list[float | None]], sign: float) -> list[tuple[int, str, float, bool]]:
    """(size, digest, value, front), from all that is known at once."""
    sound = {i: statistics.fmean(v) for i, v in known.items() if v and None not in v}  # type: ignore[type-var]
    rows, least = [], math.inf
    for size in sorted({LOSSES[i].size for i in sound}):
        place, digest, i = min((sign * v, LOSSES[i].digest(), i) for i, v in sound.items() if LOSSES[i].size == size)
        rows.append((size, digest, sound[i], place < least))
        least = min(least, place)
    return rows


@given(st.lists(st.tuples(st.integers(0, len(LOSSES) - 1), VALUES), max_size=20), st.sampled_from(["min", "max"]))
def test_it_is_what_sorting_everything_would_give(
    added: list[tuple[int, list[float | None]]], direction: Direction
) -> None:
    hall = HallOfFame(Path("unused.csv"), Objective("quality", "FD", direction, False))
    known: dict[int, list[float | None]] = {}
    for i, values in added:
        hall.add(CANDIDATES[i], outcomes_of(values))
        known[i] = values
        rows = [(row.size, row.digest, row.value, row.front) for row in hall.rows()]
        assert rows == expected(known, 1.0 if direction == "min" else -1.0)


def test_the_file_holds_the_rows(tmp_path: Path) -> None:
    hall = HallOfFame(tmp_path / "hall_of_fame.csv", Objective("quality", "FD", "min", False))
    hall.write()
    assert (tmp_path / "hall_of_fame.csv").read_text() == "size,FD,spread,trainings,front,generation,name,loss\n"
    hall.add(CANDIDATES[4], outcomes_of([2.0, 4.0]))
    hall.add(CANDIDATES[1], outcomes_of([1.5]))
    hall.add(CANDIDATES[8], outcomes_of([1.25]))
    hall.write()
    with (tmp_path / "hall_of_fame.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["3", "1.5", "", "1", "yes", "0", "L1", "y_pred - y_real"],
            ["5", "3.0", repr(math.sqrt(2.0)), "2", "no", "1", "L4", "y_pred^3 - y_real"],
            ["6", "1.25", "", "1", "yes", "2", "L8", "log(y_pred) - y_real * y_pred"],
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["hall_of_fame.csv"]


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_full_disk_is_said_and_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    hall = HallOfFame(tmp_path / "hall_of_fame.csv", Objective("quality", "FD", "min", False))
    hall.write()
    before = hall.path.read_text()
    hall.add(CANDIDATES[0], outcomes_of([1.0]))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(InputError, match=r"hall_of_fame.csv: cannot be written: No space left on device; free"):
        hall.write()
    assert hall.path.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hall_of_fame.csv"]


def test_a_reader_on_windows_sees_the_file_as_it_was_until_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    hall = HallOfFame(tmp_path / "hall_of_fame.csv", Objective("quality", "FD", "min", False))
    hall.write()
    before = hall.path.read_text()
    hall.add(CANDIDATES[0], outcomes_of([1.0]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", opened)
        hall.write()
        with pytest.raises(InputError, match="Access is denied"):
            write_text(tmp_path / "run.toml", "")
    assert hall.path.read_text() == before
    hall.write()
    assert hall.path.read_text() != before
    assert [path.name for path in tmp_path.iterdir()] == ["hall_of_fame.csv"]
