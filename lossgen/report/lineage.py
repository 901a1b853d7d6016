"""Lineage told: how a loss came to be, a line a step, and the graph as JSON and GraphML."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx

from lossgen.evolution.archive import Archive
from lossgen.evolution.lineage import CHAMPION, in_order
from lossgen.files import write_text
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula, to_text
from lossgen.report.canvas import cut
from lossgen.report.live import better_text

WIDTH = 110
SHORT = 8
"""Letters of a digest that stand for a loss."""
HIDDEN = 4
"""Operands that did not change are shown as … from so many nodes on."""
_REST = Expression("constant", name="…")


def story(archive: Archive, graph: "nx.DiGraph[str]", digest: str) -> Iterator[str]:
    """How a loss came to be: its ancestors from the oldest on, then what became of it.

    Args:
        graph: the ancestry of the loss.
    """
    objective, direction = graph.graph["objective"], graph.graph["direction"]
    node = graph.nodes[digest]
    order = in_order(graph)
    begun = sum(not graph.in_degree(loss) for loss in order)
    steps = f"{_count(begun, 'loss', 'losses')} in {_count(len(order) - begun, 'step')}"
    origin = steps if len(order) > 1 else "no other loss"
    yield f"{called(node)} comes from {origin}; {objective} in the search ({better_text(direction == 'min')}):"
    yield ""
    rows = [("gen", "loss", "made by", "of", objective, "what changed")] + [
        (str(graph.nodes[loss]["generation"]), loss[:SHORT], graph.nodes[loss]["origin"], _of(graph, loss),
         _fitness(graph, loss), _changed(graph, loss))
        for loss in order
    ]  # fmt: skip
    yield from _aligned(rows)
    yield ""
    yield f"searched as:   {node['formula']}"
    if "simplified" in node:
        rounded = ", constants rounded" * bool(archive.meta(f"rounded {digest}", False))
        yield f"simplified to: {formula(node['simplified'])}{rounded}"
    yield from _verified(archive, node)


def lineage_json(graph: "nx.DiGraph[str]", digest: str) -> dict[str, Any]:
    """A graph, and the loss that was asked for, as JSON values; keys are the attributes of `evolution.lineage`."""
    return {
        "schema": 1,
        "loss": digest,
        **graph.graph,
        "nodes": [{"digest": node, **graph.nodes[node]} for node in in_order(graph)],
        "edges": [
            {"parent": parent, "child": child, **attributes}
            for child in in_order(graph)
            for parent, _, attributes in sorted(graph.in_edges(child, data=True), key=lambda edge: edge[2]["place"])
        ],
    }


def write_graphml(graph: "nx.DiGraph[str]", path: Path) -> None:
    """Write a lineage as GraphML, which Gephi, yEd, Cytoscape and networkx read.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(path, "\n".join(nx.generate_graphml(graph)) + "\n")


def changes(before: Loss, after: Loss) -> str:
    """What changed between two losses: the smallest parts that differ, "old → new", the role before each."""
    if set(before.clauses) != set(after.clauses):
        return formula(after)
    found = []
    for name, clause in after.clauses.items():
        if clause != before.clauses[name]:
            old, new = _difference(before.clauses[name], clause)
            found.append((f"{name}: " if after.label is None else "") + f"{to_text(old)} → {to_text(new)}")
    return "; ".join(found) or "nothing"


def _difference(old: Expression, new: Expression) -> tuple[Expression, Expression]:
    """The smallest parts that differ; operands that are long and did not change are hidden."""
    while old.head == new.head and old.operands:
        different = [pair for pair in zip(old.operands, new.operands, strict=True) if pair[0] != pair[1]]
        if len(different) != 1:
            break
        old, new = different[0]
    if len(old.operands) != len(new.operands):
        return old, new
    hide = [a == b and a.size >= HIDDEN for a, b in zip(old.operands, new.operands, strict=True)]
    return _hidden(old, hide), _hidden(new, hide)


def _hidden(node: Expression, hide: Sequence[bool]) -> Expression:
    if not any(hide):
        return node
    operands = tuple(_REST if hidden else operand for hidden, operand in zip(hide, node.operands, strict=True))
    return Expression(node.head, operands)


def _parents(graph: "nx.DiGraph[str]", digest: str) -> list[str]:
    """The parent that was changed, then the one that a part was taken from."""
    edges = sorted(graph.in_edges(digest, data="place"), key=lambda edge: int(edge[2]))
    return [parent for parent, _, _ in edges]


def _of(graph: "nx.DiGraph[str]", digest: str) -> str:
    parents = [parent[:SHORT] for parent in _parents(graph, digest)]
    if len(parents) == 1 and graph.nodes[digest]["origin"] == "crossover":
        parents.append("itself")
    return " × ".join(parents)


def _fitness(graph: "nx.DiGraph[str]", digest: str) -> str:
    parents = _parents(graph, digest)
    return (f"{value_text(graph.nodes[parents[0]])} → " if parents else "") + value_text(graph.nodes[digest])


def called(node: Mapping[str, Any]) -> str:
    """The name of a node, with the part that it played and the name of its simplified form."""
    known = [node["part"]] if "part" in node else []
    known += [f"simplified to {parse_loss(node['simplified']).name}"] if "simplified" in node else []
    return str(node["name"]) + (f" ({', '.join(known)})" if known else "")


def value_text(node: Mapping[str, Any]) -> str:
    """The fitness of a node, or what else its trainings came to: "part way" where it fell behind in a race."""
    if "fitness" in node:
        return f"{node['fitness']:.4g}"
    return "part way" if node["status"] == "ok" else str(node["status"])


def _changed(graph: "nx.DiGraph[str]", digest: str) -> str:
    parents = _parents(graph, digest)
    if not parents:
        return str(graph.nodes[digest]["formula"])
    return changes(parse_loss(graph.nodes[parents[0]]["loss"]), parse_loss(graph.nodes[digest]["loss"]))


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows with their columns under one another, the last one cut at WIDTH."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    shown = [column for column, width in enumerate(widths) if width]
    for row in rows:
        head = "  ".join(row[column].ljust(widths[column]) for column in shown) + "  "
        yield (head + cut(row[-1], max(WIDTH - len(head), 24))).rstrip()


def _verified(archive: Archive, node: Mapping[str, Any]) -> Iterator[str]:
    if "part" not in node:
        return
    result = archive.meta("result")
    digests = {parse_loss(node[key]).digest() for key in ("loss", "simplified") if key in node}
    for row in result["results"]:
        if row["part"] == node["part"] and parse_loss(row["loss"]).digest() in digests:
            value = f"{row['mean']:.4g} ± {row['std']:.3g}" if row["mean"] is not None else "failed"
            yield f"verified on {_count(row['seeds'], 'fresh seed')}: {result['metric']} {value}"
    if node["part"] == CHAMPION and result["verdict"]:
        yield result["verdict"]["sentence"]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
