"""Where a run goes on: what has to be as it was."""

from pathlib import Path

import pytest

from lossgen.errors import InputError
from lossgen.evolution.config import RunConfig
from lossgen.evolution.discover import resolve, session_of
from lossgen.evolution.events import Listener
from lossgen.evolution.run import create_run


def test_a_run_goes_on_with_the_extractor_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGEN_CACHE", str(tmp_path / "cache"))
    with create_run(tmp_path / "run", resolve(RunConfig(kind="evolve", runner="ring"))) as run:
        with session_of(run, 0, Listener()):
            protocol = run.archive.meta("protocol")
        with session_of(run, 0, Listener()):
            pass
        run.archive.set_meta("protocol", {**protocol, "extractor": "another"})
        told = f"extractor changed since it began; .* copy it to {tmp_path / 'cache' / 'extractors'}"
        with pytest.raises(InputError, match=told), session_of(run, 0, Listener()):
            pass
        run.archive.set_meta("protocol", {**protocol, "options": {}})
        told = "options changed since it began; restore it, or start a new run"
        with pytest.raises(InputError, match=told), session_of(run, 0, Listener()):
            pass
        assert run.archive.meta("protocol") == {**protocol, "options": {}}
