"""Expression trees: nothing overlaps, operators stand over their operands, every node is there."""

import itertools
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from strategies import ANY_CONSTANT, expressions

from lossgen.codegen.load import load_argument
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import Loss
from lossgen.report.tree import GAP, _width, draw_trees, expression_tree, tree_layout


def check_layout(expression: Expression) -> None:
    graph = expression_tree(expression)
    layout = tree_layout(graph)
    assert len(graph) == len(layout) == expression.size
    assert nx.is_arborescence(graph)
    assert max(level for _, level in layout.values()) == expression.depth - 1
    levels = defaultdict(list)
    for node, (x, level) in layout.items():
        half = _width(graph.nodes[node]["text"]) / 2
        levels[level].append((x - half, x + half))
        below = sorted((layout[child][0], graph.nodes[child]["place"]) for child in graph.successors(node))
        assert [place for _, place in below] == list(range(len(below)))  # operands from left to right
        if below:
            assert x == pytest.approx((below[0][0] + below[-1][0]) / 2)
        assert all(layout[child][1] == level + 1 for child in graph.successors(node))
    for spans in levels.values():
        spans.sort()
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert start - end >= GAP - 1e-9
    assert min(span[0] for spans in levels.values() for span in spans) == pytest.approx(0.0)


@given(expressions(constants=ANY_CONSTANT, max_leaves=60))
def test_nothing_overlaps_and_operators_stand_over_their_operands(expression: Expression) -> None:
    check_layout(expression)


def bushy(depth: int) -> Expression:
    return apply("add", bushy(depth - 1), bushy(depth - 1)) if depth > 1 else variable("score")


def comb(depth: int) -> Expression:
    expression: Expression = constant(-1.25)
    for place in range(depth - 1):
        operands = (expression, variable("y_pred"))
        expression = apply("sub", *(operands if place % 2 else operands[::-1]))
    return expression


@pytest.mark.parametrize("expression", [bushy(9), comb(100)], ids=["511 nodes", "depth 100"])
def test_the_largest(expression: Expression) -> None:
    check_layout(expression)


def test_a_comb_is_no_wider_than_it_must_be() -> None:
    layout = tree_layout(expression_tree(bushy(5)))
    assert max(x for x, _ in layout.values()) < 16 * (_width("score") + GAP)


def test_every_node_and_role_is_drawn(tmp_path: Path) -> None:
    draw_trees(load_argument("hinge").loss, tmp_path / "hinge.svg")
    root = ElementTree.parse(tmp_path / "hinge.svg").getroot()
    groups = [element for element in root.iter() if (element.get("id") or "").startswith("text_")]
    loss = load_argument("hinge").loss
    assert len(groups) == 1 + 3 + loss.size


def test_narrow_trees_have_room_for_the_formula(tmp_path: Path) -> None:
    draw_trees(Loss("A", label=variable("score")), tmp_path / "a.png")
    draw_trees(Loss("A", label=comb(12)), tmp_path / "b.png")
    small, large = (Image.open(tmp_path / f"{name}.png") for name in "ab")
    assert small.width < large.width and small.height < large.height
    for picture in (small, large):
        ink = np.asarray(picture.convert("L")) < 250
        assert ink.any() and not ink[:, :10].any() and not ink[:, -10:].any()
