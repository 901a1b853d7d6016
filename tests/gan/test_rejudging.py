"""Models that were kept, judged anew: the numbers are those that the other judge would have given in the training."""

from pathlib import Path

import pytest

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan.rejudging import Rejudge
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, Outcome, find_runner

DIGITS = DataSpec("digits")


def trained(extractor: str, folder: Path) -> Outcome:
    cls = find_runner(str(resource_dir("runners") / "dcgan.py")).cls
    runner = cls(cls.options.model_validate({"width": 4, "n_samples": 256, "extractor": extractor}))
    runner.prepare(DIGITS, "cpu")
    loss = load_argument("lsgan")
    (outcome,) = runner.train([Member(loss.name, loss.source, (0,), keep=folder)], Budget(20))
    return outcome


def test_it_gives_what_the_other_extractor_gives_in_a_training(tmp_path: Path) -> None:
    seen, other = trained("classifier", tmp_path / "a"), trained("random", tmp_path / "b")
    rejudge = Rejudge(seen.files["model"], DIGITS, "random", 256)
    assert rejudge.metric == "FD[random]"
    assert rejudge.title("KID") == "KID[random] test"
    found = rejudge.measure(seen.files["model"])
    _, last = other.curve[-1]
    assert found["FD[random] test"] == pytest.approx(last["FD[random] test"])
    for name in ("KID[random] test", "coverage[random] test"):
        assert found[name] == pytest.approx(other.metrics[name])


def test_data_without_such_an_extractor_are_refused_in_one_line(tmp_path: Path) -> None:
    model = trained("classifier", tmp_path).files["model"]
    with pytest.raises(InputError, match="weights"):
        Rejudge(model, DIGITS, "inception", 256, weights=str(tmp_path / "gone.pth"))
