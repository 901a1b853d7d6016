"""Pools of models from whatever there is, and the command from end to end."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lossgen.api.ensembling import ensemble
from lossgen.cli import cli
from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan.data import Dataset, load
from lossgen.gan.downstream.classifiers import Recipe
from lossgen.gan.downstream.rates import rates
from lossgen.gan.ensembles.downstream import ARMS, ArmRates, check_arms, together
from lossgen.gan.ensembles.pool import Model, read_pool
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.sampling import save_model
from lossgen.gan.streams import stream
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, find_runner, runner_names


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two digits, and models that draw them well, one of them alone, or noise."""
    from sklearn.datasets import load_digits

    top = tmp_path_factory.mktemp("pool")
    digits = load_digits()
    rows = np.flatnonzero(np.isin(digits.target, (0, 1)))
    images, labels = (digits.images[rows] * 15).astype(np.uint8), digits.target[rows]
    names = np.array(["zero", "one"])
    np.savez(top / "real.npz", images=images, labels=labels, classes=names)
    rng = np.random.default_rng(0)
    for name, share in (("good", 1.0), ("ones", 0.15), ("fair", 0.6)):
        chosen = np.flatnonzero((labels == 1) | (rng.random(len(labels)) < share))
        noisy = np.clip(images[chosen].astype(int) + rng.integers(-25, 26, (len(chosen), 8, 8)), 0, 255)
        np.savez(top / f"{name}.npz", images=noisy.astype(np.uint8), labels=labels[chosen], classes=names)
    for i, image in enumerate(rng.integers(0, 256, (120, 8, 8), dtype=np.uint8)):
        folder = top / "noise" / str(names[i % 2])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:03}.png")
    return top


@pytest.fixture(scope="module")
def real(sets: Path) -> Dataset:
    return load(DataSpec(str(sets / "real.npz")))


def test_images_come_from_files_folders_and_model_files(sets: Path, real: Dataset, tmp_path: Path) -> None:
    runner = find_runner("dcgan")
    trained = runner.cls(runner.cls.options(width=4, latent=8, conditional=True, batch_size=16, n_samples=128))
    trained.prepare(DataSpec(str(sets / "real.npz")), "cpu")
    keep = Member("BCE", load_argument("bce").source, (0,), keep=tmp_path / "run" / "models")
    (outcome,) = trained.train([keep], Budget(3))
    found = read_pool([str(sets / "good.npz"), str(sets / "noise"), str(tmp_path / "run")], real, 100)
    assert [model.name for model in found[:2]] == ["good.npz", "noise"] and found[2].name.startswith("BCE-")
    assert outcome.files["model"].is_file()
    for model in found:
        assert model.images.shape == (100, 1, 8, 8) and model.labels is not None
        assert abs(float(np.mean(model.labels)) - 0.5) < 0.05
        assert abs(float(np.mean(model.labels[:30])) - 0.5) < 0.1  # any beginning holds the classes as the whole does


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["good.npz", "good.npz"], "is given twice"),
        (["good.npz", "../{top}/good.npz"], "is given twice"),
        (["good.npz", "nowhere"], "nowhere"),
        (["good.npz", "few.npz"], "holds 9 images; 100 are compared"),
        (["good.npz", "odd.npz"], "has images of odd, which is none of"),
    ],
)
def test_pools_that_cannot_be_read(sets: Path, real: Dataset, names: list[str], message: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8)
    np.savez(sets / "few.npz", images=pixels)
    np.savez(sets / "odd.npz", images=pixels, labels=np.arange(9) % 2, classes=np.array(["odd", "one"]))
    with pytest.raises(InputError, match=message):
        read_pool([str(sets / name.format(top=sets.name)) for name in names], real, 100)


def test_models_of_one_seed_draw_from_noise_of_their_own(sets: Path, real: Dataset, tmp_path: Path) -> None:
    """The same generator under two names: images that no pair of which are of the same noise."""
    net = initialise(Architecture("dcgan", 8, 1, 4, 8, classes=2).generator(), stream(0, 0), std=0.5)
    data = {"classes": ["zero", "one"], "class_counts": [9, 9]}
    paths = [tmp_path / f"{name}.model.pt" for name in "ab"]
    for path in paths:
        save_model(path, net, Architecture("dcgan", 8, 1, 4, 8, classes=2), (0,), data, {})
    one, other = read_pool([str(path) for path in paths], real, 60)
    assert not {image.tobytes() for image in one.images} & {image.tobytes() for image in other.images}
    again, _ = read_pool([str(path) for path in paths], real, 60)
    assert (again.images == one.images).all()
    assert not (read_pool([str(path) for path in paths], real, 60, 1)[0].images == one.images).all()


