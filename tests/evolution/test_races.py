"""Whole searches that race, on a runner that trains nothing: continued, interrupted, robust, and what they say."""

import csv
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lossgen
from lossgen.api import Run
from lossgen.errors import InputError

RACING, TOY = (Path(__file__).parents[1] / f"{name}_runner.py" for name in ("racing", "toy"))
SMALL: dict[str, Any] = {
    "runner": RACING, "objective": "robust", "rungs": [(20, 1), (40, 2), (80, 4)], "population": 8, "generations": 3,
    "verify_seeds": 2, "polish": 8, "audit": 2, "quiet": True,
}  # fmt: skip
USUAL = [(3e-3, 9e-3), (1e-3, 3e-3), (1e-3, 3e-2), (3e-3, 1e-3)]
"""The usual grid of a runner whose own rates are 0.003 and 0.003."""


def evolve(folder: Path, name: str = "run", **more: Any) -> Run:
    return lossgen.evolve(out=folder / name, generated=folder / "generated", **{**SMALL, **more})


def compared(run: Run) -> dict[str, Any]:
    """The record without the options that only say where marks go, and how long a training takes."""
    record = run.record()
    for name in ("marks", "pause"):
        record["config"]["options"].pop(name)
    return record


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("race")
    return evolve(folder, marks=str(folder / "marks"), workers=2), folder / "marks"


def test_trainings_are_continued_and_none_is_made_twice(raced: tuple[Run, Path]) -> None:
    run, marks = raced
    lines = [line.rsplit(maxsplit=2) for line in marks.read_text().splitlines() if "Evolved" in line]
    assert len(set(map(tuple, lines))) == len(lines)
    ways = Counter((int(begun), int(steps)) for _, begun, steps in lines)
    assert {(0, 20), (20, 40), (0, 40), (40, 80), (0, 80)} <= set(ways)
    assert ways[20, 40] == ways[0, 40]  # the second rung has one replicate that goes on, and one that is new
    assert not list((run.path / "models").rglob("*20.state.json"))
    assert not list((run.path / "models").rglob("*40.state.json"))


