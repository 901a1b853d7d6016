"""The engine as ask and tell: its results depend on what it is told, and on nothing else."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from lossgen.errors import InputError
from lossgen.evolution.archive import CandidateRow
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.engine import Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.space import Derivation
from lossgen.language import lower
from lossgen.language.expression import Expression
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula


def fine(entries: Sequence[Entry]) -> dict[str, str]:
    return {entry.digest: "" for entry in entries}


def engine(**more: object) -> Engine:
    return Engine("ganetic", 5, 7, check=fine, **more)  # type: ignore[arg-type]


def value(candidate: Candidate) -> float:
    return int(candidate.digest[:4], 16) / 1000.0


def search(engine: Engine, generations: int = 4) -> list[str]:
    for _ in range(generations):
        candidates = engine.ask()
        engine.tell(candidates, [value(candidate) for candidate in candidates])
    return [individual.entry.digest for individual in engine.trained]


def test_what_is_asked_depends_on_seed_and_results_alone() -> None:
    assert search(engine()) == search(engine())
    assert search(engine()) != search(Engine("ganetic", 5, 8, check=fine))


def test_the_order_of_telling_changes_nothing() -> None:
    one, other = engine(), engine()
    for _ in range(3):
        a, b = one.ask(), other.ask()
        assert [c.digest for c in a] == [c.digest for c in b]
        one.tell(a, [value(c) for c in a])
        other.tell(b[::-1], [value(c) for c in b[::-1]])
    assert {i.entry.digest for i in one.population} == {i.entry.digest for i in other.population}


def test_a_generation_may_be_told_in_parts() -> None:
    whole, parts = engine(), engine()
    for _ in range(3):
        asked = whole.ask()
        whole.tell(asked, [value(c) if i else None for i, c in enumerate(asked)])
        open_ = parts.ask()
        for i in (3, 1, 4, 0):
            parts.tell([open_[i]], [value(open_[i]) if i else None])
        assert open_[3].digest in {i.entry.digest for i in parts.trained}
        with pytest.raises(InputError, match="ask: 1 candidates are open"):
            parts.ask()
        with pytest.raises(InputError, match="told twice"):
            parts.tell([open_[0]], [1.0])
        parts.tell([open_[2]], [value(open_[2])])
    for one, other in ((whole.trained, parts.trained), (whole.population, parts.population)):
        assert [i.entry.digest for i in one] == [i.entry.digest for i in other]


@pytest.mark.parametrize("bad", ["a", {"fid": 1}, True, np.bool_(True), [], [None], [1.0, "b"], [[1.0]], 1j, object()])
def test_a_bad_result_is_refused_and_nothing_is_kept(bad: object) -> None:
    found = engine()
    candidates = found.ask(2)
    with pytest.raises(InputError, match=rf"^tell: {candidates[1].name}: .* is no result; give a number .*$"):
        found.tell(candidates, [1.0, bad])  # type: ignore[list-item]
    assert found.trained == found.population == []
    found.tell(candidates, [np.float32(1.0), np.array([1.0, 2.0])])  # type: ignore[list-item]
    assert [i.fitness for i in found.trained] == [1.0, 1.5]


def test_a_candidate_is_shown_on_one_short_line() -> None:
    found = engine()
    (candidate,) = found.ask(1)
    text = repr(candidate)
    assert text == f"<Candidate {candidate.name}: {formula(candidate.loss)}; generation 0, fresh>"
    assert "class" not in text and "\n" not in text
    found.tell([candidate], [0.5])
    assert text in repr(found.ranking())


def test_the_fittest_survives_and_leads_the_ranking() -> None:
    found = engine()
    search(found)
    best = min(found.trained, key=lambda i: i.fitness)
    assert found.ranking()[0].fitness == found.population[0].fitness == best.fitness
    assert len(found.population) == 5


def test_several_seeds_give_a_mean_and_a_spread() -> None:
    found = engine()
    candidates = found.ask(3)
    found.tell(candidates, [[1.0, 3.0], [2.0], [1.0, math.nan]])
    one, two, failed = found.trained
    assert (one.fitness, one.spread) == (2.0, pytest.approx(math.sqrt(2.0)))
    assert (two.fitness, two.spread) == (2.0, 0.0)
    assert failed.fitness == math.inf
    assert failed not in found.ranking()


def test_all_that_is_proposed_is_recorded_with_its_fate() -> None:
    rows: dict[tuple[int, int], CandidateRow] = {}
    found = engine(record=lambda new: rows.update({(row.generation, row.number): row for row in new}))
    candidates = found.ask()
    assert len(rows) == found.proposed > 5
    assert sum(row.fate == "trained" for row in rows.values()) == 5
    found.tell(candidates, [1.0, *[None] * 4])
    fates = [
        row.fate for row in rows.values() if row.digest in {c.digest for c in candidates} and row.fate != "duplicate"
    ]
    assert sorted(fates) == ["trained"] + 4 * ["untrained"]
    assert {row.reason for row in rows.values() if row.fate == "untrained"} == {"not trained"}
    assert len(found.trained) == 1
    found.tell(found.ask(2), [1.0, None], why="the run was stopped")
    assert [row.reason for row in rows.values() if row.generation == 1][-1] == "the run was stopped"


def test_a_limit_of_proposals_is_kept() -> None:
    found = engine(max_candidates=40)
    candidates = found.ask(100)
    assert found.proposed == 40
    assert found.exhausted
    assert len(candidates) < 40
    found.tell(candidates, [1.0] * len(candidates))
    assert found.ask() == []


def test_a_loss_that_is_offered_again_has_the_fitness_that_is_known() -> None:
    found = engine()
    found.tell(candidates := found.ask(), [value(c) for c in candidates])
    known = candidates[2]
    flat = found.space.derive(parse_loss("loss Flat(y_real, y_pred) = y_real + 1"))
    twin = Derivation(known.derivation.type, "mul", (known.derivation, _two(found)))  # under Adam the same
    again, rejected, same = found.offer([known.derivation, flat, twin], "polish", known.digest)
    assert again == same == value(known)
    assert rejected == math.inf


def test_a_twin_of_what_is_to_be_trained_is_the_same_candidate() -> None:
    found = engine()
    found.tell(found.ask(1), [3.0])
    text = "loss One(y_real, y_pred) = -(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))"
    one = found.space.derive(parse_loss(text))
    twin = Derivation(one.type, "mul", (one, _two(found)))
    (first, second, again) = found.offer([one, twin, one], "polish", "")
    assert isinstance(first, Candidate)
    assert second is first and again is first
    found.tell([first], [0.25])
    later = found.offer([twin, one], "polish", "")
    assert later == [0.25, 0.25], "the text of a twin does not lead to what was trained"
    resumed = engine()
    rows: list[CandidateRow] = []
    told = engine(record=rows.extend)
    (candidate, *_) = told.offer([one, twin], "polish", "")
    told.tell([candidate], [0.25])
    resumed.restore(rows, {candidate.digest: [0.25]})
    assert resumed.offer([twin], "polish", "") == [0.25]


def test_seed_losses_that_one_generation_does_not_hold_come_in_the_next() -> None:
    texts = ["log(y_pred)", "square(y_pred)", "log(y_pred)", "y_pred * log(y_pred)", "log(y_pred) * square(y_pred)"]
    given = [parse_loss(f"loss Given(y_real, y_pred) = y_real - y_real * {text} + y_pred") for text in texts]
    rows: list[CandidateRow] = []
    found = Engine("ganetic", 1, 7, given, check=fine, record=rows.extend)
    while found.generation < 6:
        candidates = found.ask()
        found.tell(candidates, [value(candidate) for candidate in candidates])
        if found.generation == 2:  # as `ask` goes on elsewhere, with what is in the archive alone
            kept = list(rows)
            found = Engine("ganetic", 1, 7, given, check=fine, record=rows.extend)
            found.restore(kept, {i.entry.digest: [i.fitness] for i in found.trained})
    assert [row.digest for row in rows[:5]] == [loss.digest() for loss in given]
    assert [row.origin == "seed" for row in rows] == [i < 5 for i in range(len(rows))]
    assert {row.generation for row in rows[:5]} >= {0, 1}


@pytest.mark.parametrize(
    "chosen", [[0, 0, 0], [0, 1, 2, 3, 7], [-1, 0, 1, 2, 3], [0, 1], [*range(6)], [0.5, 1, 2, 3, 4], None]
)
def test_a_selection_that_is_none_is_refused(chosen: list[int]) -> None:
    found = engine(select=lambda objectives, count: chosen)
    candidates = found.ask()
    with pytest.raises(InputError, match=r"^select: .*give 5 different indices, of 0 to 4$"):
        found.tell(candidates, [1.0] * 5)


@pytest.mark.parametrize("made", [None, 3, ("child", "mine"), "ab"])
def test_a_variation_that_makes_no_child_is_refused(made: object) -> None:
    found = engine(vary=lambda space, a, b, rng: made)
    found.tell(candidates := found.ask(), [value(c) for c in candidates])
    with pytest.raises(
        InputError, match=r"^vary: gave .*; give a Derivation and how it came: return child, \"mutated\"$"
    ):
        found.ask()


def test_losses_of_a_batch_share_what_lowering_has_made(monkeypatch: pytest.MonkeyPatch) -> None:
    lowered: list[str] = []
    whole = lower._lower_node

    def counted(node: Expression) -> Expression:
        lowered.append(node.head)
        return whole(node)

    monkeypatch.setattr(lower, "_lower_node", counted)
    found = engine()
    text = "loss One(y_real, y_pred) = y_real * sqrt(y_pred) + {}"
    found.offer([found.space.derive(parse_loss(text.format(part))) for part in (1, 2, 3)], "polish", "")
    assert lowered.count("sqrt") == 1


def _two(found: Engine) -> Derivation:
    return found.space.derive(parse_loss("loss Two(y_real, y_pred) = y_pred + 2")).operands[1]


@pytest.mark.parametrize(
    ("tell", "says"),
    [
        (lambda e, c: e.tell(c[0], 1.0), "give a list of candidates, and a list of their results"),
        (lambda e, c: e.tell(c, [1.0]), "2 candidates and 1 values"),
        (lambda e, c: e.tell([*c[:1], *c[:1]], [1.0, 1.0]), "or told twice"),
        (lambda e, c: e.tell([*c, *engine().ask(3)[2:]], [1.0] * 3), "not among the candidates of the last ask"),
        (
            lambda e, c: e.ask(),
            "2 candidates are open; tell the results .* first, .* None for a candidate that was not",
        ),
    ],
)
def test_misuse_is_said_in_one_line(tell, says: str) -> None:  # type: ignore[no-untyped-def]
    found = engine()
    candidates = found.ask(2)
    with pytest.raises(InputError, match=says):
        tell(found, candidates)


def test_selection_and_variation_can_be_replaced() -> None:
    chosen: list[int] = []

    def worst(objectives: np.ndarray, count: int) -> list[int]:
        chosen.append(len(objectives))
        return [int(i) for i in np.argsort(-objectives[:, 0])[:count]]

    found = engine(select=worst, vary=lambda space, a, b, rng: (space.sample(space.start, rng, 3), "mine"))
    search(found, 2)
    assert chosen == [5, 10]
    assert found.population[0].fitness == max(i.fitness for i in found.trained)
    assert {i.candidate.origin for i in found.trained} <= {"fresh", "mine"}
