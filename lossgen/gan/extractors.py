"""What turns images into the features that are compared, and what a metric in its features is called.

The names never lie: FID and KID are what Heusel et al. (2017) and Bińkowski et al. (2018) take in the features of the
Inception network of 2015; in any other features they are FD[extractor] and KID[extractor].
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.splits import plural

CHUNK = 256
"""Images through an extractor at a time."""
OWN = ("classifier", "inception", "random")
"""Kinds that lossgen makes or loads."""


@dataclass(frozen=True)
class Extractor:
    """A network whose features are compared.

    Attributes:
        kind: "classifier", "inception", "random", or the name of a network of the user's own.
        net: the network, in evaluation mode.
        digest: of the weights; two distances compare only under the same digest.
        function: images, uint8 (N, C, H, W) and where the network is, to features (N, d).
        dimension: d; 0 where it is not known before the first image.
        accuracy: share of the test split that a classifier gets right; None for what is no classifier.
        why: why it is this one and not another; empty where that goes without saying.
        standard: whether it is the Inception network of 2015.
        chunk: images through the network at a time.
        resize: what becomes of images before the network sees them.
        remark: what the user should know about its distances of these data.
    """

    kind: str
    net: nn.Module
    digest: str
    function: Callable[[Tensor], Tensor]
    dimension: int = 0
    accuracy: float | None = None
    why: str = ""
    standard: bool = False
    chunk: int = CHUNK
    resize: str = "none: features at the image's size"
    remark: str = ""

    @torch.no_grad()
    def features(self, images: Tensor) -> NDArray[np.floating]:
        """Features (N, d), float32 or float64, of images (N, C, H, W), uint8, computed where the network is.

        Raises:
            InputError: a network of the user's own gives something else, or values that are not finite.
        """
        device = next((weight.device for weight in itertools.chain(self.net.parameters(), self.net.buffers())), None)
        parts = []
        for chunk in torch.split(images, self.chunk):
            found: Any = self.function(chunk.to(device) if device is not None else chunk)
            if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(chunk) or not found.shape[1]:
                got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise InputError(f"extractor {self.kind}: gives {got} for {len(chunk)} images; it must give (N, d)")
            parts.append((found if found.dtype == torch.float64 else found.float()).cpu())
        features: NDArray[np.floating] = torch.cat(parts).numpy()
        if not np.isfinite(features).all():
            bad = len(features) - int(np.isfinite(features).all(axis=1).sum())
            raise InputError(f"extractor {self.kind}: its features of {plural(bad, 'image')} are NaN or infinite")
        return features

    def title(self, metric: str) -> str:
        """What a metric ("FD", "FD∞", "KID", "precision" and so on) is called in these features."""
        if self.standard and metric.startswith("FD"):
            return "FID" + metric[2:]
        return metric if self.standard and metric == "KID" else f"{metric}[{self.kind}]"

    def description(self) -> str:
        """What judges, in a sentence or two for the user."""
        about = {
            "random": "a seeded random network",
            "classifier": "a small classifier",
            "inception": "the Inception network of 2015" if self.standard else "an Inception network",
        }.get(self.kind, f"the network {type(self.net).__name__}")
        known = "" if self.accuracy is None else f", {self.accuracy:.1%} right on the test split"
        why = f": {self.why}" if self.why else ""
        said = f"{self.title('FD')}: distances are taken in the features of {about}{known}{why}."
        return f"{said} {self.remark}" if self.remark else said


def module_extractor(name: str, net: nn.Module) -> Extractor:
    """A network of one's own as an extractor; it is put into evaluation mode.

    Args:
        name: what its metrics are called by: FD[name]. Letters, digits, and - _ . between them.
        net: images, uint8 (N, C, H, W), to features (N, d). Whatever scaling and resizing it needs is its own business.

    Raises:
        InputError: a name that is taken or that a table could not show, or no network.
    """
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.lower() in (*OWN, "fid"):
        taken = f"; {', '.join(OWN)} are taken" if name.lower() in OWN else "; give letters, digits, - and _"
        raise InputError(f"extractor {name!r}: cannot be called so{taken}")
    if not isinstance(net, nn.Module):
        raise InputError(f"extractor {name}: {type(net).__name__} is no torch.nn.Module")
    net.eval()

    def features(images: Tensor) -> Tensor:
        try:
            return cast(Tensor, net(images))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a network of the user's own may raise anything
            said = " ".join(str(error).split())
            given = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
            raise InputError(
                f"extractor {name}: its network fails on images, {given}: {type(error).__name__}: {said:.200}; it is "
                "to convert and scale them itself"
            ) from None

    digest = weights_digest(net.state_dict())[:16]
    return Extractor(name, net, digest, features, resize="by the network itself, if at all")


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 (hexadecimal) over the names and values of weights."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def few_images(extractor: Extractor, counts: Mapping[str, int]) -> str:
    """A sentence where sets of so many images are too few for a covariance of the features; else ""."""
    few = {name: count for name, count in counts.items() if count <= extractor.dimension}
    if not few:
        return ""
    held = " and ".join(f"{plural(count, 'image')} of {name}" for name, count in few.items())
    fd, kid = extractor.title("FD"), extractor.title("KID")
    return (
        f"{held} are no more than the {extractor.dimension} features: {fd} is then taken between singular covariances "
        f"and mostly bias; {kid} is unbiased at any number."
    )
