"""Trainings that run elsewhere: what is asked depends on what was told, and on nothing else."""

import csv
import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lossgen.codegen.load import load_source, read_emitted
from lossgen.errors import InputError
from lossgen.evolution import asking, telling
from lossgen.evolution.archive import Archive, CandidateRow
from lossgen.evolution.asked import ask_config, engine_of, scale_free, state_of
from lossgen.evolution.engine import Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import Run, create_run, open_run

Fill = Callable[[dict[str, str]], str]


def fine(entries: Sequence[Entry]) -> dict[str, str]:
    return {entry.digest: "" for entry in entries}


@contextmanager
def begun(path: Path, metric: str = "fid", seeds: int = 1, seed: int = 3) -> Iterator[Run]:
    if (path / "run.toml").exists():
        with open_run(path) as run:
            yield run
        return
    with create_run(path, ask_config("ganetic", seed, metric, seeds, [], scale_free=False)) as run:
        yield run


def value(row: dict[str, str]) -> str:
    """The fake training: a function of the loss and the seed, which fails now and then."""
    number = int(hashlib.sha256((row["loss"] + row["seed"]).encode()).hexdigest()[:6], 16)
    return "failed" if number % 7 == 0 else repr(number / 1e6)


def filled(table: Path, fill: Fill = value) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    metric = list(rows[0])[-1]
    return [{**row, metric: fill(row)} for row in rows]


