"""A run whose time was up goes on where it is given more; what its search has come to by then stays."""

import re
from pathlib import Path

import pytest
from toy_runner import Toy

import lossgen
from lossgen.api.work import _give_time
from lossgen.evolution.config import RunConfig
from lossgen.evolution.run import create_run, open_run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_comparison_goes_on_as_it_advises(capsys: pytest.CaptureFixture[str]) -> None:
    run = lossgen.compare(
        ["bce", "lsgan"], runner=Toy, seeds=4, steps=10, time_limit="1s", workers=1, out="run", pause=0.2
    )
    (advice,) = re.findall(r"go on with: lossgen compare --resume run (.*)\n", capsys.readouterr().out)
    assert not run.finished and len(run.outcomes) < 8
    before = run.outcomes
    with pytest.raises(lossgen.InputError, match=r"--time-limit: 'soon' is not a length of time"):
        lossgen.compare(resume=run, time_limit="soon")
    flag, limit = advice.split()
    assert (flag, limit) == ("--time-limit", "10m")
    assert lossgen.compare(resume=run, time_limit=limit, quiet=True).finished
    assert len(run.outcomes) == 8 and not run.reproducible
    assert set(map(str, before)) <= set(map(str, run.outcomes))


def test_a_search_that_the_time_has_ended_stays_as_it_is() -> None:
    small = {"population": 4, "verify_seeds": 2, "steps": 10, "polish": 0, "audit": 0, "workers": 1, "quiet": True}
    run = lossgen.evolve(runner=Toy, time_limit="6s", out="run", pause=0.1, **small)  # type: ignore[arg-type]
    before = run.record()
    assert run.finished and not run.reproducible
    with open_run(run.path) as opened:
        opened.archive.set_meta("finished", False)  # as if it had been killed in its verification
    assert lossgen.evolve(resume=run, time_limit="10m", quiet=True).record() == before


@pytest.mark.parametrize(("kind", "limit"), [("compare", 130.0), ("evolve", 100.0 / 0.95 + 30.0)])
def test_a_limit_that_is_given_anew_counts_from_now(kind: str, limit: float) -> None:
    with create_run(Path("run"), RunConfig(kind=kind, time_limit=90.0)) as run:  # type: ignore[arg-type]
        run.archive.set_meta("profile", {"train": 60.0, "other": 40.0})
        _give_time(run, 30.0)
        assert run.config.time_limit == pytest.approx(limit)


def test_a_run_that_is_finished_needs_no_time() -> None:
    with create_run(Path("run"), RunConfig(kind="compare")) as run:
        run.archive.set_meta("finished", True)
        _give_time(run, 30.0)
        assert run.config.time_limit is None, "or its record would no longer be called reproducible"
