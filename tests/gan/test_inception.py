"""The Inception extractor on random weights; on those of 2015 where LOSSGEN_INCEPTION names their file."""

import builtins
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from lossgen.errors import InputError
from lossgen.gan import inception
from lossgen.gan.inception import inception_extractor
from lossgen.gan.metrics import frechet_distance, moments

IMAGES = torch.randint(0, 256, (2, 3, 12, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("went to the network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, made as the network makes them."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        torch.save(FeatureExtractorInceptionV3("random", ["2048"]).state_dict(), path)
    return path


def test_features_are_torch_fidelitys(weights: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    extractor = inception_extractor(weights)
    assert torch.equal(before, torch.get_rng_state())
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(weights))
    np.testing.assert_array_equal(extractor.features(IMAGES), theirs(IMAGES)[0].numpy())
    grey = IMAGES[:1, :1]
    np.testing.assert_array_equal(extractor.features(grey), theirs(grey.repeat(1, 3, 1, 1))[0].numpy())
    assert extractor.dimension == extractor.features(grey).shape[1] == 2048


def test_other_weights_are_not_called_fid(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = inception_extractor(weights)
    assert other.title("FD") == "FD[inception]" and "not the one of 2015" in other.description()
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    standard = inception_extractor(weights)
    assert standard.title("FD") == "FID" and standard.title("KID") == "KID"
    assert "the Inception network of 2015." in standard.description()
    assert standard.digest == other.digest


def test_files_that_are_no_weights(weights: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pth"
    cut.write_bytes(weights.read_bytes()[:100_000])
    text, tensor, other, ran = (tmp_path / name for name in ("text.pth", "tensor.pth", "other.pth", "ran.pth"))
    text.write_text("hello\n")
    torch.save(torch.zeros(3), tensor)
    torch.save({"fc.weight": torch.zeros(3)}, other)
    torch.save(Evil(tmp_path / "was-run"), ran)
    for path, said in (
        (tmp_path / "nowhere.pth", "cannot be read: No such file"),
        (tmp_path, "is a folder"),
        (cut, "not a file of PyTorch weights, or damaged"),
        (text, "not a file of PyTorch weights"),
        (ran, "not a file of PyTorch weights"),
        (tensor, "holds no weights by name"),
        (other, "of another network than the Inception network of 2015; give torch-fidelity's weights-inception-2015"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            inception_extractor(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "was-run").exists()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_is_fetched_unless_asked_for(weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights are not in .*hub.*; fetch them with --download, or give a copy of"):
        inception_extractor()

    def fetch(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        assert url.endswith("6726825d.pth") and hash_prefix == inception.SHA256 and hash_prefix.startswith("6726825d")
        Path(path).write_bytes(weights.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    fetched = inception_extractor(download=True)
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("fetched again"))
    assert inception_extractor().digest == inception_extractor(download=True).digest == fetched.digest


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError('invalid hash value\n(expected "…")')])
def test_a_fetch_that_fails(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError, match="cannot be fetched") as caught:
        inception_extractor(download=True)
    assert "\n" not in str(caught.value)


def test_without_torch_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name.startswith("torch_fidelity"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    for name in [name for name in sys.modules if name.startswith("torch_fidelity")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=r"pip install 'lossgen\[fid\]'"):
        inception_extractor()


@pytest.mark.skipif("LOSSGEN_INCEPTION" not in os.environ, reason="LOSSGEN_INCEPTION names no file of weights")
def test_the_weights_of_2015() -> None:
    path = Path(os.environ["LOSSGEN_INCEPTION"])
    extractor = inception_extractor(path)
    assert extractor.standard
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(path))
    sets = [torch.randint(0, top, (40, 3, 32, 32), dtype=torch.uint8) for top in (256, 128)]
    fid = fid_statistics_to_metric(*(fid_features_to_statistics(theirs(x)[0]) for x in sets), verbose=False)
    ours = frechet_distance(*(moments(extractor.features(x)) for x in sets))
    assert ours == pytest.approx(fid[KEY_METRIC_FID], rel=1e-3)
