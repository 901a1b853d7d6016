"""Curves of a run in TensorBoard: `pip install 'lossgen[tensorboard]'`."""

import time
import weakref
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lossgen.errors import InputError
from lossgen.evolution.events import Listener, Plan
from lossgen.report.live import STAGE_NAMES, plan_lines
from lossgen.runner import Outcome

FLUSHED_EVERY = 5.0
FEW = ("verify", "interim", "compare")
"""Stages of so few losses that each has curves of its own."""


class TensorBoard(Listener):
    """Writes what a run tells to a folder that TensorBoard shows, while the run goes on.

        run = lossgen.evolve(callbacks=[lossgen.TensorBoard("logs")])

    and then, or meanwhile, `tensorboard --logdir logs`. There are, by stage, each metric of each training in the order
    of their ends, and how many failed; the best fitness so far with its loss; proposals by fate, over generations; and
    of a verification or comparison each training's curve over its steps.

    Args:
        folder: for the events; several runs in folders side by side are shown together. A run that is gone on with
            counts its trainings from 1 again: give it a folder of its own.

    Raises:
        InputError: TensorBoard is not installed, or the folder is a file.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise InputError("TensorBoard: is not installed; pip install 'lossgen[tensorboard]'") from None
        if Path(folder).exists() and not Path(folder).is_dir():
            raise InputError(f"TensorBoard: {folder}: is a file; give a folder")
        self.folder = folder
        self._ended: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._of: Counter[tuple[str, str]] = Counter()
        self._flushed = time.monotonic()

    @cached_property
    def _writer(self) -> Any:
        """Made once there is something to be written."""
        from torch.utils.tensorboard import SummaryWriter

        try:
            writer = SummaryWriter(str(self.folder))
        except OSError as error:
            raise InputError(f"TensorBoard: {self.folder}: cannot be written: {error.strerror or error}") from None
        self._finalizer = weakref.finalize(self, writer.close)
        return writer

    def close(self) -> None:
        """Write what is not written yet, and end; the end of the program does so, too."""
        if "_writer" in self.__dict__:
            self._finalizer()

    def planned(self, plan: Plan) -> None:
        """As text."""
        self._writer.add_text("plan", "\n\n".join(plan_lines(plan)))

    def proposed(self, generation: int, generations: int | None, waterfall: Mapping[str, int]) -> None:
        """How many candidates came how far."""
        for fate, count in waterfall.items():
            self._writer.add_scalar(f"candidates/{fate}", count, generation)

    def trained(self, stage: str, name: str, loss: str, outcome: Outcome, fitness: float) -> None:
        """Its metrics; of a stage with few losses, with a curve."""
        title = STAGE_NAMES.get(stage, stage)
        self._ended[stage] += 1
        place = self._ended[stage]
        if outcome.status == "ok":
            for metric, value in outcome.metrics.items():
                self._writer.add_scalar(f"{title}/{metric}", value, place)
        else:
            self._failed[stage] += 1
        self._writer.add_scalar(f"{title}/failed", self._failed[stage], place)
        if stage in FEW:
            number = self._of[stage, name] = self._of[stage, name] + 1
            for metric, value in outcome.metrics.items():
                self._writer.add_scalar(f"{name}/{metric}", value, number)
            for step, metrics in outcome.curve:
                for metric, value in metrics.items():
                    self._writer.add_scalar(f"{name}, training {number}/{metric}", value, step)
        if time.monotonic() > self._flushed + FLUSHED_EVERY:
            self._writer.flush()
            self._flushed = time.monotonic()

    def improved(self, name: str, loss: str, value: float) -> None:
        """The best so far, with its text."""
        place = self._ended["search"] + self._ended["polish"]
        self._writer.add_scalar("best/fitness", value, place)
        self._writer.add_text("best/loss", f"`{name}`\n\n```\n{loss}\n```", place)
