"""Expression trees, drawn top-down, after figure 1 of the GANetic paper.

The layout is that of Reingold and Tilford ("Tidier drawings of trees", 1981), for nodes of any width: subtrees are
pushed together until they touch, an operator stands over the middle of its operands, equal subtrees look alike.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.operators import OPERATORS, VARIABLES
from lossgen.language.printer import format_constant, formula
from lossgen.report.canvas import cut, new_figure, save

LETTER, HEIGHT, PADDING, GAP, LEVEL = 0.0853, 0.27, 0.16, 0.12, 0.52
"""Inches: a letter of the monospaced font, a node's height, the room beside its text, that between nodes, a level."""
APART, MARGIN, HEAD = 0.5, 0.3, 0.85
FONT_SIZE = 10.2
KINDS = {"operator": ("#ffffff", "#404040"), "variable": ("#cfe8f7", "#0072b2"), "constant": ("#fde9c4", "#b87700")}
"""Fill and edge by kind of node."""
_SYMBOLS = {"mul": "×", "sub": "−", "neg": "−"}


@dataclass
class _Shape:
    """A laid-out subtree: positions by node relative to its root, and its outline level by level."""

    at: dict[int, tuple[float, int]]
    left: list[float]
    right: list[float]


def expression_tree(expression: Expression) -> "nx.DiGraph[int]":
    """The tree as a graph, edges from operator to operand.

    Nodes are numbered from the root, 0, with attributes `text` (what is shown), `kind` ("operator", "variable",
    "constant") and `place` (first, second … operand).
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    waiting: list[tuple[Expression, int | None, int]] = [(expression, None, 0)]
    while waiting:
        node, parent, place = waiting.pop()
        number = len(graph)
        kind = "constant" if node.is_constant else "variable" if node.is_variable else "operator"
        graph.add_node(number, text=_text(node), kind=kind, place=place)
        if parent is not None:
            graph.add_edge(parent, number)
        waiting += [(operand, number, place) for place, operand in enumerate(node.operands)]
    return graph


def tree_layout(graph: "nx.DiGraph[int]") -> dict[int, tuple[float, int]]:
    """Horizontal middle (inches, the leftmost node ends at 0) and level (0 at the root) of every node."""
    shapes: dict[int, _Shape] = {}
    for node in nx.dfs_postorder_nodes(graph, 0):
        below = sorted(graph.successors(node), key=lambda child: graph.nodes[child]["place"])
        shapes[node] = _over(node, _width(graph.nodes[node]["text"]), [shapes.pop(child) for child in below])
    shape = shapes[0]
    start = min(shape.left)
    return {node: (x - start, level) for node, (x, level) in shape.at.items()}


def draw_trees(loss: Loss, path: Path) -> None:
    """Draw the expressions of a loss, side by side, as the picture that the path's suffix says.

    Raises:
        InputError: the picture cannot be written.
    """
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import FancyBboxPatch

    graphs = {name: expression_tree(expression) for name, expression in loss.clauses.items()}
    layouts = {name: tree_layout(graph) for name, graph in graphs.items()}
    titles = {name: "" if loss.label is not None else name for name in graphs}
    trees = {
        name: max(x + _width(graph.nodes[node]["text"]) / 2 for node, (x, _) in layouts[name].items())
        for name, graph in graphs.items()
    }
    rooms = {name: max(tree, _width(titles[name])) for name, tree in trees.items()}
    drawn = sum(rooms.values()) + APART * (len(rooms) - 1)
    head = f"{loss.name}: {formula(loss)}"
    width = max(drawn, LETTER * min(len(head), 100)) + 2 * MARGIN
    height = HEAD + LEVEL * (1 + max(level for layout in layouts.values() for _, level in layout.values())) + MARGIN
    figure = new_figure(width, height, laid_out=False)
    axis: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set(xlim=(0.0, width), ylim=(height, 0.0))
    axis.axis("off")
    font = {"family": "DejaVu Sans Mono", "size": FONT_SIZE, "parse_math": False, "ha": "center", "va": "center"}
    axis.text(MARGIN, 0.22, cut(head, int((width - 2 * MARGIN) / LETTER)), **(font | {"ha": "left"}))
    lines = []
    start = (width - drawn) / 2
    for name, graph in graphs.items():
        axis.text(start + rooms[name] / 2, HEAD - 0.2, titles[name], color="#666666", **font)
        offset = start + (rooms[name] - trees[name]) / 2
        start += rooms[name] + APART
        at = {node: (offset + x, HEAD + LEVEL * (level + 0.5)) for node, (x, level) in layouts[name].items()}
        lines += [[(at[a][0], at[a][1] + HEIGHT / 2), (at[b][0], at[b][1] - HEIGHT / 2)] for a, b in graph.edges]
        for kind, (fill, edge) in KINDS.items():
            boxes = []
            for node in (node for node in graph if graph.nodes[node]["kind"] == kind):
                (x, y), text = at[node], graph.nodes[node]["text"]
                size = _width(text)
                style = "round,pad=0,rounding_size=0.13" if kind == "operator" else "round,pad=0,rounding_size=0.04"
                boxes.append(FancyBboxPatch((x - size / 2, y - HEIGHT / 2), size, HEIGHT, boxstyle=style))
                axis.text(x, y, text, **font)
            axis.add_collection(PatchCollection(boxes, facecolor=fill, edgecolor=edge, linewidth=0.9, zorder=2))
    axis.add_collection(LineCollection(lines, colors="#808080", linewidths=0.9, zorder=1))
    save(figure, path)


def _over(node: int, width: float, below: list[_Shape]) -> _Shape:
    """A node over the subtrees of its operands, which are pushed together until they touch."""
    offsets: list[float] = []
    left: list[float] = []
    right: list[float] = []
    for shape in below:
        offset = max((r - s + GAP for r, s in zip(right, shape.left, strict=False)), default=0.0)
        offsets.append(offset)
        left += [s + offset for s in shape.left[len(left) :]]
        ends = [r + offset for r in shape.right]
        right = ends + right[len(ends) :]
    middle = (offsets[0] + offsets[-1]) / 2 if below else 0.0
    at = {node: (0.0, 0)}
    for shape, offset in zip(below, offsets, strict=True):
        at |= {inner: (x + offset - middle, level + 1) for inner, (x, level) in shape.at.items()}
    return _Shape(
        at, [-width / 2, *(place - middle for place in left)], [width / 2, *(place - middle for place in right)]
    )


def _text(node: Expression) -> str:
    if node.name:
        return f"{node.name} = {node.value:.6g}"
    if node.is_constant:
        exact = format_constant(node.value)
        return exact if len(exact) <= 8 else f"{node.value:.4g}"
    if node.is_variable:
        return VARIABLES[node.head].name
    return _SYMBOLS.get(node.head) or OPERATORS[node.head].symbol or node.head


def _width(text: str) -> float:
    return max(HEIGHT, LETTER * len(text) + PADDING)
