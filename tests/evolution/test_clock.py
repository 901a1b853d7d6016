"""Where the time goes, and how much is left."""

import pytest

from lossgen.evolution.clock import Clock, Forecast, overhead


class Time:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_phases_nest_and_add_up() -> None:
    time = Time()
    found = Clock({"train": 10.0}, time)
    time.now += 1.0
    with found.phase("propose"):
        time.now += 2.0
        with found.phase("check"):
            time.now += 4.0
        time.now += 8.0
    with found.phase("train"):
        time.now += 16.0
    assert found.seconds() == {"other": 1.0, "propose": 10.0, "check": 4.0, "train": 26.0}
    assert found.elapsed == 41.0
    assert overhead(found.seconds()) == pytest.approx(15.0 / 41.0)


def test_a_phase_ends_when_what_is_inside_fails() -> None:
    time = Time()
    found = Clock({}, time)
    with pytest.raises(ValueError, match="x"), found.phase("train"):
        time.now += 3.0
        raise ValueError("x")
    time.now += 1.0
    assert found.seconds() == {"train": 3.0, "other": 1.0}


def test_the_forecast_goes_by_the_price_until_trainings_have_ended() -> None:
    found = Forecast(100, 6.0, 2)
    assert found.left() == pytest.approx(100 * 6.0 / 2)
    found.known = 10
    assert found.left(3.0, 1.0) == pytest.approx(89 * 6.0 / 2)
    found.spend(40.0, 10.0)
    assert found.left() == pytest.approx(80 * 4.0)
    assert found.left(8.0, 2.0) == pytest.approx(78 * 4.0)


def test_an_unknown_price_gives_no_forecast() -> None:
    found = Forecast(100, None, 2)
    assert found.left(1.0, 0.5) is None
    assert found.left(12.0, 3.0) == pytest.approx(97 * 4.0)
    found.spend(1000.0, 200.0)
    assert found.left() == 0.0


def test_a_forecast_is_corrected_where_less_follows_than_was_planned() -> None:
    found = Forecast(100, 6.0, 2)
    found.known = 10
    found.spend(40.0, 10.0)
    found.expect(5)
    assert found.left() == pytest.approx(5 * 4.0)
    assert found.done() == pytest.approx(20 / 25)
