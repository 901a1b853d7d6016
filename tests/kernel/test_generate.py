"""The generated file is what the operator table says."""

import sys
from pathlib import Path

import pytest

from lossgen.kernel import generate
from lossgen.kernel.program import COPY, FILL, FORMS
from lossgen.language.operators import OPERATORS


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["generate", *arguments])
    return generate.main()


def test_the_committed_file_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate.TARGET_FILE.read_text(encoding="utf-8") == generate.render()
    assert run_main(monkeypatch, "--check") == 0


def test_a_stale_or_missing_file_is_noticed_and_written_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "_dispatch.py"
    monkeypatch.setattr(generate, "TARGET_FILE", target)
    assert run_main(monkeypatch, "--check") == 1
    target.write_text(generate.render().replace("EPS = 1e-08", "EPS = 1e-07"), encoding="utf-8")
    assert run_main(monkeypatch, "--check") == 1
    assert "python -m lossgen.kernel.generate" in capsys.readouterr().out
    assert "1e-07" in target.read_text(encoding="utf-8")  # a check writes nothing
    assert run_main(monkeypatch) == 0
    assert run_main(monkeypatch, "--check") == 0


def test_every_form_of_an_operator_has_its_cases_and_its_functions() -> None:
    text = generate.render()
    assert len(set(FORMS.values()) | {FILL, COPY}) == len(FORMS) + 2
    assert {name for name, _ in FORMS} == set(OPERATORS) - {"pow"}
    for (name, _), number in FORMS.items():
        assert text.count(f"elif op == {number}:  # {name}\n") >= 2  # in double and in single precision
        row = OPERATORS[name]
        for function in (row.function, *row.partials):
            assert text.count(f"def {function.__name__}(") == 1
        assert text.count(f"def {row.function.__name__}f(") == 1
    assert text.count("fastmath") == text.count('fastmath={"contract"}') > 0
