"""Fingerprints: equal for losses that train alike, different for others."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import losses

from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import Rejection, screen
from lossgen.language.expression import apply, constant
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

ZOO = {path.stem: parse_loss(path.read_text(encoding="utf-8")) for path in sorted(zoo_dir().glob("[!e]*.loss"))}
DYADIC = parse_loss("loss A(score):\n real: square(score) / 2\n fake: score\n generator: square(score)")
"""Its normalised gradients are multiples of 1/64: many lie half-way between two thousandths."""


def mark(loss: Loss, scale_free: bool = True) -> str:
    found = screen([lower_loss(loss)])[0]
    assert found.rejection is not Rejection.NOT_FINITE, found.detail
    return fingerprint(found.curves, scale_free)


def changed(loss: Loss, factor: float, offset: float, roles: tuple[str, ...] = ROLES) -> Loss:
    """factor · loss + offset, for the label form or the given roles."""
    expressions = {
        name: apply("add", apply("mul", constant(factor), expression), constant(offset))
        for name, expression in ({"label": loss.label} if loss.label is not None else loss.roles).items()
        if name in roles or name == "label"
    }
    if loss.label is not None:
        return Loss(loss.name, label=expressions["label"])
    return Loss(loss.name, roles={**loss.roles, **expressions})


@pytest.mark.parametrize("loss", [*ZOO.values(), DYADIC], ids=[*ZOO, "dyadic"])
@settings(max_examples=40)
@given(factor=st.floats(1e-3, 1e3), offset=st.floats(-10.0, 10.0))
def test_a_positive_factor_and_a_constant_change_nothing_where_the_scale_is_free(
    loss: Loss, factor: float, offset: float
) -> None:
    assert mark(changed(loss, factor, offset)) == mark(loss)
    assert mark(changed(loss, 1.0, offset), scale_free=False) == mark(loss, scale_free=False)


@settings(max_examples=100)
@given(loss=losses(max_leaves=8), factor=st.floats(0.01, 100.0))
def test_a_positive_factor_changes_nothing_for_any_loss(loss: Loss, factor: float) -> None:
    scaled = changed(loss, factor, 0.0)
    try:
        found = screen([lower_loss(loss), lower_loss(scaled)])
    except NotFiniteError:
        return
    assume(all(one.rejection is not Rejection.NOT_FINITE for one in found))
    largest = np.abs(found[0].curves.gradient).max(axis=1)
    assume(min(max(largest[:2]), largest[2]) > 1e-6)  # not a gradient of rounding alone
    assert fingerprint(found[0].curves) == fingerprint(found[1].curves)


@pytest.mark.parametrize("loss", ZOO.values(), ids=ZOO)
@pytest.mark.parametrize("factor", [0.5, 0.98, 1.02, 2.0])
def test_a_factor_counts_where_the_scale_is_not_free(loss: Loss, factor: float) -> None:
    assert mark(changed(loss, factor, 0.0), scale_free=False) != mark(loss, scale_free=False)


def test_discriminator_and_generator_are_normalised_apart() -> None:
    hinge = ZOO["hinge"]
    assert mark(changed(hinge, 3.0, 1.0, ("generator",))) == mark(hinge)
    assert mark(changed(hinge, 3.0, 1.0, ("real", "fake"))) == mark(hinge)
    assert mark(changed(hinge, 3.0, 1.0, ("real",))) != mark(hinge)
    assert mark(changed(hinge, 3.0, 0.0, ("generator",)), scale_free=False) != mark(hinge, scale_free=False)


ALIASES = {"non_saturating", "logistic"}
"""They train as binary cross-entropy does."""


def test_zoo_losses_differ_but_for_the_aliases() -> None:
    marks = {name: mark(loss) for name, loss in ZOO.items()}
    assert {name for name, found in marks.items() if found == marks["bce"]} == {
        "bce", *ALIASES, "relativistic_average"  # which is cross-entropy where the batch means are 0
    }  # fmt: skip
    assert len(set(marks.values())) == len(ZOO) - 3
    assert mark(parse_loss("square(y_pred - y_real)")) == marks["lsgan_sigmoid"]


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_an_alias_has_the_fingerprint_of_what_it_is_an_alias_of(name: str) -> None:
    assert mark(ZOO[name], scale_free=False) == mark(ZOO["bce"], scale_free=False)


def test_bce_and_its_role_form_twin_are_one() -> None:
    twin = parse_loss("loss B(score):\n real: softplus(-score)\n fake: softplus(score)\n generator: softplus(-score)")
    assert mark(twin) == mark(ZOO["bce"])
    assert mark(twin, scale_free=False) == mark(ZOO["bce"], scale_free=False)


def test_a_negative_factor_makes_another_loss() -> None:
    assert mark(changed(ZOO["bce"], -1.0, 0.0)) != mark(ZOO["bce"])


def test_a_loss_without_a_gradient_has_a_fingerprint() -> None:
    assert mark(parse_loss("y_real")) == mark(parse_loss("3"))
