"""The runner of progressive and style-based GANs: as a plug-in, by the protocol, and as a script."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan import benchmark, features
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, RunnerFile, find_runner


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(features.TRAINING, "steps", 60)
        yield


@pytest.fixture(scope="module")
def found() -> RunnerFile:
    return find_runner("progressive")


def made(found: RunnerFile, data: str = "digits", **options: Any) -> Any:
    small: dict[str, Any] = {"n_samples": 128, "width": 4, "latent": 8, "fade_images": 320, "stable_images": 320}
    runner = found.cls(found.cls.options(**{**small, **options}))
    runner.notes = runner.prepare(DataSpec(data), "cpu").notes  # type: ignore[attr-defined]
    return runner


def member(name: str, **condition: float) -> Member:
    return Member(name, load_argument(name).source, (0,), condition)


@pytest.mark.parametrize("architecture", ["progressive", "style"])
def test_trains_the_zoo_in_place_of_its_own_loss(found: RunnerFile, architecture: str) -> None:
    runner = made(found, architecture=architecture)
    original = member("wasserstein", drift=0.001)
    outcomes = runner.train([original, member("bce"), member("ganetic"), member("non_saturating", r1=10.0)], Budget(60))
    assert [outcome.status for outcome in outcomes] == ["ok"] * 4
    assert len({outcome.metrics["FD[classifier] test"] for outcome in outcomes}) == 4
    assert runner.scale_free and not made(found, drift=0.001).scale_free


def test_what_is_not_complete_is_said(found: RunnerFile) -> None:
    runner, said = made(found), list[str]()
    assert (
        "progressive networks of width 4, fading in over 320 images and standing for 320" in runner.setting_described()
    )
    for steps in (10, 15, 20, 21):
        runner.train([member("bce")], Budget(steps, on_note=said.append))
    assert said == [
        "10 steps end at 4 of 8 pixels; 21 steps complete the networks",
        "15 steps end at 8 of 8 pixels, faded in to 40%; 21 steps complete the networks",
        "20 steps end at 8 of 8 pixels, faded in to 90%; 21 steps complete the networks",
    ]
    assert "style networks of width 4;" in made(found, architecture="style").setting_described()


def test_the_price_is_that_of_full_grown_networks(found: RunnerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, said = made(found), list[str]()
    (outcome,) = runner.train([member("bce")], Budget(4, on_note=said.append, trial=True))
    assert outcome.status == "ok" and not said
    settings: list[Any] = []
    monkeypatch.setattr(benchmark, "train", lambda members, found, task, budget: settings.extend(found))
    for trial in (True, False):
        runner.train([member("bce")], Budget(100, trial=trial))
    assert settings[0].growth is None and settings[1].growth == runner.growth(runner.chosen)


def test_the_phases_on_the_way(found: RunnerFile) -> None:
    runner = made(found)
    assert runner.ends(100) == [("4", 4, 10), ("8 fading in", 8, 20), ("8", 8, 100)]
    assert runner.ends(20) == [("4", 4, 10), ("8 fading in", 8, 20)]
    assert runner.ends(5) == [("4", 4, 5)]
    assert made(found, n_critic=2).ends(100)[:2] == [("4", 4, 5), ("8 fading in", 8, 10)]
    assert made(found, stable_images=0).ends(100) == [("8 fading in", 8, 10), ("8", 8, 100)]
    assert made(found, architecture="style").ends(100) == [("8", 8, 100)]
    assert made(found, fade_images=10, stable_images=40).ends(100) == [("4", 4, 2), ("8", 8, 100)]  # 32 images a step


def test_small_images_are_judged_by_real_ones_made_as_small(found: RunnerFile) -> None:
    runner = made(found)
    full, small = (runner.judge_at(side, "cpu") for side in (8, 4))
    test = torch.from_numpy(runner.data.test.images)
    blurred = torch.nn.functional.avg_pool2d(test.float(), 2).repeat_interleave(2, -1).repeat_interleave(2, -2)
    blurred = blurred.round().to(torch.uint8)
    metric = "FD[classifier] test"
    assert full(test)[metric] < 1e-6 and small(blurred)[metric] < 0.05
    assert min(full(blurred)[metric], small(test)[metric]) > 0.5


def test_28_pixels_are_trained_at_32_and_that_is_said(found: RunnerFile, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images)
    runner = made(found, str(tmp_path / "x.npz"))
    assert runner.data.size == 32
    assert any("Resized from 28 × 28 to 32 × 32 pixels" in note for note in runner.notes)
    with pytest.raises(InputError, match="--image-size 28: this runner's sizes are 8, 16, 32, 64; choose one"):
        runner.prepare(DataSpec(str(tmp_path / "x.npz"), image_size=28), "cpu")


def test_a_batch_that_is_too_small_for_the_group(found: RunnerFile) -> None:
    with pytest.raises(
        InputError, match=r"--batch-size 3: the discriminator compares .* in groups of 4; give at least"
    ):
        made(found, batch_size=3)


def test_script_draws_each_phase_beside_the_original_loss(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = "--width 4 --latent 8 --n-samples 128 --fade-images 320 --stable-images 320 --steps 30 --batch-size 32"
    command = [sys.executable, str(resource_dir("runners") / "progressive.py"), "--loss", "ganetic", *small.split()]
    ran = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    with (out / "phases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["loss"], row["phase"], row["step"]) for row in rows] == [
        (loss, phase, step)
        for phase, step in (("4", "10"), ("8 fading in", "20"), ("8", "30"))
        for loss in ("Wasserstein (original)", "GANetic")
    ]
    assert all(float(row["FD[classifier] test"]) > 0 and row["KID test"] for row in rows if row["status"] == "ok")
    for name in ("original", "GANetic"):
        with Image.open(out / f"{name}.png") as picture:
            assert picture.width > picture.height
