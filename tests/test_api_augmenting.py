"""`lossgen augment`: a plan that fits, a verdict, and images only where they help and pass the audit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lossgen.api import augmenting
from lossgen.api.augmenting import Augmented, augment
from lossgen.cli import cli
from lossgen.errors import InputError
from lossgen.gan.auditing import audit
from lossgen.gan.downstream import plan as planning
from lossgen.gan.downstream.plan import PLANS, Plan, Price, fitted
from lossgen.gan.downstream.verdict import Contrast

TINY = (Plan(1, 1, 12, 8),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder a class: 140 threes and 70 eights, of several sizes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    top = tmp_path_factory.mktemp("scans")
    for name, number, count in (("three", 3, 140), ("eight", 8, 70)):
        (top / name).mkdir()
        for i, image in enumerate(digits.images[digits.target == number][:count]):
            side = 8 + i % 5
            Image.fromarray((image * 15).astype(np.uint8)).resize((side, side)).save(top / name / f"{i:03}.png")
    return top


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmenting, "fitted", lambda price, workers, limit: fitted(price, workers, limit, TINY))


def run(folder: Path, out: Path, limit: float = 600.0) -> tuple[Augmented, str]:
    said: list[str] = []
    found = augment(folder, f"{limit}s", str(out), workers=1, say=said.append)
    return found, "\n".join(said)


def test_the_richest_plan_that_fits_is_taken() -> None:
    price = Price(0.02, 0.02, 1.0)
    costs = [plan.seconds(price, 1) for plan in PLANS]
    assert costs == sorted(costs, reverse=True)
    for place, plan in enumerate(PLANS):
        assert fitted(price, 1, costs[place] / planning.SHARE * 1.001) == plan
    assert costs[0] / 4 < PLANS[0].seconds(price, 4) < costs[0] / 2  # processes wait for the last
    with pytest.raises(InputError, match=r"takes about \d+ min on this machine; give --time-limit \d+m"):
        fitted(price, 1, costs[-1] * 0.9)


def test_it_asks_for_nothing_and_ends_with_a_verdict(folder: Path, tmp_path: Path, tiny: None) -> None:
    found, said = run(folder, tmp_path / "out")
    assert found.words in ("helps", "does not help", "hurts", "cannot be told") and "Verdict: " in said
    assert f"{folder}: 210 images of 2 classes: eight, three." in said and "Resized from 5 sizes" in said
    assert "Plan: stratified 5-fold cross-validation, once" in said and "Price: about " in said
    assert "made from" not in said  # a split that is not used
    assert json.loads((tmp_path / "out" / "imbalance.json").read_text())["classifier"]["steps"] == 8
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "12 generator updates" in text and "- [DiffAugment] Zhao" in text and "8 gradient steps" in text
    again, more = run(folder, tmp_path / "out")
    assert "Going on with the plan of the earlier call, of which all is done." in more and " of 10 after" not in more
    assert again.words == found.words


def test_more_time_is_made_use_of_once_the_earlier_plan_is_done(
    folder: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, tmp_path / "out")
    richer = Plan(1, 2, 12, 8)
    monkeypatch.setattr(augmenting, "fitted", lambda price, workers, limit: richer)
    kept = sorted((tmp_path / "out" / "jobs").glob("*.npz"))
    kept[0].unlink()  # not all is done: it goes on as planned
    _, said = run(folder, tmp_path / "out")
    assert "Going on with the plan of the earlier call." in said and "10 of 10 after" in said
    _, said = run(folder, tmp_path / "out")
    assert "The plan of the earlier call is done, and there is time for a richer one." in said
    assert "twice" in said and "20 of 20 after" in said and "10 of 20 after" not in said
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["plan"]["repeats"] == 2


def test_the_size_of_the_images_is_planned_into_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 8 pixels the little digits are small enough; from larger ones the plan chooses among three sizes."""
    rng = np.random.default_rng(0)
    for name, count in (("a", 60), ("b", 25)):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 255, (70, 66), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "scans" / name / f"{i}.png")
    data = str(tmp_path / "scans")
    measured: list[int] = []

    def price(runner: Any, seed: int, device: str) -> Price:
        measured.append(runner.data.size)
        return Price(*(1e-6 * runner.data.size**2 * share for share in (1.0, 1.0, 1.0)))

    monkeypatch.setattr(augmenting, "_price", price)
    usual = augmenting._loaded(data, "cpu")
    costs = {size: PLANS[0].seconds(Price(*(1e-6 * size**2,) * 3), 1) for size in (16, 32, 64)}
    least = {size: PLANS[-1].seconds(Price(*(1e-6 * size**2,) * 3), 1) for size in (16, 32)}
    for limit, expected, looked in (
        (costs[32] * 1.3, None, [32]),
        (costs[64] * 3, 64, [32, 64]),
        (least[32] * 1.01, 16, [32, 16]),
    ):
        runner, _, plan = augmenting._sized(data, usual, "cpu", 0, 1, limit)
        assert plan.size == expected and measured == looked and runner.data.size == (expected or 32)
        measured.clear()
    with pytest.raises(InputError, match="least that says something"):
        augmenting._sized(data, usual, "cpu", 0, 1, least[16] * 0.9)


