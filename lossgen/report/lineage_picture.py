"""Lineage drawn: a row a generation, arrows from parents to children in the colour of their operator."""

import itertools
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from lossgen.evolution.lineage import in_order
from lossgen.report.canvas import COLOURS, cut, new_figure, save
from lossgen.report.layers import Stop, place, stops_of, way
from lossgen.report.lineage import SHORT, called, value_text
from lossgen.report.live import better_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Curve

LETTER, LINE, PADDING = 0.0775, 0.155, 0.09
"""Inches: a letter of the monospaced font, a line, the room inside a box."""
BOX, BESIDE, PASSING = 2.5, 0.3, 0.14
"""A box's width, the room between two, and that beside an arrow which passes a row."""
BETWEEN, MARGIN, HEAD, NUMBERS = 0.62, 0.25, 0.85, 0.95
"""Room between rows, around the picture, for the title, and for the generations' numbers."""
FONT_SIZE, LINES = 8.6, 3
LETTERS = int((BOX - 2 * PADDING) / LETTER)
HEIGHT = (1 + LINES) * LINE + 2 * PADDING
DOORS = 0.46
"""How far from a box's middle the arrows of two parents come in; the operator stands between them."""
PALETTE = dict(zip(("crossover", "subtree", "point", "constant", "hoist", "polish"), COLOURS, strict=False))
FILLS = {"asked": "#e3f1e9", "root": "#fff6e3", "other": "#ffffff"}


def generations(graph: "nx.DiGraph[str]") -> dict[str, tuple[int, int]]:
    """The row of each node: its generation, and how many of its ancestors in a line stand in the same one."""
    rows: dict[str, tuple[int, int]] = {}
    for node in in_order(graph):
        above = [rows[parent] for parent in graph.predecessors(node)]
        first = (int(graph.nodes[node]["generation"]), 0)
        rows[node] = max([first, *((at, below + 1) for at, below in above if (at, below) >= first)])
    return rows


def draw_lineage(graph: "nx.DiGraph[str]", digest: str, path: Path) -> None:
    """Draw `lineage_figure` as the picture that the path's suffix says.

    Raises:
        InputError: the picture cannot be written.
    """
    save(lineage_figure(graph, digest), path)


