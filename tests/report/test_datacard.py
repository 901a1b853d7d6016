"""Data cards: what made images is told with them, also in words, and the finding of an audit is written in."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.sampling import draw, save_model
from lossgen.gan.streams import stream
from lossgen.report.datacard import card_of, note_audit, write_card

AUDIT: Any = SimpleNamespace(checks=[])


@pytest.fixture(autouse=True)
def passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossgen.report.datacard.audit_json", lambda audit: {"passed": True})


def model(folder: Path, classes: int, made: bool = True, **data: Any) -> Path:
    architecture = Architecture("dcgan", 8, 1, 4, 8, classes=classes)
    generator = initialise(architecture.generator(), stream(0, 0))
    loss = load_argument("lsgan")
    how = {"loss": loss.name, "source": loss.source, "steps": 70} if made else {}
    path = folder / "m.model.pt"
    known = {"name": "chests", "digest": "f" * 64, "classes": ["cat", "dog"], "class_counts": [0, 5]}
    save_model(path, generator, architecture, (4, 1), known | data, how)
    return path


@pytest.mark.parametrize("out", ["images", "images.npz"])
def test_a_card_lies_with_its_images_and_takes_an_audit(out: str, tmp_path: Path) -> None:
    path, images = model(tmp_path, 2), tmp_path / out
    (tmp_path / "images").mkdir()
    written = write_card(card_of(draw(path, 6, 3), path, "1.2"), images)
    names = ["datacard.md", "datacard.json"] if out == "images" else ["images.datacard.md", "images.datacard.json"]
    assert [file.name for file in written] == names
    page, card = written[0].read_text(), json.loads(written[1].read_text())
    assert card["counts"] == {"dog": 6} and card["audit"] is None and card["seed"] == [4, 1]
    assert card["noise_seed"] == [3] and card["steps"] == 70 and card["source"]["digest"] == "f" * 64
    assert card["loss"]["name"] == "LSGAN" and card["loss"]["formula"] in page and len(card["model_digest"]) == 64
    assert "seed [4, 1], noise [3]" in page and "6 of dog; 8 × 8" in page and "not made yet" in page
    assert note_audit(AUDIT, images) == written
    assert json.loads(written[1].read_text()) == card | {"audit": {"finding": written_finding(), "passed": True}}
    assert "- Audit: Passed" in written[0].read_text()


def written_finding() -> str:
    return "Passed: no sign that the generated images are copies of training images."


def test_what_is_not_known_is_said_to_be(tmp_path: Path) -> None:
    path = model(tmp_path, 0, made=False, **{"class": "dog"})
    card = card_of(draw(path, 2), path, "1.2")
    assert card["counts"] == {"dog": 2} and card["loss"] == {"name": "not recorded", "formula": ""}
    page = write_card(card, tmp_path)[0].read_text()
    assert "noise [" not in page and "- Loss: not recorded\n" in page and "steps: not recorded;" in page


def test_images_without_a_card_get_none_and_another_file_is_kept(tmp_path: Path) -> None:
    assert note_audit(AUDIT, tmp_path) == [] and not list(tmp_path.iterdir())
    for text in ("[]", "{}", "nonsense", '{"schema": 1}', '{"schema": 1, "source": {}}'):
        (tmp_path / "datacard.json").write_text(text)
        with pytest.raises(InputError, match="not a data card of lossgen"):
            note_audit(AUDIT, tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["datacard.json"]
        assert (tmp_path / "datacard.json").read_text() == text


def test_labels_are_written(tmp_path: Path) -> None:
    from lossgen.gan.sources import read
    from lossgen.report.images import write_images
    from lossgen.runner import DataSpec

    images = np.random.default_rng(0).integers(0, 255, (9, 3, 8, 8), dtype=np.uint8)
    labels = np.array([0, 1, 1, 0, 1, 1, 1, 0, 0])
    for out in (tmp_path / "s.npz", tmp_path / "s"):
        write_images(images, out, labels, ("a cat", "a/dog"))
        found = read(DataSpec(str(out)))
        split = found.splits["train"]
        assert list(found.classes) == (["a cat", "a/dog"] if out.suffix else ["a cat", "class 1"])
        assert split.labels is not None and sorted(split.labels) == sorted(labels)
        for i in range(9):
            if out.suffix:
                assert (split.images.read(i).transpose(2, 0, 1) == images[i]).all() and split.labels[i] == labels[i]
    with pytest.raises(InputError, match="holds PNG files already"):
        write_images(images, tmp_path / "s")
