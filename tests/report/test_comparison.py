"""Tables of comparisons and what is said beside them, from outcomes that are made up."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from lossgen.codegen.load import load_argument
from lossgen.evolution.compare import Comparison, Contestant, Result, summarise_outcomes
from lossgen.evolution.entry import Entry
from lossgen.evolution.verdict import standing
from lossgen.report.comparison import (
    cells_of,
    comparison_csv,
    comparison_table,
    other_cells,
    remarks,
    standing_lines,
)
from lossgen.report.documents import comparison_latex, comparison_markdown, escaped
from lossgen.report.tables import numbers_of
from lossgen.runner import Direction, Outcome
from lossgen.stats import summarise

NAMES = ("bce", "lsgan", "hinge")


def made(
    values: Mapping[tuple[str, str], Sequence[float | None]],
    direction: Direction = "min",
    seconds: Mapping[str, float] | None = None,
    rates: str = "",
) -> Comparison:
    """A comparison of losses under regularisers, by name and regulariser; None is a failed training."""
    groups, contestants = {}, []
    for (name, needs), each in values.items():
        entry = Entry.of(load_argument(name).loss).under({"r1": 10.0 * bool(needs)})
        took = (seconds or {}).get(needs, 1.0)
        groups[entry.key] = [
            Outcome("ok", {"FD": value}, seconds=took) if value is not None else Outcome("diverged", seconds=99.0)
            for value in each
        ]
        contestants.append(Contestant(entry, "loss", needs=needs, rates=rates))
    return summarise_outcomes("FD", direction, contestants, groups, 6, 10)


LOW, MIDDLE, HIGH = ([float(i + offset) for i in range(10)] for offset in (0.5, 20.5, 40.5))
THREE = {("bce", ""): MIDDLE, ("lsgan", ""): LOW, ("hinge", ""): HIGH}


def test_the_columns_of_the_paper_come_first() -> None:
    columns, rows = cells_of(made(THREE))
    assert columns == ["loss", "best", "worst", "mean", "std", "median", "95 % BCa", "95 % Student", "seeds", "p"]
    assert [row[0] for row in rows] == ["LSGAN", "BCE", "Hinge"]
    assert rows[0][1:6] == ["0.5", "9.5", "5", "3.03", "5"]
    assert rows[0][8:] == ["10", "best"]
    brief, _ = cells_of(made(THREE), brief=True)
    assert "95 % Student" in brief and "95 % BCa" not in brief


def test_an_interval_is_called_what_it_is() -> None:
    few = {key: values[:6] for key, values in THREE.items()}
    for brief in (False, True):
        columns, _ = cells_of(made(few), brief)
        assert "95 % Student" in columns and "95 % BCa" not in columns
    mixed = {("bce", ""): [*LOW[:7], None, None], ("lsgan", ""): MIDDLE}
    columns, rows = cells_of(made(mixed))
    at = columns.index("95 % BCa")
    assert columns[at + 1] == "95 % Student"
    assert rows[0][at] == "–" and "–" in rows[0][at + 1][1:]
    assert rows[0][columns.index("seeds")] == "7, 2 failed"


@pytest.mark.parametrize("direction", ["min", "max"])
def test_each_is_tested_against_the_best_with_all_tests_counted(direction: Direction) -> None:
    found = standing(made(THREE, direction))
    assert found is not None
    assert found.best.name == ("LSGAN" if direction == "min" else "Hinge")
    two = standing(made({key: THREE[key] for key in list(THREE)[:2]}, direction))
    assert two is not None
    (alone,) = two.p.values()
    assert max(found.p.values()) == pytest.approx(2 * alone), "all samples are apart: two tests, each doubled"
    assert found.smallest_p == pytest.approx(2 * two.smallest_p)
    (said,) = standing_lines(made(THREE, direction))
    assert f"against {found.best.name}, " in said and "Holm's correction for 2 tests" in said
    assert "chosen as the best by these very seeds" in said


def test_a_failed_training_is_worse_than_any_value() -> None:
    failing = made({("bce", ""): [1.0] * 5 + [None] * 5, ("lsgan", ""): [2.0 + i / 10 for i in range(10)]})
    found = standing(failing)
    assert found is not None and found.best.name == "LSGAN", "one of which none failed comes first"
    assert found.p["BCE"] == pytest.approx(1.0), "half is better than all, half worse"


def test_nothing_is_tested_where_there_is_nothing_to_be_tested_against() -> None:
    assert standing(made({("bce", ""): LOW})) is None
    assert standing(made({("bce", ""): [None] * 3, ("lsgan", ""): [None] * 3})) is None
    columns, rows = cells_of(made({("bce", ""): [None] * 3}))
    assert rows == [["BCE", *["–"] * 6, "0, 3 failed"]] and "p" not in columns


def test_what_a_regulariser_costs_is_said_beside_the_same_loss_without_it() -> None:
    crossed = {(name, needs): LOW for name in NAMES for needs in ("", "r1(10)")}
    lines = remarks(made(crossed, seconds={"": 2.0, "r1(10)": 3.0}))
    said = "r1(10): a step took 1.50 × that of the same loss without it "
    assert lines == [f"{said}(evaluation included, geometric mean over 3 losses)."]
    alone = {(name, "r1(10)"): LOW for name in NAMES}
    assert remarks(made(alone)) == [], "there is none without it"
    failed = {("bce", ""): [None] * 10, ("bce", "r1(10)"): LOW}
    assert not any("a step took" in line for line in remarks(made(failed)))


def test_what_one_loss_alone_has_is_said_with_what_it_took() -> None:
    groups, contestants = {}, []
    for name, needs, seconds in (("wasserstein", "gradient_penalty(10)", 4.0), ("bce", "", 2.0), ("hinge", "", 2.0)):
        entry = Entry.of(load_argument(name).loss)
        groups[entry.key] = [Outcome("ok", {"FD": value}, seconds=seconds) for value in LOW]
        contestants.append(Contestant(entry, "loss", needs=needs))
    (line,) = remarks(summarise_outcomes("FD", "min", contestants, groups, 10, 10))
    assert line.startswith("gradient_penalty(10) was applied to Wasserstein alone: ")
    assert line.endswith("A step took 2.00 × as long as theirs, evaluation included.")


def test_tuned_rows_say_their_learning_rates() -> None:
    tuned = made(THREE, rates="0.001:0.003")
    columns, rows = cells_of(tuned)
    assert {row[columns.index("rates G, D")] for row in rows} == {"0.001, 0.003"}
    assert any("are each row's own" in line for line in remarks(tuned))
    assert comparison_csv(tuned).splitlines()[0].endswith(",rates")
    assert not comparison_csv(made(THREE)).splitlines()[0].endswith(",rates")


def test_who_is_best_at_an_edge_of_the_grid_is_named() -> None:
    tuned = made(THREE, rates="0.001:0.003")
    grid = [(1e-3, 1e-4), (1e-3, 1e-3), (3e-3, 3e-3)]
    (line,) = [line for line in remarks(tuned, grid) if "in the grid" in line]
    names = ", ".join(result.label for result in tuned.results)
    assert line.startswith(f"Best at the highest rate of the discriminator in the grid, 0.003: {names}. Beyond it")
    assert not any("in the grid" in line for line in remarks(tuned, [*grid, (1e-3, 1e-2)]))
    assert not any("in the grid" in line for line in remarks(tuned, grid[1:])), "of two values each is an edge"


def test_many_losses_need_more_seeds() -> None:
    rng = np.random.default_rng(0)
    crossed = {(name, needs): list(rng.normal(size=4)) for name in NAMES for needs in ("", "r1(10)")}
    assert any("no difference could have been shown (smallest p 0.14)" in line for line in remarks(made(crossed)))
    assert not any("no difference" in line for line in remarks(made(dict(list(crossed.items())[:2]))))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_number_is_cut_however_narrow_the_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    crossed = {(name, needs): LOW for name in NAMES for needs in ("", "gradient_penalty(10) + drift(0.001)")}
    comparison = made(crossed, rates="0.0003:0.001")
    Console(width=width).print(comparison_table(comparison, "a setting"), crop=False)
    said = capsys.readouterr().out
    assert "…" not in said
    columns, rows = cells_of(comparison, brief=True)
    for cell in {cell for row in rows for cell in row[1:]}:
        assert all(said.count(word) >= 1 for word in cell.split())
    assert columns[0] in said


def test_markdown_is_a_table_with_what_is_to_be_known() -> None:
    text = comparison_markdown(made(THREE, rates="1:1"), "batches of 64; a|b_c")
    lines = text.splitlines()
    assert lines[0] == "# FD (lower is better), 10 steps"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 3 and len({line.count("|") for line in table}) == 1
    assert table[2].startswith("| **LSGAN** |")
    assert r"batches of 64; a\|b\_c" in lines
    assert any(line.startswith("p: ") for line in lines)


def test_latex_needs_booktabs_alone_and_prints_names_as_they_are() -> None:
    text = comparison_latex(made(THREE), "50% of C:\\my_data & {more} #1 ~x^2 [0, 1]")
    assert (
        r"50\% of C:\textbackslash{}my\_data \& \{more\} \#1 \textasciitilde{}x\textasciicircum{}2 {[}0, 1{]}." in text
    )
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 4 and {row.count(" & ") for row in rows} == {9}
    assert rows[1].startswith(r"\textbf{LSGAN} & 0.5 & 9.5 & 5 & ")
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert set(re.findall(r"\\begin\{(\w+)\}", text)) == {"table", "tabular"}
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert all(character.isascii() for character in text)
    assert escaped("Evolved_1 + r1(10)  –\n×") == r"Evolved\_1 + r1(10) -- $\times$"


def test_what_was_measured_besides_is_shown_beside(made_besides: Comparison) -> None:
    columns, rows = other_cells(made_besides)
    assert columns == ["loss", "KID"]  # "only once" is missing in one training
    assert [row[1] for row in rows] == ["0.15 ± 0.071", "–"]
    table = list(csv.DictReader(io.StringIO(comparison_csv(made_besides))))
    assert [row["KID"] for row in table] == ["0.1", "0.2", ""]
    numbers = numbers_of({"n_generated": 64, "n_reference": {"test": 96}, "k": 5})
    assert numbers.startswith("64 generated images against 96 of the test split; neighbourhoods of k = 5.")
    assert numbers.endswith("coverage 0.93.") and numbers_of({"data": {}}) == ""
    said = comparison_markdown(made_besides, "", numbers)
    assert said.endswith(f"\n\n{numbers}\n")
    assert "## What was measured besides\n\n| loss | KID |\n| :-- | --: |\n| A | 0.15 ± 0.071 |\n" in said


@pytest.fixture
def made_besides() -> Comparison:
    well = [
        Outcome("ok", {"FD": 1.0, "KID": 0.1, "only once": 1.0}, step=1), Outcome("ok", {"FD": 2.0, "KID": 0.2}, step=1)
    ]  # fmt: skip
    failed = [Outcome("collapsed", reason="all alike", step=1)]
    results = [
        Result("A", "loss", "", "a", well, [1.0, 2.0], summarise([1.0, 2.0])),
        Result("B", "loss", "", "b", failed, [], None),
    ]
    return Comparison("FD", "min", results, 1, False)


def test_nothing_besides_makes_no_table() -> None:
    assert other_cells(made(THREE))[1] == []
    assert "besides" not in comparison_markdown(made(THREE), "")
