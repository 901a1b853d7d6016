"""lossgen from Python does what the command line does: same defaults, same record; and it can be stopped."""

import csv
import inspect
import json
import os
import runpy
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_runner import Toy

import lossgen
from lossgen.api import Run
from lossgen.cli import main, training
from lossgen.codegen.load import load_argument
from lossgen.evolution import run as runs
from lossgen.evolution.config import DataConfig, RunConfig
from lossgen.evolution.selection import select

ROOT = Path(__file__).parents[1]
TOY = str(ROOT / "tests" / "toy_runner.py")
SMALL = ["--runner", TOY, "--population", "4", "--generations", "2", "--verify-seeds", "2", "--steps", "10"]

SEARCH = '''
import lossgen

class Patience(lossgen.Listener):
    """Stops a search that has found nothing better in 20 trainings."""

    best, since = float("inf"), 0

    def trained(self, stage, name, loss, outcome, fitness):
        self.since = 0 if fitness < self.best else self.since + 1
        self.best = min(self.best, fitness)
        if stage == "search" and self.since == 20:
            raise lossgen.Stopped              # ends it as Ctrl-C does: what was found is verified

run = lossgen.evolve(runner="ring", steps=500, callbacks=[Patience()])
criterion = run.criterion()                    # the champion, an nn.Module
print(run.champion.loss, run.champion_file, run.verdict)

run = lossgen.open_run(run.path)               # at any time, also of a run that the command made
print(run, run.hall_of_fame, run.lineage())
run = lossgen.evolve(resume=run)               # goes on where it was stopped
'''
ASK = """
engine = lossgen.Engine("ganetic", population=8)
for generation in range(5):
    candidates = engine.ask()                  # new, screened, and proven to compute what was screened
    engine.tell(candidates, [my_gan(candidate.criterion()) for candidate in candidates])
best = engine.ranking()[0]
print(best.fitness, best.entry.source)
"""
"""What the README shows."""


def lossgen_command(*args: str | Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lossgen", *map(str, args)])
        main()


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all of it happens; without a C++ compiler, which would compile the champion for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("python"))
        patch.setenv("CXX", "no-such-compiler")
        yield Path.cwd()


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What there is after the README's search, which its callback has stopped, and which was resumed."""
    small = f"runner={TOY!r}, population=4, generations=2, verify_seeds=2, steps=10, workers=1, out='found', "
    text = SEARCH.replace('runner="ring", steps=500, ', small).replace("20:", "2:")
    begun, resumed = text.split("run = lossgen.open_run")
    names: dict[str, Any] = {}
    exec(begun, names)
    names["stopped"] = {
        "finished": names["run"].finished,
        "comparison": names["run"].comparison,
        "said": str(names["run"]),
    }
    exec("run = lossgen.open_run" + resumed, names)
    return names


@pytest.fixture(scope="module")
def found(shown: dict[str, Any]) -> Run:
    run = shown["run"]
    assert isinstance(run, Run)
    return run


def test_a_callback_ends_a_search_in_order(shown: dict[str, Any]) -> None:
    before = shown["stopped"]
    assert before["finished"] is False
    assert before["comparison"].interim
    assert [len(result.outcomes) for result in before["comparison"].results if result.part == "baseline"] == [2] * 4
    assert "interim" in before["said"]
    assert shown["run"].finished and not shown["run"].comparison.interim


def test_the_record_is_that_of_the_command(found: Run) -> None:
    lossgen_command("evolve", *SMALL, "--workers", "2", "--out", "command")
    theirs = lossgen.open_run("command")
    assert found.record() == theirs.record()
    assert {path.name for path in found.path.iterdir()} == {path.name for path in theirs.path.iterdir()}


