"""The audit of the screen compares like with like: trainings on one seed, and only those that were trainings."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.asked import ask_config
from lossgen.evolution.audit import Audit, audit, audit_of
from lossgen.evolution.engine import Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import create_run
from lossgen.runner import Outcome

STEPS = 10
PLAN: Any = SimpleNamespace(audit_trainings=6, verify_trainings=0, steps=STEPS)


def ok(value: float) -> Outcome:
    return Outcome("ok", {"fid": value})


def audited(tmp_path: Path, outcomes: Sequence[Outcome]) -> Audit:
    """The audit of a search of 3 losses whose first seeds came to 1, 2 and 3, and whose second seeds to 9."""
    with create_run(tmp_path / "run", ask_config("ganetic", 3, "fid", 2, [], scale_free=False)) as run:
        engine = Engine("ganetic", 3, check=lambda entries: {each.digest: "" for each in entries},
                        record=run.archive.add_candidates)  # fmt: skip
        while sum(row.fate == "rejected" for row in run.archive.candidates()) < 20:
            candidates = engine.ask()
            engine.tell(candidates, [[1.0 + i % 3, 9.0] for i in range(len(candidates))])
            for i, candidate in enumerate(candidates):
                for replicate, value in enumerate((1.0 + i % 3, 9.0)):
                    key = OutcomeKey("search", candidate.digest, replicate, STEPS)
                    run.archive.add_outcome(key, candidate.name, ok(value))

        def train(stage: str, entries: Sequence[Entry], *args: object, **more: object) -> dict[str, list[Outcome]]:
            return {entry.digest: [outcome] for entry, outcome in zip(entries, outcomes, strict=True)}

        def fitness(found: Sequence[Outcome]) -> float:
            return found[0].metrics["fid"] if found[0].status == "ok" else float("inf")

        session: Any = SimpleNamespace(run=run, stopping=False, train=train, fitness=fitness)
        audit(session, engine.trained, PLAN)
        found = audit_of(run.archive)
        assert found is not None
        return found


def test_the_bar_is_one_of_first_seeds(tmp_path: Path) -> None:
    found = audited(tmp_path, [ok(value) for value in (1.0, 2.0, 2.1, 4.0, 5.0, 5.5)])
    assert (found.trained, found.as_good) == (6, 2)


def test_what_was_not_trained_is_not_counted(tmp_path: Path) -> None:
    refused = Outcome("crashed", reason="ill-conditioned: differs")
    others = [Outcome("diverged"), Outcome("collapsed"), Outcome("timeout"), Outcome("crashed", reason="oops")]
    found = audited(tmp_path, [ok(1.0), refused, *others])
    assert (found.trained, found.as_good) == (3, 1)
    assert found.rate == pytest.approx(1 / 3)
