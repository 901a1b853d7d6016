"""What a training is of: a loss, the text of its module, and the condition that it is trained under."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lossgen.codegen.torch_module import body_of, emit_torch
from lossgen.evolution.conditions import condition_name, condition_text
from lossgen.language.loss import Loss


@dataclass(frozen=True)
class Entry:
    """A loss to train.

    Attributes:
        loss: the loss.
        text: of its module; None for what `emit_torch` writes, once it is asked for.
        digest: its key in the archive: of the loss, and of the code where that is somebody's own.
        trusted: whether the code is somebody's own, and so not compared with the kernel's evaluation of the loss.
        condition: text of what stands in place of the runner's options; "" for the options themselves.
    """

    loss: Loss
    text: str | None
    digest: str
    trusted: bool = False
    condition: str = ""

    @cached_property
    def source(self) -> str:
        """Its module."""
        return emit_torch(self.loss) if self.text is None else self.text

    @property
    def key(self) -> str:
        """What tells it from all others: its digest, with the condition behind it where there is one."""
        return f"{self.digest} {self.condition}" if self.condition else self.digest

    @property
    def name(self) -> str:
        """Of the loss, with the condition behind it where there is one: "BCE (r1=10)"."""
        return f"{self.loss.name} ({condition_name(self.condition)})" if self.condition else self.loss.name

    @property
    def kind(self) -> str:
        """What the price of its training depends on: its condition, else the regularisers that it asks for."""
        return self.condition or " ".join(sorted(self.loss.needs))

    def under(self, condition: Mapping[str, float]) -> "Entry":
        """The same loss under a condition."""
        return dataclasses.replace(self, text=self.source, condition=condition_text(condition))

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
