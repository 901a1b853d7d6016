"""Bad input of any kind ends in one clear line that says what, where and what to do: exit code 2, no traceback."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.sampling import save_model
from lossgen.gan.streams import stream

TOY = str(Path(__file__).parents[1] / "toy_runner.py")
Call = Callable[..., tuple[int, str, str]]


def refused(result: tuple[int, str, str], *words: str, lines: int = 1) -> None:
    code, out, err = result
    said = [line for line in err.splitlines() if line.strip()]
    assert code == 2, out + err
    assert "Traceback" not in out + err
    assert err.startswith("error: "), err
    assert len(said) <= lines, err
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sqr(y_pred)", ["unknown operator 'sqr'", "expected sqrt"]),
        ("(y_pred + 1", ["ends too early", "expected )"]),
        ("y_pred + 1)", ["unexpected ')'", "line 1, column 11"]),
        ("y_pred +", ["ends too early"]),
        ("sqrt(" * 101 + "y_pred" + ")" * 101, ["deeper than 100"]),
        ("+".join(["y_pred"] * 501), ["nested deeper"]),
        ("loss 3(y_pred) = y_pred", ["line 1, column 6"]),
        ("loss class(y_pred) = y_pred", ["not a class name"]),
        ("loss A;import os(y_pred) = y_pred", ["unexpected character ';'"]),
        ("1e400 * y_pred", ["not a finite"]),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "compile"])
def test_loss_text_is_shown_with_a_caret(call: Call, command: str, text: str, words: list[str]) -> None:
    result = call(command, text)
    refused(result, *words, lines=4)
    assert "^" in result[2].splitlines()[2]


def test_empty_text_and_too_much_text(call: Call) -> None:
    refused(call("compile", ""), "empty text")
    refused(call("compile", " \n\t"), "empty text")
    refused(call("compile", "y_pred + " * 9000 + "1"), "64 KiB")


@pytest.mark.parametrize(
    "name", ["not a name", "class", "A:\n    pass\nimport os", "torch", "print", "", "é", "x" * 65]
)
def test_names_that_cannot_be_a_class(call: Call, name: str) -> None:
    refused(call("compile", "y_pred", "--name", name), "name")


def test_files_that_are_no_losses(call: Call, tmp_path: Path) -> None:
    (tmp_path / "binary.loss").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "plain.py").write_text("print('hello')\n")
    (tmp_path / "broken.py").write_text("def (\n")
    (tmp_path / "folder.loss").mkdir()
    refused(call("inspect", "nowhere.loss"), "no such file")
    refused(call("inspect", "binary.loss"), "not a text file")
    refused(call("inspect", "plain.py"), "holds no loss")
    refused(call("inspect", "broken.py"), "not a Python file")
    refused(call("inspect", "folder.loss"), "folder")
    refused(call("inspect", "nosuchzoo"), "not in the zoo", "ganetic")


@pytest.mark.parametrize("words", [("report",), ("show",), ("evolve", "--data"), ("data",), ("augment",)])
def test_the_home_of_somebody_whom_nobody_knows(call: Call, words: tuple[str, ...]) -> None:
    refused(call(*words, "~nosuchuser/x"), "~nosuchuser/x", "no")


def test_a_changed_body_is_not_run(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("compile", "hinge")
    assert code == 0
    (tmp_path / "h.py").write_text(out + "\nopen('was-run', 'w')\n")
    refused(call("inspect", "h.py"), "--trust")
    refused(call("compare", "h.py"), "--trust")
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--population", "-3"], ["--population", "-3"]),
        (["--population", "many"], ["--population", "many"]),
        (["--generations", "0"], ["--generations"]),
        (["--verify-seeds", "1"], ["--verify-seeds"]),
        (["--seed", "-1"], ["--seed"]),
        (["--time-limit", "soon"], ["--time-limit", "15m"]),
        (["--time-limit", "0s"], ["--time-limit"]),
        (["--no-such-flag"], ["--no-such-flag"]),
        (["--fit", "squeeze"], ["--fit", "pad"]),
        (["--lr-generator", "-1"], ["--lr-generator", "greater than 0"]),
        (["--width", "wide"], ["--width", "integer"]),
        (["--space", "nowhere"], ["space nowhere", "ganetic"]),
        (["--runner", "nowhere"], ["runner nowhere", "dcgan"]),
        (["--runner", "nowhere.py"], ["runner nowhere.py", "no such file"]),
        (["--seed-loss", "hinge"], ["outside the search space"]),
        (["--seed-loss", "nosuch"], ["not in the zoo"]),
        (["--space", "roles", "--seed-loss", "wasserstein"], ["Wasserstein", "gradient_penalty", "needs:"]),
        (["--space", "roles", "--seed-loss", "relativistic_average"], ["outside the search space", "mean_fake"]),
        (["--resume", "nowhere"], ["run nowhere", "not found"]),
    ],
)
def test_flags_of_evolve(call: Call, tmp_path: Path, flags: list[str], words: list[str]) -> None:
    refused(call("evolve", *flags), *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def (:\n", ["line 1", "syntax error"]),
        ("import nosuchmodule\n", ["does not load", "nosuchmodule"]),
        ("x = 1\n", ["holds no class"]),
        (Path(TOY).read_text() + "\nclass Second(Toy):\n    pass\n", ["several classes", "Second"]),
        (Path(TOY).read_text().replace("pause: float", "population: float"), ["population", "clashes"]),
    ],
)
def test_runner_files(call: Call, tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "mine.py").write_text(text)
    refused(call("evolve", "--runner", "mine.py"), *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("    options = Options", "    settings = Options"), ["no options"]),
        (("    options = Options", "    options = BaseModel"), ["no pydantic model", "class Options(BaseModel)"]),
        (("    options = Options", "    options = {}"), ["no pydantic model", "class Options(BaseModel)"]),
        (('{"distance": "min"}', '{"distance": "minimize"}'), ["minimize", "'min' or 'max'"]),
        (('{"distance": "min"}', "{}"), ["at least one metric"]),
        (
            ("        return Preparation", "        raise ValueError('boom')\n        return Preparation"),
            ["boom", "mine.py"],
        ),
        (("import os\n", "import os\nraise SystemExit(3)\n"), ["does not load", "SystemExit"]),
        (
            ('return Outcome("ok", {"distance": distance}', 'return Outcome("ok", {"far": distance}'),
            ["distance", "missing"],
        ),
        (("distance = abs(value - 1.0) + luck", "distance = float('nan')"), ["distance", "nan"]),
    ],
)
def test_runners_that_break_the_contract(call: Call, tmp_path: Path, change: tuple[str, str], words: list[str]) -> None:
    text = Path(TOY).read_text()
    assert change[0] in text
    (tmp_path / "mine.py").write_text(text.replace(*change))
    refused(call(*small("--runner", "mine.py")), *words)
    assert not list((tmp_path / "runs").glob("*"))


def test_an_expression_that_begins_with_a_minus(call: Call) -> None:
    refused(call("inspect", "-y_real * log(y_pred)"), "-- '-y_real * log(y_pred)'")
    assert call("compile", "--", "-y_real * log(y_pred) - (1 - y_real) * log(1 - y_pred)")[0] == 0


def test_pictures_that_cannot_be_drawn(call: Call) -> None:
    refused(call("inspect", "bce", "--plot", "p.xyz"), "p.xyz", "png")
    assert call("inspect", "exp(score * 100)^1000", "--plot", "p.png")[0] == 0


def small(*more: str) -> list[str]:
    return ["evolve", "--population", "1", "--generations", "1", "--steps", "2", "--verify-seeds", "2", *more]


def folder_of(path: Path, *pictures: np.ndarray) -> str:
    path.mkdir()
    for i, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(path / f"{i}.png")
    return str(path)


def test_data_that_cannot_be_used(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (16, 16), dtype=np.uint8) for _ in range(8)]
    refused(call(*small("--data", "nowhere")), "nowhere", "digits")
    refused(call(*small("--data", "mnist", "--data-dir", str(tmp_path))), "--download")
    (tmp_path / "empty").mkdir()
    refused(call(*small("--data", "./empty")), "empty")
    unreadable = folder_of(tmp_path / "unreadable", *noise)
    (tmp_path / "unreadable" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    refused(call(*small("--data", unreadable)), "3.png")
    (tmp_path / "unreadable" / "3.png").write_bytes(b"")
    refused(call(*small("--data", unreadable)), "3.png")
    constant = folder_of(tmp_path / "constant", *[np.full((16, 16), 7, np.uint8)] * 8)
    refused(call(*small("--data", constant)), "constant")
    images = np.ones((9, 8, 8), np.float32)
    images[3, 2, 2] = np.nan
    np.savez(tmp_path / "nan.npz", images=images)
    refused(call(*small("--data", str(tmp_path / "nan.npz"))), "NaN")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04rubbish")
    refused(call(*small("--data", str(tmp_path / "bad.npz"))), "bad.npz")
    assert not list((tmp_path / "runs").glob("*")), "a refused run left its folder behind"


def test_a_device_that_is_not_there(call: Call) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    refused(call(*small("--device", "cuda")), "cuda", "cpu")
    refused(call(*small("--device", "toaster")), "toaster")


def test_output_that_is_in_the_way_is_left_alone(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refused(call(*small("--out", "file")), "--out file", "folder")
    refused(call(*small("--out", "full")), "not empty")
    refused(call(*small("--generated", "file")), "--generated file")
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sealed").mkdir(mode=0o500)
    refused(call(*small("--out", "sealed/run")), "sealed")
    refused(call(*small("--generated", "sealed/found")), "--generated")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(call: Call, tmp_path: Path) -> None:
    full = tmp_path / f".x.py.{os.getpid()}"
    full.symlink_to("/dev/full")
    refused(call("compile", "hinge", "-o", "x.py"), "x.py", "No space left")
    assert not (tmp_path / "x.py").exists()


def test_archives_and_configurations_that_are_damaged(call: Call, tmp_path: Path) -> None:
    code, _, err = call(*small("--runner", TOY, "--out", "run"))
    assert code == 0, err
    for name, content, word in (
        ("archive.sqlite", b"rubbish" * 999, "damaged or no archive"),
        ("run.toml", b"= nonsense", "not a TOML file"),
        ("run.toml", b"schema = 77\n", "schema 77"),
        ("run.toml", b"schema = 1\nkind = 'dance'\n", "kind"),
    ):
        path = tmp_path / "run" / name
        kept = path.read_bytes()
        path.write_bytes(content)
        refused(call("evolve", "--resume", "run"), word)
        refused(call("show", "run"), word)
        assert path.read_bytes() == content
        path.write_bytes(kept)
    refused(call("evolve", "--resume", "run", "--steps", "9"), "--steps")
    refused(call("compare", "--resume", "run"), "lossgen evolve")
    refused(call("evolve", "--runner", TOY, "--out", "run"), "holds a run already", "--resume run")


def test_models_that_are_none(call: Call, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"rubbish")
    refused(call("sample", "m.pt", "--out", "s"), "m.pt")
    refused(call("sample", "nowhere.pt", "--out", "s"), "no such file")
    refused(call("sample", "m.pt"), "--out")


def test_classes_that_a_model_does_not_have(call: Call, tmp_path: Path) -> None:
    for classes in (0, 2):
        architecture = Architecture("dcgan", 8, 1, 4, 8, classes=classes)
        generator = initialise(architecture.generator(), stream(0, 0))
        data = {"classes": ["cat", "dog"], "class_counts": [3, 5]}
        save_model(tmp_path / f"{classes}.pt", generator, architecture, (0,), data, {})
    refused(call("sample", "0.pt", "--class", "cat", "--out", "s.npz"), "0.pt", "not a class-conditional")
    refused(call("sample", "2.pt", "--class", "cow", "--out", "s.npz"), "'cow'", "2.pt", "its classes are: cat, dog")
    assert not (tmp_path / "s.npz").exists()
    code, out, _ = call("sample", "2.pt", "--class", "dog", "-n", "3", "--out", "s.npz")
    assert code == 0 and out == "3 images of class dog: s.npz\n"
    with np.load(tmp_path / "s.npz") as found:
        assert found["images"].shape == (3, 8, 8, 1) and (found["labels"] == 1).all()
    kept = (tmp_path / "s.npz").read_bytes()
    refused(call("sample", "2.pt", "-n", "3", "--out", "s.npz"), "s.npz: exists already")
    assert (tmp_path / "s.npz").read_bytes() == kept


def test_comparisons_that_make_no_sense(call: Call) -> None:
    refused(call("compare"), "at least one LOSS")
    refused(call("compare", "bce", "bce"), "each loss once")
    refused(call("compare", "y_pred", "y_pred + 1"), "two losses are called Loss")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--regulariser", "r2"], ["--regulariser 'r2'", "r1, gradient_penalty"]),
        (["--regulariser", "none,r1", "--runner", "ring"], ["--regulariser r1", "ring", "has none"]),
        (["--grid", "1e-3:1e-3"], ["--grid", "--tune"]),
        (["--tune", "--grid", "1e-3"], ["--grid", "'1e-3'", "generator:discriminator"]),
        (["--tune", "--tune-seeds", "0"], ["--tune-seeds"]),
        (["--tune", "--runner", TOY], ["--tune", "no option lr_generator"]),
        (["--resume", "run", "--tune"], ["--resume run", "leave out --tune"]),
    ],
)
def test_conditions_that_a_comparison_cannot_have(
    call: Call, tmp_path: Path, flags: list[str], words: list[str]
) -> None:
    refused(call("compare", "bce", *flags), *words)
    assert not (tmp_path / "runs").exists()


def test_a_calibration_that_cannot_be(call: Call) -> None:
    refused(call("calibrate", "--steps", "10"), "--budgets")
    refused(call("calibrate", "--beside", "nosuch", "--out", "run"), "run nosuch: not found")
    assert not Path("run").exists()