def test_a_run_holds_what_its_files_hold(found: Run) -> None:
    summary = json.loads((found.path / "summary.json").read_text())
    comparison = found.comparison
    assert comparison is not None and found.champion is not None and found.verdict is not None
    everything = [*summary["champions"], *summary["baselines"], *summary["runners_up"]]
    assert [r.as_json(comparison.metric, None) for r in comparison.results] == [{**r, "file": None} for r in everything]
    assert all(len(result.outcomes) == 2 and result.outcomes[0].step == 10 for result in comparison.results)
    assert vars(found.verdict) == summary["verdict"]
    assert found.waterfall == summary["waterfall"]
    assert found.champion.name == summary["champions"][0]["name"]
    assert found.champion_file is not None and found.champion_file.samefile(summary["champions"][0]["file"])
    with (found.path / "hall_of_fame.csv").open() as file:
        rows = [(int(r["size"]), float(r["distance"]), r["front"], r["name"], r["loss"]) for r in csv.DictReader(file)]
    hall = found.hall_of_fame
    assert [(row.size, row.value, "yes" if row.front else "no", row.name, row.loss) for row in hall] == rows
    for row in hall:
        assert repr(row).startswith(f"<HallRow size {row.size}: ") and row.name in repr(row) and "loss" not in repr(row)
    assert {row.digest for row in hall} <= {row.digest for row in found.candidates if row.fate == "trained"}
    assert {key.stage for key, _, _ in found.outcomes} == {"search", "interim", "verify"}
    assert found.reproducible and found.audit is None
    assert repr(found).count("\n") > 5


def test_the_live_module_is_the_one_that_was_written(found: Run) -> None:
    assert found.champion_file is not None
    score = torch.linspace(-3, 3, 7)
    written = runpy.run_path(str(found.champion_file))[found.champion_file.stem.capitalize()]()
    for criterion, other in ((found.criterion(), written), (found.criterion("Hinge"), None)):
        value = criterion.discriminator_loss(score, -score)
        expected = other.discriminator_loss(score, -score) if other else 2 * torch.relu(1 - score).mean()
        assert torch.equal(value, expected)
    with pytest.raises(lossgen.InputError, match="has no loss Mine; it has compared: Evolved_"):
        found.criterion("Mine")


def test_nothing_stays_open(found: Run) -> None:
    moved = found.path.rename(found.path.with_name("moved"))
    assert "no such" in repr(found).lower() or "not found" in repr(found)
    moved.rename(found.path)
    with runs.open_run(found.path) as opened:  # nor locked
        assert opened.name == "found"


def test_defaults_are_those_of_the_command_line() -> None:
    for command, function in ((training.evolve, lossgen.evolve), (training.compare, lossgen.compare)):
        parameters = dict(inspect.signature(function).parameters)
        for only in ("callbacks", "quiet", "options", "select", "vary"):
            parameters.pop(only, None)
        assert isinstance(command, training.RunnerCommand)
        values = command.make_context(command.name, [], resilient_parsing=True).params
        flags = {str(param.name): values[str(param.name)] for param in command.own}
        assert flags.pop("tensorboard") is None  # from Python it is one of the callbacks
        flags["generated"] = str(flags["generated"]) if "generated" in flags else None
        defaults = {"generated": None, **{name: parameter.default for name, parameter in parameters.items()}}
        assert defaults == flags
    fields: dict[str, Any] = {**RunConfig.model_fields, "data": DataConfig.model_fields["name"]}
    for name, parameter in inspect.signature(lossgen.evolve).parameters.items():
        if name in fields and name not in ("select", "vary", "options", "objective"):  # the last is the runner's to say
            default = fields[name].get_default(call_default_factory=True)
            assert parameter.default == (tuple(default) if isinstance(default, list) else default)


def test_losses_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    made: list[Run] = []

    def make() -> None:
        losses = ["bce", "y_pred + y_real"]
        made.append(lossgen.compare(losses, runner=Toy, seeds=2, steps=10, workers=1, out="compared", quiet=True))

    thread = threading.Thread(target=make)  # where nothing can be done about Ctrl-C
    thread.start()
    thread.join()
    (ours,) = made
    assert capsys.readouterr() == ("", "")
    assert ours.comparison is not None
    assert [(r.name, len(r.outcomes), r.part) for r in ours.comparison.results] == [
        ("BCE", 2, "loss"),
        ("Loss", 2, "loss"),
    ]
    assert ours.finished and ours.champion is None and ours.verdict is None and ours.hall_of_fame == []
    with pytest.raises(lossgen.InputError, match="has no champion; it has compared: BCE, Loss"):
        ours.criterion()
    with pytest.raises(lossgen.InputError, match="is of `lossgen compare`"):
        lossgen.evolve(resume=ours)


