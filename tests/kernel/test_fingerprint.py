"""Fingerprints: equal for losses that train alike, different for others."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import expressions, losses

from lossgen.kernel.fingerprint import MOST_STEPS, STEP, fingerprint, probes
from lossgen.kernel.screen import GRID, Curves, Rejection, screen
from lossgen.language.expression import Expression, apply, constant
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
    assert fingerprint(found[0].curves) in probes(found[1].curves)


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


def on_steps(steps: list[int], errors: np.ndarray, distances: list[float] | None = None) -> Curves:
    """Curves of which seven values lie on each of the steps but for `errors` (3, 129), in cells; the rest is far."""
    gradient = np.full((3, len(GRID)), 0.25)
    gradient[0, 0] = gradient[2, 0] = 1.0
    for i, step in enumerate(steps):
        distance = distances[i] if distances else 0.0
        gradient[i % 2, 7 * i + 1 : 7 * i + 8] = (step - STEP + distance) / 1000
    gradient += errors / 1000 * (gradient != 1.0)
    return Curves(np.zeros_like(gradient), gradient)


@settings(max_examples=60)
@given(
    steps=st.lists(st.integers(-900, 900), min_size=1, max_size=MOST_STEPS, unique=True),
    seed=st.integers(0, 2**32),
    scale_free=st.booleans(),
)
def test_equal_curves_on_steps_are_found_whatever_the_last_bits_are(
    steps: list[int], seed: int, scale_free: bool
) -> None:
    one, other = (on_steps(steps, np.random.default_rng([seed, i]).normal(0, 1e-9, (3, 129))) for i in range(2))
    marks = probes(other, scale_free)
    assert marks[0] == fingerprint(other, scale_free)
    assert len(set(marks)) == len(marks) == 2 ** len(steps)
    assert fingerprint(one, scale_free) in marks


def test_values_away_from_the_steps_have_one_cell() -> None:
    still = np.zeros((3, 129))
    [mark] = probes(on_steps([100, 300], still, [0.01, 0.99]))
    below = probes(on_steps([100, 300], still, [-0.01, 0.99]))
    assert mark not in below and len(below) == 1


def test_of_too_many_steps_the_nearest_are_gone_over() -> None:
    steps = list(range(100, 1000, 100))
    distances = [1e-5 * (1 + (5 * i) % len(steps)) for i in range(len(steps))]
    still = np.zeros((3, 129))
    marks = probes(on_steps(steps, still, distances))
    assert len(marks) == 2**MOST_STEPS
    order = np.argsort(distances)
    for rank, i in enumerate(order):
        crossed = [-d if j == i else d for j, d in enumerate(distances)]
        assert (fingerprint(on_steps(steps, still, crossed)) in marks) == (rank < MOST_STEPS)


def in_cells(curves: Curves) -> np.ndarray:
    scales = np.array([np.abs(curves.gradient[:2]).max()] * 2 + [np.abs(curves.gradient[2]).max()])
    return curves.gradient / scales[:, None] * 1000


@settings(max_examples=100)
@given(
    a=expressions(max_leaves=4), b=expressions(max_leaves=4), c=expressions(max_leaves=4), factor=st.floats(0.01, 100.0)
)
def test_a_loss_that_is_multiplied_out_and_scaled_is_found(
    a: Expression, b: Expression, c: Expression, factor: float
) -> None:
    once = Loss("Once", label=apply("mul", a, apply("add", b, c)))
    out = Loss("Out", label=apply("add", apply("mul", c, a), apply("mul", b, a)))
    try:
        one, other = screen([lower_loss(once), lower_loss(changed(out, factor, 0.0))])
    except NotFiniteError:
        return
    assume(Rejection.NOT_FINITE not in (one.rejection, other.rejection))
    largest = np.abs(one.curves.gradient).max(axis=1)
    assume(min(max(largest[:2]), largest[2]) > 1e-6)
    assume(np.abs(in_cells(one.curves) - in_cells(other.curves)).max() < 1e-6)  # no digits lost to cancellation
    assert fingerprint(one.curves) in probes(other.curves)
    assert fingerprint(other.curves) in probes(one.curves)
