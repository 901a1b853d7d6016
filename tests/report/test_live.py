"""What a run shows while it goes on."""

import io

import pytest
from rich.console import Console

from lossgen.evolution.events import Plan
from lossgen.report import live
from lossgen.report.live import LiveView, PlainView
from lossgen.runner import Outcome

PLAN = Plan(4, 6, 10, 30.0, 2, 150.0, 90.0, True, ["a note"])


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(live.time, "monotonic", lambda: self.now)


def test_the_plan_says_what_the_budget_buys() -> None:
    first, *rest = live.plan_lines(PLAN)
    assert "10 trainings (4 in the search, 6 on fresh seeds) of 10 steps" in first
    assert "about 2 min with 2 workers" in first
    assert rest == ["a note"]


def test_time_left_is_of_the_present_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    view = PlainView(Console(file=io.StringIO()))
    for _ in range(2):
        view.stage("search", 4, 0)
        view.progress("search", 0.0)
        clock.now += 100.0
        view.progress("search", 0.5)
        assert view.time_left() == pytest.approx(100.0)
        clock.now += 100.0
        view.progress("search", 1.0)


def test_the_panel_counts_down_by_what_trainings_took() -> None:
    view = LiveView(Console(file=io.StringIO(), force_terminal=True))
    try:
        view.planned(PLAN)
        assert view.time_left() == pytest.approx(150.0)
        view.stage("search", 4, 2)
        view.trained("search", "A", "loss A() = 1", Outcome("ok", {}, seconds=10.0), 3.0)
        assert view.time_left() == pytest.approx((10 - 3) * 10.0 / 2)
        assert view.best == 3.0
    finally:
        view.close()


def test_a_maximised_metric_is_shown_as_it_is() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=200))
    view.planned(Plan(4, 6, 10, 30.0, 2, 150.0, 90.0, False, []))
    view.stage("search", 4, 0)
    view.trained("search", "A", "loss A() = 1", Outcome("ok", {}), -0.9)
    assert "A 0.9 (best 0.9)" in out.getvalue()
