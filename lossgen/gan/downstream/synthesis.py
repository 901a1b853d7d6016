"""Images of the rare classes, from GANs that were trained on the training split and on nothing else.

One GAN a class, as Ismail et al. (2023) have it, or one conditional GAN that is told the class of each image. Either
way a class gets as many generated images as it lacks.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.cards import prints
from lossgen.gan.data import Dataset
from lossgen.gan.downstream.arms import missing
from lossgen.gan.files import read_dict, replacing, save_dict
from lossgen.gan.members import STATE, Task, file_name, train
from lossgen.gan.sampling import fixed_noise, generate
from lossgen.gan.setting import Setting
from lossgen.runner import Budget, Member, Outcome

STATES = "lossgen training states"
"""Kind of a file that holds a state for each of several GANs."""
SHOWN = 64
"""Images that a GAN's diversity is measured on."""

Made: TypeAlias = dict[int, Tensor]
"""Generated images by class, uint8 (N, C, H, W)."""


@dataclass(frozen=True)
class Synthesis:
    """What the GANs of all losses have in common.

    Attributes:
        data: of which they see the training split.
        described: the data as plain values, for model files.
        ratio: of the largest class, up to which others are filled.
        device: to train on.
    """

    data: Dataset
    described: Mapping[str, Any]
    ratio: float
    device: str

    @property
    def lacking(self) -> dict[int, int]:
        """How many images are to be made of which class; empty where none lacks any."""
        counts = missing(self.data.train.known_labels, len(self.data.classes), self.ratio)
        return {label: int(count) for label, count in enumerate(counts.tolist()) if count}

    def make(self, member: Member, setting: Setting, budget: Budget) -> tuple[Outcome, Made]:
        """Train a loss; what became of it, and the images.

        A conditional architecture has one GAN. Else there is one a class; the outcome is that of the first that has
        failed, or of all of them together, with one file for their states.
        """
        if not self.lacking:
            return Outcome("ok", step=budget.steps), {}
        if setting.architecture.classes:
            labels = torch.from_numpy(self.data.train.known_labels)
            one_hot = torch.nn.functional.one_hot(labels, len(self.data.classes)).float().to(self.device)
            described = {**self.described, "class_counts": [int(rows) for rows in one_hot.sum(0)]}
            described["training"] = prints(self.data.train.images)
            return self._train(member, setting, budget, self.data.train.images, described, self.lacking, one_hot)
        if len(self.lacking) == 1:
            return self._of_class(member, setting, budget, next(iter(self.lacking)))
        names = [self.data.classes[label] for label in self.lacking]
        with tempfile.TemporaryDirectory() as folder:
            states = _apart(member, names, Path(folder))
            made: Made = {}
            outcomes: list[Outcome] = []
            for place, label in enumerate(self.lacking):
                one = replace(member, name=f"{member.name}-{names[place]}", state=states.get(names[place]))
                outcome, images = self._of_class(one, setting, _share(budget, place, len(names)), label)
                made |= images
                outcomes.append(outcome)
                if outcome.status != "ok":
                    return replace(outcome, reason=f"{names[place]}: {outcome.reason}", files={}), {}
        return _together(member, names, outcomes), made

    def _of_class(self, member: Member, setting: Setting, budget: Budget, label: int) -> tuple[Outcome, Made]:
        name = self.data.classes[label]
        digest = hashlib.sha256(f"{self.data.digest} {name}".encode()).hexdigest()
        own = replace(member, seed=(*member.seed, label))
        images = self.data.train.images[self.data.train.known_labels == label]
        described = {**self.described, "digest": digest, "splits": self.data.digest, "class": name}
        described["training"] = prints(images)
        return self._train(own, setting, budget, images, described, {label: self.lacking[label]})

    def _train(
        self, member: Member, setting: Setting, budget: Budget, images: NDArray[np.uint8], described: Mapping[str, Any],
        counts: Mapping[int, int], one_hot: Tensor | None = None,
    ) -> tuple[Outcome, Made]:  # fmt: skip
        made: Made = {}

        def draw(generator: nn.Module, _: nn.Module, seed: Sequence[int]) -> dict[str, float]:
            for label, count in counts.items():
                noise = fixed_noise((*seed, label), count, setting.architecture.noise).to(self.device)
                given = None
                if one_hot is not None:
                    given = one_hot.new_zeros(count, one_hot.shape[1])
                    given[:, label] = 1
                made[label] = generate(generator, noise, given)
            return {}

        task = Task(torch.from_numpy(np.array(images)).to(self.device), _unjudged, SHOWN, described, one_hot, last=draw)
        (outcome,) = train([member], [setting], task, budget)
        return outcome, made


def _unjudged(images: Tensor) -> dict[str, float]:
    """Samples are not judged by themselves."""
    return {}


def _share(budget: Budget, place: int, count: int) -> Budget:
    """The budget of one of several trainings, which tells of its progress as of a part of the whole."""
    on_step = budget.on_step
    if on_step is None:
        return budget
    return replace(budget, on_step=lambda i, step: on_step(i, (place * budget.steps + step) // count))


def _apart(member: Member, names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The state of each GAN in a file of its own."""
    if member.state is None:
        return {}
    states = read_dict(member.state, STATES)["states"]
    if set(states) != set(names):
        raise InputError(f"{member.state}: holds states of {', '.join(states)}, not of {', '.join(names)}")
    files = {name: folder / f"{place}.state.pt" for place, name in enumerate(names)}
    for name, file in files.items():
        save_dict(file, states[name])
    return files


def _together(member: Member, names: Sequence[str], outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of several: metrics are means, and what was kept is put together."""
    metrics = {name: float(np.mean([each.metrics[name] for each in outcomes])) for name in outcomes[0].metrics}
    seconds, step = sum(each.seconds for each in outcomes), outcomes[0].step
    files = {}
    first = outcomes[0].files.get("state")
    if first is not None:
        stem = "-".join([file_name(member.name), *first.name.removesuffix(".state.pt").rsplit("-", 2)[1:]])
        states = {name: read_dict(each.files["state"], STATE) for name, each in zip(names, outcomes)}
        files["state"] = first.with_name(f"{stem}.states.pt")
        save_dict(files["state"], {"schema": 1, "kind": STATES, "states": states})
        for each in outcomes:
            each.files["state"].unlink()
        files |= {f"model {name}": each.files["model"] for name, each in zip(names, outcomes) if "model" in each.files}
        if "samples" in outcomes[0].files:
            each_shown = SHOWN // len(names)
            shown = [np.load(each.files["samples"])["images"][:each_shown] for each in outcomes]
            files["samples"] = first.with_name(f"{stem}.samples.npz")
            with replacing(files["samples"]) as file:
                np.savez_compressed(file, images=np.concatenate(shown))
            for each in outcomes:
                each.files["samples"].unlink()
    return Outcome("ok", metrics, step=step, seconds=seconds, files=files)