def test_only_those_that_went_the_whole_way_are_ranked(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    whole: dict[str, set[int]] = {}
    for key, _, _ in run.outcomes:
        if key.stage in ("search", "polish") and key.steps == 80:
            whole.setdefault(key.digest, set()).add(key.replicate)
    assert all(replicates == set(range(4)) for replicates in whole.values())
    assert {row.digest for row in run.hall_of_fame} <= set(whole)
    assert all(row.trainings == 4 for row in run.hall_of_fame)
    best = min(run.hall_of_fame, key=lambda row: row.value)
    graph = run.lineage()
    assert min(graph.nodes[digest]["fitness"] for digest in whole) == pytest.approx(best.value)
    assert all("fitness" not in node for digest, node in graph.nodes(data=True) if digest not in whole)


def test_fitness_is_the_geometric_mean_over_pairs(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    best = min(run.hall_of_fame, key=lambda row: row.value)
    values, rates = [], []
    for key, _, outcome in run.outcomes:
        if key.digest == best.digest and key.steps == 80 and key.stage in ("search", "polish"):
            values.append(outcome.metrics["distance"])
            rates.append(tuple(json.loads(key.condition).values()))
    product = 1.0
    for value in values:
        product *= value
    assert best.value == pytest.approx(product**0.25)
    assert sorted(rates) == sorted((d, g) for g, d in USUAL)


def test_verification_trains_each_seed_with_each_pair(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    verified = Counter((key.digest, key.condition) for key, _, _ in run.outcomes if key.stage == "verify")
    assert len(verified) == 5 * 4 and set(verified.values()) == {2}
    assert run.comparison is not None and run.champion is not None
    assert not run.comparison.of("runner-up")
    assert len(run.champion.values) == 2
    of_first = [
        outcome.metrics["distance"]
        for key, _, outcome in run.outcomes
        if key.stage == "verify" and key.digest == run.champion.digest and key.replicate < 4
    ]
    product = 1.0
    for value in of_first:
        product *= value
    assert run.champion.values[0] == pytest.approx(product**0.25)


def test_a_run_shows_the_seeds_of_its_verification(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    assert run.comparison is not None
    for result in run.comparison.results:
        assert [outcome.metrics["distance"] for outcome in result.outcomes] == pytest.approx(list(result.values))
        assert result.failed == 0


def test_nothing_is_left_of_what_was_continued(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    assert all(any(path.iterdir()) for path in (run.path / "models").iterdir()), "an empty folder"
    stages = {key.stage for key, _, outcome in run.outcomes if outcome.files}
    assert stages == {"verify"}


def test_rungs_say_what_they_foretold(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    shown = repr(run)
    assert re.search(r"Rung 20x1: rank correlation with 40x2 \S+ .*over 3 drawn at random", shown), shown
    assert [each["rung"] for each in run.record()["foretold"]] == ["20x1", "40x2"]


def test_candidates_say_how_far_they_came(raced: tuple[Run, Path]) -> None:
    run, _ = raced
    done = subprocess.run(
        [sys.executable, "-m", "lossgen", "show", str(run.path), "--csv"], capture_output=True, text=True, check=True
    )
    rows = [row for row in csv.DictReader(done.stdout.splitlines()) if row["fate"] == "trained"]
    assert {(row["steps"], row["trainings"]) for row in rows} == {("20", "1"), ("40", "2"), ("80", "4")}


def test_the_best_of_a_search_are_compared_by_its_name(raced: tuple[Run, Path], tmp_path: Path) -> None:
    run, _ = raced
    small: dict[str, Any] = {"runner": RACING, "steps": 20, "seeds": 2, "workers": 0, "quiet": True}
    compared = lossgen.compare(["bce", f"{run.path}:2"], out=tmp_path / "compared", **small).comparison
    assert compared is not None
    best = sorted(run.hall_of_fame, key=lambda row: row.value)
    assert [result.name for result in compared.results][:2] == ["BCE", best[0].name]
    for count in (0, 999):
        with pytest.raises(InputError, match=rf"^loss \S+:{count}: the run has \d+ losses that trained well; give "):
            lossgen.compare([f"{run.path}:{count}"], out=tmp_path / "refused", **small)


def test_the_same_comes_of_one_worker_and_of_a_killed_run(raced: tuple[Run, Path], tmp_path: Path) -> None:
    run, _ = raced
    assert compared(evolve(tmp_path, workers=1)) == compared(run)
    rungs = ",".join(f"{steps}x{replicates}" for steps, replicates in SMALL["rungs"])
    command = [
        sys.executable, "-m", "lossgen", "evolve", "--runner", RACING, "--objective", "robust", "--rungs", rungs,
        "--population", "8", "--generations", "3", "--verify-seeds", "2", "--polish", "8", "--audit", "2",
        "--workers", "2", "--pause", "0.05", "--out", tmp_path / "killed", "--generated", tmp_path / "generated",
    ]  # fmt: skip
    for wanted in (12, 40):
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None:
            if (tmp_path / "killed" / "archive.sqlite").exists() and trained(tmp_path / "killed") >= wanted:
                process.kill()
            time.sleep(0.05)
        assert process.stderr is not None
        assert process.wait() != 2, process.stderr.read()
        command = [sys.executable, "-m", "lossgen", "evolve", "--resume", tmp_path / "killed", "--workers", "2"]
        command += ["--generated", tmp_path / "generated"]
    again = lossgen.evolve(resume=tmp_path / "killed", generated=tmp_path / "generated", quiet=True)
    assert compared(again) == compared(run)


def trained(path: Path) -> int:
    try:
        return len(lossgen.open_run(path).outcomes)
    except InputError:
        return 0


def test_a_rung_that_foretells_the_contrary_is_left_out(tmp_path: Path) -> None:
    notes: list[str] = []

    class Ear(lossgen.Listener):
        def note(self, text: str) -> None:
            notes.append(text)

    run = evolve(tmp_path, turns=20, generations=12, rungs=[(20, 1), (80, 4)], polish=0, audit=0, callbacks=[Ear()])
    (note,) = [note for note in notes if "does not foretell" in note]
    assert note.startswith("rung 20x1 does not foretell 80x4 (rank correlation -")
    (foretold,) = run.record()["foretold"]
    rows = {row.digest: row.generation for row in run.candidates if row.fate == "trained"}
    at_first = {rows[key.digest] for key, _, _ in run.outcomes if key.stage == "search" and key.steps == 20}
    assert max(at_first) == foretold["dropped"] - 1
    assert "it was left out from generation" in repr(run)


def test_a_cache_gives_what_was_trained_and_states_are_none_of_it(
    raced: tuple[Run, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "cache"))
    small: dict[str, Any] = {"generations": 1, "polish": 0, "audit": 0, "cache": True}
    first, again = (evolve(tmp_path, name, **small) for name in ("first", "again"))
    assert again.waterfall["cache"] == first.waterfall["trained"]
    assert [row.value for row in again.hall_of_fame] == [row.value for row in first.hall_of_fame]


def test_without_states_each_rung_trains_anew_and_the_budget_knows(tmp_path: Path) -> None:
    small: dict[str, Any] = {**SMALL, "runner": TOY, "objective": "quality", "rungs": [(20, 1), (40, 2)]}
    run = lossgen.evolve(out=tmp_path / "run", generated=tmp_path, max_steps=2000, **{**small, "generations": None})
    steps = sum(key.steps for key, _, _ in run.outcomes if key.stage != "audit")
    assert steps <= 2000
    assert sum(key.steps == 40 for key, _, _ in run.outcomes if key.stage == "search") > 2


def test_what_a_listener_raises_ends_the_run_and_is_nobodys_outcome(tmp_path: Path) -> None:
    class Angry(lossgen.Listener):
        def progress(self, stage: str, fraction: float, left: float | None) -> None:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        lossgen.compare(["bce"], runner=TOY, seeds=1, steps=10, workers=0, out=tmp_path / "run", callbacks=[Angry()])
    statuses = {outcome.status for _, _, outcome in lossgen.open_run(tmp_path / "run").outcomes}
    assert "crashed" not in statuses


def test_robust_needs_rates_and_says_where_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = lossgen.evolve(
        runner=TOY, objective="robust", population=2, generations=1, steps=10, verify_seeds=2, polish=0, audit=0,
        out=tmp_path / "run", generated=tmp_path / "generated",
    )  # fmt: skip
    assert "toy_runner has no learning rates to vary" in capsys.readouterr().out
    assert run.config.objective == "quality" and run.config.grid is None


def test_where_there_are_rates_robust_races_are_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = evolve(tmp_path, objective=None, rungs=None, generations=1, steps=20, polish=0, audit=0, quiet=False)
    assert run.config.objective == "robust" and run.config.grid == USUAL
    assert Counter(key.steps for key, _, _ in run.outcomes if key.stage == "search").keys() == {5, 10, 20}
    assert (
        "losses race (5 steps on 1, 10 steps on 1, 20 steps on 1, 20 steps on 4 replicates" in capsys.readouterr().out
    )
    small = {"population": 2, "generations": 1, "steps": 10, "verify_seeds": 2, "polish": 0, "audit": 0}
    other = lossgen.evolve(runner=TOY, out=tmp_path / "other", generated=tmp_path / "generated", **small)
    assert other.config.objective == "quality" and not other.config.races
    assert "learning rates to vary" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"rungs": "20x1,80x3"}, "--rungs 20x1,80x3: the last has 3 replicates, of 4 pairs"),
        ({"steps": 10}, "--steps: the last of --rungs says it"),
        ({"seeds": 2}, "--seeds: the last of --rungs says it"),
        ({"objective": "quality", "grid": "1e-3:1e-3"}, "--grid: says which learning rates --objective robust"),
        ({"objective": "stability", "rungs": "20x1"}, "--objective stability: the spread over seeds"),
        ({"grid": "1e-3"}, "--grid '1e-3': '1e-3' is no pair"),
        ({"rungs": "no"}, "--rungs 'no': are no rungs"),
        ({"rungs": [20, 80]}, "rungs: 20 is no rung"),
        ({"rungs": 5}, "rungs: 5 is none"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(flags: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        evolve(tmp_path, **flags)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


def test_stability_trains_on_four_seeds(tmp_path: Path) -> None:
    run = evolve(tmp_path, objective="stability", rungs=None, steps=20, generations=1, polish=0, audit=0)
    replicates = {key.replicate for key, _, _ in run.outcomes if key.stage == "search"}
    assert replicates == {0, 1, 2, 3}
    assert {key.condition for key, _, _ in run.outcomes} == {""}
