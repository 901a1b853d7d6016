"""How the tests of the commands call them, and settings of those that run whole searches."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from here import exit_code


@pytest.fixture(scope="module", autouse=True)
def no_compiler() -> Iterator[None]:
    """No C++ compiler: tests of full_checks compile a loss, and a champion a search would take seconds each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", "no-such-compiler")
        yield


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in an empty folder, `tmp_path`; gives its exit code, what it printed, and its messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOSSGEN_DATA", raising=False)

    def run(*args: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = exit_code(*args)
        out, err = capfd.readouterr()
        return code, out, err

    return run
