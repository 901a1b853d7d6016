"""The runner of anomaly detection: as a plug-in, by the protocol, and as a script."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, RunnerFile, find_runner

SMALL = {"width": 4, "latent": 8, "batch_size": 16, "encoder_steps": 30}


@pytest.fixture(scope="module")
def found() -> RunnerFile:
    return find_runner("anomaly")


def made(found: RunnerFile, **options: Any) -> Any:
    runner = found.cls(found.cls.options(**{**SMALL, "normal_class": "3", **options}))
    runner.said = runner.prepare(DataSpec("digits"), "cpu")  # type: ignore[attr-defined]
    return runner


def member(name: str = "bce", **more: Any) -> Member:
    return Member(name, load_argument(name).source, (0,), **more)


@pytest.mark.parametrize("model", ["fanogan", "ganomaly"])
def test_trains_the_zoo_on_normal_images_alone(found: RunnerFile, model: str, tmp_path: Path) -> None:
    runner = made(found, model=model)
    assert runner.objectives == {"AUROC": "max"} and runner.scale_free == (model == "fanogan")
    threes = int((runner.data.train.labels == 3).sum())
    assert len(runner.task.images) == threes == runner.said.protocol["data"]["counts"]["train"]["normal"]
    outcomes = runner.train([member("bce"), member("ganetic"), member("wasserstein")], Budget(40))
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3
    for outcome in outcomes:
        assert {"AUROC", "AP", "AUROC test", "AP test"} < set(outcome.metrics)
        assert all(0.0 <= outcome.metrics[name] <= 1.0 for name in ("AUROC", "AP", "AUROC test", "AP test"))
    assert len({outcome.metrics["AUROC"] for outcome in outcomes}) == 3
    first = runner.train([member(keep=tmp_path)], Budget(20))[0]
    rest = runner.train([member(keep=tmp_path, state=first.files["state"])], Budget(40))[0]
    assert rest.metrics == outcomes[0].metrics


def test_detects_better_than_chance(found: RunnerFile) -> None:
    for model in ("fanogan", "ganomaly"):
        runner = made(found, model=model, normal_class="0", width=8, encoder_steps=200)
        assert runner.train([member()], Budget(200))[0].metrics["AUROC test"] > 0.8, model


def test_both_protocols_and_a_pair(found: RunnerFile) -> None:
    one, rest, pair = (
        made(found, normal_class=normal, anomalous_class=anomalous)
        for normal, anomalous in (("3", ""), ("", "3"), ("3", "5"))
    )
    labels = one.data.test.labels
    for runner, protocol, of_test in ((one, "B", labels >= 0), (rest, "A", labels >= 0), (pair, "", None)):
        images, odd = runner.held_out[" test"]
        expected = (labels == 3) | (labels == 5) if of_test is None else of_test
        assert runner.roles.protocol == protocol == runner.said.protocol["protocol"]
        assert len(images) == len(odd) == expected.sum()
    assert (~one.held_out[""][1]).sum() == rest.held_out[""][1].sum()
    assert "protocol B: normal is 3, anomalous 0, 1, 2, 4, 5, 6, 7, 8, 9." in "\n".join(one.said.notes)
    assert one.said.protocol["data"]["roles"]["protocol"] == "B"
    assert [runner.roles.title for runner in (one, rest, pair)] == [
        "protocol B, 3 normal", "protocol A, 3 anomalous", "3 normal, 5 anomalous"
    ]  # fmt: skip
    assert ", protocol B, 3 normal; f-AnoGAN of width 4" in one.said.protocol["setting"]


def test_what_is_wrong(found: RunnerFile) -> None:
    with pytest.raises(InputError, match=r"say which class is normal \(--normal-class\) or anomalous"):
        made(found, normal_class="")
    with pytest.raises(InputError, match="--batch-size 200: the 91 normal training images of digits do not fill"):
        made(found, batch_size=200)
    with pytest.raises(InputError, match="option lr_encoder"):
        found.cls(found.cls.options.model_construct(**{**found.cls.options().model_dump(), "lr_encoder": -1.0}))


def script(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(resource_dir("runners") / "anomaly.py"), "--loss", "ganetic", "--out", str(out)]
    small = [text for name, value in SMALL.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return subprocess.run([*command, *small, *arguments], capture_output=True, text=True, timeout=240, check=False)


def test_script_takes_each_class_in_turn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 100)
    images = (rng.normal(0, 20, (200, 8, 8)) + np.where(labels == "a", 80, 170)[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "two.npz", images=images, labels=labels)
    out = tmp_path / "out"
    data = ("--data", str(tmp_path / "two.npz"), "--steps", "30")
    ran = script(out, *data, "--in-turn", "normal")
    assert ran.returncode == 0, ran.stderr
    report = json.loads((out / "detection.json").read_text())
    assert list(report["tests"]) == ["protocol B, a normal", "protocol B, b normal"]
    mean = np.mean([test["auroc"] for test in report["tests"].values()])
    assert report["average"]["auroc"] == pytest.approx(mean) and "average over 2 classes: AUROC" in ran.stdout
    for name in ("roc", "extremes-protocol-B--a-normal", "extremes-protocol-B--b-normal"):
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 40
    both = script(out, *data, "--in-turn", "normal", "--normal-class", "a")
    assert both.returncode == 2 and "leave out --normal-class and --anomalous-class" in both.stderr


def test_script_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    ran = script(tmp_path / "out", "--normal-class", "eleven")
    assert ran.returncode == 2 and "Traceback" not in ran.stderr
    assert ran.stderr.startswith("error: --normal-class eleven: is none of the classes of digits")


def test_a_member_of_another_seed_has_its_own_encoder(found: RunnerFile) -> None:
    runner = made(found)
    one, other = runner.train([member(), dataclasses.replace(member(), seed=(1,))], Budget(20))
    assert one.metrics["AUROC"] != other.metrics["AUROC"]
