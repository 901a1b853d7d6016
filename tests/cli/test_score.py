"""`lossgen score` as people use it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """A file of 60 images of noise, and a folder of 40."""
    random = np.random.default_rng(0)
    np.savez(tmp_path / "real.npz", images=random.integers(0, 255, (60, 8, 8), dtype=np.uint8))
    folder = tmp_path / "fake"
    folder.mkdir()
    for number in range(40):
        Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "real.npz", folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))


def test_a_file_against_a_folder(call: Call, sets: tuple[Path, Path]) -> None:
    code, out, err = call("score", *sets)
    assert (code, err) == (0, "")
    for word in ("FD[random]", "KID[random]", "precision[random]", "coverage[random]", " 60 ", " 40 ", "no FID"):
        assert word in out
    code, record, err = call("score", *sets, "--json")
    assert (code, err) == (0, "")
    found = json.loads(record)
    assert f"{found['metrics']['FD[random]']:.4g}" in out and found["extractor"]["digest"] in out


def test_bad_input_is_one_line(call: Call, sets: tuple[Path, Path], tmp_path: Path) -> None:
    real, fake = sets
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04rubbish")
    (tmp_path / "rubbish.pth").write_bytes(b"rubbish")
    for arguments, word in (
        ((real, "empty"), "empty"),
        ((real, "broken"), "a.png"),
        ((real, "bad.npz"), "bad.npz"),
        ((real, "nowhere"), "nowhere"),
        ((fake, fake), "REAL and FAKE are both"),
        ((real, fake, "--k", "50"), "take at least 51"),
        ((real, fake, "--k", "0"), "--k"),
        ((real, fake, "--extractor", "clip"), "--extractor"),
        ((real, fake, "--extractor", "classifier"), "no labels"),
        ((real, fake, "--extractor", "inception"), "--download"),
        ((real, fake, "--extractor", "inception", "--weights", "rubbish.pth"), "rubbish.pth"),
        ((real, fake, "--extractor", "inception", "--weights", "nowhere.pth"), "nowhere.pth"),
        ((real, fake, "--weights", "rubbish.pth"), "belong to the extractor inception"),
        ((real, fake, "--device", "toaster"), "toaster"),
        ((real,), "FAKE"),
    ):
        code, out, err = call("score", *arguments)
        assert code == 2, arguments
        assert out == "" and err.startswith("error: ") and len(err.splitlines()) == 1, err
        assert word in err
