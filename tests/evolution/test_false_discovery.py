"""Searches where nothing is better, and where one family is: what they claim. `make bench` has 200 of each."""

import math
import statistics
from typing import Any

import pytest
from false_discovery import search

SMALL: dict[str, Any] = {"population": 16, "generations": 2, "polish": 0, "audit": 0}
SEARCHES = 8


@pytest.fixture(scope="module")
def null() -> list[dict[str, Any]]:
    return [search(seed, planted=False, **SMALL) for seed in range(SEARCHES)]


def test_a_search_claims_nothing_where_there_is_nothing(null: list[dict[str, Any]]) -> None:
    """At one false claim in twenty, three of eight come once in 170 times; the seeds are fixed."""
    assert sum(each["finding"] == "better" for each in null) <= 2


def test_the_best_of_a_search_seems_better_than_it_is(null: list[dict[str, Any]]) -> None:
    """The winner's curse is there: a champion is worse on fresh seeds, where nothing chose it, on average."""
    assert statistics.mean(math.log(each["searched"] / each["fresh"]) for each in null) < -0.05


def test_a_family_that_is_better_is_found() -> None:
    found = [search(seed, planted=True, **SMALL) for seed in range(4)]
    assert sum(each["finding"] == "better" for each in found) >= 3
