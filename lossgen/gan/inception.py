"""The Inception network of 2015, the one that FID and KID are defined on, by way of torch-fidelity.

Its weights are those of TensorFlow's graph `classify_image_graph_def.pb` of 2015-12-05. torch-fidelity's network takes
images of any size, resizes them to 299 × 299 as TensorFlow 1 did, and gives the 2048 features before the classes.
torchvision's Inception has other weights, and gives other numbers.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossgen.errors import InputError
from lossgen.gan.extractors import Extractor, weights_digest

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the file that both torch-fidelity and pytorch-fid publish."""
DIMENSION = 2048
_CHUNK = 32


def inception_extractor(weights: Path | None = None, download: bool = False, device: str = "cpu") -> Extractor:
    """The extractor that FID is named after.

    Args:
        weights: the file; None looks where torch-fidelity keeps its download.
        download: whether the file may be fetched where it is absent (95 MB).

    Raises:
        InputError: torch-fidelity is not installed; the file is absent, no file of weights, or of another network.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
    except ImportError:
        raise InputError("extractor inception: needs torch-fidelity; pip install 'lossgen[fid]'") from None
    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
    if weights is None and not path.exists():
        if not download:
            raise InputError(
                f"extractor inception: its weights are not in {path}; fetch them with --download, or give a copy of "
                f"{URL_INCEPTION_V3} with --weights"
            )
        _download(URL_INCEPTION_V3, path)
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    state = _weights(content, path)
    buffer = io.BytesIO()  # torch-fidelity would unpickle a file as it is; of this one it is known what it holds
    torch.save(state, buffer)
    buffer.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):  # layers draw their initial weights before they are given others
            net = FeatureExtractorInceptionV3("lossgen", ["2048"], feature_extractor_weights_path=buffer)
    except RuntimeError:
        raise InputError(
            f"weights {path}: of another network than the Inception network of 2015; give torch-fidelity's "
            f"{Path(URL_INCEPTION_V3).name}"
        ) from None
    standard = digest == SHA256
    why = f"its file is not the one of 2015 that FID stands for (SHA-256 {digest[:16]}…, not {SHA256[:16]}…)"
    return Extractor(
        "inception", net.to(device), weights_digest(state)[:16], lambda images: _features(net, images), DIMENSION,
        why="" if standard else why, standard=standard, chunk=_CHUNK,
        resize="to 299 × 299, bilinear without antialiasing, as TensorFlow 1 (torch-fidelity)",
    )  # fmt: skip


def _features(net: Any, images: Tensor) -> Tensor:
    colour = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    (features,) = net(colour)
    assert isinstance(features, Tensor)
    return features


def _download(url: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=SHA256, progress=False)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"extractor inception: {url} cannot be fetched to {path} ({reason})") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise InputError(f"weights {path}: is a folder; give the file") from None
    except OSError as error:
        raise InputError(f"weights {path}: cannot be read: {error.strerror or error}") from None


def _weights(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors by name of a file that torch.save wrote, read without running code."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"weights {path}: not a file of PyTorch weights, or damaged; fetch it again") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"weights {path}: holds no weights by name; give torch-fidelity's file")
    return state
