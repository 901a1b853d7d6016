"""From a list of members to a list of outcomes: train each, judge its averaged generator, keep what is asked for.

On a CPU members are trained one after another; on a GPU, which one small network leaves idle, all that are alike
advance together. What happens to one never touches another.
"""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.checkpoints import due, median
from lossgen.gan.criteria import is_out_of_memory
from lossgen.gan.files import read_dict, replacing, save_dict
from lossgen.gan.memory import capacity, release
from lossgen.gan.sampling import fixed_labels, fixed_noise, generate, save_model
from lossgen.gan.setting import Setting
from lossgen.gan.streams import one_thread
from lossgen.gan.training import Training, TrainingError, one_line
from lossgen.gan.watch import COLLAPSED, diversity
from lossgen.runner import Budget, Member, Outcome

STATE = "lossgen training state"
ENDINGS = {"state": ".state.pt", "model": ".model.pt", "samples": ".samples.npz"}
SAMPLES = 64  # images kept of each generator


Networks: TypeAlias = Callable[[nn.Module, nn.Module, Sequence[int]], Mapping[str, float]]


@dataclass(frozen=True)
class Task:
    """What all members are trained on and judged by.

    Attributes:
        images: of the train split, uint8 (N, C, H, W), on the device to train on.
        judge: metrics of generated images, uint8 (n_samples, C, H, W).
        n_samples: how many images the judge wants.
        data: what the images are ("digest" among it), plain values for the model file.
        labels: one-hot labels of the images, float (N, classes), for conditional networks.
        full: more metrics of the same images, of members that are kept, at their last step.
        networks: metrics of the averaged generator and the discriminator of a seed, "diversity" among them, in place
            of the judge's; for what is more than a generator of images, whose samples may be as alike as they want.
        last: more of these, of every member, at its last step only.
        inputs: what the generator of kept samples is given, in place of noise.
        checkpoints: steps, beside the last, at which the generator of a member that is kept is kept, too.
        training: the loop.
    """

    images: Tensor
    judge: Callable[[Tensor], Mapping[str, float]]
    n_samples: int
    data: Mapping[str, Any]
    labels: Tensor | None = None
    full: Callable[[Tensor], Mapping[str, float]] | None = None
    networks: Networks | None = None
    last: Networks | None = None
    inputs: Tensor | None = None
    checkpoints: tuple[int, ...] = ()
    training: type[Training] = Training


