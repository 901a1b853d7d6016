"""The runner of class imbalance: as a plug-in, and as a script that ends with a verdict."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, RunnerFile, find_runner

SMALL = {"width": 4, "latent": 8, "batch_size": 16, "classifier_steps": 20, "classifiers": 2}
FEW = "1=40,8=30"


@pytest.fixture(scope="module")
def found() -> RunnerFile:
    return find_runner("imbalance")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ones, and few eights, of the embedded digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = np.concatenate([np.flatnonzero(digits.target == 1)[:120], np.flatnonzero(digits.target == 8)[:40]])
    path = tmp_path_factory.mktemp("two") / "two.npz"
    images = (digits.images[rows] * 15).astype(np.uint8)
    np.savez(path, images=images, labels=(digits.target[rows] == 8).astype(int), classes=np.array(["one", "eight"]))
    return str(path)


def made(found: RunnerFile, data: str = "digits", **options: Any) -> Any:
    runner = found.cls(found.cls.options(**{**SMALL, **options}))
    runner.said = runner.prepare(DataSpec(data), "cpu")  # type: ignore[attr-defined]
    return runner


def member(name: str = "bce", **more: Any) -> Member:
    return Member(name, load_argument(name).source, (0,), **more)


def test_trains_gans_on_the_rare_classes_and_judges_by_classifiers(found: RunnerFile, two: str, tmp_path: Path) -> None:
    runner = made(found, two)
    assert runner.objectives == {"balanced accuracy": "max"} and runner.scale_free
    one, eight = runner.counts
    made_of = f"Training images: {one} one, {eight} eight. To be generated, by a GAN each: {one - eight} eight."
    assert made_of in runner.said.notes and one > 2 * eight
    outcomes = runner.train([member("bce"), member("ganetic")], Budget(40))
    assert [outcome.status for outcome in outcomes] == ["ok", "ok"]
    for outcome in outcomes:
        assert {"balanced accuracy", "balanced accuracy test", "AUROC test", "g-mean", "diversity"} < set(
            outcome.metrics
        )
        assert 0.4 < outcome.metrics["balanced accuracy"] <= 1.0
    first = runner.train([member(keep=tmp_path, state_only=True)], Budget(20))[0]
    assert set(first.files) == {"state"} and "balanced accuracy" in first.metrics
    rest = runner.train([member(keep=tmp_path, state=first.files["state"])], Budget(40))[0]
    assert rest.metrics == outcomes[0].metrics and set(rest.files) == {"state", "model", "samples"}


def test_the_gans_see_the_training_split_alone(found: RunnerFile, two: str) -> None:
    runner, other = made(found, two), made(found, two)
    other.data.validation.images[:] = 255 - other.data.validation.images
    other.data.test.images[:] = 255 - other.data.test.images
    images = [each.synthesis.make(member(), each.setting({}), Budget(20))[1][1] for each in (runner, other)]
    assert (images[0] == images[1]).all()
    trained = runner.data.train
    assert {int(label) for label in trained.labels} == {0, 1} and not set(runner.synthesis.lacking) & {0}


def test_one_conditional_gan(found: RunnerFile) -> None:
    runner = made(found, conditional=True, class_counts=FEW)
    assert "by one conditional GAN" in runner.said.notes[-2] and "conditional" in runner.setting_described()
    (outcome,) = runner.train([member()], Budget(20))
    assert outcome.status == "ok"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_counts": "1=5"}, "class 1 has"),
        ({"class_counts": "11=50"}, "11 is none of the classes of digits"),
        ({"class_counts": "1"}, "'1' is not a class and its number of images"),
        ({"ratio": 0.5}, "no class has fewer than 0.5 of the largest"),
        ({"pretrained": "w.pth"}, "--pretrained: is for --classifier resnet18"),
        ({"class_counts": "1=99999"}, "99999 images of 1, but there are"),
    ],
)
def test_what_cannot_be_done_is_refused(found: RunnerFile, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(found, **options)


def script(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(resource_dir("runners") / "imbalance.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


def test_the_script_ends_with_a_verdict_and_goes_on_where_it_was(two: str, tmp_path: Path) -> None:
    small = ["--width", "4", "--latent", "8", "--classifier-steps", "15", "--steps", "15", "--repeats", "1"]
    asked = ["--loss", "bce", "--loss", "lsgan", "--data", two, *small, "--out", str(tmp_path), "--workers", "1"]
    done = script(*asked)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "Design: stratified 5-fold cross-validation, once" in said
    assert "Tested on 40 images of eight, the rarest class: they tell a recall of 0.75 to ± 0.13" in said
    assert "10 of 10: " not in said and "15 of 15: run 5, LSGAN: done" in said and "Verdict: " in said
    for arm in ("real only", "class weights", "oversampling", "augmentation", "synthetic by BCE", "synthetic by LSGAN"):
        assert f"\n{arm} " in said
    report = json.loads((tmp_path / "imbalance.json").read_text())
    assert report["verdict"] in ("helps", "hurts", "does not help", "cannot be told") and len(report["arms"]) == 18
    everything = report["arms"]["real only"]["all"]["confusion"]
    assert np.sum(everything, 1).tolist() == [120, 40]  # every image is tested once
    markdown = (tmp_path / "report.md").read_text()
    assert markdown.startswith("# Do synthetic images help?\n\nVerdict: ") and "eight precision" in markdown
    table = (tmp_path / "table.tex").read_text()
    assert table.count("\\\\\n") == 10 and "synthetic by LSGAN with augmentation & " in table and "{lrrrrrrrr}" in table
    for picture in ("arms.png", "confusion.png", "synthetic-BCE.png", "synthetic-LSGAN.png"):
        assert (tmp_path / picture).stat().st_size > 1000
    again = script(*asked)
    assert "of 15: " not in again.stdout and again.stdout.split("Verdict")[1] == said.split("Verdict")[1]


def test_the_script_refuses_in_one_line(two: str, tmp_path: Path) -> None:
    done = script("--loss", "bce", "--data", two, "--class-counts", "eight=4", "--out", str(tmp_path))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "class eight has 4 images; at least 8 are needed" in done.stderr
