"""What a training is of: a loss and the text of its module."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from lossgen.codegen.torch_module import body_of, emit_torch
from lossgen.language.loss import Loss


@dataclass(frozen=True)
class Entry:
    """A loss to train.

    Attributes:
        loss: the loss.
        text: of its module; None for what `emit_torch` writes, once it is asked for.
        digest: its key in the archive: of the loss, and of the code where that is somebody's own.
        trusted: whether the code is somebody's own, and so not compared with the kernel's evaluation of the loss.
    """

    loss: Loss
    text: str | None
    digest: str
    trusted: bool = False

    @cached_property
    def source(self) -> str:
        """Its module."""
        return emit_torch(self.loss) if self.text is None else self.text

    @classmethod
    def unwritten(cls, loss: Loss) -> "Entry":
        """Of a loss whose module may never be asked for; to write one takes many milliseconds."""
        return cls(loss, None, loss.digest())

    @classmethod
    def of(cls, loss: Loss, source: str | None = None) -> "Entry":
        emitted = emit_torch(loss)
        if source is None or body_of(source) == body_of(emitted):
            return cls(loss, source or emitted, loss.digest())
        own = hashlib.sha256((loss.digest() + body_of(source)).encode()).hexdigest()
        return cls(loss, source, own, trusted=True)
