"""What a comparison concludes, from outcomes that are made up."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgen.codegen.load import load_argument, read_emitted, zoo_names
from lossgen.errors import InputError
from lossgen.evolution.compare import Comparison, Contestant, report_metric, summarise_outcomes
from lossgen.evolution.comparing import loss_sources
from lossgen.evolution.entry import Entry
from lossgen.evolution.ladder import beside_baselines
from lossgen.evolution.verdict import judge
from lossgen.report.comparison import comparison_csv, comparison_table, ordered, remarks, row_label
from lossgen.report.tables import verdict_lines
from lossgen.runner import Direction, Outcome

GANETIC, BCE, HINGE = (Entry.of(load_argument(name).loss) for name in ("ganetic", "bce", "hinge"))


def outcomes(values: Sequence[float | None]) -> list[Outcome]:
    return [Outcome("ok", {"FD": v, "FD test": v + 1}) if v is not None else Outcome("diverged") for v in values]


def comparison(
    champion: Sequence[float | None], *baselines: Sequence[float | None], direction: Direction = "min"
) -> Comparison:
    contestants = [Contestant(GANETIC, "champion"), Contestant(BCE, "baseline"), Contestant(HINGE, "baseline")]
    groups = dict(zip((GANETIC.digest, BCE.digest, HINGE.digest), map(outcomes, (champion, *baselines)), strict=True))
    return summarise_outcomes("FD", direction, contestants, groups, len(champion), 10)


LOW, MIDDLE, HIGH = [1.0, 2, 3, 4, 5, 6], [3.0, 4, 5, 6, 7, 8], [11.0, 12, 13, 14, 15, 16]


@pytest.mark.parametrize(
    ("champion", "direction", "finding"),
    [
        (LOW, "min", "no significant difference"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "min", "better"),
        ([21.0, 22, 23, 24, 25, 26], "min", "worse"),
        ([21.0, 22, 23, 24, 25, 26], "max", "better"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, None], "min", "no significant difference"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, None], "min", "better where it trains"),
        ([0.1, None, None, None, None, None], "min", "no significant difference"),
        ([None] * 6, "min", "worse"),
    ],
)
def test_the_finding(champion: Sequence[float | None], direction: Direction, finding: str) -> None:
    made = comparison(champion, MIDDLE, HIGH, direction=direction)
    verdict = judge(made, made.results[0])
    assert verdict is not None
    assert verdict.baseline == ("BCE" if direction == "min" else "Hinge")
    assert verdict.finding == finding
    said = " ".join(verdict_lines(verdict, 128))
    assert ("Nothing found in this run is shown to beat the baselines" in said) == (finding != "better")


def test_the_metric_is_the_one_on_images_that_no_choice_was_made_on() -> None:
    assert comparison(LOW, MIDDLE, HIGH).metric == "FD test"
    assert report_metric("FD", [Outcome("ok", {"FD": 1.0})]) == "FD"


def test_a_baseline_of_which_a_training_failed_is_not_the_best() -> None:
    made = comparison(LOW, [0.1, 0.1, 0.1, 0.1, 0.1, None], HIGH)
    best = made.best("baseline")
    assert best is not None and best.name == "Hinge"


@pytest.mark.parametrize("better", [[0.5, 0.5, 0.5, 0.5, 0.5, None], [0.5, 0.6, 0.7, 0.8, 0.9, 90.0]])
def test_one_bad_seed_of_a_baseline_is_no_way_past_it(better: Sequence[float | None]) -> None:
    """By its mean, or as one that has failed, it would not be the best baseline."""
    made = comparison([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], better, [2.0, 2.1, 2.2, 2.3, 2.4, 2.5])
    verdict = judge(made, made.results[0])
    assert verdict is not None
    assert (verdict.baseline, verdict.finding) == ("BCE", "no significant difference")
    beside = beside_baselines(made, ["GANetic"]).found["GANetic"]
    assert (beside.baseline, beside.finding) == ("BCE", "no significant difference")


@given(*[st.lists(st.integers(1, 9), min_size=6, max_size=6)] * 3)
def test_what_is_better_is_better_than_each_baseline(champion: list[int], one: list[int], other: list[int]) -> None:
    made = comparison(*(list(map(float, values)) for values in (champion, one, other)))
    verdict = judge(made, made.results[0])
    apart = [
        judge(dataclasses.replace(made, results=[made.results[0], made.results[i]]), made.results[0]) for i in (1, 2)
    ]
    assert verdict is not None
    assert (verdict.finding == "better") == all(each is not None and each.finding == "better" for each in apart)


def test_each_verification_of_a_search_was_a_chance_to_be_lucky() -> None:
    made = comparison([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], MIDDLE, HIGH)
    once, often = judge(made, made.results[0]), judge(made, made.results[0], verifications=30)
    assert once is not None and once.p is not None and often is not None
    assert once.finding == "better" and "verifications" not in once.sentence
    assert often.finding == "no significant difference" and often.p == pytest.approx(30 * once.p)
    assert often.sentence.endswith("over 6 and 6 fresh seeds, corrected for the 30 verifications of this search.")


def test_missing_trainings_make_it_interim() -> None:
    contestants = [Contestant(BCE, "loss")]
    assert summarise_outcomes("FD", "min", contestants, {BCE.digest: outcomes([1.0])}, 2, 10).interim


def test_too_few_seeds_and_too_few_losses_are_said() -> None:
    made = comparison([1.0, 2, 3], [4.0, 5, 6], [7.0, 8, 9])
    said = " ".join(verdict_lines(judge(made, made.results[0]), 12))
    assert "no difference could have been shown" in said
    assert "a sample of the space" in said


def test_tables_hold_every_training_and_put_the_best_first() -> None:
    made = comparison(HIGH, LOW, [*MIDDLE[:5], None])
    assert [r.name for r in ordered(made)] == ["BCE", "Hinge", "GANetic"]
    rows = comparison_csv(made).splitlines()
    assert len(rows) == 1 + 18
    assert rows[-1].startswith("Hinge,,baseline,5,diverged")


def as_losses(*seeds: int, applied: bool = False) -> Comparison:
    """BCE, and a loss that asks for r1, on so many seeds."""
    asking = Entry.of(dataclasses.replace(BCE.loss, name="Asking", needs={"r1": 10.0}))
    contestants = [Contestant(BCE, "loss"), Contestant(asking, "loss")][: len(seeds)]
    groups = {c.entry.digest: outcomes([float(i) for i in range(n)]) for c, n in zip(contestants, seeds, strict=True)}
    return summarise_outcomes("FD", "min", contestants, groups, max(seeds), 10, applied)


def test_what_was_regularised_is_said_where_others_were_not() -> None:
    assert [r.label for r in as_losses(6, 6, applied=True).results] == ["BCE", "Asking + r1(10)"]
    assert [r.label for r in as_losses(6, 6).results] == ["BCE", "Asking"]
    (line,) = remarks(as_losses(6, 6, applied=True))
    assert line.startswith("r1(10) was applied to Asking alone: ")
    assert remarks(as_losses(6, 6)) == []
    made = as_losses(6, 6, applied=True)
    assert remarks(dataclasses.replace(made, results=made.results[1:])) == [], "all were"


@pytest.mark.parametrize(
    ("seeds", "few"), [((1, 1), True), ((3, 3), True), ((3, 4), True), ((4, 4), False), ((1,), False)]
)
def test_a_comparison_of_few_seeds_says_so(seeds: tuple[int, ...], few: bool) -> None:
    assert any("no difference could have been shown" in line for line in remarks(as_losses(*seeds))) == few


@pytest.mark.parametrize(("seeds", "shown"), [(1, False), (2, False), (3, True)])
def test_an_interval_takes_three_seeds(seeds: int, shown: bool) -> None:
    (column,) = [c for c in comparison_table(as_losses(seeds), "").columns if c.header == "95 % Student"]
    assert [str(cell) != "–" for cell in column.cells] == [shown]


def test_a_champion_that_was_given_is_said_to_have_been() -> None:
    made = comparison(LOW, MIDDLE, HIGH)
    given = dataclasses.replace(made.results[0], given="given as --seed-loss Mine")
    verdict = judge(made, given)
    assert verdict is not None
    assert verdict.sentence.endswith(" GANetic was given as --seed-loss Mine.")
    assert row_label(given) == "GANetic (seed, champion)"
    assert row_label(made.results[0]) == "GANetic (champion)"


def test_the_zoo_is_compared_without_its_aliases() -> None:
    found = {read_emitted(source, "zoo").name for source in loss_sources(["zoo"], trust=False)}
    everything = {load_argument(name).name for name in zoo_names()}
    assert everything - found == {"NonSaturating", "Logistic"}


def test_the_shortlist_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "high.loss").write_text("# Found.\nloss High(y_pred) = y_pred^3\n", encoding="utf-8")
    (tmp_path / "low.loss").write_text("loss Low(y_pred) = square(y_pred)\n", encoding="utf-8")
    monkeypatch.setattr("lossgen.codegen.load.shortlist_dir", lambda: tmp_path)
    found = [read_emitted(source, "shortlist").name for source in loss_sources(["bce", "shortlist"], trust=False)]
    assert found == ["BCE", "High", "Low"]
    assert load_argument("high").loss.note == "Found."
    with pytest.raises(InputError, match="highs: not a file, not in the zoo; did you mean high"):
        load_argument("highs")
    with pytest.raises(InputError, match="low is given twice"):
        loss_sources(["low", "shortlist"], trust=False)
    monkeypatch.setattr("lossgen.codegen.load.shortlist_dir", lambda: tmp_path / "none")
    with pytest.raises(InputError, match="compare: no loss has been put on the shortlist yet"):
        loss_sources(["shortlist"], trust=False)
