"""compile --target: where files go, what is checked, what is said."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.cli import main
from lossgen.codegen.targets import TARGETS
from lossgen.language.parser import parse_loss

TEXT = "# My own.\nconst slope = 0.2\nloss Mine(score):\n  real: -slope * score\n  fake: score\n  generator: -score\n"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "mine.loss").write_text(TEXT)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lossgen", "compile", *args])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
def test_each_target_has_its_file_beside_the_source(call: Call, tmp_path: Path) -> None:
    for target, name, said in (
        ("torch", "mine.py", "class Mine, equal to the loss in value and gradient"),
        ("keras", "mine_keras.py", "class Mine, equal to the loss in value and gradient"),
        ("numpy", "mine_numpy.py", "functions of Mine, equal to the loss in value"),
    ):
        stale = call("--target", target, "--check", "mine.loss")
        assert stale[0] == 1
        assert f"missing: {name}; run `lossgen compile" in stale[2]
        assert call("--target", target, "mine.loss") == (0, f"{name}: {said}\n", "")
        assert (tmp_path / name).read_text(encoding="utf-8") == TARGETS[target].emit(parse_loss(TEXT))
        assert call("--target", target, "--check", "mine.loss")[0] == 0
        assert call("--target", target, name)[1] == (tmp_path / name).read_text(encoding="utf-8")


def test_an_expression_is_printed_or_written_where_told(call: Call, tmp_path: Path) -> None:
    assert call("--target", "numpy", "square(score - y_real)")[1].startswith('r"""Loss: a GAN loss in NumPy')
    assert call("--target", "numpy", "bce", "-o", "my.py")[0] == 0
    assert (tmp_path / "my.py").read_text(encoding="utf-8").startswith('r"""BCE: a GAN loss in NumPy')
    code, _, err = call("--target", "tensorflow", "bce")
    assert (code, err.count("\n")) == (2, 1)
    assert "'tensorflow' is not one of 'torch', 'keras', 'numpy'" in err
