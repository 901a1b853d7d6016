"""The ring of Gaussians: its metric has the values that it must have, and its trainings are what a search needs."""

import functools
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lossgen.cli import main
from lossgen.codegen.load import load_argument
from lossgen.codegen.torch_module import emit_torch
from lossgen.errors import InputError
from lossgen.evolution.config import DataConfig, RunConfig
from lossgen.evolution.run import create_run
from lossgen.language.parser import parse_loss
from lossgen.report.ending import same_setting
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, Runner, find_runner


@pytest.fixture(scope="module")
def runner() -> Runner:
    cls = find_runner("ring").cls
    made = cls(cls.options())
    made.prepare(DataSpec("gaussians"), "cpu")
    return made


@pytest.fixture(scope="module")
def ring(runner: Runner) -> ModuleType:
    return sys.modules[type(runner).__module__]


source = functools.cache(lambda name: load_argument(name).source)


def member(name: str = "bce", seed: int = 0, **condition: float) -> Member:
    return Member(name, source(name), (seed,), condition)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_middle_of_the_ring_is_as_far_as_its_slices_say(ring: ModuleType) -> None:
    """|cos| is 2 / π in the mean over directions, and no sample is near a mode."""
    found = ring.measure(torch.zeros(8192, 2), ring.draw(8192, rng(0)))
    assert found["SW[ring]"] == pytest.approx(2 / math.pi, abs=0.01)
    assert (found["modes"], found["good"]) == (0, 0)


def test_the_ring_itself_is_near_and_whole(ring: ModuleType) -> None:
    """A normal point lies within three standard deviations in the plane with probability 1 - exp(-9/2)."""
    found = ring.measure(ring.draw(8192, rng(0)), ring.draw(8192, rng(1)))
    assert 0 < found["SW[ring]"] < 0.03
    assert found["modes"] == 8
    assert found["good"] == pytest.approx(1 - math.exp(-4.5), abs=0.005)


@pytest.mark.parametrize(("x", "y"), [(0.2, 0.0), (-0.3, 0.4), (0.0, 5.0)])
def test_a_shift_costs_its_length_in_the_slices(ring: ModuleType, x: float, y: float) -> None:
    points = ring.draw(1024, rng(0))
    found = ring.measure(points + torch.tensor([x, y]), points)
    assert found["SW[ring]"] == pytest.approx(2 / math.pi * math.hypot(x, y), rel=2e-3)


def test_a_collapsed_generator_has_one_mode_and_is_worse_than_half_a_ring(ring: ModuleType) -> None:
    points = ring.draw(4096, rng(0))
    one = ring.measure(ring.MODES[:1] + 0.05 * torch.randn(4096, 2, generator=rng(1)), points)
    half = ring.measure(ring.MODES[:4].repeat(1024, 1), points)
    assert (one["modes"], half["modes"]) == (1, 4)
    assert one["good"] > 0.98
    assert one["SW[ring]"] > half["SW[ring]"] > 0.2


def test_a_training_depends_on_loss_and_seed_alone(runner: Runner) -> None:
    """Not on what was trained before it, nor on how far it is meant to go."""
    members = [member(), member("hinge"), member(seed=1), member(lr_generator=1e-4)]
    first = runner.train(members, Budget(20))
    assert [outcome.status for outcome in first] == ["ok"] * 4
    assert len({outcome.metrics["SW[ring]"] for outcome in first}) == 4
    torch.randn(5)
    (again,) = runner.train([member()], Budget(22))
    assert dict(again.curve)[20] == dict(first[0].curve)[20]


def test_it_learns_what_a_hopeless_loss_does_not(runner: Runner) -> None:
    hopeless = parse_loss("loss Hopeless(y_pred) = 0.000001 * y_pred")
    members = [member(), Member("Hopeless", emit_torch(hopeless), (0,))]
    good, bad = (outcome.metrics for outcome in runner.train(members, Budget(300)))
    assert good["SW[ring]"] < 0.2 < bad["SW[ring]"]
    assert good["modes"] > bad["modes"]


def test_divergence_is_an_outcome_and_touches_nobody_else(runner: Runner) -> None:
    bad = Member("Bad", emit_torch(parse_loss("loss Bad(score) = (score + 10)^50")), (0,))
    outcomes = runner.train([member(lr_generator=1.0), bad, member()], Budget(20))
    alone = runner.train([member()], Budget(20))
    assert outcomes[1].status == "diverged" and not outcomes[1].metrics
    assert f"not finite at step {outcomes[1].step}" in outcomes[1].reason
    assert outcomes[2].metrics == alone[0].metrics


def test_a_loss_that_looks_at_real_scores_is_given_them(runner: Runner) -> None:
    assert runner.train([member("relativistic_average")], Budget(20))[0].status == "ok"


def test_a_device_that_it_does_not_use_is_refused() -> None:
    cls = find_runner("ring").cls
    with pytest.raises(InputError, match="leave out --device"):
        cls(cls.options()).prepare(DataSpec("gaussians"), "cuda")


def test_data_of_others_are_neither_taken_nor_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lossgen", "evolve", "--runner", "ring", "--data", "mnist", "--image-size", "8"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "runner ring: makes its own data; leave out --data, --image-size" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.toml"))
    config = RunConfig(kind="evolve", runner="ring", data=DataConfig(name="gaussians", root="/data"))
    with create_run(tmp_path / "run", config) as run:
        assert same_setting(run, 500) == "--steps 500 --runner ring"


def test_as_a_script_it_says_what_a_loss_is_worth(
    ring: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ring.py", "--loss", "hinge", "--steps", "20"])
    ring.main()
    assert capsys.readouterr().out.startswith("Hinge: ok at step 20: SW[ring] ")
    for wrong, said in (("--loss nonsense", "nonsense"), ("--loss bce --steps 0", "--steps"), ("--seed 1", "--loss")):
        monkeypatch.setattr(sys, "argv", ["ring.py", *wrong.split()])
        with pytest.raises(SystemExit) as end:
            ring.main()
        assert end.value.code == 2 and said in capsys.readouterr().err.splitlines()[-1]


def test_its_class_is_thirty_lines() -> None:
    text = (resource_dir("runners") / "ring.py").read_text(encoding="utf-8")
    body = text[text.index("class Ring:") : text.index("def network(")]
    lines = [line for line in body.splitlines() if line.strip() and not line.strip().startswith('"""')]
    assert len(lines) <= 30
