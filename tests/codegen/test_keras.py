"""What Keras users expect of a loss, on Keras' PyTorch backend; the formulas are tested in test_targets.py."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lossgen.codegen import verify_targets
from lossgen.codegen.keras_module import emit_keras
from lossgen.codegen.load import load_argument, run_source
from lossgen.codegen.verify_targets import keras_on_torch
from lossgen.errors import InputError
from lossgen.language.parser import parse_loss

pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of Keras itself
CONSTANTS = parse_loss("const slope = 0.2\nloss Sloped(y_real, score) = slope * square(score - y_real)")


@pytest.fixture
def keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    try:
        found = keras_on_torch()
    except InputError as error:
        pytest.skip(str(error))
    with found.device("cpu"):
        yield found


@pytest.fixture
def bce(keras: Any) -> Any:
    return run_source(emit_keras(load_argument("bce").loss)).BCE  # type: ignore[attr-defined]


def scores(*shape: int) -> torch.Tensor:
    return 3.0 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_bce_stands_in_for_keras_own(bce: Any, keras: Any) -> None:
    target = torch.tensor([[0.0], [1.0], [0.3], [1.0]])
    weight = torch.tensor([[0.5], [1.0], [0.0], [2.0]])
    for reduction in ("sum_over_batch_size", "sum", "none", None):
        ours = bce(reduction=reduction)
        theirs = keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction, axis=())
        for given in (None, weight):
            score = scores(4, 1)
            expected = theirs(target, score, sample_weight=given)
            torch.testing.assert_close(ours(target, score, sample_weight=given).reshape(expected.shape), expected)


def test_targets_as_keras_gives_them(bce: Any) -> None:
    criterion, score = bce(), scores(6, 1)
    labels = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.5])
    expected = criterion(labels.unsqueeze(1), score)
    torch.testing.assert_close(criterion(labels, score), expected)
    torch.testing.assert_close(criterion(labels.numpy(), score.numpy()), expected)
    torch.testing.assert_close(criterion(1.0, score), criterion(torch.ones(6, 1), score))
    torch.testing.assert_close(criterion(1, scores(3, 2, 2)), criterion(torch.ones(2), scores(3, 2, 2)))
    torch.testing.assert_close(criterion(labels.unsqueeze(1), score.squeeze(1)), expected)
    assert bce(reduction="none")(labels.unsqueeze(1), score.squeeze(1)).shape == (6,)
    with pytest.raises((ValueError, RuntimeError)):
        criterion(torch.ones(4), score)  # would make 24 losses of 6 scores


def test_scales(bce: Any) -> None:
    criterion, scales = bce(), [scores(4, 1, 8, 8), scores(4, 1, 4, 4)]
    expected = sum(criterion(1.0, scale) for scale in scales) / 2.0
    torch.testing.assert_close(criterion(1.0, scales), expected)
    torch.testing.assert_close(criterion.generator_loss(tuple(scales)), expected)
    assert [part.shape for part in bce(reduction="none")(1.0, scales)] == [scale.shape for scale in scales]


def test_half_precision_and_dtype(bce: Any) -> None:
    half = scores(64).half().requires_grad_()
    for criterion, dtype in ((bce(), torch.float32), (bce(dtype="float64"), torch.float64)):
        value = criterion.generator_loss(half)
        (slope,) = torch.autograd.grad(value, half)
        whole = half.detach().to(dtype).requires_grad_()
        torch.testing.assert_close(slope, torch.autograd.grad(criterion.generator_loss(whole), whole)[0].half())
        assert criterion(1.0, half).dtype in (torch.float32, dtype)


def test_probabilities(bce: Any) -> None:
    score = torch.linspace(-8.0, 8.0, 33)
    raw, sigmoid = bce(), bce(input="probability")
    torch.testing.assert_close(sigmoid(0.3, torch.sigmoid(score)), raw(0.3, score), rtol=1e-3, atol=1e-3)
    assert sigmoid(1.0, torch.tensor([0.0, 1.0])).isfinite()
    with pytest.raises(ValueError, match="input must be 'score' or 'probability', not 'logit'"):
        bce(input="logit")
    with pytest.raises(ValueError, match="reduction"):
        bce(reduction="average")


def test_it_is_saved_and_loaded_with_a_model(keras: Any, tmp_path: Path) -> None:
    made = run_source(emit_keras(CONSTANTS)).Sloped  # type: ignore[attr-defined]
    criterion = made(slope=0.7, input="probability", reduction="sum", name="mine")
    again = keras.losses.deserialize(keras.losses.serialize(criterion))
    assert type(again) is made
    assert again.get_config() == {"name": "mine", "reduction": "sum", "input": "probability", "slope": 0.7}

    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(32, 2)).astype("float32"), (np.arange(32) % 2).astype("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=made(slope=0.7))
    first = model.evaluate(images, labels, verbose=0)
    model.fit(images, labels, batch_size=8, epochs=5, verbose=0)
    after = model.evaluate(images, labels, verbose=0)
    assert after < first
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.slope == 0.7
    assert loaded.evaluate(images, labels, verbose=0) == pytest.approx(after, rel=1e-5)


def test_a_gan_step(bce: Any, keras: Any) -> None:
    keras.utils.set_random_seed(0)
    criterion, net = bce(), keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    real, fake = scores(64, 2) + 4.0, scores(64, 2) - 4.0
    optimiser = keras.optimizers.Adam(0.1)
    losses = []
    for _ in range(40):
        net.zero_grad()
        loss = criterion.discriminator_loss(net(real), net(fake))
        loss.backward()
        weights = net.trainable_weights
        with torch.no_grad():
            optimiser.apply([weight.value.grad for weight in weights], weights)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_without_keras_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(verify_targets.importlib, "import_module", missing)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"Keras is not installed: pip install 'lossgen\[keras\]'"):
        keras_on_torch()


def test_nothing_else_imports_keras() -> None:
    code = """import sys, lossgen.cli, lossgen.codegen.load, lossgen.codegen.targets, lossgen.codegen.verify_targets
    lossgen.codegen.targets.TARGETS["keras"].emit(lossgen.codegen.load.load_argument("bce").loss)
    sys.exit("keras" in sys.modules)"""
    subprocess.run([sys.executable, "-c", code.replace("\n    ", "\n")], check=True, timeout=60)
