"""GANs a class or one for all, and a study of small jobs: what is kept, and that it goes on where it was."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from lossgen.errors import InputError
from lossgen.gan.data import Dataset
from lossgen.gan.downstream import study
from lossgen.gan.downstream.classifiers import Recipe
from lossgen.gan.downstream.folds import Splits, split_again
from lossgen.gan.downstream.study import Found, Job, carry_out, do
from lossgen.gan.downstream.synthesis import Synthesis
from lossgen.gan.setting import Setting
from lossgen.runner import Budget, Member

SEED = (5,)


@pytest.fixture
def three(dataset: Callable[..., Dataset]) -> Dataset:
    """Bars of three classes, of which two are rare."""
    data = dataset()
    labels = np.array(data.train.labels)
    labels[::2] = np.where(labels[::2] == 1, 2, labels[::2])
    images = np.where((labels == 2)[:, None, None, None], 255 - data.train.images, data.train.images)
    train = replace(data.train, images=images, labels=labels)
    rows = np.concatenate([np.flatnonzero(labels == 0), *(np.flatnonzero(labels == k)[:20] for k in (1, 2))])
    return replace(data, train=train.take(rows), classes=("upright", "lying", "dark"), digest="three")


def synthesis(data: Dataset, ratio: float = 0.3) -> Synthesis:
    return Synthesis(data, {"name": "bars", "digest": data.digest, "classes": list(data.classes)}, ratio, "cpu")


def test_each_class_has_a_gan_that_saw_no_other(three: Dataset, setting: Setting, written: Callable[..., str]) -> None:
    of_three = synthesis(three)
    counts = np.bincount(three.train.labels)  # type: ignore[arg-type]
    assert of_three.lacking == {1: int(np.ceil(0.3 * counts[0])) - 20, 2: int(np.ceil(0.3 * counts[0])) - 20}
    outcome, made = of_three.make(Member("BCE", written(), SEED), setting, Budget(30))
    assert outcome.status == "ok" and {label: len(images) for label, images in made.items()} == of_three.lacking
    assert all(images.dtype == torch.uint8 and images.shape[1:] == (1, 8, 8) for images in made.values())
    dark = three.train.labels == 2
    other = replace(three, train=replace(three.train, images=three.train.images.copy()))
    other.train.images[dark] = 255 - other.train.images[dark]  # what is rare in another way changes nothing for lying
    again = synthesis(other).make(Member("BCE", written(), SEED), setting, Budget(30))[1]
    assert torch.equal(again[1], made[1]) and not torch.equal(again[2], made[2])


def test_training_goes_on_from_the_states_of_all_classes(
    three: Dataset, setting: Setting, written: Callable[..., str], tmp_path: Path
) -> None:
    of_three, member = synthesis(three), Member("BCE", written(), SEED, keep=tmp_path)
    straight, images = of_three.make(replace(member, keep=None), setting, Budget(40))
    first, _ = of_three.make(member, setting, Budget(20))
    rest, made = of_three.make(replace(member, state=first.files["state"]), setting, Budget(40))
    assert rest.metrics == straight.metrics and all(torch.equal(made[label], images[label]) for label in images)
    assert set(rest.files) == {"state", "samples", "model lying", "model dark"}
    assert all(path.is_file() for path in rest.files.values())
    assert np.load(rest.files["samples"])["images"].shape == (64, 1, 8, 8)
    assert {path.suffixes[-2] for path in tmp_path.iterdir()} == {".states", ".samples", ".model"}
    lone = replace(three, classes=three.classes[:2], train=three.train.take(np.flatnonzero(three.train.labels != 2)))
    with pytest.raises(InputError, match="not a lossgen training state file"):
        synthesis(lone).make(replace(member, state=first.files["state"]), setting, Budget(40))


def test_one_conditional_gan_draws_the_classes_that_lack_images(
    three: Dataset, setting: Setting, written: Callable[..., str], tmp_path: Path
) -> None:
    told = replace(setting, architecture=replace(setting.architecture, classes=3))
    outcome, made = synthesis(three).make(Member("BCE", written(), SEED, keep=tmp_path), told, Budget(30))
    assert outcome.status == "ok" and {label: len(images) for label, images in made.items()} == synthesis(three).lacking
    assert set(outcome.files) == {"state", "model", "samples"} and not torch.equal(made[1], made[2])


def test_a_run_whose_classes_are_of_one_size_generates_nothing(
    splits: Splits, setting: Setting, written: Callable[..., str], tmp_path: Path
) -> None:
    even = [synthesis(run, 0.01) for run in splits.runs]
    assert not any(each.lacking for each in even)
    wanted = jobs(splits, setting, {"Good": written()})
    wanted = [replace(job, synthesis=even[job.run] if job.run == 1 else job.synthesis) for job in wanted]
    found = carry_out(splits, wanted, tmp_path)
    same, other = found.runs[1], found.runs[0]
    assert (same["synthetic by Good"].test == same["real only"].test).all() and not found.failures
    assert not (other["synthetic by Good"].test == other["real only"].test).all()


def test_a_gan_that_fails_says_of_which_class(three: Dataset, setting: Setting, written: Callable[..., str]) -> None:
    broken = Member("Bad", written(generator="fake_score * float('nan')"), SEED)
    outcome, made = synthesis(three).make(broken, setting, Budget(60))
    assert outcome.status == "diverged" and outcome.reason.startswith("lying: the generator's loss is nan") and not made


def jobs(splits: Splits, setting: Setting, sources: dict[str, str]) -> list[Job]:
    found = []
    for run, data in enumerate(splits.runs):
        each = synthesis(data, 0.9)
        recipe = Recipe(steps=10)
        found.append(Job(run, each, recipe, (0, run)))
        for name, source in sources.items():
            found.append(Job(run, each, recipe, (0, run), Member(name, source, (0, run)), setting, 10))
    return found


@pytest.fixture
def splits(dataset: Callable[..., Dataset]) -> Splits:
    data = dataset()
    rare = np.flatnonzero(data.train.labels == 1)[40:]
    few = replace(data, train=data.train.take(np.setdiff1d(np.arange(256), rare)), made=("validation",))
    return split_again(few, "folds", 0, repeats=1)


def test_a_study_goes_on_where_it_was_and_is_the_same_side_by_side(
    splits: Splits, setting: Setting, written: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {"Good": written(), "Bad": written(generator="fake_score * float('nan')")}
    wanted = jobs(splits, setting, sources)
    told: list[tuple[int, str]] = []
    whole = carry_out(splits, wanted, tmp_path / "one", 1, lambda done, job, found: told.append((done, job.title)))
    assert [done for done, _ in told] == list(range(1, 16)) and len(whole.failures) == 5
    assert whole.failures[0].startswith("run 1, Bad: diverged at step")
    assert list(whole.synthetic)[:2] == ["synthetic by Good", "synthetic by Good with augmentation"]
    assert len(whole.plain) == 5 and len(whole.synthetic) == 4
    assert set(whole.runs[0]) == {*whole.plain, *whole.synthetic[:2]}
    assert whole.samples["Good"][1].shape[1:] == (1, 8, 8)
    assert all(len(values) == 5 for values in whole.fitted.values())

    file = tmp_path / "one" / f"{wanted[0].key}.npz"
    file.write_bytes(file.read_bytes()[:100])  # as a full disk would have left it
    done: list[Job] = []

    def count(job: Job) -> Found:
        done.append(job)
        return do(job)

    monkeypatch.setattr(study, "do", count)
    again = carry_out(splits, wanted, tmp_path / "one")
    assert [job.title for job in done] == ["run 1, without a GAN"]
    aside = carry_out(splits, wanted, tmp_path / "two", workers=2)
    for other in (again, aside):
        for run, same in zip(whole.runs, other.runs):
            assert all((run[arm].test == same[arm].test).all() for arm in run) and set(run) == set(same)


def test_time_is_up(splits: Splits, setting: Setting, written: Callable[..., str], tmp_path: Path) -> None:
    """No job begins then; the runs that are whole make up the study, and the rest is done the next time."""
    wanted = jobs(splits, setting, {"Good": written()})
    left = [5]

    def go_on() -> bool:
        left[0] -= 1
        return left[0] >= 0

    study_of_two = carry_out(splits, wanted, tmp_path, 1, go_on=go_on)
    assert len(list(tmp_path.glob("*.npz"))) == 5
    assert [run.digest for run in study_of_two.splits.runs] == [run.digest for run in splits.runs[:2]]
    assert len(study_of_two.runs) == 2 and all(len(run) == 7 for run in study_of_two.runs)
    whole = carry_out(splits, wanted, tmp_path)
    assert len(whole.runs) == 5 and (whole.runs[1]["real only"].test == study_of_two.runs[1]["real only"].test).all()
    with pytest.raises(InputError, match="0 of 10 trainings were done in the time, and 0 of 5 runs"):
        carry_out(splits, wanted, tmp_path / "none", go_on=lambda: False)


def test_what_few_runs_were_tested_on_is_counted_anew(splits: Splits, setting: Setting) -> None:
    data = splits.runs[0]
    joined = replace(data.train, groups=np.arange(len(data.train)) // 3)
    parts = {
        name: replace(getattr(data, name), groups=-np.arange(len(getattr(data, name))))
        for name in ("validation", "test")
    }
    of_patients = split_again(replace(data, train=joined, **parts, made=("validation", "test")), "folds", 0, repeats=1)
    wanted = jobs(of_patients, setting, {})
    few, kept = study._whole(of_patients, wanted, {job.key: Found({}) for job in wanted[:2]})
    assert len(few.runs) == len(kept) == 2
    for label in (0, 1):
        groups = [set(run.test.groups[run.test.labels == label].tolist()) for run in few.runs]  # type: ignore[index]
        images = sum(int((run.test.labels == label).sum()) for run in few.runs)
        assert few.test_counts[label] == images and few.test_patients is not None
        assert few.test_patients[label] == len(groups[0] | groups[1]) < of_patients.test_patients[label]  # type: ignore[index]


def test_a_classifier_that_diverges_counts_as_one_that_knows_nothing(splits: Splits, setting: Setting) -> None:
    (job, *_) = jobs(splits, setting, {})
    found = do(replace(job, recipe=Recipe(steps=6, lr=1e30)))
    assert len(found.notes) >= 1 and "real only: the classifier's scores are not finite" in found.notes[0]
    assert np.allclose(found.tested["real only"][1], -np.log(2))


def test_the_key_of_a_job_says_all_that_its_result_depends_on(splits: Splits, setting: Setting) -> None:
    job = jobs(splits, setting, {"One": "a"})[1]
    assert job.member is not None and job.key == replace(job, run=9).key
    changes: list[dict[str, Any]] = [
        {"steps": 11}, {"seed": (1, 0)}, {"recipe": Recipe(steps=11)}, {"setting": replace(setting, n_critic=2)},
        {"member": replace(job.member, source="b")}, {"synthesis": replace(job.synthesis, ratio=0.8)},
        {"synthesis": synthesis(splits.runs[1], 0.9)}, {"synthesis": replace(job.synthesis, device="cuda:0")},
    ]  # fmt: skip
    keys = {replace(job, **change).key for change in changes}
    assert len(keys) == len(changes) and job.key not in keys


def test_full_memory_is_said_in_a_line_and_nothing_is_lost(
    splits: Splits, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = jobs(splits, setting, {})
    carry_out(splits, wanted[:2], tmp_path, go_on=lambda: True)

    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patch:
        patch.setattr(study, "train_arm", full)
        with pytest.raises(InputError, match="run 3, without a GAN: the memory is full; give fewer --workers"):
            carry_out(splits, wanted, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(study, "_numbered", lambda number, job: os.kill(os.getpid(), signal.SIGKILL))
        with pytest.raises(InputError, match="a worker process was killed"):
            carry_out(splits, wanted, tmp_path, workers=2)
    assert len(list(tmp_path.glob("*.npz"))) == 2
    assert len(carry_out(splits, wanted, tmp_path).runs) == 5


def test_jobs_are_dealt_out_to_the_gpus(splits: Splits, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def seen(number: int, job: Job) -> tuple[int, Found]:
        given.append(job.synthesis.device)
        return number, Found({}, "none")

    wanted = [replace(job, synthesis=replace(job.synthesis, device="cuda")) for job in jobs(splits, setting, {})]
    monkeypatch.setattr(study, "_numbered", seen)
    for names, expected in ((["4", "7"], ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]), (["4"], ["cuda"] * 5)):
        monkeypatch.setattr(study, "gpus", lambda: names)  # noqa: B023
        with joblib.parallel_config(backend="threading"):
            assert len(list(study._done(wanted, 2, lambda: True))) == 5
        assert sorted(given) == sorted(expected)
        given.clear()


def test_weights_to_begin_with_are_known_by_what_they_are(splits: Splits, setting: Setting, tmp_path: Path) -> None:
    (job, *_) = jobs(splits, setting, {})
    keys = []
    for name, content in (("a", b"1"), ("b", b"1"), ("a", b"2")):
        (tmp_path / name).write_bytes(content)
        keys.append(replace(job, recipe=Recipe("resnet18", pretrained=str(tmp_path / name))).key)
    assert keys[0] == keys[1] != keys[2] and job.key not in keys
    with pytest.raises(InputError, match=r"--pretrained .*: cannot read: No such file"):
        replace(job, recipe=Recipe("resnet18", pretrained=str(tmp_path / "none"))).key  # noqa: B018