def train(
    members: Sequence[Member], settings: Sequence[Setting], task: Task, budget: Budget, together: bool | None = None
) -> list[Outcome]:
    """Train each member under its setting to `budget.steps`; one outcome a member, in order.

    Args:
        together: whether members that are alike advance together; None where the images are on a GPU.

    Raises:
        InputError: a state does not fit, the folder to keep things in cannot be written, or memory is full.
    """
    if budget.steps < 1:
        raise InputError(f"the number of steps must be at least 1, not {budget.steps}")
    diversity_of_data = diversity(task.images[:: max(1, len(task.images) // 4096)])
    if not diversity_of_data:
        raise InputError("the training images are all alike: there is nothing to learn from them")
    runs = [
        _Run(number, member, setting, task, diversity_of_data)
        for number, (member, setting) in enumerate(zip(members, settings, strict=True))
    ]
    for run in runs:
        if run.begins > budget.steps:
            raise InputError(
                f"{run.member.state}: the state of step {run.begins}, beyond the {budget.steps} steps asked for"
            )
    together = task.images.device.type != "cpu" if together is None else together
    with one_thread():
        for group in _groups(runs, together and not task.training.alone):
            _train_group(group, task, budget)
    return [run.done() for run in runs]


def _groups(runs: Sequence["_Run"], together: bool) -> list[list["_Run"]]:
    """Members that advance together: those that are alike, and stand at the same step.

    A loss that does not load has its outcome at once.
    """
    groups: dict[Hashable, list[_Run]] = {}
    for run in runs:
        started = time.perf_counter()
        try:
            run.criterion = run.member.criterion()
            alike = run.setting.alike(run.criterion)
        except Exception as error:  # noqa: BLE001  the loss is user code
            reason = f"the loss does not load: {one_line(error)}"
            run.end(run.failed(TrainingError("crashed", reason, 0)), time.perf_counter() - started)
            continue
        groups.setdefault((alike, run.begins) if together else run.number, []).append(run)
    return list(groups.values())


def _train_group(group: Sequence["_Run"], task: Task, budget: Budget) -> None:
    """Train members that are alike, as many at a time as memory holds; where that was too many, half as many."""
    room = capacity([(run.criterion, run.setting) for run in group], task.images, task.labels)
    waiting = [group[i : i + room] for i in range(0, len(group), room)]
    if len(waiting) > 1:
        budget.note(f"{len(group)} trainings: {room} at a time, as {task.images.device}'s memory allows")
    while waiting:
        chunk = waiting.pop(0)
        try:
            _train_together(chunk, task, budget)
            continue
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        release(task.images.device)  # now that the exception holds no tensors any more
        if len(chunk) == 1:
            setting = chunk[0].setting
            where = f"out of memory on {task.images.device} at batch size {setting.batch_size}"
            raise InputError(f"{where} and width {setting.architecture.width}: make them smaller")
        half = (len(chunk) + 1) // 2
        budget.note(f"out of memory on {task.images.device} with {len(chunk)} trainings at once: {half} at a time")
        waiting[:0] = [chunk[:half], chunk[half:]]


def _train_together(runs: Sequence["_Run"], task: Task, budget: Budget) -> None:
    """Train members side by side to the end, and give each its outcome."""
    started = time.perf_counter()
    for run in runs:
        run.start()
    criteria, seeds = [run.criterion for run in runs], [run.member.seed for run in runs]
    settings, sources = [run.setting for run in runs], [run.member.source for run in runs]
    training = task.training(
        criteria, seeds, settings, task.images, task.labels, diversity=runs[0].diversity_of_data, kinds=sources
    )
    for row, run in enumerate(runs):
        if run.state is not None:
            try:
                training.restore(row, run.state)
            except InputError as error:
                raise InputError(f"{run.member.state}: {error}") from None
    on_step = budget.on_step
    told = None if on_step is None else lambda place, step: on_step(runs[place].number, step)
    judged, kept = set(due(budget.steps)), {step for step in task.checkpoints if step < budget.steps}
    for checkpoint in sorted(judged | kept):
        if checkpoint >= training.step:
            training.advance(checkpoint, told)
            for row, place in enumerate(training.members):
                if checkpoint in judged:
                    runs[place].judge(training, row)
                if checkpoint in kept:
                    runs[place].keep_model(training, row)
    outcomes = {place: runs[place].failed(error) for place, error in training.failures.items()}
    outcomes |= {place: runs[place].outcome(training, row) for row, place in enumerate(training.members)}
    seconds = (time.perf_counter() - started) / len(runs)
    for place, outcome in outcomes.items():
        runs[place].end(outcome, seconds)


def identity(member: Member, setting: Setting, data: Mapping[str, Any]) -> str:
    """Hash of all that a training depends on but its length: source, seed, setting and data."""
    parts = [member.source, list(member.seed), _without_nothing(asdict(setting)), data.get("digest")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_name(name: str) -> str:
    """A member's name as the beginning of the names of its files."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:40]


def _without_nothing(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something, so that states of before there were the others are still known."""
    inner = {name: _without_nothing(value) if isinstance(value, dict) else value for name, value in fields.items()}
    return {name: value for name, value in inner.items() if value is not None}


class _Run:
    """One member on its way to an outcome."""

    def __init__(self, number: int, member: Member, setting: Setting, task: Task, diversity_of_data: float) -> None:
        self.number, self.member, self.setting, self.task = number, member, setting, task
        self.diversity_of_data = diversity_of_data
        self.identity = identity(member, setting, task.data)
        self.curve: dict[int, dict[str, float]] = {}
        self.fault: TrainingError | None = None  # of what was to be measured
        self.criterion: nn.Module = nn.Identity()  # until it is loaded
        self.state: dict[str, Any] | None = None
        self._outcome: Outcome | None = None
        if member.state is not None:
            self.state = read_dict(member.state, STATE)
            if self.state.get("identity") != self.identity:
                raise InputError(
                    f"{member.state}: the state of another loss, seed, setting or data than {member.name}'s"
                )
        self.start()

    def start(self) -> None:
        """Forget what was measured since the state was taken."""
        known = self.state["curve"] if self.state else []
        self.curve = {int(step): dict(metrics) for step, metrics in known}

    @property
    def begins(self) -> int:
        """The step that the member stands at."""
        return int(self.state["step"]) if self.state else 0

    def end(self, outcome: Outcome, seconds: float) -> None:
        self._outcome = replace(outcome, seconds=seconds)

    def done(self) -> Outcome:
        """The outcome, once there is one."""
        assert self._outcome is not None
        return self._outcome

    def points(self) -> tuple[tuple[int, Mapping[str, float]], ...]:
        return tuple(sorted(self.curve.items()))

    def failed(self, error: TrainingError) -> Outcome:
        return Outcome(error.status, reason=error.reason, step=error.step, curve=self.points())

    def judge(self, training: Training, row: int) -> None:
        """Measure the averaged generator at this step."""
        if training.step in self.curve:
            return
        if self.task.networks is not None:
            try:
                found = dict(self.task.networks(*self._networks(training, row), self.member.seed))
            except TrainingError as error:
                self.fault = TrainingError(error.status, error.reason, training.step)
                return
        else:
            images = self._drawn(training, row)
            found = {**self.task.judge(images), "diversity": diversity(images) / training.diversity}
        self.curve[training.step] = {**found, "separation": training.watch.separation[row]}

    def _networks(self, training: Training, row: int) -> tuple[nn.Module, nn.Module]:
        """The averaged generator and the discriminator, in evaluation mode and without gradients."""
        found = copy.deepcopy(training.generator.averaged(row)), copy.deepcopy(training.discriminator.net(row))
        return found[0].eval().requires_grad_(False), found[1].eval().requires_grad_(False)

    def outcome(self, training: Training, row: int) -> Outcome:
        """What has become of a member that has come to the end."""
        steps = training.step
        if self.fault is not None:
            return self.failed(self.fault)
        files = self._keep(training, row, self.member.keep) if self.member.keep is not None else {}
        spread, samples = self.curve[steps]["diversity"], self.task.networks is None and self.task.last is None
        if spread < COLLAPSED and samples:
            since = training.watch.thin_since[row] or steps
            reason = f"samples have {spread:.1%} of the data's diversity at step {steps}"
            reason += f", and those of training since step {since}" * (since < steps)
            return Outcome("collapsed", reason=reason, step=since, files=files, curve=self.points())
        metrics = median(self.curve, steps)
        if self.task.last is not None:
            try:
                metrics |= self.task.last(*self._networks(training, row), self.member.seed)
            except TrainingError as error:
                return Outcome(error.status, reason=error.reason, step=steps, files=files, curve=self.points())
        if files and not self.member.state_only and self.task.full is not None:
            metrics |= self.task.full(self._drawn(training, row))
        return Outcome("ok", metrics, step=steps, files=files, curve=self.points())

    def _drawn(self, training: Training, row: int) -> Tensor:
        """The images that are judged."""
        return generate(training.generator.averaged(row), *self._inputs(self.task.n_samples))

    def _inputs(self, count: int) -> list[Tensor]:
        """The seed's fixed noise, and labels for a conditional generator."""
        device, shape = self.task.images.device, self.setting.architecture
        if self.task.inputs is not None:
            return [self.task.inputs[:count]]
        inputs = [fixed_noise(self.member.seed, count, shape.noise)]
        if shape.classes:
            inputs.append(fixed_labels(self.member.seed, count, self.task.data["class_counts"]))
        return [rows.to(device) for rows in inputs]

    def keep_model(self, training: Training, row: int) -> None:
        """Write the averaged generator of this step, where anything is to be kept."""
        if self.member.keep is not None and not self.member.state_only:
            self._save_model(training, row, self.member.keep / (self._stem(training) + ENDINGS["model"]))

    def _save_model(self, training: Training, row: int, path: Path) -> None:
        made = {"loss": self.member.name, "source": self.member.source, "steps": training.step}
        average = training.generator.averaged(row)
        save_model(path, average, training.architecture, self.member.seed, self.task.data, made)

    def _stem(self, training: Training) -> str:
        """Beginning of the names of this member's files at this step: nothing is ever overwritten."""
        return f"{file_name(self.member.name)}-{self.identity[:12]}-{training.step}"

    def _keep(self, training: Training, row: int, folder: Path) -> dict[str, Path]:
        """Write state, model and samples."""
        files = {kind: folder / (self._stem(training) + ending) for kind, ending in ENDINGS.items()}
        curve = [list(point) for point in self.points()]
        head = {"schema": 1, "kind": STATE, "identity": self.identity, "curve": curve}
        save_dict(files["state"], {**head, **training.state(row)})
        if self.member.state_only:
            return {"state": files["state"]}
        self._save_model(training, row, files["model"])
        average = training.generator.averaged(row)
        images: NDArray[np.uint8] = generate(average, *self._inputs(SAMPLES)).cpu().numpy()
        with replacing(files["samples"]) as file:
            np.savez_compressed(file, images=images)
        return files
