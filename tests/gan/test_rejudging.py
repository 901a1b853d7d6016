"""Models that were kept, judged anew: the numbers are those that the other judge would have given in the training."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan.rejudging import Rejudge
from lossgen.gan.sampling import sample
from lossgen.resources import resource_dir
from lossgen.runner import Budget, DataSpec, Member, find_runner

DIGITS = DataSpec("digits")


def prepared(extractor: str) -> Any:
    cls = find_runner(str(resource_dir("runners") / "dcgan.py")).cls
    runner: Any = cls(cls.options.model_validate({"width": 4, "n_samples": 256, "extractor": extractor}))
    runner.prepare(DIGITS, "cpu")
    return runner


def model_of(folder: Path) -> Path:
    loss = load_argument("lsgan")
    (outcome,) = prepared("classifier").train([Member(loss.name, loss.source, (0,), keep=folder)], Budget(20))
    return Path(outcome.files["model"])


def test_it_gives_what_the_other_extractor_gives_in_a_training(tmp_path: Path) -> None:
    model, task = model_of(tmp_path), prepared("random").task
    rejudge = Rejudge(model, DIGITS, "random", 256)
    assert rejudge.metric == "FD[random]"
    assert rejudge.title("KID") == "KID[random] test"
    images = torch.from_numpy(sample(model, 256))
    expected = {**task.judge(images), **task.full(images)}
    assert {"FD[random] test", "KID[random] test", "coverage[random] test"} <= set(expected)
    assert rejudge.measure(model) == pytest.approx(expected)


def test_data_without_such_an_extractor_are_refused_in_one_line(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    with pytest.raises(InputError, match="weights"):
        Rejudge(model, DIGITS, "inception", 256, weights=str(tmp_path / "gone.pth"))
