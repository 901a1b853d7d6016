"""Curves of a run, as TensorBoard reads them."""

from pathlib import Path
from typing import Any

import pytest

import lossgen
from lossgen.errors import InputError

reader = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs lossgen[tensorboard]"
)
RUNNER = Path(__file__).parents[1] / "racing_runner.py"
SMALL: dict[str, Any] = {
    "runner": RUNNER, "objective": "robust", "rungs": [(20, 1), (80, 4)], "population": 8, "generations": 2,
    "verify_seeds": 2, "polish": 0, "audit": 0, "workers": 1, "quiet": True,
}  # fmt: skip


def read(folder: Path) -> Any:
    found = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def test_every_training_is_there_with_its_metrics_and_the_best_with_its_loss(tmp_path: Path) -> None:
    board = lossgen.TensorBoard(tmp_path / "logs")
    run = lossgen.evolve(out=tmp_path / "run", generated=tmp_path / "g", callbacks=[board], **SMALL)
    board.close()
    found = read(tmp_path / "logs")
    values = [event.value for event in found.Scalars("search/distance")]
    kept = [outcome.metrics["distance"] for key, _, outcome in run.outcomes if key.stage == "search"]
    assert sorted(values) == pytest.approx(sorted(kept))
    best = [event.value for event in found.Scalars("best/fitness")]
    assert best == sorted(best, reverse=True) and best[-1] == pytest.approx(min(r.value for r in run.hall_of_fame))
    proposed = [event.value for event in found.Scalars("candidates/proposed")]
    assert proposed[-1] == run.waterfall["proposed"]
    of_bce = [tag for tag in found.Tags()["scalars"] if tag.startswith("BCE (lr=") and tag.endswith("/distance")]
    assert sum(len(found.Scalars(tag)) for tag in of_bce) == 2 * 4
    assert found.Scalars("verification/failed")[-1].value == 0
    texts = set(found.Tags()["tensors"])
    assert {"plan/text_summary", "best/loss/text_summary"} <= texts


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give a folder"):
        lossgen.TensorBoard(tmp_path / "file")
