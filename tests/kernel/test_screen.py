"""The screen: known losses pass, their opposites do not, each reason has its example."""

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import losses

from lossgen.errors import InputError
from lossgen.kernel.screen import FAR, GAP, GRID, Rejection, Screening, screen, settle
from lossgen.language.expression import Expression, apply
from lossgen.language.loss import ROLES, Loss
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

ZOO = {path.stem: path.read_text(encoding="utf-8") for path in sorted(zoo_dir().glob("[!e]*.loss"))}
KNOWN = ZOO | {
    "least squares on the sigmoid": "square(y_pred - y_real)",
    "saturating hinge": "relu(1 - (2 * y_real - 1) * score)",
    "BCE with soft targets": "-(0.9 * y_real * log(y_pred) + (1 - 0.9 * y_real) * log(1 - y_pred))",
}


def judged(text: str) -> Screening:
    return screen([lower_loss(parse_loss(text))])[0]


def flipped(loss: Loss) -> Loss:
    def negative(expression: Expression) -> Expression:
        return apply("neg", expression)

    if loss.label is not None:
        return Loss(loss.name, label=negative(loss.label))
    return Loss(loss.name, roles={role: negative(loss.roles[role]) for role in ROLES})


def test_the_zoo_is_there() -> None:
    assert set(ZOO) >= {"bce", "ganetic", "hinge", "lsgan", "minimax", "wasserstein"}


@pytest.mark.parametrize("name", KNOWN)
def test_known_losses_pass(name: str) -> None:
    found = judged(KNOWN[name])
    assert found.rejection is None, found.detail
    assert found.settles[0] > found.settles[1] < found.settles[2]


@pytest.mark.parametrize("name", KNOWN)
def test_their_sign_flipped_versions_settle_the_wrong_way(name: str) -> None:
    found = screen([lower_loss(flipped(parse_loss(KNOWN[name])))])[0]
    assert found.rejection is Rejection.WRONG_WAY
    assert "settles at p" in found.detail


@pytest.mark.parametrize("roles", [("real", "fake"), ("generator",)])
def test_one_side_flipped_is_enough(roles: tuple[str, ...]) -> None:
    hinge = parse_loss(ZOO["hinge"])
    mixed = {role: apply("neg", hinge.roles[role]) if role in roles else hinge.roles[role] for role in ROLES}
    assert screen([lower_loss(Loss("Mixed", roles=mixed))])[0].rejection is Rejection.WRONG_WAY


STEEP = "loss A(score):\n real: (score - 1)^8\n fake: score^8\n generator: -score"


@pytest.mark.parametrize(
    ("text", "rejection", "detail"),
    [
        ("y_real * exp(-score) + (1 - y_real) * exp(score)", Rejection.NOT_FINITE, "at score -30"),
        ("exp(exp(y_real - score))", Rejection.NOT_FINITE, "real has value"),
        ("exp(exp(score)) - exp(exp(score) + y_real)", Rejection.NOT_FINITE, "real"),
        ("0 * square(square(square(square(exp(9 * score))))) + y_real * score", Rejection.NOT_FINITE, "value nan"),
        ("y_pred^2 - score", Rejection.IGNORES_TARGET, "the same gradients for real and fake"),
        ("y_real + score", Rejection.IGNORES_TARGET, "the same gradients"),
        ("y_real", Rejection.FLAT, "real has no gradient"),
        ("-y_real * log(y_pred)", Rejection.FLAT, "fake has no gradient"),
        ("-(1 - y_real) * log(1 - y_pred)", Rejection.FLAT, "real has no gradient"),
        ("loss A(score):\n real: -score\n fake: score\n generator: 3", Rejection.FLAT, "generator has no gradient"),
        ("score * (y_real - 0.5)", Rejection.WRONG_WAY, "real settles at p = 0.000335, fake at 1"),
        ("square(y_pred - 0.5 - 0.05 * y_real)", Rejection.WRONG_WAY, f"less than {GAP:g} above"),
        (
            "loss A(score):\n real: -score\n fake: score\n generator: score",
            Rejection.WRONG_WAY,
            "the generator settles",
        ),
        (STEEP, Rejection.EXPLODES, "real: gradient 3.83e+07 on the grid, 1.02e+03 near score 0"),
    ],
)
def test_each_reason_has_its_example(text: str, rejection: Rejection, detail: str) -> None:
    found = judged(text)
    assert found.rejection is rejection, found
    assert detail in found.detail


def test_just_inside_the_limits() -> None:
    """The examples above are rejected for their reason alone."""
    assert judged("square(y_pred - 0.4 - 0.2 * y_real)").rejection is None
    assert judged(STEEP.replace("^8", "^4")).rejection is None
    assert judged("y_real * exp(-0.5 * score) + (1 - y_real) * exp(0.5 * score)").rejection is None


@pytest.mark.parametrize("slope", [1.0, -1.0, 1e-6, 1e6])
@pytest.mark.parametrize("minimum", [-7.9, -3.03, 0.0, 0.5, 2.71, 7.99])
def test_a_parabola_settles_at_its_minimum(minimum: float, slope: float) -> None:
    gradient = slope * (GRID - minimum)
    if slope > 0.0:
        assert settle(gradient) == pytest.approx(minimum, abs=1e-5)
    elif minimum != 0.0:
        assert settle(gradient) == (8.0 if minimum < 0.0 else -8.0)
    else:
        assert settle(gradient) == 0.0  # at rest on the top


def test_settling_ends_at_the_first_place_of_rest() -> None:
    assert settle(np.full(129, -1.0)) == 8.0
    assert settle(np.full(129, 1.0)) == -8.0
    assert settle(np.zeros(129)) == 0.0
    assert settle(np.where(GRID < 2.0, -1.0, 0.0)) == 2.0
    two_wells = (GRID - 1.0) * (GRID - 2.0) * (GRID - 3.0)
    assert settle(two_wells) == pytest.approx(1.0, abs=1e-2)


@settings(max_examples=40)
@given(losses(max_leaves=8))
def test_curves_are_those_of_the_roles_and_judgement_does_not_depend_on_the_company(loss: Loss) -> None:
    try:
        lowered = lower_loss(loss)
    except InputError:
        return
    company = [lower_loss(parse_loss(text)) for text in ZOO.values()]
    alone, among = screen([lowered])[0], screen([*company, lowered, *company])[len(company)]
    assert (alone.rejection, alone.detail, alone.settles) == (among.rejection, among.detail, among.settles)
    np.testing.assert_array_equal(alone.curves.value, among.curves.value)
    np.testing.assert_array_equal(alone.curves.gradient, among.curves.gradient)
    assert alone.curves.gradient.shape == (3, len(GRID))
    if alone.rejection is None:
        assert np.abs(alone.curves.gradient).max(axis=1).min() > 0.0
        assert all(-8.0 <= score <= 8.0 for score in alone.settles)


def test_grid() -> None:
    assert len(GRID) == 129
    assert GRID[64] == 0.0
    assert (GRID[0], GRID[-1]) == (-8.0, 8.0)
    assert FAR.tolist() == [-30.0, 30.0]
    assert screen([]) == []
