"""The DCGAN runner: as a plug-in, by the protocol, and as a script."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan import features
from lossgen.gan.files import read_dict
from lossgen.gan.sampling import KIND, sample
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, Runner, RunnerFile, find_runner

FLAGS_OF_THE_ENGINE = {
    "runner", "data", "space", "population", "generations", "steps", "seeds", "time_limit", "workers", "seed", "device",
    "out", "resume", "generated", "image_size", "fit", "data_dir", "download",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(features.TRAINING, "steps", 60)
        yield


@pytest.fixture(scope="module")
def found() -> RunnerFile:
    return find_runner("dcgan")


@pytest.fixture(scope="module")
def runner(found: RunnerFile) -> Runner:
    runner = found.cls(found.cls.options(n_samples=128, width=8))
    runner.prepare(DataSpec("digits"), "cpu")
    return runner


def member(name: str = "bce", seed: int = 0, **condition: float) -> Member:
    return Member(name, load_argument(name).source, (seed,), condition)


def unlabelled(folder: Path) -> Path:
    """An .npz of noisy images without labels."""
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)
    np.savez(folder / "plain.npz", images=images)
    return folder / "plain.npz"


def test_options_are_flags(found: RunnerFile) -> None:
    fields = found.cls.options.model_fields
    assert not FLAGS_OF_THE_ENGINE & set(fields)
    assert all(field.description and field.default is not None for field in fields.values())
    with pytest.raises(InputError, match="augmentation 'flip': 'flip' is unknown"):
        found.cls(found.cls.options(augment="flip"))
    with pytest.raises(InputError, match="option width"):
        found.cls(found.cls.options.model_construct(**{**found.cls.options().model_dump(), "width": -1}))


def test_prepare_tells_the_protocol(found: RunnerFile) -> None:
    runner = found.cls(found.cls.options())
    assert next(iter(runner.objectives)) == "FD[classifier]" and runner.scale_free
    preparation = runner.prepare(DataSpec("digits"), "cpu")
    assert runner.objectives == {"FD[classifier]": "min"}
    protocol = json.loads(json.dumps(preparation.protocol))
    assert protocol["data"]["size"] == 8 and protocol["n_generated"] == 1024
    assert protocol["options"]["lr_generator"] == found.cls.options().lr_generator
    assert any("classifier" in note for note in preparation.notes)


def test_trains_the_zoo(runner: Runner) -> None:
    members = [member(name) for name in ("bce", "lsgan", "hinge", "ganetic")]
    outcomes = runner.train(members, Budget(60))
    assert [outcome.status for outcome in outcomes] == ["ok"] * 4
    for outcome in outcomes:
        assert set(outcome.metrics) == {"FD[classifier]", "FD[classifier] test", "diversity", "separation"}
        assert [step for step, _ in outcome.curve] == [45, 50, 60]
        assert outcome.seconds > 0 and not outcome.files


def test_condition_takes_the_place_of_options(runner: Runner) -> None:
    plain, same, other = runner.train(
        [member(), member(lr_generator=runner.options().lr_generator), member(lr_generator=1e-4)], Budget(30)
    )
    assert plain.metrics == same.metrics != other.metrics
    with pytest.raises(InputError, match="option no_such_thing"):
        runner.train([member(no_such_thing=1.0)], Budget(30))
    with pytest.raises(InputError, match="option lr_generator"):
        runner.train([member(lr_generator=-1.0)], Budget(30))


def test_a_condition_may_be_any_option(runner: Runner) -> None:
    """Of the loss's surroundings, too: regularisers, spectral norm, updates of the discriminator."""
    change: list[dict[str, float]] = [
        {}, {"r1": 10.0}, {"gradient_penalty": 10.0}, {"spectral_norm": 1.0}, {"n_critic": 2.0}, {"recommended": 0.0}
    ]  # fmt: skip
    outcomes = runner.train([member(**each) for each in change], Budget(30))
    found = [outcome.curve[-1][1]["FD[classifier]"] for outcome in outcomes]
    assert len(set(found[:-1])) == 5 and found[-1] == found[0]  # bce asks for no regulariser
    with pytest.raises(InputError, match="option spectral_norm"):
        runner.train([member(spectral_norm=0.5)], Budget(30))


def test_a_strength_makes_the_scale_matter(found: RunnerFile) -> None:
    options = found.cls.options
    assert found.cls(options(spectral_norm=True, n_critic=3)).scale_free
    assert not any(found.cls(options(**{name: 1.0})).scale_free for name in ("r1", "gradient_penalty", "drift"))


def test_few_images_are_augmented_unless_told_not_to(found: RunnerFile) -> None:
    few, none = (found.cls(found.cls.options(n_samples=128, width=4, augment=text)) for text in ("auto", "none"))
    said = [preparation.notes for preparation in (each.prepare(DataSpec("digits"), "cpu") for each in (few, none))]
    assert any("changed at random (colour, translation, cutout; --augment none trains without)" in n for n in said[0])
    assert not any("changed at random" in note for note in said[1])
    one, other = (each.train([member()], Budget(30))[0].curve for each in (few, none))
    assert one != other


