"""Layers of nodes and the arrows between them, placed so that few arrows cross and most are short.

After Sugiyama, Tagawa and Toda ("Methods for visual understanding of hierarchical system structures", 1981): an arrow
over several layers has a stop in each that it passes; layers are ordered by barycentres, down and up, and the order
with the fewest crossings is kept; then every stop moves as near to its neighbours as its layer allows, which is an
isotonic regression.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias

import networkx as nx
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Stop: TypeAlias = Hashable
"""A node, or (parent, child, layer) where an arrow passes a layer."""

SWEEPS = 16


def stops_of(layers: Mapping[str, int], edges: Iterable[tuple[str, str]]) -> "nx.DiGraph[Stop]":
    """Nodes and stops, joined from one layer to the next; attribute `layer`.

    Args:
        layers: layer by node, every parent's above its children's.
        edges: (parent, child).
    """
    graph: nx.DiGraph[Stop] = nx.DiGraph()
    for node, layer in layers.items():
        graph.add_node(node, layer=layer)
    for edge in edges:
        nx.add_path(graph, way(layers, *edge))
        for layer in range(layers[edge[0]] + 1, layers[edge[1]]):
            graph.nodes[(*edge, layer)]["layer"] = layer
    return graph


def way(layers: Mapping[str, int], parent: str, child: str) -> list[Stop]:
    """The stops of an arrow, both ends included."""
    between = [(parent, child, layer) for layer in range(layers[parent] + 1, layers[child])]
    return [parent, *between, child]


def place(graph: "nx.DiGraph[Stop]", apart: Callable[[Stop, Stop], float]) -> dict[Stop, float]:
    """Where every stop stands in its layer; the least is 0.

    Args:
        graph: from `stops_of`.
        apart: least distance of two stops that stand side by side.
    """
    rows = _ordered(graph)
    least = [np.array([apart(a, b) for a, b in itertools.pairwise(row)], float) for row in rows]
    at = {stop: float(x) for row, gaps in zip(rows, least, strict=True) for stop, x in zip(row, _spread(gaps))}
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for row, gaps in list(zip(rows, least, strict=True))[:: 1 if down else -1]:
            wanted = [_middle(graph, at, stop, down if sweep < SWEEPS else None) for stop in row]
            at |= dict(zip(row, _nearest(np.array(wanted), gaps), strict=True))
    start = min(at.values())
    return {stop: x - start for stop, x in at.items()}


def crossings(graph: "nx.DiGraph[Stop]", rows: Sequence[Sequence[Stop]]) -> int:
    """How many pairs of arrows cross between layers so ordered."""
    position = {stop: i for row in rows for i, stop in enumerate(row)}
    total = 0
    for row in rows:
        ends = np.array([(position[stop], position[child]) for stop in row for child in graph.successors(stop)], int)
        if len(ends):
            upper, lower = (ends[:, i, None] - ends[None, :, i] for i in (0, 1))
            total += int(np.count_nonzero(upper * lower < 0)) // 2
    return total


def _ordered(graph: "nx.DiGraph[Stop]") -> list[list[Stop]]:
    """Stops by layer, in the order with the fewest crossings that was found."""
    rows: list[list[Stop]] = [[] for _ in range(1 + max(layer for _, layer in graph.nodes(data="layer")))]
    for stop, layer in graph.nodes(data="layer"):
        rows[layer].append(stop)
    best, fewest = rows, crossings(graph, rows)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        position = {stop: float(i) for row in rows for i, stop in enumerate(row)}
        for row in rows if down else rows[::-1]:
            row.sort(key=lambda stop: _middle(graph, position, stop, down))  # stable: ties stay as they are
            position |= {stop: float(i) for i, stop in enumerate(row)}
        found = crossings(graph, rows)
        if found < fewest:
            best, fewest = rows, found
    return best


def _middle(graph: "nx.DiGraph[Stop]", at: Mapping[Stop, float], stop: Stop, down: bool | None) -> float:
    """Mean place of the neighbours above (down), below (not down) or on both sides; its own where there are none."""
    above = list(graph.predecessors(stop)) if down is not False else []
    below = list(graph.successors(stop)) if down is not True else []
    near = [at[other] for other in above + below]
    return sum(near) / len(near) if near else at[stop]


def _spread(gaps: Array) -> Array:
    places: Array = np.concatenate([[0.0], np.cumsum(gaps)])
    places -= places[-1] / 2
    return places


def _nearest(wanted: Array, gaps: Array) -> Array:
    """Places nearest to those wanted (least squares) that keep their order and the gaps: pool adjacent violators."""
    offsets = _spread(gaps)
    pools: list[tuple[float, int]] = []  # mean and count
    for value in wanted - offsets:
        mean, count = float(value), 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        pools.append((mean, count))
    means, counts = zip(*pools, strict=True)
    placed: Array = offsets + np.repeat(np.array(means, float), counts)
    return placed