def test_a_generator_of_one_class_says_of_which(sets: Path, real: Dataset, tmp_path: Path) -> None:
    net = initialise(Architecture("dcgan", 8, 1, 4, 8).generator(), stream(0, 0))
    save_model(tmp_path / "a.model.pt", net, Architecture("dcgan", 8, 1, 4, 8), (0,), {"class": "one"}, {})
    found = read_pool([str(tmp_path), str(sets / "good.npz")], real, 60)[0]
    assert found.labels is not None and (found.labels == 1).all()
    with pytest.raises(InputError, match=r"model a has no image of zero"):
        check_arms(real, [found])


MADE = {
    "good": "import torch\ndef embedding():\n    return torch.nn.Sequential(Float(), torch.nn.Flatten())\n"
    "class Float(torch.nn.Module):\n    def forward(self, x):\n        return x.float()\n",
    "nan": "import torch\nclass Bad(torch.nn.Module):\n    def forward(self, x):\n"
    "        return x.flatten(1) * float('nan')\ndef embedding():\n    return Bad()\n",
    "floats": "import torch\ndef embedding():\n"
    "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))\n",
    "none": "",
    "other": "def embedding():\n    return 3\n",
    "broken": "raise OSError('no weights')\n",
    "syntax": "def\n",
    "fails": "def embedding():\n    raise OSError('no disk')\n",
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("good", ""), ("nan", "extractor nan: its features of .* are NaN or infinite"),
        ("floats", r"network fails on images, uint8 \(60, 1, 8, 8\): RuntimeError: .*; it is to convert"),
        ("none", r"none.py: has no function embedding\(\)"), ("other", "int is no torch.nn.Module"),
        ("broken", "does not load: OSError: no weights"), ("syntax", "line 1: syntax error"),
        ("fails", r"embedding\(\) fails: OSError: no disk"),
        ("absent", "no such file"),
    ],
)  # fmt: skip
def test_an_embedding_of_ones_own(sets: Path, tmp_path: Path, name: str, message: str) -> None:
    file = tmp_path / f"{name}.py"
    if name in MADE:
        file.write_text(MADE[name])
    pool = [str(sets / "real.npz"), str(sets / "good.npz"), str(sets / "fair.npz"), "--images", "60"]
    done = CliRunner().invoke(cli, ["ensemble", *pool, "--no-downstream", "--embedding", str(file)])
    if not message:
        assert done.exit_code == 0 and "FD[good]" in done.output
        return
    assert isinstance(done.exception, InputError) and re.search(message, str(done.exception))


def test_models_together_give_as_many_each() -> None:
    models = [Model(str(i), np.full((10, 1, 8, 8), i, np.uint8), np.full(10, i % 2)) for i in range(3)]
    images, labels = together(models, 10)
    assert np.bincount(images[:, 0, 0, 0]).tolist() == [4, 3, 3] and (labels == images[:, 0, 0, 0] % 2).all()


def test_the_papers_numbers_are_of_the_positive_class() -> None:
    labels, taken = np.array([0] * 8 + [1] * 4), np.array([0] * 6 + [1] * 2 + [1] * 3 + [0])
    found = ArmRates(rates(np.log(np.eye(2)[taken] * 0.98 + 0.01), labels), 1).summary()
    assert found["recall"] == 0.75 and found["precision"] == 0.6 and found["specificity"] == 0.75
    assert found["accuracy"] == 0.75 and found["F1"] == pytest.approx(2 / 3) and found["g-mean"] == 0.75


