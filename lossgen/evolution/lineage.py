"""Lineage: which losses came from which, by what operator; and what a person may call one of them by."""

import itertools
import re
from collections.abc import Container, Mapping

import networkx as nx

from lossgen.errors import InputError
from lossgen.evolution.archive import FOUND, Archive, CandidateRow, found_name
from lossgen.evolution.searched import Searched, searched
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula

CHAMPION = "champion"
_DIGEST = re.compile(r"[0-9a-f]{1,64}")


def lineage(archive: Archive) -> "nx.DiGraph[str]":
    """The losses that a run has trained, and those that they come from, with edges from parent to child.

    Where a text was proposed several times, its place, origin and parents are those of the proposal that was trained.

    Nodes are digests, with attributes:
        name, loss, formula: of the loss; its text with the name and without.
        size: nodes of its expressions.
        generation, number: its place.
        origin: how it was made.
        status: of its trainings: "ok", or what else they came to; "not trained" where there is none yet.
        fitness: in the units of the metric; missing where a training failed, or it was not trained the whole way.
        simplified: text of the form that was verified in its place; missing where none was made.
        part: "champion" or "runner-up"; missing in all that were not verified.
    Edges have `operator`, and `place`: 0 for the parent that was changed, 1 for the one that a part was taken from. The
    graph has `objective` and `direction`.

    Raises:
        InputError: the archive names a parent that it does not hold.
    """
    objective, direction = next(iter(archive.meta("objectives", {"fitness": "min"}).items()))
    graph: nx.DiGraph[str] = nx.DiGraph(objective=objective, direction=direction)
    trained = searched(archive)
    rows = _bred(archive, trained)
    for row in sorted(rows.values(), key=lambda row: (row.generation, row.number)):
        status, fitness = _status(trained.get(row.digest))
        graph.add_node(
            row.digest, name=found_name(row.digest), loss=row.loss, formula=formula(row.loss), size=row.size,
            generation=row.generation, number=row.number, origin=row.origin, status=status,
        )  # fmt: skip
        more = {"fitness": fitness, "simplified": archive.meta(f"simplified {row.digest}")}
        graph.nodes[row.digest].update({key: value for key, value in more.items() if value is not None})
    for row in rows.values():
        for place, parent in reversed(list(enumerate(row.parents))):  # of a loss crossed with itself, place 0 stays
            graph.add_edge(parent, row.digest, operator=row.origin, place=place)
    for result in (archive.meta("result") or {}).get("results", []):
        if result["part"] in (CHAMPION, "runner-up"):
            digest = parse_loss(result["loss"]).digest()
            forms = [digest] * (digest in graph) + _simplified(graph).get(digest, [])
            if forms:  # a seed loss that the search gave back may have been given in a form of its own
                graph.nodes[min(forms, key=lambda node: _rank(graph, node))]["part"] = result["part"]
    return graph


def ancestry(graph: "nx.DiGraph[str]", digest: str) -> "nx.DiGraph[str]":
    """The part of a lineage that a loss comes from, itself included."""
    found: nx.DiGraph[str] = graph.subgraph({digest, *nx.ancestors(graph, digest)}).copy()
    return found


def in_order(graph: "nx.DiGraph[str]") -> list[str]:
    """Digests in the order of proposal, parents before their children."""

    def place(digest: str) -> tuple[int, int]:
        return graph.nodes[digest]["generation"], graph.nodes[digest]["number"]

    return list(nx.lexicographical_topological_sort(graph, place))