def write(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def search(path: Path, rounds: int = 3, fill: Fill = value, **more: Any) -> list[str]:
    """Ask and tell, opening the run each time as a new process would; the losses in the order they were asked for."""
    asked: list[str] = []
    for _ in range(rounds):
        with begun(path, **more) as run:
            handout = asking.ask(run, 4)
        rows = filled(handout.table, fill)
        asked += dict.fromkeys(row["loss"] for row in rows)
        with open_run(path) as run:
            telling.tell(run, write(handout.table, rows))
    return asked


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    path = tmp_path_factory.mktemp("ask") / "run"
    return path, search(path)


@pytest.fixture(scope="module")
def _first_round(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("first") / "run"
    search(path, 1)
    return path


@pytest.fixture
def first_round(_first_round: Path, tmp_path: Path) -> Path:
    """The run that others are of, after one round."""
    path: Path = shutil.copytree(_first_round, tmp_path / "run")
    return path


def candidates(path: Path) -> list[CandidateRow]:
    return Archive(path / "archive.sqlite", "look").candidates()


def test_no_loss_is_asked_for_twice(undisturbed: tuple[Path, list[str]]) -> None:
    path, asked = undisturbed
    assert len(asked) == len(set(asked)) == 12
    trained = [row for row in candidates(path) if row.fate == "trained"]
    assert len({row.fingerprint for row in trained}) == 12
    assert {row.generation for row in trained} == {0, 1, 2}
    digests = {row.digest for row in trained}
    assert any(row.parents for row in trained)
    assert all(parent in digests for row in trained for parent in row.parents)


def test_the_files_are_the_losses_that_were_chosen(undisturbed: tuple[Path, list[str]]) -> None:
    path, _ = undisturbed
    rows = {row.digest[:8]: row for row in candidates(path) if row.fate == "trained"}
    files = list(path.glob("asked/*/*.py"))
    assert {file.stem for file in files} == {f"evolved_{digest}" for digest in rows}
    for file in files[:3]:
        text = file.read_text()
        assert read_emitted(text, file.name).digest() == rows[file.stem.removeprefix("evolved_")].digest
        assert type(load_source(text)).__name__ == file.stem.capitalize()


def test_telling_in_pieces_and_in_any_order_changes_nothing(
    undisturbed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    for _ in range(3):
        with begun(path) as run:
            handout = asking.ask(run, 4)
        rows = filled(handout.table)
        for part in (rows[2:], [rows[0]], rows[::-1]):
            with open_run(path) as run:
                telling.tell(run, write(tmp_path / "part.csv", part))
    assert candidates(path) == candidates(undisturbed[0])


def test_other_results_lead_to_other_losses(undisturbed: tuple[Path, list[str]], tmp_path: Path) -> None:
    asked = search(tmp_path / "run", 2, lambda row: "failed")
    assert asked[:4] == undisturbed[1][:4]
    assert asked[4:] != undisturbed[1][4:8]


def test_a_metric_to_be_maximised_is_the_same_search_of_its_negative(
    undisturbed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    def negative(row: dict[str, str]) -> str:
        said = value(row)
        return said if said == "failed" else repr(-float(said))

    assert search(tmp_path / "run", fill=negative, metric="score:max") == undisturbed[1]
    with open_run(tmp_path / "run") as run, open_run(undisturbed[0]) as other:
        assert [i.entry.digest for i in engine_of(run).ranking()] == [
            i.entry.digest for i in engine_of(other).ranking()
        ]
        with (run.path / "hall_of_fame.csv").open() as file, (other.path / "hall_of_fame.csv").open() as theirs:
            ours, others = list(csv.DictReader(file)), list(csv.DictReader(theirs))
        assert [(row["loss"], -float(row["score"])) for row in ours] == [
            (row["loss"], float(row["fid"])) for row in others
        ]
        assert min(float(row["fid"]) for row in others) == engine_of(other).ranking()[0].fitness


class KilledError(Exception):
    """As a kill would, it ends whatever is under way."""


@pytest.mark.parametrize("writes", [0, 3])
def test_an_ask_that_is_cut_off_while_it_writes_is_finished_by_the_next(
    writes: int, undisturbed: tuple[Path, list[str]], first_round: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first_round
    left = writes

    def failing(file: Path, text: str) -> None:
        nonlocal left
        if not left:
            raise KilledError
        left -= 1
        file.write_text(text)

    with monkeypatch.context() as patch, pytest.raises(KilledError), open_run(path) as run:
        patch.setattr(asking, "write_text", failing)
        asking.ask(run, 4)
    with open_run(path) as run:
        handout = asking.ask(run, 4)
        assert handout.earlier
        assert handout.folder == path / "asked" / "2"
    assert candidates(path) == [row for row in candidates(undisturbed[0]) if row.generation < 2]
    ours, theirs = handout.folder, undisturbed[0] / "asked" / "2"
    assert {f.name: f.read_text() for f in ours.glob("*.py")} == {f.name: f.read_text() for f in theirs.glob("*.py")}


@pytest.mark.parametrize("at", ["add_candidates", "set_meta"])
def test_an_ask_that_is_cut_off_before_it_is_kept_has_never_been(
    at: str, undisturbed: tuple[Path, list[str]], first_round: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first_round

    def kill(*args: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError), open_run(path) as run:
        patch.setattr(Archive, at, kill)
        asking.ask(run, 4)
    assert not (path / "asked" / "2").exists()
    with open_run(path) as run:
        assert not asking.ask(run, 4).earlier
    assert candidates(path) == [row for row in candidates(undisturbed[0]) if row.generation < 2]


def test_a_table_is_kept_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    with begun(path) as run:
        table = asking.ask(run, 3).table
        write(table, filled(table, lambda row: "2.5"))
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            keep = Archive.add_outcome
            left = iter([True, False])

            def failing(*args: Any, **more: Any) -> None:
                if not next(left):
                    raise KilledError
                keep(*args, **more)

            patch.setattr(Archive, "add_outcome", failing)
            telling.tell(run, table)
        assert len(state_of(run).open) == 3
        assert telling.tell(run, table).new == 3


def test_what_is_open_stays_open_and_can_be_written_again(tmp_path: Path) -> None:
    with begun(tmp_path / "run", seeds=2) as run:
        first = asking.ask(run, 2)
        rows = filled(first.table, lambda row: "1.5" if row["seed"] == "0" else "")
        told = telling.tell(run, write(first.table, rows))
        assert (told.new, told.blank) == (2, 2)
        assert not engine_of(run).trained  # a loss counts when all its seeds are there
        second = asking.ask(run, 2)
        assert not {e.digest for _, e in first.files} & {e.digest for _, e in second.files}
        again = asking.ask_again(run, first.folder / "again")
        assert again.trainings == [t for t in first.trainings if t.seed == 1] + list(second.trainings)
        for path, _ in first.files:
            assert (again.folder / path.name).read_text() == path.read_text()
        telling.tell(run, write(again.table, filled(again.table, lambda row: "0.5")))
        assert [i.fitness for i in engine_of(run).trained] == [1.0, 1.0, 0.5, 0.5]
        assert [i.spread for i in engine_of(run).trained][:2] == [pytest.approx(math.sqrt(0.5))] * 2


def test_what_was_told_wrong_is_replaced_as_if_it_had_been_told_right(tmp_path: Path) -> None:
    wrong = {"0": "9.5", "1": "failed", "2": "0.5"}
    with begun(tmp_path / "run", seeds=3) as run:
        table = asking.ask(run, 1).table
        rows = filled(table)
        telling.tell(run, write(table, filled(table, lambda row: wrong[row["seed"]])))
        right = write(table, [{**row, "fid": fid} for row, fid in zip(rows, ("1.5", "2.5", ""), strict=True)])
        with pytest.raises(InputError, match="--replace"):
            telling.tell(run, right)
        told = telling.tell(run, right, replace=True)
        assert (told.new, told.replaced, told.known, told.blank) == (0, 2, 0, 1)
        assert [i.fitness for i in engine_of(run).trained] == [1.5]
        assert "1.5" in (run.path / "hall_of_fame.csv").read_text()
        again = telling.tell(run, right, replace=True)
        assert (again.replaced, again.known) == (0, 2)


def test_files_of_others_are_left_as_they_are(tmp_path: Path) -> None:
    with begun(tmp_path / "run") as run:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "results.csv").write_text("mine")
        with pytest.raises(InputError, match="is there already, with another text"):
            asking.ask(run, 2, tmp_path / "out")
        assert not run.archive.candidates()
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["results.csv"]
        with pytest.raises(InputError, match="is a file; give a folder"):
            asking.ask(run, 2, tmp_path / "out" / "results.csv")


@pytest.fixture(scope="module")
def open_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, str, str]]:
    """A run with two losses on two seeds, of which seed 1 of the first is told as 4.25."""
    path = tmp_path_factory.mktemp("pair") / "run"
    with begun(path, seeds=2) as run:
        handout = asking.ask(run, 2)
        a, b = (entry.loss.name for _, entry in handout.files)
        handout.table.write_text(f"loss,seed,fid\n{a},1,4.25\n")
        telling.tell(run, handout.table)
        yield run, a, b


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("loss,seed,is\nA,0,1\n", "no column fid; its first row is to name loss, seed, fid"),
        ("loss,fid\nA,1\n", "no column seed"),
        ("loss,seed,fid,FID\nA,0,1,2\n", "two columns fid"),
        ("loss,seed,fid\nA,0,1\n\nEvolved_none,0,1\n", "row 4: loss Evolved_none: was not asked for"),
        ("loss,seed,fid\nA,2,1\n", "row 2: seed 2: Evolved_.* was asked for with seed 0, 1"),
        ("loss,seed,fid\nA,,1\n", r"row 2: seed \(empty\)"),
        ("loss,seed,fid\nA,0,1.5e\n", "row 2: fid 1.5e: not a number"),
        ("loss,seed,fid\nA,0,1_0\n", "row 2: fid 1_0: not a number"),
        ('loss,seed,fid\nA,0,"1,5"\n', "row 2: fid 1,5: not a number; write a decimal point"),
        ("loss,seed,fid\nA,0,1,5\n", "row 2: 4 cells under 3 columns; write decimal points"),
        ("loss;seed;fid\nA;0;1,500\nB;0;2.5\n", "row 2: fid 1,500: may be a thousand, since row 3 has.*; write"),
        ("loss;seed;fid\nA;0;1.500,5\n", "row 2: fid 1.500,5: not a number"),
        ("loss,seed,status,fid\nA,0,running,\n", "row 2: status running: give ok, failed"),
        ("loss,seed,status,fid\nA,0,failed,7\n", "row 2: status failed, but fid 7; leave one of them empty"),
        ("loss,seed,status,fid\nA,0,ok,\n", "row 2: status ok, but no fid"),
        ("loss,seed,fid\nA,0,1\nA,0,2\n", "row 3: .* has another result in row 2"),
        ("loss,seed,fid\nA,0,1\nA,1,4.5\n", "row 3: .* is told as fid 4.5, but fid 4.25 stands"),
        ("loss,seed,fid\nA,1,failed\n", "row 2: .* is told as failed, but fid 4.25 stands.* --replace"),
    ],
)
def test_what_is_wrong_is_refused_by_its_row(text: str, says: str, open_pair: Any, tmp_path: Path) -> None:
    run, a, b = open_pair
    table = tmp_path / "table.csv"
    table.write_text(text.replace("\nA", f"\n{a}").replace("\nB", f"\n{b}"))
    with pytest.raises(InputError, match=says) as error:
        telling.tell(run, table)
    assert "\n" not in str(error.value)
    assert len(state_of(run).open) == 3


@pytest.mark.parametrize("name", ["none.csv", "."])
def test_a_table_that_cannot_be_read_is_refused(name: str, open_pair: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        telling.tell(open_pair[0], tmp_path / name)


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("loss,file,seed,status,fid\nA,a.py,0,,1.5\nB,b.py,0,,nan\nB,b.py,1,,\n", "utf-8"),
        ("loss,seed,fid\r\nA,0,1.5\r\nA,1,4.25\r\nB,0,-inf\r\n", "utf-8-sig"),
        ("sep=;\nloss;seed;fid\n\nB;0;Failed\nA;0;1,5\n", "utf-8"),
        ("seed\tloss\tnote\tfid\n0\tA\tschön\t1,5e0\n0\tB\t\tDiverged\n", "utf-16"),
        (" Seed , LOSS,host, FID ,status\n 0,A , n1,1.50, ok\n,,n2,,\n0.0,B,,nan,failed\n", "utf-8"),
        ('loss,seed,note,fid\nA,0,"é\nü, 3",1.5\nA,0,again,\nB,0,,1e999\n', "cp1252"),
    ],
)
def test_what_a_spreadsheet_makes_of_the_table_is_understood(text: str, coding: str, tmp_path: Path) -> None:
    with begun(tmp_path / "run", seeds=2) as run:
        handout = asking.ask(run, 2)
        (_, a), (_, b) = handout.files
        for letter, entry in (("A", a), ("B", b)):
            text = text.replace(f"\n{letter},", f"\n{entry.loss.name},").replace(
                f"\n{letter};", f"\n{entry.loss.name};"
            )
            text = text.replace(f"\t{letter}\t", f"\t{entry.loss.name}\t").replace(f",{letter} ,", f",{entry.digest} ,")
            text = text.replace(f",{letter},,", f",{entry.loss.name},,")
        table = tmp_path / "table.csv"
        table.write_bytes(text.encode(coding))
        told = telling.tell(run, table)
        assert told.failed == 1
        assert told.endless == any(f",{value}" in text for value in ("nan,\n", "nan\n", "-inf\r", "1e999\n"))
        outcomes = {(t.digest, t.seed): o for t, o in state_of(run).outcomes.items()}
        assert outcomes[a.digest, 0].metrics == {"fid": 1.5}
        assert outcomes[b.digest, 0].status != "ok"
        again = telling.tell(run, table)
        assert (again.new, again.known) == (0, told.new)


