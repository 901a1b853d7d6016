"""Comparisons under conditions: losses crossed with regularisers, tuned on seeds of their own, and gone on with."""

import csv
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crossed_runner import BEST, Crossed

import lossgen
from lossgen.api import Run
from lossgen.codegen.load import load_argument
from lossgen.evolution.archive import Archive
from lossgen.evolution.conditions import pair_text
from lossgen.evolution.config import read_config
from lossgen.evolution.run import open_run
from lossgen.evolution.tuning import TUNED
from lossgen.language.printer import print_loss
from lossgen.report.tables import setting_of
from lossgen.runner import Outcome

LOSSES = ["bce", "lsgan", "hinge"]
COLUMNS = "stage, digest, replicate, steps, name, status, metrics, reason, step, seconds, files, curve"
"""Of an outcome, before there were conditions."""
GRID = [(1e-3, 1e-3), (3e-3, 1e-3), (1e-3, 3e-4)]
SMALL: dict[str, Any] = {"runner": Crossed, "steps": 10, "workers": 0, "quiet": True, "marks": "marks"}
TUNED_AND_CROSSED: dict[str, Any] = {**SMALL, "tune": True, "grid": GRID, "fails": "Hinge"}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("crossing"))
        yield Path.cwd()


def trained() -> list[str]:
    """The trainings since the last look; those that were timed left out."""
    marks = Path("marks")
    lines = marks.read_text().splitlines() if marks.exists() else []
    marks.unlink(missing_ok=True)
    return [line for line in lines if "(0, 3, 0)" not in line]


@pytest.fixture(scope="module")
def whole() -> tuple[Run, list[str]]:
    """Three losses, each with and without r1, at its best of three pairs; Hinge fails at what would be its best one."""
    trained()
    run = lossgen.compare(LOSSES, regulariser="none,r1", seeds=3, out="whole", **TUNED_AND_CROSSED)
    return run, trained()


@pytest.fixture(scope="module")
def plain() -> Run:
    return lossgen.compare(["bce", "lsgan"], seeds=2, out="plain", **SMALL)


def test_every_loss_is_trained_with_every_regulariser(whole: tuple[Run, list[str]]) -> None:
    run, _ = whole
    comparison = run.comparison
    assert comparison is not None and run.finished and run.reproducible
    assert [result.label for result in comparison.results] == [
        "BCE", "BCE + r1(10)", "LSGAN", "LSGAN + r1(10)", "Hinge", "Hinge + r1(10)"
    ]  # fmt: skip
    assert all(len(result.outcomes) == 3 for result in comparison.results)
    for outcome in run.record()["outcomes"]:
        condition = outcome["condition"]
        assert condition["recommended"] == condition["drift"] == 0.0 and condition["r1"] in (0.0, 10.0)
    assert len(list((run.path / "models").glob("*/samples.npz"))) == 18, "each keeps its own"


def test_each_has_the_pair_that_is_best_for_it_by_its_fitness(whole: tuple[Run, list[str]]) -> None:
    """The test split would have chosen the worst."""
    run, _ = whole
    assert run.comparison is not None
    best = {name: pair_text(pair) for name, pair in BEST.items()} | {"Hinge": "0.001:0.001"}
    assert {result.name: result.rates for result in run.comparison.results} == best
    with open_run(run.path, locked=False) as opened:
        kept = opened.archive.meta(TUNED)
    assert [each["rates"] for each in kept.values()] == [best[result.name] for result in run.comparison.results]
    rows = list(csv.DictReader((run.path / "results.csv").open()))
    assert {row["loss"]: row["rates"] for row in rows} == best
    assert {row["needs"] for row in rows} == {"", "r1(10)"}


def test_what_is_chosen_on_is_not_reported(whole: tuple[Run, list[str]]) -> None:
    _, lines = whole
    assert len(lines) == 6 * 3 * 2 + 6 * 3
    seeds = [line.partition("(")[2].partition(")")[0] for line in lines]
    assert set(seeds[:36]) == {"0, 4, 0", "0, 4, 1"}
    assert set(seeds[36:]) == {"0, 2, 0", "0, 2, 1", "0, 2, 2"}


class StopsAfter(lossgen.Listener):
    """Stops a run in order, or as if it had been killed, after so many trainings of a stage."""

    def __init__(self, stage: str, count: int, error: type[BaseException]) -> None:
        self.of, self.left, self.error = stage, count, error

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        self.left -= stage == self.of
        if not self.left:
            raise self.error