def find_loss(archive: Archive, graph: "nx.DiGraph[str]", text: str) -> str:
    """The digest of the loss that is meant: as it was searched, also where its simplified form is named.

    Args:
        text: the beginning of a digest, a name such as Evolved_1234abcd, or "champion".

    Raises:
        InputError: nothing is called so, several are, or it was never trained.
    """
    where = f"--lineage {text}:"
    if not graph:
        raise InputError(f"{where} nothing was bred in this run; lineage is of a search that has trained losses")
    known = text.strip().lower()
    if known == CHAMPION:
        return _champion(archive, graph, where)
    begins = known.removeprefix(FOUND.lower())
    if not _DIGEST.fullmatch(begins):
        raise InputError(f"{where} is no loss of a search; give {CHAMPION}, a name {FOUND}…, or a digest's beginning")
    simplified = {form: min(of, key=lambda node: _rank(graph, node)) for form, of in _simplified(graph).items()}
    meant = {**simplified, **{digest: digest for digest in graph}}
    named = sorted(digest for digest in meant if digest.startswith(begins))
    found = {meant[digest] for digest in named}
    if len(found) == 1:
        return str(found.pop())
    if found:
        length = 1 + max(len(_common(a, b)) for a, b in itertools.pairwise(named))
        some = ", ".join(digest[: max(length, 8)] for digest in named[:5]) + ", …" * (len(named) > 5)
        raise InputError(f"{where} {len(found)} losses begin so; give more of one of them: {some}")
    raise InputError(f"{where} {_untrained(archive, begins)}")


def _bred(archive: Archive, trained: Container[str]) -> dict[str, CandidateRow]:
    """Of each digest the proposal that was trained, and the first of any kind of those that they come from."""
    first: dict[str, CandidateRow] = {}
    bred: dict[str, CandidateRow] = {}
    for row in archive.candidates():
        first.setdefault(row.digest, row)
        if row.fate == "trained" or (row.fate == "untrained" and row.digest in trained):  # on some of its seeds
            bred.setdefault(row.digest, row)
    waiting = list(bred.values())
    while waiting:
        row = waiting.pop()
        for parent in row.parents:
            if parent not in first:
                raise InputError(
                    f"archive {archive.path}: {row.generation}.{row.number} has a parent {parent[:12]} that is not "
                    "there; the archive is damaged"
                )
            if parent not in bred:
                bred[parent] = first[parent]
                waiting.append(first[parent])
    return bred


def _status(found: Searched | None) -> tuple[str, float | None]:
    """Status and fitness of a loss; no fitness where it has not been trained the whole way."""
    if found is None:
        return "not trained", None
    return found.status, found.value if found.whole else None


def _simplified(graph: "nx.DiGraph[str]") -> dict[str, list[str]]:
    """Digests as they were searched, by that of the simplified form."""
    found: dict[str, list[str]] = {}
    for digest, text in graph.nodes(data="simplified"):
        if text is not None:
            found.setdefault(parse_loss(text).digest(), []).append(digest)
    return found


def _rank(graph: "nx.DiGraph[str]", digest: str) -> tuple[float, int, str]:
    """The best loss has the least."""
    node: Mapping[str, float] = graph.nodes[digest]
    sign = 1.0 if graph.graph["direction"] == "min" else -1.0
    return sign * node["fitness"] if "fitness" in node else float("inf"), int(node["size"]), digest


def _champion(archive: Archive, graph: "nx.DiGraph[str]", where: str) -> str:
    for digest, part in graph.nodes(data="part"):
        if part == CHAMPION:
            return str(digest)
    best = min(graph, key=lambda node: _rank(graph, node))
    so_far = f"give a loss, for instance the best of the search, {graph.nodes[best]['name']}"
    if not archive.meta("finished", False):
        raise InputError(f"{where} the run has named none yet; {so_far}, or go on with --resume")
    raise InputError(f"{where} nothing that this run found could be verified; {so_far}")


def _untrained(archive: Archive, begins: str) -> str:
    """Why a digest is not in the graph."""
    for row in archive.candidates():
        if row.digest.startswith(begins):
            was = {"rejected": "was rejected", "duplicate": "is a duplicate"}.get(row.fate, f"was {row.fate}")
            return f"{was} ({row.reason}), so nothing came of it; give a loss that was trained"
    return f"no loss of this run begins so; give {CHAMPION}, or a loss that `lossgen show RUN --json` names"


def _common(a: str, b: str) -> str:
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:same]