def truncate(objectives: np.ndarray, count: int) -> list[int]:
    return [int(i) for i in np.argsort(objectives[:, 0], kind="stable")[:count]]


@pytest.mark.parametrize("scale_free", [True, False])
def test_a_restored_engine_goes_on_as_the_one_that_was_told(scale_free: bool) -> None:
    """With truncation, survivors of all generations at once are those of one after another."""
    rows: dict[tuple[int, int], CandidateRow] = {}

    def record(new: list[CandidateRow]) -> None:
        rows.update({(row.generation, row.number): row for row in new})

    def new() -> Engine:
        return Engine("ganetic", 5, 7, scale_free=scale_free, check=fine, select=truncate, record=record)

    told, values = new(), {}
    for _ in range(3):
        asked = told.ask()
        each = [int(c.digest[:6], 16) / 1e6 for c in asked]
        told.tell(asked, [*each[:-1], None])  # the last is not trained
        values |= {c.digest: [v] for c, v in zip(asked[:-1], each[:-1], strict=True)}
    restored = new()
    restored.restore([rows[place] for place in sorted(rows)], values)
    assert restored.proposed == told.proposed
    assert [i.entry.digest for i in restored.population] == [i.entry.digest for i in told.population]
    assert {i.entry.digest: i.entry.source for i in restored.trained} == {
        i.entry.digest: i.entry.source for i in told.trained
    }
    best = told.ranking()[0]
    assert restored.offer([best.derivation], "polish", best.entry.digest) == [best.fitness]
    told.offer([best.derivation], "polish", best.entry.digest)
    assert [c.digest for c in restored.ask()] == [c.digest for c in told.ask()]
    with pytest.raises(InputError, match="comes before the first ask"):
        restored.restore([], {})


@pytest.mark.parametrize("known", [True, False])
def test_a_finished_search_has_kept_whether_its_runner_was_scale_free(known: bool, first_round: Path) -> None:
    with open_run(first_round) as run:
        search: Any = SimpleNamespace(config=SimpleNamespace(kind="evolve"), archive=run.archive)
        assert scale_free(search) is False, "as the fingerprints of a run without the note show"
        run.archive.set_meta("scale_free", known)
        assert scale_free(search) is known