class Hears(lossgen.Listener):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.plans: list[Any] = []
        self.notes: list[str] = []

    def planned(self, plan: Any) -> None:
        self.plans.append(plan)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_one_that_is_widened_killed_and_resumed_ends_as_one_that_was_asked_for_at_once(
    whole: tuple[Run, list[str]],
) -> None:
    trained()
    run = lossgen.compare("bce", regulariser="none", seeds=1, out="grown", **TUNED_AND_CROSSED)
    assert run.finished and len(trained()) == 3 * 2 + 1
    more: dict[str, Any] = {**TUNED_AND_CROSSED, "regulariser": "none,r1", "seeds": 3, "out": "grown"}
    with pytest.raises(KeyboardInterrupt):
        lossgen.compare(LOSSES, callbacks=[StopsAfter("tune", 5, KeyboardInterrupt)], **more)
    assert not run.finished and lossgen.open_run("grown").config.seeds == 3
    hears = Hears()
    run = lossgen.compare(LOSSES, callbacks=[hears], **more)  # as --resume would, the same command goes on
    assert len(trained()) == 36 + 18 - 7, "something was trained twice"
    assert run.record() == whole[0].record()
    (plan,) = hears.plans
    assert (plan.tune_trainings, plan.verify_trainings, plan.known) == (36, 18, 6 + 1 + 5)
    assert not any("Hinge" in note for note in hears.notes), "another pair did not fail"


def test_over_all_pairs_a_seed_has_one_result_and_regularisers_are_told_apart() -> None:
    grid = [(1e-3, 1e-3), (3e-3, 3e-3), (1e-3, 3e-4)]
    arguments: dict[str, Any] = {**SMALL, "objective": "robust", "grid": grid, "regulariser": "none,r1", "out": "all"}
    lossgen.compare("bce", seeds=1, **arguments)
    trained()
    run = lossgen.compare(["bce", "lsgan"], seeds=2, **arguments)
    assert len(trained()) == (2 * 2 * 2 - 2) * 3, "what was trained was trained again"
    assert run.finished and run.comparison is not None
    kept = [outcome for outcome in run.record()["outcomes"] if outcome["name"] == "BCE"]
    of_r1 = [outcome for outcome in kept if outcome["condition"]["r1"]]
    assert len(kept) == 12 and len(of_r1) == 6
    first, second = run.comparison.results[:2]
    assert (first.label, second.label) == ("BCE", "BCE + r1(10)")
    for result, mine in ((first, [each for each in kept if each not in of_r1]), (second, of_r1)):
        tests = {outcome["replicate"]: outcome["metrics"]["distance test"] for outcome in mine}
        means = [sum(tests[seed * 3 + pair] for pair in range(3)) / 3 for seed in range(2)]
        assert result.values == pytest.approx(means)
        assert [outcome.metrics["distance test"] for outcome in result.outcomes] == pytest.approx(means)
        assert result.outcomes[1].metrics["distance test lr=0.003-0.003"] == tests[4]
    rows = list(csv.DictReader((run.path / "results.csv").open()))
    assert len(rows) == 8 and float(rows[0]["distance test lr=0.001-0.001"]) > 0, "a row a seed, and all pairs in it"
    assert "in the grid, 0.003: BCE, BCE + r1(10)" in (run.path / "results.md").read_text().replace("\\", "")
    assert "but regularisers of each row's own, and each result is the mean of 3 trainings" in setting_of_run(run)


def setting_of_run(run: Run) -> str:
    with open_run(run.path, locked=False) as opened:
        return setting_of(opened)


def test_a_comparison_without_conditions_has_none_in_its_record(plain: Run) -> None:
    record = plain.record()
    assert not {"regularisers", "grid", "tune_seeds"} & set(record["config"])
    assert all("condition" not in outcome for outcome in record["outcomes"])
    assert all(not {"condition", "rates"} & set(row) for row in record["result"]["results"])
    assert {path.name for path in (plain.path / "models").iterdir()} == {"BCE-0", "BCE-1", "LSGAN-0", "LSGAN-1"}


def test_a_run_of_an_older_lossgen_is_gone_on_with(plain: Run) -> None:
    """Its archive has no conditions, and keeps what it has."""
    old = shutil.copytree(plain.path, Path("old"))
    db = sqlite3.connect(old / "archive.sqlite", isolation_level=None)
    db.execute("BEGIN")
    rows = db.execute(f"SELECT {COLUMNS}, cached FROM outcomes WHERE replicate = 0").fetchall()
    db.execute("DROP TABLE outcomes")
    for statement in (Archive.migrations[0][2], *Archive.migrations[1]):
        db.execute(statement)
    db.executemany(f"INSERT INTO outcomes VALUES ({', '.join('?' * 13)})", rows)
    db.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    db.execute("UPDATE meta SET value = 'false' WHERE key = 'finished'")
    db.execute("COMMIT")
    db.close()
    trained()
    run = lossgen.compare(resume=old, quiet=True)
    assert len(trained()) == 2, "those on the second seed, which it had not"
    assert run.record() == plain.record()


