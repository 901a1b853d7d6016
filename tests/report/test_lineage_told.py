"""Lineage told and drawn: what changed is what changed, arrows stand on boxes, files hold the graph."""

import itertools
import random
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import expressions

from lossgen.evolution.archive import Archive
from lossgen.evolution.lineage import ancestry, in_order
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text
from lossgen.report.layers import crossings, place, stops_of, way
from lossgen.report.lineage import WIDTH, changes, lineage_json, story, value_text, write_graphml
from lossgen.report.lineage_picture import _apart, draw_lineage, generations

FORMULAS = ["square(y_pred - y_real)", "log(y_pred) / (abs(log(y_real)) - exp(square(0.4858) * y_real) * 3.985)^4"]


def bred(rows: int, wide: int, seed: int = 0) -> "nx.DiGraph[str]":
    """A run that nobody ran: each loss has up to two parents of up to three generations before it."""
    rng = random.Random(seed)
    graph: nx.DiGraph[str] = nx.DiGraph(objective="FD[classifier]", direction="min")
    for generation, number in itertools.product(range(rows), range(wide)):
        earlier = [node for node in graph if 0 < generation - graph.nodes[node]["generation"] <= 3]
        origin = rng.choice(["crossover", "subtree", "constant"]) if earlier else "fresh"
        digest = f"{rng.getrandbits(256):064x}"
        text = rng.choice(FORMULAS)
        graph.add_node(
            digest, name=f"Evolved_{digest[:8]}", loss=f"loss Evolved(y_real, y_pred) = {text}", formula=text, size=4,
            generation=generation, number=number, origin=origin, status="ok",
        )  # fmt: skip
        if rng.random() < 0.9:
            graph.nodes[digest]["fitness"] = rng.random()
        for at in range(min(len(earlier), {"fresh": 0, "crossover": 2}.get(origin, 1))):
            graph.add_edge(rng.choice(earlier), digest, operator=origin, place=at)
    return graph


def youngest(graph: "nx.DiGraph[str]") -> str:
    return max(graph, key=lambda node: len(nx.ancestors(graph, node)))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive.sqlite")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("square(y_pred - 0.5)", "square(y_pred - 0.75)", "0.5 → 0.75"),
        ("y_pred + sqrt(2 - y_real)", "y_pred + log(2 - y_real)", "sqrt(2 - y_real) → log(2 - y_real)"),
        ("sqrt(y_pred * y_pred - y_real)", "log(y_pred * y_pred - y_real)", "sqrt(…) → log(…)"),
        ("log(y_pred) + y_real", "square(y_real)", "log(y_pred) + y_real → square(y_real)"),
        ("y_pred * y_real", "y_pred * y_real", "nothing"),
    ],
)  # fmt: skip
def test_what_changed_is_the_smallest_part_that_did(before: str, after: str, said: str) -> None:
    assert changes(parse_loss(before), parse_loss(after)) == said


def test_what_changed_in_roles_is_told_by_role() -> None:
    text = "loss A(score):\n  real: {}\n  fake: relu(1 + score)\n  generator: {}\n"
    before, after = (parse_loss(text.format(*parts)) for parts in (("-score", "-score"), ("score", "log(score)")))
    assert changes(before, after) == "real: -score → score; generator: -score → log(score)"


@given(expressions(), expressions(max_leaves=4), st.randoms(use_true_random=False))
def test_the_change_makes_the_child(expression: Expression, new: Expression, rng: random.Random) -> None:
    """Putting the new part where the old one stood gives the child; nothing smaller would."""
    path, part = rng.choice(list(_places(expression)))
    child = _put(expression, path, new)
    said = changes(Loss("A", label=expression), Loss("B", label=child))
    if new == part:
        assert said == "nothing"
    elif "…" not in said:
        old_text, _, new_text = said.partition(" → ")
        assert any(
            to_text(node) == old_text and to_text(_put(expression, at, parse_part(new_text))) == to_text(child)
            for at, node in _places(expression)
        )
        assert len(said) <= len(f"{to_text(part)} → {to_text(new)}")


def parse_part(text: str) -> Expression:
    label = parse_loss(text).label
    assert label is not None
    return label


def _places(root: Expression, path: tuple[int, ...] = ()) -> "list[tuple[tuple[int, ...], Expression]]":
    below = [found for i, operand in enumerate(root.operands) for found in _places(operand, (*path, i))]
    return [(path, root), *below]


def _put(root: Expression, path: tuple[int, ...], part: Expression) -> Expression:
    if not path:
        return part
    operands = list(root.operands)
    operands[path[0]] = _put(operands[path[0]], path[1:], part)
    return Expression(root.head, tuple(operands))


def test_the_story_has_a_line_a_loss_parents_first(archive: Archive) -> None:
    graph = bred(6, 5)
    digest = youngest(graph)
    told = list(story(archive, ancestry(graph, digest), digest))
    order = in_order(ancestry(graph, digest))
    lines = told[3 : 3 + len(order)]
    assert [line.split()[1] for line in lines] == [node[:8] for node in order]
    assert all(len(line) <= WIDTH for line in lines)
    known: set[str] = set()
    for line, node in zip(lines, order, strict=True):
        parents = {parent[:8] for parent in graph.predecessors(node)}
        assert parents <= known and all(parent in line for parent in parents)
        known.add(node[:8])
    assert told[-1] == f"searched as:   {graph.nodes[digest]['formula']}"


