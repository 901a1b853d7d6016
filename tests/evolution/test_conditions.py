"""Regularisers and learning rates as they are written: read, checked, and turned into conditions of a runner."""

import pytest
from crossed_runner import Options
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.cache import cache_key
from lossgen.evolution.conditions import (
    check_grid,
    check_regularisers,
    condition_name,
    condition_of,
    condition_text,
    pair_text,
    parse_grid,
    parse_regularisers,
    regularised,
    usual_grid,
)
from lossgen.evolution.entry import Entry
from lossgen.runner import Member

ALL = Options.model_fields


class Bare(BaseModel):
    pause: float = 0.0


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("none", ["none"]),
        ("none,r1", ["none", "r1(10)"]),
        ("r1(1), r1 (0.5) ,spectral_norm", ["r1(1)", "r1(0.5)", "spectral_norm"]),
        ("drift+gradient_penalty", ["gradient_penalty(10) + drift(0.001)"]),
        ("spectral_norm + r1", ["r1(10) + spectral_norm"]),
    ],
)
def test_regularisers_are_written_in_one_way(text: str, read: list[str]) -> None:
    assert parse_regularisers(text) == read
    assert parse_regularisers(",".join(read)) == read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'': is none of none, r1, gradient_penalty, drift, spectral_norm"),
        ("r2", "'r2': is none of"),
        ("r1(", "is none of"),
        ("none+r1", "'none': is none of"),
        ("r1(0)", r"r1\(0\): give a strength above 0"),
        ("r1(nan)", "give a strength above 0"),
        ("r1(inf)", "give a strength above 0"),
        ("r1(ten)", "give a strength above 0"),
        ("spectral_norm(2)", "spectral_norm is on or off"),
        ("r1+r1(1)", "r1 is in it twice"),
        ("r1,none,r1(10)", r"r1\(10\) is given twice"),
    ],
)
def test_what_is_no_regulariser_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"--regulariser .*{says}") as error:
        parse_regularisers(text)
    assert "\n" not in str(error.value)


def test_a_condition_switches_off_all_that_it_does_not_have() -> None:
    off = {"r1": 0.0, "gradient_penalty": 0.0, "drift": 0.0, "spectral_norm": 0.0, "recommended": 0.0}
    assert regularised("none", ALL) == off
    assert regularised("r1(3) + spectral_norm", ALL) == {**off, "r1": 3.0, "spectral_norm": 1.0}
    assert regularised("r1(3)", ["r1", "width"]) == {"r1": 3.0}
    options = Options.model_validate({"recommended": True, "drift": 1.0, **regularised("spectral_norm", ALL)})
    assert (options.recommended, options.drift, options.spectral_norm) == (False, 0.0, True)


def test_a_runner_without_the_options_is_named() -> None:
    check_regularisers(["none", "r1(10)"], ALL, "crossed")
    with pytest.raises(InputError, match="--regulariser drift: the runner mine has no such option, it has r1"):
        check_regularisers(["none", "r1(10) + drift(1)"], ["r1"], "mine")
    with pytest.raises(InputError, match="the runner ring has no regularisers"):
        check_regularisers(["none"], ["width"], "ring")
    with pytest.raises(InputError, match="--tune: the runner toy has no option lr_generator and no lr_discriminator"):
        check_grid([(1e-3, 1e-3)], Bare, "toy")
    with pytest.raises(InputError, match=r"--grid 0.1:5: lr_discriminator: .*less than or equal to 1"):
        check_grid([(0.1, 0.1), (0.1, 5.0)], Options, "crossed")


@pytest.mark.parametrize("text", ["", "1e-3", "1e-3:1e-3:1e-3", "a:b", "0:1", "1:-1", "nan:1", "1e-3:1e-3,"])
def test_what_is_no_grid_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--grid .*is no pair of learning rates, generator:discriminator"):
        parse_grid(text)


def test_a_grid_is_pairs() -> None:
    assert parse_grid("1e-3:3e-3, 1:0.5") == [(1e-3, 3e-3), (1.0, 0.5)]
    with pytest.raises(InputError, match=r"0\.001:0\.003 is given twice"):
        parse_grid("1e-3:3e-3,0.001:0.003")


class Rates(BaseModel):
    lr_generator: float | None = Field(None, gt=0, le=1)
    lr_discriminator: float = Field(2e-4, gt=0, le=1)


def test_the_usual_grid_lies_around_the_rates_of_the_runner_or_those_that_were_given() -> None:
    assert usual_grid(Rates, {"lr_generator": 3e-4}, "mine") == [
        (3e-4, 6e-4), (1e-4, 2e-4), (1e-4, 2e-3), (3e-4, 6.67e-5),
    ]  # fmt: skip
    assert usual_grid(Rates, {"lr_generator": 3e-4, "lr_discriminator": 1e-3}, "mine")[2] == (1e-4, 1e-2)
    with pytest.raises(InputError, match="--grid: the runner mine has no learning rates for pairs to lie around"):
        usual_grid(Rates, {}, "mine")
    with pytest.raises(InputError, match="--lr-generator: 'abc' is no number"):
        usual_grid(Rates, {"lr_generator": "abc"}, "mine")


@given(st.floats(1e-6, 1e-2), st.floats(1e-6, 1e-2))
def test_the_usual_grid_reaches_beyond_both_sides(generator: float, discriminator: float) -> None:
    given_rates = {"lr_generator": generator, "lr_discriminator": discriminator}
    grid = usual_grid(Rates, given_rates, "mine")
    assert len(set(grid)) == 4
    assert min(d for _, d in grid) < discriminator < max(d for _, d in grid)
    assert min(g for g, _ in grid) < generator * 1.01
    again = parse_grid(",".join(map(pair_text, grid)))
    assert again == grid, "it can be written down"


def test_equal_conditions_have_one_text() -> None:
    assert condition_text({}) == "" and condition_of("") == {}
    text = condition_text({"r1": 10, "drift": 0.0})
    assert text == condition_text({"drift": 0, "r1": 10.0}) == '{"drift":0.0,"r1":10.0}'
    assert condition_of(text) == {"r1": 10.0, "drift": 0.0}
    assert condition_name(text) == "r1=10"
    assert condition_name(condition_text(regularised("none", ALL))) == "none"
    both = {**condition_of(text), "lr_generator": 1e-3, "lr_discriminator": 3e-3}
    assert condition_name(condition_text(both)) == "r1=10,lr=0.001-0.003"


def test_an_entry_knows_its_condition() -> None:
    entry = Entry.of(load_argument("bce").loss)
    other = entry.under({"r1": 10.0})
    assert entry.key == entry.digest == other.digest
    assert other.key != entry.key and other.source == entry.source
    assert (entry.name, other.name) == ("BCE", "BCE (r1=10)")
    assert other.under({}) == entry
    wasserstein = Entry.of(load_argument("wasserstein").loss)
    assert [each.kind for each in (entry, wasserstein)] == ["", "gradient_penalty"]
    assert wasserstein.under({"r1": 10.0}).kind == other.kind, "what it asks for is not what it gets"


def test_the_cache_tells_conditions_apart() -> None:
    keys = [
        cache_key(Member("A", "text", (0,), condition), 1, "", {}, {}, {}, "cpu")
        for condition in ({}, {"r1": 1.0}, {"r1": 2.0})
    ]
    assert len(set(keys)) == 3