def test_conditional_generators_draw_the_class_that_is_asked_for(found: RunnerFile, tmp_path: Path) -> None:
    runner = found.cls(found.cls.options(n_samples=128, width=4, conditional=True))
    protocol = runner.prepare(DataSpec("digits"), "cpu").protocol
    assert sum(protocol["data"]["class_counts"]) == len(runner.data.train)  # type: ignore[attr-defined]
    (outcome,) = runner.train([dataclasses.replace(member(), keep=tmp_path)], Budget(30))
    assert {"KID[classifier] test", "coverage[classifier] test"} < set(outcome.metrics)
    sevens = sample(outcome.files["model"], 8, of_class="7")
    assert sevens.shape == (8, 1, 8, 8) and not np.array_equal(sevens, sample(outcome.files["model"], 8, of_class="1"))
    plain = found.cls(found.cls.options(n_samples=128, width=4, conditional=True))
    with pytest.raises(InputError, match=r"--conditional: data .* has no labels; leave it out"):
        plain.prepare(DataSpec(str(unlabelled(tmp_path))), "cpu")


def test_64_pixels_have_to_be_asked_for(found: RunnerFile, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 64, 64, 3), dtype=np.uint8)
    np.savez(tmp_path / "large.npz", images=images)
    runner = found.cls(found.cls.options(n_samples=128, width=2, batch_size=4, generator="autoencoder"))
    sizes = []
    for asked in (None, 64):
        preparation = runner.prepare(DataSpec(str(tmp_path / "large.npz"), image_size=asked), "cpu")
        sizes.append(preparation.protocol["data"]["size"])
    assert sizes == [32, 64]
    assert runner.train([member()], Budget(2))[0].step == 2


def test_random_features_without_labels(found: RunnerFile, tmp_path: Path) -> None:
    runner = found.cls(found.cls.options(n_samples=128, width=4, batch_size=16))
    preparation = runner.prepare(DataSpec(str(unlabelled(tmp_path))), "cpu")
    assert runner.objectives == {"FD[random]": "min"}
    assert any("random network" in note for note in preparation.notes)
    assert "FD[random]" in runner.train([member()], Budget(40))[0].metrics


def test_fewer_images_than_a_batch(found: RunnerFile, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", train_images=images[:40], val_images=images[40:50], test_images=images[50:])
    spec = DataSpec(str(tmp_path / "few.npz"))
    found.cls(found.cls.options(n_samples=128, batch_size=40)).prepare(spec, "cpu")
    refused = r"--batch-size 41: the 40 training images of .*few.* do not fill a batch; give at most 40, or more images"
    with pytest.raises(InputError, match=refused):
        found.cls(found.cls.options(n_samples=128, batch_size=41)).prepare(spec, "cpu")


def test_absent_device(found: RunnerFile) -> None:
    with pytest.raises(InputError, match="'nonsense' is none that a GAN can be trained on"):
        found.cls(found.cls.options()).prepare(DataSpec("digits"), "nonsense")


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(resource_dir("runners") / "dcgan.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_script_draws(tmp_path: Path) -> None:
    """As a script it trains, writes a picture and the numbers, and says where."""
    out = tmp_path / "out"
    data, small = ("--data", str(unlabelled(tmp_path))), ("--width", "8", "--n-samples", "128")
    ran = script("--loss", "ganetic", *data, "--steps", "60", *small, "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    report = json.loads((out / "metrics.json").read_text())
    assert report["status"] == "ok" and report["schema"] == 1 and report["metrics"]["FD[random]"] > 0
    with Image.open(out / "samples.png") as picture:
        assert min(picture.size) >= 8 * 8
    assert str(out / "samples.png") in ran.stdout


def test_script_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    ran = script("--loss", "bce", "--width", "0", "--out", str(tmp_path / "out"))
    assert ran.returncode == 2 and "option width" in ran.stderr and "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()


def test_checkpoints_are_kept_and_change_nothing(found: RunnerFile, tmp_path: Path) -> None:
    results = []
    for name, steps in (("plain", ""), ("kept", "3, 7,100")):
        options = found.cls.options(width=4, latent=8, batch_size=32, n_samples=128, checkpoints=steps)
        runner = found.cls(options)
        runner.prepare(DataSpec("digits"), "cpu")
        (outcome,) = runner.train([dataclasses.replace(member(), keep=tmp_path / name)], Budget(9))
        results.append(outcome)
    assert results[0].metrics == results[1].metrics
    models = sorted(
        (tmp_path / "kept").glob("*.model.pt"), key=lambda path: int(path.name.split(".")[0].split("-")[-1])
    )
    assert [read_dict(path, KIND)["made"]["steps"] for path in models] == [3, 7, 9]
    assert len(list((tmp_path / "plain").glob("*.model.pt"))) == 1
    assert (sample(models[2], 5) == sample(results[0].files["model"], 5)).all()
    with pytest.raises(InputError, match="'x' is no number of steps"):
        runner = found.cls(found.cls.options(checkpoints="5,x"))
        runner.prepare(DataSpec("digits"), "cpu")
