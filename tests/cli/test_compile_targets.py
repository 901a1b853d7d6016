"""compile --target: where files go, what is checked, what is said."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.codegen.targets import TARGETS
from lossgen.language.parser import parse_loss

TEXT = "# My own.\nconst slope = 0.2\nloss Mine(score):\n  real: -slope * score\n  fake: score\n  generator: -score\n"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compiled(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "mine.loss").write_text(TEXT)
    return lambda *args: call("compile", *args)


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
def test_each_target_has_its_file_beside_the_source(compiled: Call, tmp_path: Path) -> None:
    for target, name, said in (
        ("torch", "mine.py", "class Mine, equal to the loss in value and gradient"),
        ("keras", "mine_keras.py", "class Mine, equal to the loss in value and gradient"),
        ("numpy", "mine_numpy.py", "functions of Mine, equal to the loss in value"),
    ):
        stale = compiled("--target", target, "--check", "mine.loss")
        assert stale[0] == 1
        assert f"missing: {name}; run `lossgen compile" in stale[2]
        assert compiled("--target", target, "mine.loss") == (0, f"{name}: {said}\n", "")
        assert (tmp_path / name).read_text(encoding="utf-8") == TARGETS[target].emit(parse_loss(TEXT))
        assert compiled("--target", target, "--check", "mine.loss")[0] == 0
        assert compiled("--target", target, name)[1] == (tmp_path / name).read_text(encoding="utf-8")


def test_an_expression_is_printed_or_written_where_told(compiled: Call, tmp_path: Path) -> None:
    assert compiled("--target", "numpy", "square(score - y_real)")[1].startswith('r"""Loss: a GAN loss in NumPy')
    assert compiled("--target", "numpy", "bce", "-o", "my.py")[0] == 0
    assert (tmp_path / "my.py").read_text(encoding="utf-8").startswith('r"""BCE: a GAN loss in NumPy')
    code, _, err = compiled("--target", "tensorflow", "bce")
    assert (code, err.count("\n")) == (2, 1)
    assert "'tensorflow' is not one of 'torch', 'keras', 'numpy'" in err