def test_a_class_that_is_too_small_for_an_audit_keeps_back_no_other(
    folder: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped(monkeypatch)
    seen: list[list[int]] = []

    def passed(data: Any, made: Any) -> Any:
        seen.append(sorted(made))
        raise InputError("far enough")

    monkeypatch.setattr(augmenting, "_audited", passed)
    from sklearn.datasets import load_digits

    digits = load_digits()
    counts = {3: 140, 8: 70, 5: 135}
    rows = np.concatenate([np.flatnonzero(digits.target == number)[:count] for number, count in counts.items()])
    np.savez(tmp_path / "three.npz", images=(digits.images[rows] * 15).astype(np.uint8), labels=digits.target[rows])
    said: list[str] = []
    with pytest.raises(InputError, match="far enough"):
        augment(str(tmp_path / "three.npz"), 900.0, tmp_path / "out", workers=1, say=said.append)
    assert seen == [[2]] and any("Not exported, since there are too few images for an audit: 5." in s for s in said)


def test_what_is_exported_is_audited_by_its_card(
    folder: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training images that are handed on as generated ones are found, although `audit` would split otherwise."""
    helped(monkeypatch)
    kept = augmenting.held_against
    passing = lambda *args: replace(kept(*args), checks=[replace(c, low=0.0) for c in kept(*args).checks])  # noqa: E731
    monkeypatch.setattr(augmenting, "held_against", passing)
    found, _ = run(folder, tmp_path / "out")
    assert found.exported is not None
    card = json.loads((found.exported / "datacard.json").read_text())
    trained = set(card["source"]["training"])
    assert len(trained) == len(found.study.splits.runs[0].train)
    assert "Who has an image can tell" in (found.exported / "datacard.md").read_text()
    first = audit(str(folder), str(found.exported))
    assert first.counts["training"] == len(trained)
    assert any("names the" in note for note in first.notes)
    images = found.study.splits.runs[0].train
    for path, image in zip(sorted((found.exported / "eight").glob("*.png")), images.images[images.labels == 0]):
        Image.fromarray(image[0]).save(path)
    again = audit(str(folder), str(found.exported))
    copies = next(check for check in again.checks if check.name == "copies")
    assert copies.value > 0.5 and not copies.passed
    with pytest.raises(InputError, match=r"lacks \d+ of the \d+ images that FAKE's generator was trained on"):
        audit("digits", str(found.exported))


def test_what_can_be_foretold_is_said_before_the_training(tmp_path: Path, tiny: None) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = np.concatenate([np.flatnonzero(digits.target == 3)[:60], np.flatnonzero(digits.target == 8)[:57]])
    labels = (digits.target[rows] == 8).astype(int)
    np.savez(tmp_path / "even.npz", images=(digits.images[rows] * 15).astype(np.uint8), labels=labels)
    _, said = run(tmp_path / "even.npz", tmp_path / "out")
    assert "The classes are nearly of one size" in said and "Images of 1 will not be exported, whatever" in said
    assert said.index("will not be exported, whatever") < said.index("1 of 10 after")


def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contrast, "words", lambda self, effect: "helps")


def test_images_that_helped_and_passed_are_exported_with_a_card(
    folder: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped(monkeypatch)
    kept = augmenting.held_against
    passing = lambda *args: replace(kept(*args), checks=[replace(c, low=0.0) for c in kept(*args).checks])  # noqa: E731
    monkeypatch.setattr(augmenting, "held_against", passing)
    found, said = run(folder, tmp_path / "out")
    assert found.exported == tmp_path / "out" / "synthetic" and found.audit is not None and "Audit: Passed" in said
    card = json.loads((found.exported / "datacard.json").read_text())
    count = card["counts"]["eight"]
    assert len(list((found.exported / "eight").glob("*.png"))) == count > 20 and set(card["counts"]) == {"eight"}
    assert card["synthetic"] and card["loss"]["name"] == "BCE" and card["audit"]["passed"] and card["steps"] == 12
    assert len(card["source"]["digest"]) == 64
    page = (found.exported / "datacard.md").read_text()
    assert "show no patient" in page and "differential privacy" in page and "never to test" in page
    assert all(path.is_file() for path in found.files)
    assert "GAN-Leaks" in (tmp_path / "out" / "methods.md").read_text()
    kept_images = np.load(next((tmp_path / "out" / "models").glob("*.samples.npz")))["images"]
    shown = Image.open(found.exported / "eight" / sorted(p.name for p in (found.exported / "eight").glob("*.png"))[0])
    assert np.asarray(shown).shape == kept_images.shape[-2:]
    again, _ = run(folder, tmp_path / "out")  # a second time, over what is there
    assert again.exported == found.exported
    monkeypatch.setattr(Contrast, "words", lambda self, effect: "does not help")
    last, _ = run(folder, tmp_path / "out")
    assert last.exported is None and not found.exported.exists()


def test_images_that_fail_the_audit_are_not(
    folder: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped(monkeypatch)
    found, said = run(folder, tmp_path / "out")  # after 12 steps all images are alike
    assert found.exported is None and found.audit is not None and not found.audit.passed
    assert "Audit: Failed: duplicates" in said and "No synthetic images are exported." in said
    assert not (tmp_path / "out" / "synthetic").exists() and (tmp_path / "out" / "audit.md").is_file()


def test_what_cannot_be_done_is_said_in_a_line(folder: Path, tmp_path: Path, tiny: None) -> None:
    with pytest.raises(InputError, match="the least that says something takes about"):
        run(folder, tmp_path / "short", limit=1.0)
    with pytest.raises(InputError, match="would be read as images of it"):
        run(folder, folder / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give a folder"):
        run(folder, tmp_path / "file")
    (tmp_path / "mine" / "synthetic").mkdir(parents=True)  # of somebody else: it is not to be touched
    with pytest.raises(InputError, match="holds a folder synthetic that is of no study"):
        run(folder, tmp_path / "mine")
    assert (tmp_path / "mine" / "synthetic").is_dir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "plan.json").write_text('{"schema": 1, "data": "other", "plan": {"losses": 1, "repeats": 1, "steps": 9}}')
    with pytest.raises(InputError, match="holds a study of other images"):
        run(folder, out)
    (out / "plan.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        run(folder, out)
    (out / "plan.json").write_text('{"schema": 1, "data": "other", "seed": 3, "plan": {}}')
    with pytest.raises(InputError, match=r"--seed 0: the study in .* began with seed 3; give that, or another --out"):
        run(folder, out)
    done = CliRunner().invoke(cli, ["augment", str(folder / "three"), "--out", str(out)])
    assert isinstance(done.exception, InputError) and "of no classes, or all of one" in str(done.exception)