def lineage_figure(graph: "nx.DiGraph[str]", digest: str) -> "Figure":
    """Where a loss comes from.

    Args:
        graph: the ancestry of the loss.
    """
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon

    rows = generations(graph)
    levels = {row: level for level, row in enumerate(sorted(set(rows.values())))}
    layers = {node: levels[rows[node]] for node in in_order(graph)}
    at = place(stops_of(layers, graph.edges), _apart)
    lines = _title(graph, digest)
    width = max(MARGIN + NUMBERS + max(at.values()) + BOX + MARGIN, 2 * MARGIN + LETTER * max(map(len, lines)))
    height = HEAD + len(levels) * (HEIGHT + BETWEEN) - BETWEEN + MARGIN
    figure = new_figure(width, height, laid_out=False)
    axis: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set(xlim=(0.0, width), ylim=(height, 0.0))
    axis.axis("off")
    font = {"family": "DejaVu Sans Mono", "size": FONT_SIZE, "parse_math": False, "va": "center"}
    for number, line in enumerate(lines):
        axis.text(MARGIN, 0.25 + 1.2 * LINE * number, line, color="#000000" if not number else "#666666", **font)
    tops = {level: HEAD + level * (HEIGHT + BETWEEN) for level in levels.values()}
    for (generation, below), level in levels.items():
        name = f"gen. {generation}" if not below else ""
        axis.text(MARGIN, tops[level] + HEIGHT / 2, name, color="#666666", **font)
    where = {stop: x + MARGIN + NUMBERS + BOX / 2 for stop, x in at.items()}

    for child in graph:
        edges = list(graph.in_edges(child, data=True))
        edges.sort(key=lambda edge: where[way(layers, edge[0], edge[1])[-2]])
        doors = np.linspace(-DOORS, DOORS, len(edges)).tolist() if len(edges) > 1 else [0.0] * len(edges)
        for (parent, _, how), door in zip(edges, doors, strict=True):
            colour, dashes = _colour(how["operator"]), "--" if how["place"] else "-"
            curve = _curve(layers, where, tops, parent, child, door)
            axis.add_patch(
                PathPatch(curve, facecolor="none", edgecolor=colour, linestyle=dashes, linewidth=1.1, zorder=1)
            )
            x, y = where[child] + door, tops[layers[child]]
            axis.add_patch(Polygon([(x, y), (x - 0.045, y - 0.1), (x + 0.045, y - 0.1)], color=colour, linewidth=0))
        origin = graph.nodes[child]["origin"]
        x, across = where[child], "center"
        if len(edges) == 1:  # on the side that the arrow does not come from
            right = where[way(layers, edges[0][0], child)[-2]] <= x
            x, across = (x + 0.1, "left") if right else (x - 0.1, "right")
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axis.text(x, tops[layers[child]] - 0.11, origin, ha=across, color=_colour(origin), bbox=paper, **font)

    for node, row in layers.items():
        kind = "asked" if node == digest else "root" if not graph.in_degree(node) else "other"
        left, top = where[node] - BOX / 2, tops[row]
        box: Any = {"facecolor": FILLS[kind], "edgecolor": "#404040", "linewidth": 1.8 if node == digest else 0.9}
        box |= {"boxstyle": "round,pad=0,rounding_size=0.05", "zorder": 2}
        axis.add_patch(FancyBboxPatch((left, top), BOX, HEIGHT, **box))
        first = top + PADDING + LINE / 2
        axis.text(left + PADDING, first, node[:SHORT], weight="bold", **font)
        axis.text(left + BOX - PADDING, first, value_text(graph.nodes[node]), ha="right", **font)
        for number, text in enumerate(_wrapped(graph.nodes[node]["formula"]), 1):
            axis.text(left + PADDING, first + number * LINE, text, color="#333333", **font)
    return figure


def _title(graph: "nx.DiGraph[str]", digest: str) -> list[str]:
    node = graph.nodes[digest]
    better = better_text(graph.graph["direction"] == "min")
    title = f"{called(node)}: how it came to be"
    legend = f"beside each name: {graph.graph['objective']} in the search ({better})"
    if any(place for _, _, place in graph.edges(data="place")):
        legend += "; dashed: the parent that a part was taken from"
    return [title, legend]


def _apart(a: Stop, b: Stop) -> float:
    boxes = sum(isinstance(stop, str) for stop in (a, b))
    return boxes * BOX / 2 + (BESIDE if boxes == 2 else PASSING)


def _colour(operator: str) -> str:
    return PALETTE.get(operator, COLOURS[-1])


def _curve(
    layers: dict[str, int], where: dict[Stop, float], tops: dict[int, float], parent: str, child: str, door: float
) -> "Curve":
    """From the lower edge of the parent's box, straight down past the rows between, to a door of the child's."""
    from matplotlib.path import Path as Curve

    def corners() -> Iterator[tuple[float, float, float]]:
        """Horizontal place, upper and lower end of each straight part."""
        for level, stop in enumerate(way(layers, parent, child), layers[parent]):
            yield where[stop] + (door if stop == child else 0.0), tops[level], tops[level] + HEIGHT

    points: list[tuple[float, float]] = []
    for (x, _, bottom), (below, top, _) in itertools.pairwise(corners()):
        middle = (bottom + top) / 2
        points += [(x, bottom), (x, middle), (below, middle), (below, top)]
    codes = [int(code) for code in (Curve.LINETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4)] * (len(points) // 4)
    return Curve(np.array(points), [int(Curve.MOVETO), *codes[1:]])


def _wrapped(formula: str) -> list[str]:
    lines = textwrap.wrap(formula, LETTERS, break_on_hyphens=False)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], cut(" ".join(lines[LINES - 1 :]), LETTERS)]
    return lines
