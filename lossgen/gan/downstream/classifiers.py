"""Classifiers that stand at the end of a pipeline: built, trained on given images, and asked about others.

`small` is the CNN of `nets.classifier`; `resnet18` is He et al.'s (2016) with a stem for small images, a 3 × 3
convolution of stride 1 and no pooling, as is usual at 28 and 32 pixels (MedMNIST, CIFAR). Its weights may come from a
file of torchvision's: the stem then begins as the middle of the 7 × 7 kernels.
"""

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lossgen.errors import InputError
from lossgen.gan.downstream.moves import moved
from lossgen.gan.nets import classifier
from lossgen.gan.sampling import to_unit
from lossgen.gan.streams import Batches, Purpose, one_thread, stream
from lossgen.gan.training import TrainingError

Kind = Literal["small", "resnet18"]
CHUNK = 256
LAYOUT = torch.channels_last
"""Of images and weights in memory: on a CPU convolutions of small images are faster so."""


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained; the same for all arms, so that they differ in what they see alone.

    Attributes:
        kind: of the network.
        steps: gradient steps.
        batch_size: images in a batch.
        lr: Adam's learning rate at first; it falls to zero along a cosine.
        pretrained: file of torchvision's weights for resnet18; empty for none.
        mirror: whether augmentation mirrors images left to right.
    """

    kind: Kind = "small"
    steps: int = 400
    batch_size: int = 64
    lr: float = 2e-3
    pretrained: str = ""
    mirror: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """All that a training depends on: weights to begin with by what they are, and not by where they lie.

        Raises:
            InputError: they cannot be read.
        """
        fields = asdict(self)
        if self.pretrained:
            try:
                fields["pretrained"] = hashlib.sha256(Path(self.pretrained).read_bytes()).hexdigest()
            except OSError as error:
                raise InputError(f"--pretrained {self.pretrained}: cannot read: {error.strerror or error}") from None
        return fields

    def build(self, size: int, channels: int, classes: int, seed: Sequence[int]) -> nn.Module:
        """The network with its first weights, (N, channels, size, size) in [-1, 1] → scores (N, classes)."""
        generator = stream(seed, Purpose.CLASSIFIER)
        if self.kind == "small":
            with torch.device("meta"):
                empty = classifier.Classifier(size, channels, classes)
            return classifier.initialise(empty, generator)
        return _resnet18(channels, classes, generator, self.pretrained)


def fit(
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    seed: Sequence[int],
    classes: int,
    weights: Tensor | None = None,
    augmented: bool = False,
) -> nn.Module:
    """A classifier trained with cross-entropy, in evaluation mode.

    Args:
        images: uint8 (N, C, H, W), on the device to train on; labels (N,) with them.
        seed: of its first weights, its batches and how images are moved.
        weights: (classes,), of each class in the loss.
        augmented: whether images are moved at random.
    """
    device = images.device
    net = recipe.build(images.shape[-1], images.shape[1], classes, seed).to(device)
    net.to(memory_format=LAYOUT)
    batches = Batches(len(images), recipe.batch_size, stream(seed, Purpose.CLASSIFIER_BATCHES, str(device)))
    moves = stream(seed, Purpose.MOVES, str(device))
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    weights = None if weights is None else weights.to(device)
    net.train()
    with one_thread():
        for _ in range(recipe.steps):
            chosen = batches.next()
            seen = to_unit(images[chosen])
            seen = moved(seen, moves, recipe.mirror) if augmented else seen
            loss = F.cross_entropy(net(seen.contiguous(memory_format=LAYOUT)), labels[chosen], weights)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def log_probabilities(net: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """(N, K) of images, uint8 (N, C, H, W), where the network is.

    Raises:
        TrainingError: some are not finite.
    """
    with one_thread():
        parts = [
            net(to_unit(chunk).contiguous(memory_format=LAYOUT)).log_softmax(1).cpu()
            for chunk in torch.split(images, CHUNK)
        ]
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    if not np.isfinite(found).all():
        raise TrainingError("diverged", "the classifier's scores are not finite", 0)
    return found


def _resnet18(channels: int, classes: int, generator: torch.Generator, pretrained: str) -> nn.Module:
    from torchvision.models import resnet18

    with torch.device("meta"):
        net: Any = resnet18(num_classes=classes)
        net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    net.to_empty(device="cpu")
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            elif isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.zero_()
    if pretrained:
        _load(net, Path(pretrained), channels)
    found: nn.Module = net
    return found


def _load(net: nn.Module, path: Path, channels: int) -> None:
    """Take over torchvision's weights of all but the last layer."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        stem = weights["conv1.weight"][:, :, 2:5, 2:5]
        weights["conv1.weight"] = stem.sum(1, keepdim=True) if channels == 1 else stem
        known = {name: value for name, value in weights.items() if not name.startswith("fc.")}
        missing, unknown = net.load_state_dict(known, strict=False)
    except OSError as error:
        raise InputError(f"--pretrained {path}: cannot read: {error.strerror or error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"--pretrained {path}: not torchvision's weights of a ResNet-18, or damaged") from None
    if unknown or set(missing) != {"fc.weight", "fc.bias"}:
        raise InputError(f"--pretrained {path}: not torchvision's weights of a ResNet-18")
