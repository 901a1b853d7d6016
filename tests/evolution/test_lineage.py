"""Lineage: of each loss the proposal that was trained, its parents, and all the names that it goes by."""

from pathlib import Path

import networkx as nx
import pytest

from lossgen.errors import InputError
from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey
from lossgen.evolution.lineage import ancestry, find_loss, in_order, lineage
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome


def found(text: str) -> Loss:
    loss = parse_loss(text)
    return loss.renamed(f"Evolved_{loss.digest()[:8]}")


FIRST, SECOND, CHILD, TWICE, POLISHED, BAD, SIMPLE = (
    found(text)
    for text in (
        "square(y_pred - y_real)", "log(y_pred + 0.25) * y_real", "square(log(y_pred + 0.25) * y_real)",
        "square(log(y_pred + 0.25) * y_pred)", "square(log(y_pred + 0.5) * y_real)", "y_real - y_real",
        "square(log(y_pred + 0.5)) * y_real",
    )
)  # fmt: skip


class Recorded:
    """An archive in the making."""

    def __init__(self, path: Path) -> None:
        self.archive = Archive(path / "archive.sqlite")
        self.archive.set_meta("objectives", {"distance": "min"})

    def propose(self, place: tuple[int, int], loss: Loss, origin: str, *parents: Loss, fate: str = "trained") -> None:
        digests = tuple(parent.digest() for parent in parents)
        reason = {"duplicate": "same text as 0.1", "rejected": "flat: fake"}.get(fate, "")
        row = (*place, print_loss(loss), loss.size, loss.digest(), "", fate, reason, origin, digests)
        self.archive.add_candidates([CandidateRow(*row)])

    def train(self, loss: Loss, *values: float, stage: str = "search") -> None:
        for replicate, value in enumerate(values):
            well = value < float("inf")
            outcome = Outcome("ok", {"distance": value}) if well else Outcome("diverged", reason="it did", step=3)
            self.archive.add_outcome(OutcomeKey(stage, loss.digest(), replicate, 10), loss.name, outcome)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """Two losses, a child of both, one of itself, one that is polished; with proposals that came to nothing."""
    run = Recorded(tmp_path)
    run.propose((0, 1), FIRST, "fresh")
    run.propose((0, 2), BAD, "fresh", fate="rejected")
    run.propose((0, 7), SECOND, "seed")
    run.propose((1, 0), FIRST, "point", SECOND, fate="duplicate")
    run.propose((1, 4), CHILD, "crossover", FIRST, SECOND)
    run.propose((1, 5), TWICE, "crossover", CHILD, CHILD)
    run.propose((2, 0), POLISHED, "polish", CHILD)
    run.train(FIRST, 3.0, 5.0)
    run.train(SECOND, 7.0, float("inf"))
    run.train(CHILD, 2.0, 2.5)
    run.train(POLISHED, 1.0, 1.0, stage="polish")
    run.archive.set_meta(f"simplified {POLISHED.digest()}", print_loss(SIMPLE))
    return run


def finish(run: Recorded, champion: Loss, **more: object) -> None:
    results = [{"part": "baseline", "loss": print_loss(FIRST)}, {"part": "champion", "loss": print_loss(champion)}]
    run.archive.set_meta("result", {"results": results, **more})
    run.archive.set_meta("finished", True)


def test_nodes_and_edges_are_those_of_what_was_trained(recorded: Recorded) -> None:
    graph = lineage(recorded.archive)
    assert set(graph) == {loss.digest() for loss in (FIRST, SECOND, CHILD, TWICE, POLISHED)}
    first = graph.nodes[FIRST.digest()]
    assert (first["origin"], first["generation"], first["number"], first["size"]) == ("fresh", 0, 1, 4)
    assert (first["name"], first["formula"]) == (FIRST.name, "square(y_pred - y_real)")
    assert parse_loss(first["loss"]) == FIRST
    edges = {(a, b): (how["operator"], how["place"]) for a, b, how in graph.edges(data=True)}
    assert edges == {
        (FIRST.digest(), CHILD.digest()): ("crossover", 0),
        (SECOND.digest(), CHILD.digest()): ("crossover", 1),
        (CHILD.digest(), TWICE.digest()): ("crossover", 0),
        (CHILD.digest(), POLISHED.digest()): ("polish", 0),
    }
    assert graph.graph == {"objective": "distance", "direction": "min"}


def test_fitness_is_the_mean_of_trainings_that_all_ended_well(recorded: Recorded) -> None:
    graph = lineage(recorded.archive)
    fitness = {loss.name: graph.nodes[loss.digest()].get("fitness") for loss in (FIRST, SECOND, CHILD, POLISHED, TWICE)}
    assert list(fitness.values()) == [4.0, None, 2.25, 1.0, None]
    assert graph.nodes[SECOND.digest()]["status"] == "diverged ok"
    assert graph.nodes[TWICE.digest()]["status"] == "not trained"