def worst(objectives: np.ndarray, count: int) -> list[int]:
    """Survivors in the order of age."""
    assert objectives.shape[1] == 3 and np.isinf(objectives[:, 0]).all()
    CALLED.append(len(objectives))
    return list(range(count))


CALLED: list[int] = []


class Interrupts(lossgen.Listener):
    """Sends a Ctrl-C where the second generation begins."""

    def proposed(self, generation: int, *_: object) -> None:
        if generation == 1:
            os.kill(os.getpid(), signal.SIGINT)


class Stops(lossgen.Listener):
    """Stops a run before its workers start."""

    def preparing(self, what: str) -> None:
        raise lossgen.Stopped


class Hears(lossgen.Listener):
    """Keeps what it hears first."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def preparing(self, what: str) -> None:
        self.heard.append(what)


def test_functions_of_ones_own_are_asked_for_again(capfd: pytest.CaptureFixture[str]) -> None:
    small: dict[str, Any] = {"population": 3, "steps": 10, "workers": 1, "out": "own", "misbehave": "raise"}
    run = lossgen.evolve(runner=TOY, select=worst, callbacks=[Interrupts()], **small)
    out, err = capfd.readouterr()
    assert CALLED == [3, 3]  # the second time without anything new
    assert [outcome.status for _, _, outcome in run.outcomes] == ["crashed"] * 3
    assert not run.finished and run.comparison is None and run.champion is None
    assert "go on with: lossgen evolve --resume own" in out and "Ctrl-C again stops at once" in err
    assert run.config.select == f"{__name__}.worst" and run.config.vary == ""
    with pytest.raises(SystemExit) as end:
        lossgen_command("evolve", "--resume", "own")
    assert end.value.code == 2
    assert f"has {__name__}.worst for its select; go on from Python" in capfd.readouterr().err
    with pytest.raises(lossgen.InputError, match=r"began with .*worst select, not lossgen.*select; give the same"):
        lossgen.evolve(resume="own", select=select)
    with pytest.raises(lossgen.InputError, match="began with the usual vary"):
        lossgen.evolve(resume="own", select=worst, vary=lambda space, a, b, rng: (a, "same"))
    again = lossgen.evolve(resume=run, select=worst, callbacks=[Stops()], quiet=True)
    assert again.outcomes == run.outcomes
    assert capfd.readouterr() == ("", "")


def test_a_callback_may_stop_a_run_before_it_trains() -> None:
    others = Hears()
    run = lossgen.evolve(runner=TOY, out="stopped", callbacks=[Stops(), others], quiet=True)
    assert not run.finished and run.outcomes == [] and len(others.heard) == 1


class Toyish:
    __module__ = Toy.__module__


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"populaton": 3}, "evolve: there is no option populaton; did you mean population?"),
        ({"momentum": 3}, "there is no option momentum; the runner .* has: pause, misbehave, marks"),
        ({"pause": "long"}, "--pause: "),
        ({"population": 0}, "--population: .* greater than or equal to 1"),
        ({"image_size": 0}, "--image-size: "),
        ({"workers": -1}, "workers -1"),
        ({"time_limit": "soon"}, "--time-limit: 'soon' is not a length of time"),
        ({"callbacks": [lossgen.Listener]}, "is no Listener"),
        ({"callbacks": lossgen.Listener()}, r"is no list; give .*callbacks=\[Mine\(\)\]"),
        ({"callbacks": lossgen.Listener}, "is no list"),
        ({"select": 3}, "select: 3 is no function"),
        ({"vary": "point"}, "vary: 'point' is no function"),
        ({"seed_losses": "bce"}, "give a list"),
        ({"resume": "gone"}, "run gone: not found"),
        (
            {"resume": "found", "steps": 3, "pause": 1},
            "--resume found: goes on as the run began; leave out --steps, --pause",
        ),
        ({"command": "true {loss_file} {out}"}, "--command: is a runner of its own"),
        ({"metric": "x:y"}, "--metric: says where a --command"),
        ({"runner": lossgen.Listener}, "runner .*events.py: holds no class"),
        ({"runner": Toyish}, "runner .*toy_runner.py: its runner is Toy, not Toyish"),
        ({"runner": type("Cell", (), {"__module__": "__main__"})}, "runner Cell: .*%%writefile"),
    ],
)
def test_mistakes_are_said_in_one_line(arguments: dict[str, Any], says: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(sys.modules["__main__"], "__file__", raising=False)  # as in a notebook
        with pytest.raises(lossgen.InputError, match=says) as error:
            lossgen.evolve(**(arguments if "resume" in arguments else {"runner": TOY, "out": "wrong", **arguments}))
    assert "\n" not in str(error.value)
    assert not Path("wrong").exists()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: lossgen.compare("hinge", "bce", seeds=2),
            r"compare: 'bce' is one too many without a name; .*compare\(\['hinge', 'bce'\]",
        ),
        (
            lambda: lossgen.evolve("ganetic", "ring", "blobs", 8),
            "evolve: 8 is one too many without a name; name all after space, runner",
        ),
    ],
)
def test_what_has_no_name_is_refused(call: Callable[[], Run], says: str) -> None:
    with pytest.raises(lossgen.InputError, match=says):
        call()


def test_a_call_in_the_file_of_its_runner_is_refused(folder: Path) -> None:
    (folder / "mine.py").write_text(
        Path(TOY).read_text() + "\nimport lossgen\n\nlossgen.compare('bce', runner='mine.py')\n"
    )
    with pytest.raises(lossgen.InputError, match='put it under `if __name__ == "__main__":`'):
        runpy.run_path("mine.py")


def test_the_readme_shows_what_runs_here() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("**From Python.**")[2]
    blocks = section.partition("**Without Python.**")[0].split("```python")[1:]
    assert [block.partition("```")[0] for block in blocks] == [SEARCH, ASK]


def test_the_readme_shows_the_ring_as_it_is() -> None:
    block = (ROOT / "README.md").read_text(encoding="utf-8").partition("```python\nclass Ring:")[2].partition("```")[0]
    assert block
    assert f"class Ring:{block}" in (ROOT / "runners/ring.py").read_text(encoding="utf-8")


def scores_apart(criterion: torch.nn.Module) -> float:
    """The simplest training: a discriminator that is nothing but its scores, after ten steps."""
    scores = torch.zeros(2, requires_grad=True)  # of a real image, of a fake one
    for _ in range(10):
        (slope,) = torch.autograd.grad(criterion.discriminator_loss(scores[:1], scores[1:]), scores)
        scores.data -= 0.1 * slope
    return float(scores.data[1] - scores.data[0])


def test_the_engine_serves_a_training_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"lossgen": lossgen, "my_gan": scores_apart}
    exec(ASK.replace("range(5)", "range(2)"), names)
    best = names["best"]
    assert len(names["engine"].trained) == 16
    assert best.fitness == min(scores_apart(i.candidate.criterion()) for i in names["engine"].trained) < 0
    assert f"class {best.candidate.name}(nn.Module)" in capsys.readouterr().out
    example = textwrap.dedent((inspect.getdoc(lossgen.Engine) or "").split("\n\n")[1])
    exec(example, {"Engine": lossgen.Engine, "train": scores_apart})
    assert "class Evolved_" in capsys.readouterr().out


def test_names_are_few_and_loaded_when_asked_for() -> None:
    assert set(lossgen.__all__) <= set(dir(lossgen))
    assert [getattr(lossgen, name).__name__ for name in lossgen.__all__] == lossgen.__all__
    with pytest.raises(AttributeError, match="no attribute 'evolv'"):
        lossgen.evolv  # noqa: B018
    assert load_argument("bce").name == "BCE"
