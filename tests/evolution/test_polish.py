"""Polish: it tunes what can be tuned, within bounds and budget, from its own generator alone."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.evolution.polish import Polish
from lossgen.evolution.space import CONST, Derivation, Space
from lossgen.evolution.space_reader import find_space, read_space
from lossgen.language.expression import apply, constant
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss

SUPPORTS = {
    "normal(0, 1)": (-math.inf, math.inf),
    "lognormal(0, 1)": (0.0, math.inf),
    "lognormal(0, 50)": (0.0, math.inf),
    "uniform(0, 5)": (0.0, 5.0),
    "uniform(0.5, 2)": (0.5, 2.0),
    "uniform(-2, -0.1)": (-2.0, -0.1),
    "uniform(0.9999996, 1.0000004)": (0.9999996, 1.0000004),
}


def space_of(drawn: str) -> Space:
    text = f'start: e\ne: "a" c e -> add | "n" c -> neg\nc: C -> const\nC: /x/\n// const {drawn}'
    return read_space(text, "drawn", "drawn.lark")


def sum_of(space: Space, values: list[float]) -> Derivation:
    """A loss that is nothing but constants."""
    loss = apply("neg", constant(values[-1]))
    for value in values[-2::-1]:
        loss = apply("add", constant(value), loss)
    return space.derive(Loss("Sum", label=loss))


def values_of(derivation: Derivation) -> list[float]:
    return [node.value for node in derivation.walk() if node.alias == CONST]


def run(polish: Polish, fitness: Callable[[list[float]], float]) -> list[list[float]]:
    """All values that were asked for, a row a derivation."""
    asked: list[list[float]] = []
    while not polish.done:
        found = [values_of(child) for child in polish.ask()]
        polish.tell([fitness(values) for values in found])
        asked += found
    return asked


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize(
    ("drawn", "start", "goal"),
    [("normal(0, 1)", 0.5, -0.3), ("lognormal(0, 1)", 3.0, 1.3), ("uniform(0, 5)", 4.0, 2.0),
     ("uniform(-2, -0.1)", -1.0, -0.3)],
)  # fmt: skip
def test_it_descends_into_a_bowl(drawn: str, start: float, goal: float, count: int) -> None:
    space = space_of(drawn)

    def bowl(values: list[float]) -> float:
        return sum((i + 1) * (value - goal) ** 2 for i, value in enumerate(values))

    for seed in range(3):
        polish = Polish(space, sum_of(space, [start] * count), np.random.default_rng(seed), budget=40 * count)
        assert polish.constants == count
        asked = run(polish, bowl)
        assert min(map(bowl, asked)) < 0.1 * bowl([start] * count)


@pytest.mark.parametrize("drawn", SUPPORTS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 3), failing=st.sampled_from([0.0, 0.5, 1.0]))
def test_it_keeps_to_budget_and_support_and_never_asks_twice(drawn: str, seed: int, count: int, failing: float) -> None:
    space, (low, high) = space_of(drawn), SUPPORTS[drawn]
    rng = np.random.default_rng(seed)
    start = [space.sample("c", rng, 1).value for _ in range(count)]
    polish = Polish(space, sum_of(space, start), rng, budget=29)
    asked = run(polish, lambda values: math.inf if rng.random() < failing else -sum(map(abs, values)))
    assert len(asked) <= 29
    assert len(asked) == 29 or drawn.startswith("uniform(0.99")  # in four digits this one holds three numbers
    assert len({tuple(values) for values in [start, *asked]}) == len(asked) + 1
    assert all(low <= value <= high for values in asked for value in values)
    assert all(float(f"{value:.4g}") == value or value in (low, high) for values in asked for value in values)
    assert all(value != 0.0 for values in asked for value in values) or low <= 0.0 <= high


def derived(text: str) -> tuple[Space, Derivation]:
    space = find_space("ganetic")
    return space, space.derive(parse_loss(f"loss Polished(y_real, y_pred) = {text}"))


def test_only_constants_that_are_drawn_from_a_range_are_tuned() -> None:
    space, loss = derived("y_pred^3 + sqrt(3.985 * y_real / y_pred)")
    polish = Polish(space, loss, np.random.default_rng(0), budget=12)
    assert polish.constants == 1
    asked = run(polish, lambda values: values[1])
    assert {values[0] for values in asked} == {3.0}
    assert len({values[1] for values in asked}) == 12


@pytest.mark.parametrize("text", ["y_pred - y_real", "(y_pred - y_real)^2"])
def test_without_constants_to_tune_there_is_nothing_to_do(text: str) -> None:
    polish = Polish(*derived(text), np.random.default_rng(0), budget=12)
    assert (polish.constants, polish.done, polish.ask()) == (0, True, [])


def test_it_ends_when_all_that_can_be_said_in_four_digits_has_been_asked_for() -> None:
    space = space_of("uniform(0.9999996, 1.0000004)")
    polish = Polish(space, sum_of(space, [0.9999996]), np.random.default_rng(0), budget=50)
    assert run(polish, lambda values: 0.0) == [[1.0]]


def test_one_generator_one_way_and_the_global_one_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space, loss = derived("1.5 * y_pred + sqrt(3.985 * y_real / y_pred) - 0.2 * log(y_pred)")
    ways = []
    for seed in (7, 7, 8):
        np.random.seed(len(ways))
        before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
        ways.append(run(Polish(space, loss, np.random.default_rng(seed), budget=40), lambda v: sum(v) % 0.7))
        assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]
    assert ways[0] == ways[1] != ways[2]
    assert list(tmp_path.iterdir()) == []


def test_failures_rank_last() -> None:
    space, loss = derived("1.5 * y_pred + sqrt(3.985 * y_real / y_pred)")
    ways = []
    for failed in (math.inf, 1e9):
        rng = np.random.default_rng(0)
        fitness = partial(lambda failed, v: failed if v[0] > 1.5 else abs(v[1] - 3.0), failed)
        ways.append(run(Polish(space, loss, rng, budget=36), fitness))
    assert ways[0] == ways[1]


def test_where_all_fail_it_comes_closer_to_where_it_began() -> None:
    space, loss = derived("1.5 * y_pred + sqrt(3.985 * y_real / y_pred)")
    polish = Polish(space, loss, np.random.default_rng(0), budget=30)
    asked = np.log(run(polish, lambda v: math.inf)) - np.log([1.5, 3.985])
    far = np.abs(asked).max(axis=1)
    assert far[-6:].max() < 0.3 * far[:6].max()


@pytest.mark.filterwarnings("error")
def test_it_says_nothing_where_nothing_makes_a_difference(capfd: pytest.CaptureFixture[str]) -> None:
    space, loss = derived("1.5 * y_pred + sqrt(3.985 * y_real / y_pred)")
    assert len(run(Polish(space, loss, np.random.default_rng(0), budget=300), lambda v: 1.0)) == 300
    assert capfd.readouterr() == ("", "")


def test_asking_and_telling_take_turns() -> None:
    space, loss = derived("1.5 * y_pred - y_real")
    polish = Polish(space, loss, np.random.default_rng(0), budget=12)
    with pytest.raises(ValueError, match="0 values expected"):
        polish.tell([1.0])
    asked = polish.ask()
    with pytest.raises(ValueError, match="tell the values of the last generation first"):
        polish.ask()
    for bad in ([1.0] * (len(asked) - 1), [math.nan] * len(asked)):
        with pytest.raises(ValueError, match=f"{len(asked)} values expected"):
            polish.tell(bad)
    polish.tell([1.0] * len(asked))
    assert not polish.done