@pytest.mark.parametrize(
    ("losses", "change", "says"),
    [
        (["bce"], {}, "holds LSGAN, too; name all"),
        (["bce", "lsgan"], {"seeds": 1}, "has 2 seeds of each loss; give --seeds 2 or more"),
        (["bce", "lsgan"], {"steps": 20}, "--steps was 10, not 20"),
        (["bce", "lsgan"], {"steps": None}, "--steps was 10, not 1500"),
        (["bce", "lsgan"], {"seed": 1, "r1": 2.0}, r"--r1 was 0.0, not 2.0; --seed was 0, not 1"),
        (["bce", "lsgan"], {"image_size": 16}, "--image-size was not given, not 16"),
        (["bce", "lsgan"], {"regulariser": "none"}, "the crossing with --regulariser was off, not on"),
        (["bce", "lsgan"], {"tune": True}, "the grid of learning rates was off, not 0.01:0.03"),
        (["bce", "loss LSGAN(score, y_real) = square(score - y_real) + 0.5"], {}, "LSGAN is another loss than it was"),
        (["renamed.loss", "lsgan"], {}, "Mine is called BCE there"),
    ],
)
def test_what_does_not_go_on_with_a_comparison_is_refused_and_changes_nothing(
    plain: Run, losses: list[str], change: dict[str, Any], says: str
) -> None:
    text = load_argument("bce").loss.renamed("Mine")
    Path("renamed.loss").write_text(print_loss(text))
    before = {path.name: path.read_bytes() for path in plain.path.iterdir() if path.suffix in (".toml", ".csv")}
    with pytest.raises(lossgen.InputError, match=f"--out plain: .*{says}.*choose another --out") as error:
        lossgen.compare(losses, **{**SMALL, "seeds": 2, "out": "plain", **change})
    assert "\n" not in str(error.value)
    assert {name: (plain.path / name).read_bytes() for name in before} == before
    assert plain.finished


def test_a_runner_that_has_changed_is_refused(plain: Run, tmp_path: Path) -> None:
    mine = tmp_path / "crossed_runner.py"
    mine.write_text(
        (Path(__file__).parents[1] / "crossed_runner.py").read_text().replace("    fails: str", "    failing: str")
    )
    with pytest.raises(lossgen.InputError, match=r"the runner's file was .*; --fails was not given, not an option"):
        lossgen.compare(["bce", "lsgan"], **{**SMALL, "seeds": 2, "out": "plain", "runner": str(mine)})


def test_a_refusal_by_the_workers_leaves_what_was_asked_for_before(plain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaks(lossgen.Listener):
        def preparing(self, what: str) -> None:
            raise lossgen.InputError("the data are gone")

    record = plain.record()
    with pytest.raises(lossgen.InputError, match="the data are gone"):
        lossgen.compare(["bce", "lsgan", "hinge"], seeds=3, out="plain", callbacks=[Breaks()], **SMALL)
    assert read_config(plain.path / "run.toml").seeds == 2
    assert plain.finished and plain.record() == record


def test_a_search_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('schema = 1\nkind = "evolve"\n\n[versions]\nlossgen = "0"\n')
    with pytest.raises(lossgen.InputError, match="holds a run already; go on with `--resume"):
        lossgen.compare("bce", out=tmp_path, **SMALL)


def test_a_tuning_that_the_time_has_ended_compares_nothing() -> None:
    run = lossgen.compare(LOSSES, seeds=2, tune=True, time_limit="0.001s", out="short", **SMALL)
    assert run.comparison is not None
    assert run.comparison.interim and not run.finished and not run.reproducible
    assert all(not result.outcomes for result in run.comparison.results)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"regulariser": "r2"}, "--regulariser 'r2': is none of"),
        ({"regulariser": ["none", "none"]}, "none is given twice"),
        ({"grid": GRID}, "--grid: is of --tune or --objective robust"),
        ({"objective": "stability"}, "--objective stability: a comparison shows the spread"),
        ({"objective": "robust", "tune": True}, "--tune: --objective robust trains with all pairs"),
        ({"objective": "robust", "rates": {"BCE": (1e-3, 1e-3)}}, "--rates: --objective robust trains with all pairs"),
        (
            {"objective": "robust", "runner": Path(__file__).parents[1] / "toy_runner.py"},
            "--objective robust: the runner toy_runner has no option lr_generator",
        ),
        ({"tune_seeds": 5}, "--tune-seeds: says how --tune tunes"),
        ({"tune": True, "grid": [(1e-3,)]}, r"grid: \(0.001,\) is no pair"),
        ({"tune": True, "grid": "1e-3:2"}, "--grid 0.001:2: lr_discriminator"),
        (
            {"tune": True, "runner": Path(__file__).parents[1] / "toy_runner.py"},
            "toy_runner has no option lr_generator",
        ),
        ({"regulariser": "r1", "runner": "ring"}, "--regulariser r1: the runner ring has no such option, it has none"),
        ({"tune": True, "tune_seeds": 0}, "--tune-seeds: .*greater than or equal to 1"),
    ],
)
def test_conditions_that_cannot_be_are_refused_in_one_line(change: dict[str, Any], says: str) -> None:
    arguments = {**SMALL, "out": "wrong", **change}
    if "runner" in change:  # which has no marks
        del arguments["marks"]
    with pytest.raises(lossgen.InputError, match=says) as error:
        lossgen.compare("bce", **arguments)
    assert "\n" not in str(error.value)
    assert not Path("wrong").exists()
