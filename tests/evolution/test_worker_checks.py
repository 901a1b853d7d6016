"""What a worker says of a check that does not end as one expects: one candidate's outcome, never the search's end."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lossgen.codegen.torch_module import emit_torch
from lossgen.evolution.workers.messages import Check, Task
from lossgen.evolution.workers.serving import Server
from lossgen.language.parser import parse_loss
from lossgen.runner import Member

TEXT = "loss Fine(y_real, y_pred) = square(y_pred - y_real)"
SOURCE = emit_torch(parse_loss(TEXT))


def task(source: str = SOURCE, check: Check = "equal", text: str = TEXT) -> Task:
    return Task("k", Member("Fine", source, (0,)), text, 0, check=check)


def raising(error: BaseException) -> Callable[..., Any]:
    def broken(*_: object, **__: object) -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    ("where", "check"),
    [("lossgen.codegen.verify.verify_module", "equal"), ("lossgen.codegen.full_checks.full_checks", "full")],
)
def test_an_unexpected_exception_is_the_outcome_of_the_one_check(
    where: str, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    assert server.check(task()).status == "ok"
    server.verified.clear()
    with monkeypatch.context() as patch:
        patch.setattr(where, raising(ZeroDivisionError("of nobody's making\nand more")))
        outcome = server.check(task(check=check))
    assert (outcome.status, outcome.reason) == ("crashed", "ZeroDivisionError: of nobody's making")
    assert (SOURCE in server.verified) is (check == "full"), "a module that was not compared was taken for sound"


def test_a_text_that_is_no_loss_and_want_of_memory_are_outcomes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Server().check(task(text="loss Fine(y_real) = nonsense("))
    assert outcome.status == "crashed"
    monkeypatch.setattr("lossgen.codegen.verify.module_curves", raising(MemoryError()))
    outcome = Server().check(task())
    assert (outcome.status, outcome.reason.split(":")[0]) == ("crashed", "MemoryError")  # and not ill-conditioned


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("class Fine", "del torch\n\n\nclass Fine", "does not run in float64: NameError: name 'torch' is not defined"),
        ("class Fine", "def fake(score):\n    return None\n\n\nclass Fine", "does not run in float64: TypeError: "),
        ("self.reduction = reduction", "self.reduction = reduction + missing", "cannot be built with its defaults"),
    ],
)
def test_whatever_a_module_raises_is_a_fault_of_the_module(right: str, wrong: str, said: str) -> None:
    assert right in SOURCE
    outcome = Server().check(task(SOURCE.replace(right, wrong)))
    assert (outcome.status, outcome.reason.split(":")[0]) == ("crashed", "ill-conditioned")
    assert said in outcome.reason
    assert "\n" not in outcome.reason


def test_a_device_without_memory_is_said_and_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    out = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 bytes")
    tensor = torch.tensor
    for error in (out, RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later")):

        def full(*values: Any, error: Exception = error, **options: Any) -> torch.Tensor:
            if options.get("device") == "cuda":
                raise error
            return tensor(*values, **options)

        with monkeypatch.context() as patch:
            patch.setenv("CXX", "no-such-compiler")
            patch.setattr("torch.cuda.is_available", lambda: True)
            patch.setattr("torch.tensor", full)
            outcome = Server().check(task(check="full"))
        assert outcome.status == "ok", outcome.reason
        lines = outcome.reason.split("; ")
        assert lines.count("not checked on cuda: out of memory") == 1
        assert "torch.export: equal" in lines, "what follows was left out"
        assert "autocast float16 on cuda: finite, equal" not in lines
