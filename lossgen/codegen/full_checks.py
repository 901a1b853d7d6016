"""Checks of an emitted module beyond plain eager calls: autocast, half precision, torch.func, export, compile.

Each runs the module in its way on the scores of `verify_module` and holds the outcome against the kernel, in float32.
They take seconds, most of them torch's own start, so they are for what is handed out: champions, `compile --full`.
"""

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lossgen.codegen.curves import Array, as_curves, differentiated, kernel_curves, module_values, score_rows
from lossgen.codegen.load import load_source
from lossgen.codegen.verify import TOLERANCE, compare_curves, one_line, running
from lossgen.errors import CheckError
from lossgen.language.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor, nn

HALF_GRADIENT = {"float16": 4e-3, "bfloat16": 2e-2}
"""Tolerance of a gradient that is handed back in half precision: some of its roundings, 2^-11 and 2^-8 of a number."""
VMAPPED = (1.0, -1.0, 0.5)
"""Factors on the scores: the batch that torch.func.vmap works on."""


def full_checks(loss: Loss, source: str) -> Iterator[str]:
    """One line a check that has passed, as it ends.

    Raises:
        CheckError: what failed, and where it differs from the kernel.
    """
    import torch

    def fresh() -> Any:
        """A module as a training starts with, which still looks at what its first calls are given."""
        criterion: Any = load_source(source)
        criterion.reduction = "none"
        return criterion

    scores = score_rows(loss)[0]
    whose = f"{loss.name}: the emitted module's"
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        at = "" if device == "cpu" else f" on {device}"
        try:
            for dtype in (torch.float16, torch.bfloat16):
                kind = str(dtype).removeprefix("torch.")
                _autocast(loss, fresh(), whose, scores, dtype, device)
                yield f"autocast {kind}{at}: finite, equal"
                _half(loss, fresh(), whose, scores, dtype, device)
                yield f"{kind} scores{at}: finite, equal"
        except torch.OutOfMemoryError:
            if device == "cpu":
                raise
            yield f"not checked{at}: out of memory"
    _vmap(loss, fresh(), whose, scores)
    yield "torch.func.vmap, torch.func.grad: equal"
    with _quiet():
        _run("torch.export", loss, whose, scores, lambda: _exported(fresh(), scores))
        yield "torch.export: equal"
        yield f"torch.compile: {_compile(loss, fresh(), whose, scores)}"


def compiler() -> str | None:
    """Path of the C++ compiler that torch.compile would use, None where there is none."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX", usual))


def _autocast(loss: Loss, criterion: Any, whose: str, scores: Array, dtype: Any, device: str) -> None:
    import torch

    kind = str(dtype).removeprefix("torch.")
    with _running(f"{whose} code does not run under {device} autocast {kind}"):
        leaf = torch.tensor(scores, dtype=torch.float32, device=device, requires_grad=True)
        with torch.autocast(device, dtype=dtype):
            values = module_values(criterion, leaf)
        found = differentiated(values, leaf)
    how = f"float32 under {device} autocast {kind}"
    compare_curves(whose, kernel_curves(loss, scores), found, scores, how, TOLERANCE["float32"])


def _half(loss: Loss, criterion: Any, whose: str, scores: Array, dtype: Any, device: str) -> None:
    """Scores in half precision: a loss in float32, a gradient in the scores' own dtype."""
    import torch

    kind = str(dtype).removeprefix("torch.")
    with _running(f"{whose} code does not run for {kind} scores on {device}"):
        leaf = torch.tensor(scores, dtype=dtype, device=device, requires_grad=True)
        values = module_values(criterion, leaf)
        if values.dtype is not torch.float32:
            raise CheckError(f"{whose} loss of {kind} scores is {values.dtype}, not float32")
        rounded = leaf.detach().double().cpu().numpy()
        found = differentiated(values, leaf)
    how, tolerance = f"float32 from {kind} scores", TOLERANCE["float32"]
    compare_curves(whose, kernel_curves(loss, rounded), found, rounded, how, tolerance, HALF_GRADIENT[kind])


@contextlib.contextmanager
def _running(failed: str) -> Iterator[None]:
    """As `running`; a device that is too full even for its context says so by another exception than tensors do."""
    import torch

    with running(failed):
        try:
            yield
        except RuntimeError as error:
            if "CUDA error: out of memory" in str(error):
                raise torch.OutOfMemoryError(str(error)) from None
            raise


def _vmap(loss: Loss, criterion: Any, whose: str, scores: Array) -> None:
    import torch

    def values(rows: "Tensor") -> "Tensor":
        return module_values(criterion, rows)

    batch = np.stack([factor * scores for factor in VMAPPED])
    leaf = torch.tensor(batch, dtype=torch.float32)
    with running(f"{whose} code does not run under torch.func.vmap"):
        found = torch.func.vmap(values)(leaf)
        slopes = torch.func.vmap(torch.func.grad(lambda rows: values(rows).sum()))(leaf)
    for number, rows in enumerate(batch):
        curves = as_curves(found[number], slopes[number])
        how = "float32 under torch.func.vmap"
        compare_curves(whose, kernel_curves(loss, rows), curves, rows, how, TOLERANCE["float32"])


def _probe(criterion: Any) -> "nn.Module":
    """A small module that calls the criterion in all its ways."""
    from torch import nn

    class Probe(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.criterion = criterion

        def forward(self, scores: "Tensor") -> "Tensor":
            return module_values(self.criterion, scores)

    return Probe()


def _exported(criterion: Any, scores: Array) -> "Callable[[Tensor], Tensor]":
    import torch

    example = torch.zeros(scores.shape, dtype=torch.float32)
    return torch.export.export(_probe(criterion), (example,)).module()


def _compile(loss: Loss, criterion: Any, whose: str, scores: Array) -> str:
    import torch

    if compiler() is None:
        return "not checked: no C++ compiler"
    # Its default, a pool of processes for kernels that are compiled at once, would outlive the few of this loss.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    try:
        _run("torch.compile", loss, whose, scores, lambda: torch.compile(_probe(criterion), fullgraph=True))
    except _NotRunError as error:
        if not _compiles_anything():
            return f"not checked: {compiler()} does not compile what torch writes"
        raise error from None
    finally:
        torch.compiler.reset()
    return "equal, in one graph"


class _NotRunError(CheckError):
    """The module did not run at all."""


def _run(what: str, loss: Loss, whose: str, scores: Array, make: "Callable[[], Callable[[Tensor], Tensor]]") -> None:
    """Make a program of the module, run it, hold it against the kernel."""
    import torch

    leaf = torch.tensor(scores, dtype=torch.float32, requires_grad=True)
    try:
        found = differentiated(make()(leaf), leaf)
    except Exception as error:  # noqa: BLE001  each stage of torch's compiler has exceptions of its own
        raise _NotRunError(f"{whose} code does not pass {what}: {one_line(error)}") from None
    compare_curves(whose, kernel_curves(loss, scores), found, scores, f"float32 by {what}", TOLERANCE["float32"])


def _compiles_anything() -> bool:
    import torch

    try:
        torch.compile(lambda x: x + 1.0, fullgraph=True)(torch.zeros(4))
    except Exception:  # noqa: BLE001  whatever it is, the loss has no part in it
        return False
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings about the machine, which no reader of one loss's result has asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
