"""How many workers a run starts where none are asked for."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lossgen import devices
from lossgen.api import work
from lossgen.errors import InputError

Call = Callable[..., tuple[int, str, str]]
COMMAND = ["--command", "sh train.sh {loss_file} {out} {seed}", "--metric", "{out}/m.json:fid"]


@pytest.mark.parametrize(
    ("flags", "workers"),
    [
        ([*COMMAND, "--device", "cuda"], 3),
        ([*COMMAND, "--device", "cuda:1"], 1),
        ([*COMMAND, "--device", "cuda", "--workers", "5"], 5),
        (["--device", "cuda"], 3),
        (["--device", "cuda:2"], 1),
        (["--device", "cpu"], 7),
    ],
)
def test_there_is_a_worker_a_gpu(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], workers: int
) -> None:
    def started(run: Any, count: int, listener: Any) -> NoReturn:
        raise InputError(f"{count} workers")

    (tmp_path / "train.sh").write_text("exit 1\n")
    monkeypatch.setattr(work, "session_of", started)
    monkeypatch.setattr(devices, "gpus", lambda: ["0", "1", "2"])
    monkeypatch.setattr("joblib.cpu_count", lambda: 7)
    monkeypatch.delenv("LOSSGEN_WORKERS")
    assert call("compare", "hinge", *flags)[2] == f"error: {workers} workers\n"


@pytest.mark.parametrize(
    ("told", "says"), [("3", "3 workers"), ("0", "0 workers"), ("few", "LOSSGEN_WORKERS 'few': is no number of worker")]
)
def test_the_environment_says_how_many_there_are(
    call: Call, monkeypatch: pytest.MonkeyPatch, told: str, says: str
) -> None:
    def started(run: Any, count: int, listener: Any) -> NoReturn:
        raise InputError(f"{count} workers")

    monkeypatch.setattr(work, "session_of", started)
    monkeypatch.setenv("LOSSGEN_WORKERS", told)
    code, _, error = call("compare", "hinge")
    assert code == 2 and error.startswith(f"error: {says}")


def test_gpus_are_called_as_the_environment_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.gpus() == ["0", "1"]
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "4, 6")
    assert devices.gpus() == ["4", "6"]