def test_ancestry_is_what_a_loss_comes_from_and_no_more(recorded: Recorded) -> None:
    graph = lineage(recorded.archive)
    above = ancestry(graph, POLISHED.digest())
    assert set(above) == {loss.digest() for loss in (FIRST, SECOND, CHILD, POLISHED)}
    assert in_order(above) == [loss.digest() for loss in (FIRST, SECOND, CHILD, POLISHED)]
    assert nx.is_directed_acyclic_graph(graph)
    assert set(ancestry(graph, SECOND.digest())) == {SECOND.digest()}
    above.remove_node(FIRST.digest())
    assert FIRST.digest() in graph


@pytest.mark.parametrize(
    "text", ["{0}", "{1}", "Evolved_{1}", "evolved_{1}", " Evolved_{0} ", "EVOLVED_{1}", "Evolved_{2}", "{2}"]
)
def test_a_loss_is_found_by_its_digests_and_its_names(recorded: Recorded, text: str) -> None:
    """Also by those of its simplified form, which is what a run verifies and ships."""
    digest, simple = POLISHED.digest(), SIMPLE.digest()
    assert digest != simple
    graph = lineage(recorded.archive)
    assert find_loss(recorded.archive, graph, text.format(digest, digest[:8], simple[:8])) == digest


def test_the_champion_is_the_searched_form_of_what_was_verified(recorded: Recorded) -> None:
    with pytest.raises(InputError, match=rf"named none yet; .*{POLISHED.name}, or go on with --resume"):
        find_loss(recorded.archive, lineage(recorded.archive), "champion")
    finish(recorded, SIMPLE)
    graph = lineage(recorded.archive)
    assert find_loss(recorded.archive, graph, "champion") == POLISHED.digest()
    assert dict(graph.nodes(data="part")) == {
        node: "champion" if node == POLISHED.digest() else None for node in graph
    }  # a baseline's part is no candidate's


def test_the_champion_may_be_verified_as_it_was_searched(recorded: Recorded) -> None:
    finish(recorded, CHILD)
    assert find_loss(recorded.archive, lineage(recorded.archive), "champion") == CHILD.digest()


def test_of_two_that_simplify_to_one_the_better_is_meant(recorded: Recorded) -> None:
    recorded.archive.set_meta(f"simplified {CHILD.digest()}", print_loss(SIMPLE))
    finish(recorded, SIMPLE)
    graph = lineage(recorded.archive)
    assert find_loss(recorded.archive, graph, SIMPLE.name) == POLISHED.digest()
    assert find_loss(recorded.archive, graph, "champion") == POLISHED.digest()
    recorded.archive.set_meta("objectives", {"distance": "max"})
    graph = lineage(recorded.archive)
    assert find_loss(recorded.archive, graph, "champion") == CHILD.digest()


def test_a_digest_that_was_searched_means_itself(recorded: Recorded) -> None:
    """Also where another loss simplifies to it."""
    recorded.archive.set_meta(f"simplified {POLISHED.digest()}", print_loss(FIRST))
    graph = lineage(recorded.archive)
    assert find_loss(recorded.archive, graph, FIRST.name) == FIRST.digest()


def test_what_cannot_be_meant_is_refused_in_one_line_that_says_what_to_do(recorded: Recorded) -> None:
    graph = lineage(recorded.archive)
    cases = {
        "hinge": "champion, a name Evolved_…, or a digest's beginning",
        "": "is no loss of a search",
        "Evolved_": "is no loss of a search",
        "f" * 64: "no loss of this run begins so",
        BAD.name: r"was rejected \(flat: fake\)",
    }
    for text, said in cases.items():
        with pytest.raises(InputError, match=said) as caught:
            find_loss(recorded.archive, graph, text)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(f"--lineage {text}:")


def test_an_ambiguous_beginning_is_answered_with_what_tells_them_apart(tmp_path: Path) -> None:
    run = Recorded(tmp_path)
    losses = [found(f"y_pred - y_real * {number}.5") for number in range(40)]
    for number, loss in enumerate(losses):
        run.propose((0, number), loss, "fresh")
    graph = lineage(run.archive)
    with pytest.raises(InputError, match="losses begin so") as caught:
        find_loss(run.archive, graph, losses[0].digest()[0])
    for offered in str(caught.value).rpartition(": ")[2].removesuffix(", …").split(", "):
        assert find_loss(run.archive, graph, offered).startswith(offered)


def test_a_run_without_losses_and_one_that_lost_a_parent(tmp_path: Path) -> None:
    run = Recorded(tmp_path)
    with pytest.raises(InputError, match="nothing was bred"):
        find_loss(run.archive, lineage(run.archive), "champion")
    run.propose((1, 0), CHILD, "crossover", FIRST, SECOND)
    with pytest.raises(InputError, match=r"1\.0 has a parent .* is damaged"):
        lineage(run.archive)


def test_a_parent_that_was_not_trained_is_shown_for_its_child(tmp_path: Path) -> None:
    run = Recorded(tmp_path)
    run.propose((0, 0), FIRST, "fresh", fate="untrained")
    run.propose((0, 1), SECOND, "fresh", fate="untrained")
    run.propose((1, 0), CHILD, "point", FIRST)
    graph = lineage(run.archive)
    assert list(graph.edges) == [(FIRST.digest(), CHILD.digest())]
    assert SECOND.digest() not in graph
