"""The targets that a loss can be emitted for: one emitter file each, one row here."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lossgen.codegen import keras_module, numpy_module, torch_module
from lossgen.language.loss import Loss


@dataclass(frozen=True)
class Target:
    """A row of the table.

    Attributes:
        name: as --target takes it.
        library: what an emitted file imports, as people call it.
        title: end of the first line of an emitted file's docstring, by which the file's target is known.
        emit: source text of a loss.
        proven_in: what `verify` proves.
        what: what of the loss's name the file defines.
        suffix: what is put between a .loss file's stem and ".py".
    """

    name: str
    library: str
    title: str
    emit: Callable[[Loss], str]
    suffix: str
    proven_in: str = "value and gradient"
    what: str = "class"

    def beside(self, path: Path) -> Path:
        """The file that a .loss file is emitted to."""
        return path.with_name(f"{path.stem}{self.suffix}.py")


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        target.name: target
        for target in (
            Target("torch", "PyTorch", torch_module.TITLE, torch_module.emit_torch, ""),
            Target("keras", "Keras", keras_module.TITLE, keras_module.emit_keras, "_keras"),
            Target("numpy", "NumPy", numpy_module.TITLE, numpy_module.emit_numpy, "_numpy", "value", "functions of"),
        )
    }
)
TORCH = TARGETS["torch"]


def verify(target: Target, loss: Loss, source: str) -> None:
    """Prove that an emitted file computes what the kernel computes.

    Raises:
        CheckError: it does not.
        InputError: it cannot be proven here: the target's library is not installed.
    """
    from lossgen.codegen import verify, verify_targets

    proofs = {"torch": verify.verify_module, "keras": verify_targets.verify_keras, "numpy": verify_targets.verify_numpy}
    proofs[target.name](loss, source)


def target_of(source: str) -> Target:
    """The target that an emitted file was written for, by its docstring's first line; torch where that says nothing.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: not Python.
    """
    first = (ast.get_docstring(ast.parse(source), clean=False) or "").split("\n", 1)[0].rstrip("\r")
    return next((target for target in TARGETS.values() if first.endswith(f": {target.title}")), TORCH)
