"""No name that an emitted file binds or uses is one that a constant of the loss can take away from it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import DEFAULT_INPUTS, INPUTS

from lossgen.codegen.load import run_source
from lossgen.codegen.targets import TARGETS
from lossgen.codegen.verify_targets import keras_on_torch
from lossgen.errors import InputError
from lossgen.language.loss import GENERATOR_REAL, ROLES
from lossgen.language.operators import FUNCTIONS, VARIABLES
from lossgen.language.parser import LossSyntaxError, parse_loss

HARMLESS = "harmless"
_CONST = f"const {HARMLESS} = 1.5\n"
_LOSS = "loss Named(score, y_pred, y_real, mean_real, mean_fake)"
TEXTS = {
    "label": f"{_CONST}{_LOSS} = log({HARMLESS} * y_pred - y_real) + max(score, {HARMLESS}) * relu(score) / y_real"
    f" - {HARMLESS} * (y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))",
    "roles": f"{_CONST}{_LOSS}:\n real: tanh({HARMLESS} * score) * log(y_pred)\n fake: sqrt({HARMLESS} * score)\n"
    f" generator: tanh(score / {HARMLESS}) / (sin(score) - {HARMLESS}) * softplus(tanh(score / {HARMLESS}) - y_pred)",
    "batches": f"{_CONST}const another = 0.5\n{_LOSS}:\n real: softplus({HARMLESS} * (mean_fake - score)) / score\n"
    f" fake: {HARMLESS} * mean_real / (score - another)\n generator: sqrt({HARMLESS} * score - mean_real)\n"
    " generator_real: log(another + mean_fake * score)\n needs: gradient_penalty(10), r1(0.5)",
}
REAL = [np.linspace(-3.0, 2.0, 7), np.array([0.3])]
FAKE = [np.linspace(-1.0, 4.0, 7), np.array([-0.7])]
TUNED = 2.5


def identifiers(source: str) -> set[str]:
    """All names that a file binds or uses, those of attributes and of keywords among them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "name", "attr", "arg", "module", "asname"):
            name = getattr(node, field, None)
            found |= set(name.split(".")) if isinstance(name, str) else set()
    return found


def results(target: str, source: str, has_label: bool, name: str) -> Iterator[Any]:
    """What the file computes with the constant as it is and as it is tuned, by each way of calling it."""
    module: Any = run_source(source)
    for tuned in ({}, {name: TUNED}):
        if target == "numpy":
            yield module.discriminator_loss(REAL, FAKE, **tuned), module.generator_loss(FAKE, REAL, **tuned)
            yield module.loss(REAL[0], 0.9, **tuned) if has_label else None
            continue
        criterion = module.Named(**tuned)
        real, fake = ([torch.from_numpy(scores) for scores in each] for each in (REAL, FAKE))
        yield float(criterion.discriminator_loss(real, fake)), float(criterion.generator_loss(fake, real))
        if has_label:
            yield float(criterion(real, 0.9) if target == "torch" else criterion(torch.tensor(0.9), real))
        yield getattr(criterion, name), criterion.needs_real, getattr(criterion, "recommended", None)
        if target == "torch":
            yield re.sub(rf"\b{name}=", f"{HARMLESS}=", repr(criterion))
        else:
            config = criterion.get_config()
            yield config[name], float(type(criterion).from_config(config).generator_loss(fake, real))


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_constant_hides_nothing(target: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if target == "keras":
        if INPUTS <= DEFAULT_INPUTS:
            pytest.skip("Keras takes seconds to import: with more inputs than by default")
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        try:
            keras_on_torch()
        except InputError as error:
            pytest.skip(str(error))
    emit, has_label = TARGETS[target].emit, form != "batches"
    source = emit(parse_loss(TEXTS[form]))
    expected = [*results(target, source, has_label, HARMLESS)]
    hidden, refused, taken = [], 0, 0
    for name in sorted(identifiers(source) - {HARMLESS, "another"}):
        try:
            loss = parse_loss(TEXTS[form].replace(HARMLESS, name))
        except LossSyntaxError:
            assert name in {*VARIABLES, *FUNCTIONS, *ROLES, GENERATOR_REAL, "loss"}
            continue
        try:
            renamed = emit(loss)
        except InputError as error:
            assert "\n" not in str(error) and repr(name) in str(error)
            refused += 1
            continue
        try:
            np.testing.assert_equal([*results(target, renamed, has_label, name)], expected)
            taken += 1
        except Exception as error:  # noqa: BLE001  what a hidden name leads to may be anything
            hidden.append(f"{name}: {type(error).__name__} {error}"[:200])
    assert not hidden, "\n".join(hidden)
    assert refused > 10 and taken > 5
