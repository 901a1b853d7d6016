"""What a run shows while it goes on."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from lossgen.evolution.events import Plan
from lossgen.report import live
from lossgen.report.live import LiveView, PlainView
from lossgen.runner import Outcome

PLAN = Plan(4, 2, 0, 6, 4, 10, 30.0, 2, True, ["a note"])


def test_the_plan_says_what_the_budget_buys_and_costs() -> None:
    what, price, *rest = live.plan_lines(PLAN)
    assert "12 trainings of 10 steps: 4 in the search, 2 to polish" in what
    assert "6 on fresh seeds" in what
    assert "screen" not in what
    assert "about 30 s each, 3 min in all with 2 workers, 2 min of it for verification." in price
    assert rest == ["a note"]


def test_one_training_is_one_training() -> None:
    two = dataclasses.replace(PLAN, search_trainings=0, polish_trainings=0, verify_trainings=2, known=1)
    assert live.plan_lines(two)[0].endswith("2 on the same seeds for all. 1 of them is known already.")
    one = dataclasses.replace(two, verify_trainings=1, known=0)
    assert live.plan_lines(one)[0].startswith("Budget: 1 training of 10 steps: 1 on")


def test_a_price_that_is_not_known_is_not_made_up() -> None:
    lines = live.plan_lines(dataclasses.replace(PLAN, seconds_per_training=None))
    assert "the first ones tell" in lines[1]
    assert "steps" not in lines[0]
    assert not any("about" in line for line in lines)


def test_the_time_left_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=200))
    view.progress("search", 0.25, None)
    assert out.getvalue() == ""
    view.progress("search", 0.5, 100.0)
    assert "search: 50% of this round, about 2 min left in all" in out.getvalue()


def test_the_panel_shows_the_best_and_the_time_left() -> None:
    out = io.StringIO()
    view = LiveView(Console(file=out, force_terminal=True, width=100))
    try:
        view.planned(dataclasses.replace(PLAN, objective="FD[classifier]"))
        view.stage("search", 4, 2)
        view.improved("A", "loss A() = 1", 3.0)
        view.trained("audit", "B", "loss B() = 1", Outcome("ok", {}, seconds=10.0), 1.0)
        view.progress("search", 0.75, 40.0)
        assert re.search(r"best so far +3 \(FD\[classifier\], lower is better\) ", _text(view))
        assert "about 40 s" in _text(view)
    finally:
        view.close()


def _text(view: LiveView) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(view)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_maximised_metric_is_shown_as_it_is() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=200))
    view.planned(dataclasses.replace(PLAN, minimise=False))
    view.stage("search", 4, 0)
    view.trained("search", "A", "loss A() = 1", Outcome("ok", {}), -0.9)
    assert "1/4: A 0.9\n" in out.getvalue()
    view.improved("A", "loss A() = 1", 0.95)
    assert "best so far: A 0.95: 1\n" in out.getvalue()


def test_the_waterfall_goes_from_what_was_proposed_to_what_was_verified() -> None:
    waterfall = {"proposed": 30, "flat": 9, "explodes": 1, "duplicate": 12, "cache": 3, "trained": 5, "verified": 2}
    assert live.waterfall_text(waterfall) == (
        "30 proposed: rejected (9 flat, 1 explodes), 12 duplicates, 3 from the cache, 5 trained, 2 verified"
    )
    assert live.waterfall_text({"proposed": 2, "trained": 2}, "to train") == "2 proposed: 2 to train"
