"""The expression DAG: equal subexpressions are one node, so that each is computed once."""

import networkx as nx

from lossgen.language.expression import Expression


def expression_dag(expression: Expression) -> "nx.DiGraph[Expression]":
    """Directed graph of the distinct subexpressions, edges from operand to operator.

    The edge attribute `uses` counts how often an operator takes that operand.
    """
    graph: nx.DiGraph[Expression] = nx.DiGraph()
    for node in expression.walk():
        if node in graph:
            continue
        graph.add_node(node)
        for operand in node.operands:
            uses = graph.edges[operand, node]["uses"] if graph.has_edge(operand, node) else 0
            graph.add_edge(operand, node, uses=uses + 1)
    return graph


def shared(expression: Expression) -> list[Expression]:
    """Operator nodes that are used more than once, operands before the operators that use them."""
    graph = expression_dag(expression)
    order = {node: place for place, node in enumerate(expression.walk())}
    return [
        node
        for node in nx.lexicographical_topological_sort(graph, key=order.__getitem__)
        if node.operands and sum(uses for _, _, uses in graph.out_edges(node, data="uses")) > 1
    ]
