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


@pytest.mark.parametrize("model", ["fanogan", "ganomaly"])
def test_what_only_races_on_has_its_fitness_too(found: RunnerFile, model: str, tmp_path: Path) -> None:
    runner = made(found, model=model)
    (outcome,) = runner.train([member(keep=tmp_path, state_only=True)], Budget(10))
    assert outcome.status == "ok" and set(outcome.files) == {"state"}
    assert set(runner.objectives) < set(outcome.metrics)


def test_a_state_belongs_to_its_classes(found: RunnerFile, tmp_path: Path) -> None:
    kept, other = (made(found, normal_class=name).train([member(keep=tmp_path)], Budget(5))[0] for name in ("3", "5"))
    assert kept.files["state"] != other.files["state"] and kept.files["state"].exists()
    with pytest.raises(InputError, match="the state of another loss, seed, setting or data"):
        made(found, normal_class="5").train([member(state=kept.files["state"])], Budget(9))


def test_scores_that_are_not_finite(found: RunnerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    import lossgen.gan.fanogan
    import lossgen.gan.ganomaly

    for model, module in (("fanogan", lossgen.gan.fanogan), ("ganomaly", lossgen.gan.ganomaly)):
        real = module.scores

        def broken(*given: Any, real: Any = real) -> Any:
            scores, anew = real(*given)
            scores[3] = float("inf")
            return scores, anew

        with monkeypatch.context() as patch:
            patch.setattr(module, "scores", broken)
            (outcome,) = made(found, model=model).train([member()], Budget(5))
        assert (outcome.status, outcome.reason, outcome.step) == ("diverged", "1 scores are not finite", 5)


def test_options_that_hold_for_all_trainings(found: RunnerFile) -> None:
    runner = made(found)
    assert runner.train([member(condition={"lr_generator": 1e-3})], Budget(5))[0].status == "ok"
    for name in ("encoder_steps", "latent", "width"):
        with pytest.raises(InputError, match=f"option {name}: cannot differ from training to training"):
            runner.train([member(condition={name: 8.0})], Budget(5))


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
        of_odd = labels != 3 if runner is one else labels == 3 if runner is rest else labels == 5
        assert (odd == of_odd[expected]).all()
    assert (~one.held_out[""][1]).sum() == rest.held_out[""][1].sum()
    assert "protocol B: normal is 3, anomalous 0, 1, 2, 4, 5, 6, 7, 8, 9." in "\n".join(one.said.notes)
    assert one.said.protocol["data"]["roles"]["protocol"] == "B"
    assert [runner.roles.title for runner in (one, rest, pair)] == [
        "protocol B, 3 normal", "protocol A, 3 anomalous", "3 normal, 5 anomalous"
    ]  # fmt: skip
    assert ", protocol B, 3 normal; f-AnoGAN of width 4" in one.said.protocol["setting"]


def test_members_are_trained_one_by_one_also_on_a_gpu(found: RunnerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossgen.gan.benchmark.check_device", lambda device: None)
    together = {}
    for file in (found, find_runner("dcgan")):
        runner: Any = file.cls(file.cls.options())
        runner.load(DataSpec("digits"), "cuda")
        together[file.name] = runner.together
    assert together == {"anomaly": False, "dcgan": True}


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
    assert len(list(out.glob("*.model.pt"))) == 2  # none has overwritten the other's
    for name in ("roc", "extremes-1", "extremes-2"):
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 40
    plain = tmp_path / "plain.npz"
    np.savez(plain, images=images)
    bare = script(out, "--data", str(plain), "--in-turn", "normal")
    assert bare.returncode == 2 and "has no labels that say which images are normal" in bare.stderr
    both = script(out, *data, "--in-turn", "normal", "--normal-class", "a")
    assert both.returncode == 2 and "leave out --normal-class and --anomalous-class" in both.stderr


def test_script_with_few_images(tmp_path: Path) -> None:
    """Fewer than are shown, and fewer than a chunk that is made anew at a time."""
    rng = np.random.default_rng(0)
    sets = {f"{split}_images": rng.integers(0, 256, (count, 8, 8)) for split, count in (("train", 40), ("val", 6))}
    sets |= {"test_images": rng.integers(0, 256, (6, 8, 8))}
    labels = {name.replace("images", "labels"): np.arange(len(images)) % 2 for name, images in sets.items()}
    classes = {"classes": np.array(["normal", "odd"])}
    np.savez(
        tmp_path / "few.npz", **{name: images.astype(np.uint8) for name, images in sets.items()}, **labels, **classes
    )
    ran = script(tmp_path / "out", "--data", str(tmp_path / "few.npz"), "--model", "ganomaly", "--steps", "5")
    assert ran.returncode == 0, ran.stderr
    assert "the 3 test images that score highest" in ran.stdout and "protocol B, normal normal: AUROC" in ran.stdout
    with Image.open(tmp_path / "out" / "extremes.png") as picture:
        assert picture.width == 2 * picture.height  # six columns, three rows


def test_script_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    ran = script(tmp_path / "out", "--normal-class", "eleven")
    assert ran.returncode == 2 and "Traceback" not in ran.stderr
    assert ran.stderr.startswith("error: --normal-class eleven: is none of the classes of digits")


def test_a_member_of_another_seed_has_its_own_encoder(found: RunnerFile) -> None:
    runner = made(found)
    one, other = runner.train([member(), dataclasses.replace(member(), seed=(1,))], Budget(20))
    assert one.metrics["AUROC"] != other.metrics["AUROC"]