def test_an_ensemble_leaves_noise_out_and_its_images_teach_a_classifier(sets: Path, tmp_path: Path) -> None:
    pool = [str(sets / name) for name in ("good.npz", "ones.npz", "fair.npz", "noise")]
    said: list[str] = []
    asked = {"images": 100, "repetitions": 3, "recipe": Recipe(steps=40), "out": tmp_path, "say": said.append}
    report = ensemble(str(sets / "real.npz"), pool, **asked)  # type: ignore[arg-type]
    assert 3 not in report.pick.models and len(report.found) == 11 and set(report.tested or ()) == set(ARMS)
    assert report.tested is not None
    mean = {arm: np.mean([each.summary()["accuracy"] for each in found]) for arm, found in report.tested.items()}
    assert mean["chosen ensemble"] > 0.9 and mean["real only"] > 0.9
    assert any("Fewer than 10 repetitions" in line for line in said)
    count = len(load(DataSpec(str(sets / "real.npz"))).train)
    assert any(f"learn from 100 generated images, or from all {count} real ones, in 40" in line for line in said)
    numbers = json.loads((tmp_path / "ensemble.json").read_text())
    assert len(numbers["alone"]) == 4 and set(numbers["alone"][0]) == {"density", "coverage", "intra_d"}
    assert numbers["pick"]["models"] == list(report.pick.models) and len(numbers["tested"]["real only"]) == 3
    page = (tmp_path / "ensemble.md").read_text()
    assert (
        "## The front" in page
        and "| model | density |" in page
        and "![The front](front.png)" in page
        and (tmp_path / "front.png").stat().st_size > 1000
    )
    assert any(line.startswith("Chosen: ") for line in said) and any("positive is one" in line for line in said)
    assert any("has seen what is tested on" in line for line in said)


def test_the_test_split_has_no_say_in_what_is_chosen(sets: Path, tmp_path: Path) -> None:
    data = load(DataSpec(str(sets / "real.npz")))
    rng = np.random.default_rng(0)
    picks = []
    for test in (data.test.images[:, 0], rng.integers(0, 256, data.test.images[:, 0].shape, dtype=np.uint8)):
        np.savez(
            tmp_path / "split.npz", train_images=data.train.images[:, 0], train_labels=data.train.labels,
            val_images=data.validation.images[:, 0], val_labels=data.validation.labels, test_images=test,
            test_labels=data.test.labels, classes=np.array(data.classes),
        )  # fmt: skip
        pool = [str(sets / name) for name in ("good.npz", "ones.npz", "fair.npz")]
        asked = {"images": 60, "downstream": False, "embedding": "random", "say": lambda line: None}
        picks.append(ensemble(str(tmp_path / "split.npz"), pool, **asked).pick)  # type: ignore[arg-type]
    assert picks[0] == picks[1]


def test_what_classifiers_cannot_learn_from_is_said_before_anything_is_chosen(sets: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.npz"
    np.savez(bare, images=np.load(sets / "good.npz")["images"])
    for real, pool, message in (
        (
            sets / "real.npz",
            [bare, sets / "good.npz"],
            r"model bare.npz has no classes \(--conditional .* --no-downstream",
        ),
        (bare, [sets / "noise", bare], "none of .* classes|not at least two classes"),
    ):
        with pytest.raises(InputError, match=message):
            ensemble(real, pool, images=60, say=lambda line: None)
    said: list[str] = []
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        ensemble(sets / "real.npz", [bare, tmp_path / "nowhere"], say=said.append)
    assert not said


def test_the_command_and_the_script_are_one(sets: Path) -> None:
    arguments = [
        str(sets / "real.npz"),
        str(sets / "good.npz"),
        str(sets / "fair.npz"),
        "--images",
        "60",
        "--no-downstream",
    ]
    done = CliRunner().invoke(cli, ["ensemble", *arguments])
    assert done.exit_code == 0 and "Looked at 1 ensembles" in done.output
    script = subprocess.run(
        [sys.executable, str(resource_dir("runners") / "ensemble.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert script.returncode == 0 and script.stdout == done.output
    wrong = subprocess.run(
        [sys.executable, str(resource_dir("runners") / "ensemble.py"), *arguments[:2]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "takes at least 2" in wrong.stderr


def test_it_is_no_runner() -> None:
    assert "ensemble" not in runner_names()
    with pytest.raises(InputError, match="runner ensemble: unknown"):
        find_runner("ensemble")
