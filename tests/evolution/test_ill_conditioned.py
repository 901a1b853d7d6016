"""A loss that float32 does not follow is rejected before training; a champion is checked before it is verified."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lossgen.evolution.archive import Archive
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener
from lossgen.evolution.finalists import first_sound
from lossgen.evolution.objective import Objective
from lossgen.evolution.search import engine_of
from lossgen.evolution.space_reader import find_space
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula
from lossgen.runner import Outcome

TOY = Path(__file__).parents[1] / "toy_runner.py"
ILL = "square(y_pred - y_real) + 0.1 * (y_pred + 1e9 - 1e9)"
TWIN = "square(y_pred - y_real) + 0.1 * y_pred"
"""Has the gradients of ILL, whose 1e9 swallows y_pred in float32."""
SMALL = ["--population", "2", "--generations", "1", "--verify-seeds", "2", "--steps", "10"]
FAULT = "ill-conditioned: value of real in float32 at score 1 is 2, the kernel's 1"


class FakeSession:
    """A session whose workers find fault with every other module."""

    def __init__(self, archive: Archive, refuses: bool = True) -> None:
        config = {
            "seed": 3,
            "population": 6,
            "space": "ganetic",
            "seed_losses": [],
            "max_candidates": None,
            "mode": "generational",
        }
        self.aim = Objective("quality", "FD", "min", False)
        text = find_space("ganetic").text
        self.run = SimpleNamespace(archive=archive, config=SimpleNamespace(**config, space_text=text))
        self.ready = SimpleNamespace(scale_free=True)
        self.listener = Listener()
        self.refuses = refuses
        self.asked: list[list[str]] = []

    def check(self, entries: list[Entry], full: bool = False) -> dict[str, Outcome]:
        self.asked.append([entry.digest for entry in entries])
        faulty = {e.digest for e in entries if self.refuses and int(e.digest, 16) % 2}
        ok, not_ok = Outcome("ok", reason="export: equal" if full else ""), Outcome("crashed", reason=FAULT)
        return {entry.digest: not_ok if entry.digest in faulty else ok for entry in entries}


def searched(path: Path, refuses: bool = True) -> FakeSession:
    session = FakeSession(Archive(path), refuses)
    engine = engine_of(session)  # type: ignore[arg-type]
    for _ in range(3):
        engine.tell(candidates := engine.ask(), [1.0] * len(candidates))
    return session


def test_a_batch_is_admitted_as_if_each_module_were_checked_in_its_turn(tmp_path: Path) -> None:
    session = searched(tmp_path / "archive")
    rows = session.run.archive.candidates()
    trained_with: dict[str, str] = {}
    for row in rows:
        if row.fate == "duplicate" and row.reason.startswith("same text"):
            continue
        if not row.fingerprint:
            assert row.fate == "rejected" and not row.reason.startswith("ill-conditioned")
        elif row.fingerprint in trained_with:
            assert (row.fate, row.reason) == ("duplicate", f"same gradients as {trained_with[row.fingerprint]}")
        elif int(row.digest, 16) % 2:
            assert (row.fate, row.reason) == ("rejected", FAULT)
        else:
            assert row.fate == "trained"
            trained_with[row.fingerprint] = f"{row.generation}.{row.number}"
    assert len(trained_with) == 3 * 6, "a refused candidate's place was not given to another"
    asked = [digest for digests in session.asked for digest in digests]
    assert len(asked) == len(set(asked))
    waterfall = session.run.archive.waterfall()
    assert waterfall["ill-conditioned"] == sum(row.reason == FAULT for row in rows) > 3


def test_a_resumed_search_takes_the_verdicts_of_the_archive(tmp_path: Path) -> None:
    first = searched(tmp_path / "archive").run.archive.candidates()
    again = searched(tmp_path / "archive", refuses=False)
    assert again.asked == []
    assert again.run.archive.candidates() == first


def test_of_a_champions_forms_the_first_that_passes_is_taken_and_the_user_told(tmp_path: Path) -> None:
    session = FakeSession(Archive(tmp_path / "archive"))
    told: list[str] = []
    session.listener = SimpleNamespace(preparing=lambda what: None, note=told.append)  # type: ignore[assignment]
    drawn = [Entry.of(parse_loss(f"square(y_pred - y_real) + {n} * y_pred")) for n in range(1, 12)]
    bad, worse = [entry for entry in drawn if int(entry.digest, 16) % 2][:2]
    good = next(entry for entry in drawn if not int(entry.digest, 16) % 2)
    for _ in range(2):  # the second time from the archive
        assert first_sound(session, [bad, good], full=True) is good  # type: ignore[arg-type]
        assert told == [
            f"{formula(bad.loss)} is passed over, and the next form or loss taken: {FAULT}",
            f"{good.loss.name}: export: equal",
        ]
        told.clear()
    assert session.asked == [[bad.digest], [good.digest]]
    assert first_sound(session, [bad, worse], full=False) is None  # type: ignore[arg-type]
    assert first_sound(session, [good], full=False) is good  # type: ignore[arg-type]
    assert told[2:] == []


def lossgen(cwd: Path, *args: str) -> str:
    done = subprocess.run([sys.executable, "-m", "lossgen", *args], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_injected_loss_is_rejected_with_where_and_by_how_much(tmp_path: Path) -> None:
    seeds = ["--seed-loss", ILL, "--seed-loss", TWIN]
    out = lossgen(tmp_path, "evolve", *seeds, "--runner", str(TOY), *SMALL, "--out", "run", "--workers", "2")
    assert "autocast float16: finite, equal; " in out
    assert "torch.compile: not checked: no C++ compiler" in out
    found: dict[str, Any] = json.loads(lossgen(tmp_path, "show", "run", "--json"))
    ill, twin = found["candidates"][:2]
    assert ill["fate"] == "rejected"
    assert ill["reason"].startswith("ill-conditioned: value of real in float32 at score ")
    assert "the kernel's " in ill["reason"]
    assert twin["fate"] == "trained", "the twin was taken for a duplicate of a loss that was not trained"
    assert all(outcome["status"] == "ok" for outcome in found["outcomes"])
    assert "1 ill-conditioned" in lossgen(tmp_path, "show", "run")
