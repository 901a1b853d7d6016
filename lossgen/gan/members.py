"""From a list of members to a list of outcomes: train each, judge its averaged generator, keep what is asked for.

On a CPU members are trained one after another; what happens to one never touches another.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lossgen.errors import InputError
from lossgen.gan.checkpoints import due, median
from lossgen.gan.files import read_dict, replacing, save_dict
from lossgen.gan.regularisers import recommended
from lossgen.gan.sampling import fixed_noise, generate, save_model
from lossgen.gan.streams import one_thread
from lossgen.gan.training import Setting, Training, TrainingError, is_out_of_memory, one_line
from lossgen.runner import Budget, Member, Outcome

STATE = "lossgen training state"
SAMPLES = 64  # images kept of each generator
COLLAPSED = 0.05  # of the data's diversity


@dataclass(frozen=True)
class Task:
    """What all members are trained on and judged by.

    Attributes:
        images: of the train split, uint8 (N, C, H, W), on the device to train on.
        judge: metrics of generated images, uint8 (n_samples, C, H, W).
        n_samples: how many images the judge wants.
        data: what the images are ("digest" among it), plain values for the model file.
    """

    images: Tensor
    judge: Callable[[Tensor], Mapping[str, float]]
    n_samples: int
    data: Mapping[str, Any]


def train(members: Sequence[Member], settings: Sequence[Setting], task: Task, budget: Budget) -> list[Outcome]:
    """Train each member under its setting to `budget.steps`; one outcome a member, in order.

    Raises:
        InputError: a state does not fit, the folder to keep things in cannot be written, or memory is full.
    """
    if budget.steps < 1:
        raise InputError(f"the number of steps must be at least 1, not {budget.steps}")
    diversity_of_data = diversity(task.images[:: max(1, len(task.images) // 4096)])
    if not diversity_of_data:
        raise InputError("the training images are all alike: there is nothing to learn from them")
    outcomes = []
    for index, (member, setting) in enumerate(zip(members, settings, strict=True)):
        on_step = partial(budget.on_step, index) if budget.on_step is not None else None
        started = time.perf_counter()
        run = _Run(member, setting, task, diversity_of_data)
        try:
            with one_thread():
                outcome = run.to(budget.steps, on_step, budget.keep)
        except TrainingError as stop:
            outcome = Outcome(stop.status, reason=stop.reason, step=stop.step, curve=run.points())
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            where = f"out of memory on {task.images.device} at batch size {setting.batch_size}"
            raise InputError(f"{where} and width {setting.architecture.width}: make them smaller") from None
        seconds = time.perf_counter() - started
        outcomes.append(Outcome(**{**vars(outcome), "seconds": seconds}))
    return outcomes


def diversity(images: Tensor) -> float:
    """Standard deviation over images (N, C, H, W), uint8, in grey levels, mean over pixels: 0 if all are alike."""
    return float(images.float().std(dim=0).mean())


def identity(member: Member, setting: Setting, data: Mapping[str, Any]) -> str:
    """Hash of all that a training depends on but its length: source, seed, setting and data."""
    parts = [member.source, list(member.seed), asdict(setting), data.get("digest")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Run:
    """One member on its way to an outcome."""

    def __init__(self, member: Member, setting: Setting, task: Task, diversity_of_data: float) -> None:
        self.member, self.setting, self.task = member, setting, task
        self.diversity_of_data = diversity_of_data
        self.identity = identity(member, setting, task.data)
        self.curve: dict[int, dict[str, float]] = {}
        latent = setting.architecture.latent
        self.noise = fixed_noise(member.seed, max(task.n_samples, SAMPLES), latent).to(task.images.device)

    def points(self) -> tuple[tuple[int, Mapping[str, float]], ...]:
        return tuple(sorted(self.curve.items()))

    def to(self, steps: int, on_step: Callable[[int], None] | None, keep: Path | None) -> Outcome:
        training = self._begin(steps)
        for checkpoint in due(steps):
            if checkpoint not in self.curve and checkpoint >= training.step:
                training.advance(checkpoint, on_step)
                images = generate(training.average, self.noise[: self.task.n_samples])
                spread = diversity(images) / self.diversity_of_data
                self.curve[checkpoint] = {**self.task.judge(images), "diversity": spread}
        files = self._keep(training, keep) if keep is not None else {}
        spread = self.curve[steps]["diversity"]
        if spread < COLLAPSED:
            reason = f"samples have {spread:.1%} of the data's diversity at step {steps}"
            return Outcome("collapsed", reason=reason, step=steps, files=files, curve=self.points())
        metrics = median(self.curve, steps)
        return Outcome("ok", metrics, step=steps, files=files, curve=self.points())

    def _begin(self, steps: int) -> Training:
        try:
            criterion = self.member.criterion()
            recommended(criterion)
        except Exception as error:  # noqa: BLE001  the loss is user code
            raise TrainingError("crashed", f"the loss does not load: {one_line(error)}", 0) from None
        training = Training(criterion, self.member.seed, self.task.images, self.setting)
        path = self.member.state
        if path is None:
            return training
        state = read_dict(path, STATE)
        if state.get("identity") != self.identity:
            raise InputError(f"{path}: the state of another loss, seed, setting or data than {self.member.name}'s")
        training.restore(state)
        if training.step > steps:
            raise InputError(f"{path}: the state of step {training.step}, beyond the {steps} steps asked for")
        self.curve = {int(step): dict(metrics) for step, metrics in state["curve"]}
        return training

    def _keep(self, training: Training, folder: Path) -> dict[str, Path]:
        """Write state, model and samples under names of this member at this step: nothing is ever overwritten."""
        name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.member.name)[:40]
        stem = f"{name}-{self.identity[:12]}-{training.step}"
        files = {
            "state": folder / f"{stem}.state.pt",
            "model": folder / f"{stem}.model.pt",
            "samples": folder / f"{stem}.samples.npz",
        }
        curve = [list(point) for point in self.points()]
        head = {"schema": 1, "kind": STATE, "identity": self.identity, "curve": curve}
        save_dict(files["state"], {**head, **training.state()})
        architecture = self.setting.architecture
        save_model(files["model"], training.average, architecture, self.member.seed, self.task.data)
        images: NDArray[np.uint8] = generate(training.average, self.noise[:SAMPLES]).cpu().numpy()
        with replacing(files["samples"]) as file:
            np.savez_compressed(file, images=images)
        return files