def test_the_story_of_a_champion_ends_with_what_was_verified(archive: Archive) -> None:
    graph = bred(3, 3)
    digest = youngest(graph)
    node = graph.nodes[digest]
    node["part"], node["simplified"] = "champion", "loss Evolved_12345678(y_pred) = 2 * y_pred"
    shown = {
        "part": "champion",
        "loss": "loss Evolved_12345678(y_pred) = 2 * y_pred",
        "mean": 0.5,
        "std": 0.25,
        "seeds": 6,
    }
    record = {"metric": "FD[classifier] test", "results": [shown], "verdict": {"sentence": "It is level."}}
    archive.set_meta("result", record)
    archive.set_meta(f"rounded {digest}", True)
    told = list(story(archive, ancestry(graph, digest), digest))
    assert told[0].startswith(f"{node['name']} (champion, simplified to Evolved_12345678) comes from ")
    assert told[-3:] == [
        "simplified to: 2 * y_pred, constants rounded",
        "verified on 6 fresh seeds: FD[classifier] test 0.5 ± 0.25",
        "It is level.",
    ]


def test_graphml_comes_back_as_it_was(tmp_path: Path) -> None:
    graph = bred(5, 4)
    graph.nodes[youngest(graph)]["simplified"] = 'loss A(y_pred) = y_pred < 1 & "é"'
    write_graphml(graph, tmp_path / "a.graphml")
    again = nx.read_graphml(tmp_path / "a.graphml")
    assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
    assert {(a, b): how for a, b, how in again.edges(data=True)} == {
        (a, b): how for a, b, how in graph.edges(data=True)
    }
    assert again.graph.items() >= graph.graph.items()


def test_json_has_every_node_and_edge() -> None:
    graph = bred(5, 4)
    record = lineage_json(graph, youngest(graph))
    assert record["schema"] == 1 and record["loss"] == youngest(graph)
    assert {node["digest"]: node["generation"] for node in record["nodes"]} == dict(graph.nodes(data="generation"))
    assert {(e["parent"], e["child"], e["operator"]) for e in record["edges"]} == set(graph.edges(data="operator"))


@given(st.integers(1, 7), st.integers(1, 6), st.integers(0, 999))
def test_nothing_overlaps_and_arrows_go_down(rows: int, wide: int, seed: int) -> None:
    graph = bred(rows, wide, seed)
    at = generations(graph)
    layers = {node: sorted(set(at.values())).index(at[node]) for node in graph}
    assert all(layers[parent] < layers[child] for parent, child in graph.edges)
    stops = stops_of(layers, graph.edges)
    placed = place(stops, _apart)
    assert len(placed) == len(graph) + sum(layers[b] - layers[a] - 1 for a, b in graph.edges)
    assert min(placed.values()) == 0
    for layer in set(layers.values()):
        row = sorted((stop for stop in placed if stops.nodes[stop]["layer"] == layer), key=placed.__getitem__)
        for a, b in itertools.pairwise(row):
            assert placed[b] - placed[a] >= _apart(a, b) - 1e-9
    for parent, child in graph.edges:
        assert [stops.nodes[stop]["layer"] for stop in way(layers, parent, child)] == list(
            range(layers[parent], layers[child] + 1)
        )


def test_arrows_that_need_not_cross_do_not() -> None:
    """A ladder given in the worst order is untangled, and a lone chain stands straight."""
    layers = {f"{side}{row}": row for row in range(4) for side in ("ab" if row % 2 else "ba")}
    edges = [(f"{side}{row}", f"{side}{row + 1}") for row in range(3) for side in "ab"]
    stops = stops_of(layers, edges)
    tangled = [[f"{side}{row}" for side in ("ab" if row % 2 else "ba")] for row in range(4)]
    assert crossings(stops, tangled) == 3
    placed = place(stops, lambda a, b: 1.0)
    left = {node for node in layers if placed[node] < 0.5}
    assert {node[0] for node in left} in ({"a"}, {"b"}) and len(left) == 4
    chain = place(stops_of({"x": 0, "y": 3}, [("x", "y")]), lambda a, b: 1.0)
    assert set(chain.values()) == {0.0}


def test_one_that_came_later_in_its_generation_has_a_row_of_its_own() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    for number, (node, parent) in enumerate([("a", ""), ("b", "a"), ("c", "b")]):
        graph.add_node(node, generation=0, number=number)
        if parent:
            graph.add_edge(parent, node)
    assert generations(graph) == {"a": (0, 0), "b": (0, 1), "c": (0, 2)}


@pytest.mark.parametrize("rows", [1, 8])
def test_pictures_are_drawn_within_their_edges(tmp_path: Path, rows: int) -> None:
    graph = bred(rows, 4)
    digest = youngest(graph)
    draw_lineage(ancestry(graph, digest), digest, tmp_path / "a.png")
    ink = np.asarray(Image.open(tmp_path / "a.png").convert("L")) < 250
    assert ink.any() and not (ink[:, :10].any() or ink[:, -10:].any() or ink[:10].any() or ink[-10:].any())


def test_a_picture_has_every_loss_and_operator(tmp_path: Path) -> None:
    graph = bred(4, 3)
    digest = youngest(graph)
    above = ancestry(graph, digest)
    draw_lineage(above, digest, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for node in above:
        assert f"<!-- {node[:8]} -->" in text
    assert text.count("<!-- crossover -->") == sum(origin == "crossover" for _, origin in above.nodes(data="origin"))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"status": "ok", "fitness": 17.983}, "17.98"), ({"status": "ok"}, "part way"),
        ({"status": "diverged"}, "diverged"),
    ],
)  # fmt: skip
def test_what_fell_behind_in_a_race_is_not_called_ok(node: dict[str, Any], said: str) -> None:
    assert value_text(node) == said
