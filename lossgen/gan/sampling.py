"""From a generator to images: fixed noise, rounding to bytes, and the model file that `lossgen sample` reads.

A model file is a plain dict of values and tensors ("schema": 1), so that it loads with `weights_only=True` and runs
no code. It holds what is needed to build the generator again, not the discriminator. Of a class-conditional one its
"data" says, as plain values, the names of the classes ("classes") and how many images of each it was trained on
("class_counts"): the labels of its samples follow these frequencies. "made" says how it was trained: the loss's name
("loss") and the text of its module ("source"), and "steps"; files of before there was this lack it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.errors import InputError
from lossgen.gan.files import read_dict, save_dict
from lossgen.gan.nets import Architecture
from lossgen.gan.streams import Purpose, one_thread, stream

CHUNK = 64  # images made at a time: always a whole chunk, so that an image does not depend on how many were asked for
KIND = "lossgen generator"


def fixed_noise(seed: int | Sequence[int], count: int, latent: int) -> Tensor:
    """Latent vectors (count, latent) that are the same for every loss of a seed, on the CPU.

    They are drawn chunk by chunk: the first rows are the same for any count.
    """
    generator = stream(seed, Purpose.EVALUATION)
    chunks = [torch.randn(CHUNK, latent, generator=generator) for _ in range(math.ceil(count / CHUNK))]
    return torch.cat([*chunks, torch.empty(0, latent)])[:count]


def fixed_labels(seed: int | Sequence[int], count: int, class_counts: Sequence[int]) -> Tensor:
    """One-hot labels (count, classes), float, of a seed's fixed noise, on the CPU.

    They are drawn as the noise is: the first rows are the same for any count.

    Args:
        class_counts: training images of each class: a label is drawn with its class's share of them.
    """
    generator = stream(seed, Purpose.LABELS)
    draws = [torch.rand(CHUNK, generator=generator, dtype=torch.float64) for _ in range(math.ceil(count / CHUNK))]
    totals = torch.tensor(class_counts, dtype=torch.float64).cumsum(0)
    drawn = torch.cat([*draws, torch.empty(0, dtype=torch.float64)])[:count]
    # A class without images is an empty interval, which `right` steps over.
    return F.one_hot(torch.searchsorted(totals / totals[-1], drawn, right=True), len(class_counts)).to(
        torch.get_default_dtype()
    )


def to_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] → uint8, rounded to the nearest: what a picture file holds, and what is judged."""
    return ((images + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_unit(images: Tensor) -> Tensor:
    """Images as uint8 → floats of PyTorch's default dtype in [-1, 1], the range of the generator's Tanh."""
    return images.to(torch.get_default_dtype()).div_(127.5).sub_(1)


@torch.no_grad()
def generate(generator: nn.Module, noise: Tensor, labels: Tensor | None = None) -> Tensor:
    """Images (N, C, H, W), uint8, of latent vectors (N, latent), in evaluation mode, on the noise's device.

    A class-conditional generator takes labels (N, classes), on the same device.
    """
    was_training = generator.training
    generator.eval()
    inputs = (noise,) if labels is None else (noise, labels)
    chunks = zip(*(torch.split(_whole_chunks(rows), CHUNK) for rows in inputs))
    images = torch.cat([to_bytes(generator(*chunk)) for chunk in chunks])[: len(noise)]
    generator.train(was_training)
    return images


def _whole_chunks(rows: Tensor) -> Tensor:
    rest = -len(rows) % CHUNK
    return torch.cat([rows, rows.new_zeros(rest, *rows.shape[1:])]) if rest else rows


@dataclass(frozen=True)
class Drawn:
    """Images of a generator.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: (N,) of a class-conditional generator, else None.
        classes: what the labels mean.
        seed: of the noise.
        content: of the model file.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    seed: tuple[int, ...]
    content: Mapping[str, Any]


def save_model(
    path: Path, generator: nn.Module, architecture: Architecture, seed: Sequence[int], data: Mapping[str, Any],
    made: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write a generator and what is needed to build it again.

    Args:
        data: what it was trained on, as plain values.
        made: how: "loss", "source" and "steps".
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    content = {
        "schema": 1, "kind": KIND, "architecture": architecture.to_dict(), "seed": list(seed),
        "data": dict(data), "made": dict(made), "weights": weights,
    }  # fmt: skip
    save_dict(path, content)


def load_model(path: Path) -> tuple[nn.Module, Architecture, dict[str, Any]]:
    """The generator of a model file, its architecture, and the whole content of the file.

    Raises:
        InputError: the file is no model file, or its weights do not fit its architecture.
    """
    content = read_dict(path, KIND)
    try:
        architecture = Architecture.from_dict(content["architecture"])
        generator = architecture.generator()
        generator.load_state_dict(content["weights"], assign=True)
    except (RuntimeError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: weights and architecture do not fit: the file is damaged") from None
    return generator, architecture, content


def sample(
    model_path: Path,
    n: int,
    seed: int | Sequence[int] | None = None,
    device: str = "cpu",
    of_class: str | None = None,
) -> NDArray[np.uint8]:
    """The images, uint8 (n, C, H, W), of `draw`, which says what its arguments are."""
    return draw(model_path, n, seed, device, of_class).images


def draw(
    model_path: Path,
    n: int,
    seed: int | Sequence[int] | None = None,
    device: str = "cpu",
    of_class: str | None = None,
) -> Drawn:
    """Draw `n` images from the generator of a model file.

    Args:
        model_path: a file of kind "model" that a training kept.
        n: number of images; the first ones are the same for any n.
        seed: of the noise; None takes the training's own, which gives its kept samples.
        device: a PyTorch device.
        of_class: name of the one class to draw; None draws a class-conditional generator's classes as often as its
            training data has them.

    Raises:
        InputError: the file is no model file, n is below 1, the device is not there, or the generator does not know
            the class.
    """
    if n < 1:
        raise InputError(f"the number of images must be at least 1, not {n}")
    check_device(device)
    generator, architecture, content = load_model(model_path)
    if not architecture.noise:
        raise InputError(f"{model_path}: its generator makes images anew and draws none; give another model")
    entropy = content["seed"] if seed is None else seed
    inputs = [fixed_noise(entropy, n, architecture.noise)]
    labels, classes = None, tuple[str, ...]()
    if architecture.classes:
        counts = _class_counts(model_path, architecture, content["data"], of_class)
        inputs.append(fixed_labels(entropy, n, counts))
        labels, classes = inputs[-1].argmax(1).numpy(), tuple(map(str, content["data"]["classes"]))
    elif of_class is not None:
        raise InputError(f"{model_path}: not a class-conditional generator: it has no class {of_class!r} to draw alone")
    generator.to(device)
    with one_thread():
        batches = zip(*(torch.split(rows, CHUNK * 16) for rows in inputs))
        images = [generate(generator, *(rows.to(device) for rows in batch)).cpu() for batch in batches]
    spawned = (entropy,) if isinstance(entropy, int) else tuple(entropy)
    return Drawn(torch.cat(images).numpy(), labels, classes, spawned, content)


def _class_counts(
    path: Path, architecture: Architecture, data: Mapping[str, Any], of_class: str | None
) -> Sequence[int]:
    """How often each class is to be drawn, in proportion: as often as in the training data, or one class alone."""
    names: Any = data.get("classes")
    counts: Any = data.get("class_counts")
    lists = isinstance(names, list) and isinstance(counts, list)
    if not lists or not len(names) == len(counts) == architecture.classes or sum(counts) <= 0:
        raise InputError(f"{path}: the names and numbers of its classes are missing: the file is damaged")
    if of_class is None:
        return [int(count) for count in counts]
    if of_class not in names:
        raise InputError(f"class {of_class!r} is none of {path}; its classes are: {', '.join(map(str, names))}")
    if not counts[names.index(of_class)]:
        raise InputError(f"{path}: was trained on no image of class {of_class!r}: there is nothing to draw")
    return [int(name == of_class) for name in names]


def check_device(device: str) -> None:
    """Raise InputError where a device is asked for that PyTorch does not know or this machine does not have."""
    if device.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise InputError(f"device {device!r} is none that a GAN can be trained on: use cpu, or cuda")
    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"device {device!r} is not available here: use cpu") from None
