"""Proof of the files of other targets than PyTorch, with the same measure: `verify.compare_curves`.

A Keras file is proven in value and gradient on Keras' PyTorch backend: in float32, and in float64 where it does without
`ops.maximum`, `ops.minimum` and means of a batch, which are float32 there whatever they are given. As float32 leaves
room for small faults, it is held against the PyTorch module, too, which does the same arithmetic and is proven in
float64. A NumPy file is proven in value, in float64. The means that the two players minimise are proven for both.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lossgen.codegen.curves import (
    ROWS,
    TARGETS,
    Array,
    Curves,
    kernel_curves,
    module_curves,
    score_rows,
    tuned,
    tunings,
)
from lossgen.codegen.load import load_source, run_source
from lossgen.codegen.torch_module import emit_torch
from lossgen.codegen.verify import TOLERANCE, compare_curves, compare_players, running
from lossgen.errors import InputError
from lossgen.language.loss import Loss
from lossgen.language.operators import BATCH_TERMS

if TYPE_CHECKING:
    from torch import Tensor

ALIKE = 1e-4
"""Largest difference between the Keras and the PyTorch module in the same dtype, in the measure of verify.TOLERANCE."""


def verify_keras(loss: Loss, source: str) -> None:
    """Compare the Keras file in `source` with the kernel's evaluation of `loss`, in value and gradient.

    Raises:
        CheckError: where and by how much they differ, or that the file does not run.
        InputError: Keras is not installed, or runs on another backend than PyTorch in this process.
    """
    import torch

    keras = keras_on_torch()
    built, in_torch = getattr(run_source(source), loss.name), type(load_source(emit_torch(loss)))
    single = any(f"ops.{name}(" in source for name in ("maximum", "minimum")) or loss.variables() & set(BATCH_TERMS)
    for constants in tunings(loss):
        whose = _whose(loss, "Keras", constants)
        for scores in score_rows(loss):
            expected = kernel_curves(tuned(loss, constants), scores)
            for kind in ("float32",) if single else ("float64", "float32"):
                leaf = torch.tensor(scores, dtype=getattr(torch, kind), requires_grad=True)
                with running(f"{whose} code does not run in {kind}"):
                    with keras.device("cpu"):
                        found = module_curves(_InTorchsOrder(built(reduction="none", dtype=kind, **constants)), leaf)
                        minimised = _minimised(built(dtype=kind, **constants), leaf.detach())
                    alike = module_curves(in_torch(reduction="none", **constants), leaf)
                compare_curves(whose, expected, found, scores, kind)
                compare_curves(whose, alike, found, scores, kind, ALIKE, reference="the PyTorch module's")
                # Keras' means are float32, see above.
                compare_players(whose, expected, minimised, kind, max(TOLERANCE[kind], ALIKE))
                compare_players(whose, alike, minimised, kind, ALIKE, reference="the PyTorch module's")


def verify_numpy(loss: Loss, source: str) -> None:
    """Compare the NumPy file in `source` with the kernel's evaluation of `loss`, in value.

    Raises:
        CheckError: where and by how much they differ.
    """
    functions = run_source(source)
    for constants in tunings(loss):
        for scores in score_rows(loss):
            expected = kernel_curves(tuned(loss, constants), scores)
            whose = _whose(loss, "NumPy", constants)
            with running(f"{whose} code does not run"), np.errstate(all="ignore"):
                values = numpy_values(functions, scores, constants)
                minimised = _minimised(functions, scores, constants)
            found = Curves(expected.names, values, expected.gradients)
            compare_curves(whose, expected, found, scores, "float64")
            compare_players(whose, expected, minimised, "float64")


def numpy_values(functions: Any, scores: Array, constants: dict[str, float]) -> Array:
    """Values of the functions of a NumPy file, in the rows of `Curves`."""
    means = {"mean_real": scores[0].mean(), "mean_fake": scores[1].mean()}
    given = {**means, **constants}
    values = np.zeros_like(scores)
    for row, name in enumerate(ROWS):
        if hasattr(functions, name):
            function = getattr(functions, name)
            values[row] = function(scores[row], **_taken(function, given))
    for row, target in enumerate(TARGETS[: len(scores) - len(ROWS)], len(ROWS)):
        tuned_to = _taken(functions.loss, constants)
        values[row] = functions.loss(scores[row], np.full_like(scores[row], target), **tuned_to)
    return values


def _minimised(players: Any, scores: Any, constants: Mapping[str, float] | None = None) -> tuple[float, float]:
    """What discriminator_loss and generator_loss give for the rows of scores."""
    of_both, of_generator = players.discriminator_loss, players.generator_loss
    given = constants or {}
    return (
        float(of_both(scores[0], scores[1], **_taken(of_both, given))),
        float(of_generator(scores[2], scores[3], **_taken(of_generator, given))),
    )


def _taken(function: Any, given: Mapping[str, float]) -> dict[str, float]:
    """Those of the keywords that a function takes."""
    takes = inspect.signature(function).parameters
    return {key: value for key, value in given.items() if key in takes}


class _InTorchsOrder:
    """A Keras criterion, called as the PyTorch one is."""

    def __init__(self, criterion: Any) -> None:
        self.criterion = criterion
        self.discriminator_loss = criterion.discriminator_loss
        self.generator_loss = criterion.generator_loss

    def __call__(self, score: "Tensor", target: "Tensor") -> "Tensor":
        found: Tensor = self.criterion(target, score)
        return found


def keras_on_torch() -> Any:
    """Keras on its PyTorch backend."""
    chosen = os.environ.get("KERAS_BACKEND")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        keras = importlib.import_module("keras")
    except ImportError:
        raise InputError(
            "target keras: a file is proven before it is written, and Keras is not installed: "
            "pip install 'lossgen[keras]'"
        ) from None
    finally:
        os.environ.pop("KERAS_BACKEND", None)
        if chosen is not None:
            os.environ["KERAS_BACKEND"] = chosen
    if keras.backend.backend() != "torch":
        raise InputError(f"target keras: proven on Keras' torch backend; this process has {keras.backend.backend()}")
    return keras


def _whose(loss: Loss, library: str, constants: dict[str, float]) -> str:
    tuned_to = "".join(f" with {name} = {value:g}" for name, value in constants.items())
    return f"{loss.name}{tuned_to}: the emitted {library} file's"
