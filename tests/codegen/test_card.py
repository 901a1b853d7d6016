"""The loss card against closed forms and numbers worked out by hand."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import losses

from lossgen.codegen.card import FINE, card
from lossgen.codegen.card_text import card_lines, number, screen_line, title_lines
from lossgen.codegen.load import load_source
from lossgen.codegen.properties import is_convex, is_endless, properness, saturation
from lossgen.codegen.torch_module import emit_torch
from lossgen.language.loss import ROLES
from lossgen.language.lower import NotFiniteError
from lossgen.language.parser import parse_loss
from lossgen.report.inspection import Inspection

LSGAN = """loss LSGAN(score):
    real: square(score - 1)
    fake: square(score)
    generator: square(score - 1)
"""
HINGE = """loss Hinge(score):
    real: relu(1 - score)
    fake: relu(1 + score)
    generator: -score
"""
WASSERSTEIN = """loss Wasserstein(score):
    real: -score
    fake: score
    generator: -score
"""
MINIMAX = """loss Minimax(y_pred):
    real: -log(y_pred)
    fake: -log(1 - y_pred)
    generator: log(1 - y_pred)
"""
RELATIVISTIC = """loss Relativistic(score, mean_real, mean_fake):
    real: square(score - mean_fake - 1)
    fake: square(score - mean_real + 1)
    generator: square(score - mean_real - 1)
    generator_real: square(score - mean_fake + 1)
"""
RELATIVISTIC_AVERAGE = """loss RelativisticAverage(score, mean_real, mean_fake):
    real: softplus(mean_fake - score)
    fake: softplus(score - mean_real)
    generator: softplus(mean_real - score)
    generator_real: softplus(score - mean_fake)
"""
RELATIVISTIC_HINGE = """loss RelativisticHinge(score, mean_real, mean_fake):
    real: relu(1 - (score - mean_fake))
    fake: relu(1 + (score - mean_real))
    generator: relu(1 - (score - mean_real))
    generator_real: relu(1 + (score - mean_fake))
"""
UNEVEN = """loss Uneven(score, y_pred, mean_real, mean_fake):
    real: square(score - 2 * mean_fake - 1) + 0.3 * mean_real
    fake: 3 * softplus(score * mean_fake + score - mean_real) + y_pred
    generator: exp(mean_fake) - 2 * y_pred * (1 + mean_real)
"""
CARDS = {
    name: card(parse_loss(text))
    for name, text in {
        "bce": "-(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))",
        "lsgan": LSGAN,
        "hinge": HINGE,
        "wasserstein": WASSERSTEIN,
        "minimax": MINIMAX,
        "brier": "square(y_pred - y_real)",
        "ganetic": "y_pred^3 + sqrt(3.985 * y_real / y_pred)",
        "relativistic": RELATIVISTIC,
        "large": "exp(-score) * y_real + 10 * y_pred",
        "none": "0.5 * y_real",
    }.items()
}
LOW, HIGH = 1 / (1 + math.exp(8)), 1 / (1 + math.exp(-8))


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


@pytest.mark.parametrize(
    ("name", "real", "fake", "generator"),
    [
        ("bce", HIGH, LOW, HIGH),
        ("lsgan", sigmoid(1), 0.5, sigmoid(1)),
        ("hinge", sigmoid(1), sigmoid(-1), HIGH),
        ("wasserstein", HIGH, LOW, HIGH),
        ("minimax", HIGH, LOW, HIGH),
        ("ganetic", (3.985 / 36) ** (1 / 7), 0.0047, (3.985 / 36) ** (1 / 7)),  # d/dp: 3 p^2 = sqrt(3.985 / p^3) / 2
    ],
)
def test_where_descent_settles(name: str, real: float, fake: float, generator: float) -> None:
    found = CARDS[name]
    assert found.settles == pytest.approx({"real": real, "fake": fake, "generator": generator}, abs=1e-4)
    assert found.gap == pytest.approx(real - fake, abs=1e-4)
    assert found.real_settles_at_one is (real == HIGH)
    assert found.endless == {
        role: end in (LOW, HIGH) for role, end in (("real", real), ("fake", fake), ("generator", generator))
    }


def test_descent_that_only_becomes_slow_is_endless() -> None:
    brier = CARDS["brier"]  # at p = 0.9996 its slope is below what descent follows
    assert brier.settles["real"] == pytest.approx(0.9996, abs=1e-4) and all(brier.endless.values())
    assert not is_endless(7.5, np.minimum(FINE - 7.5, 0.0), FINE), "flat from there on"
    assert not is_endless(7.5, FINE - 7.5, FINE), "an optimum"
    assert not is_endless(0.3, -np.exp(-50.0 * FINE), FINE), "p = 0.57 is not where anyone sees it end"
    assert is_endless(7.9, -np.exp(-FINE), FINE) and is_endless(-7.9, np.exp(FINE), FINE)
    assert not is_endless(math.nan, FINE, FINE)


@pytest.mark.parametrize(
    ("name", "role", "slopes", "steepest"),
    [
        ("bce", "real", (-0.99, -0.5, -0.01), 1 - LOW),
        ("bce", "fake", (0.01, 0.5, 0.99), HIGH),
        ("minimax", "generator", (-0.01, -0.5, -0.99), HIGH),
        ("lsgan", "fake", (-2 * math.log(99), 0.0, 2 * math.log(99)), 16.0),
        ("hinge", "real", (-1.0, -1.0, 0.0), 1.0),
        ("wasserstein", "fake", (1.0, 1.0, 1.0), 1.0),
        ("brier", "fake", (2 * 0.01**2 * 0.99, 0.25, 2 * 0.99**2 * 0.01), 8 / 27),  # 2 p^2 (1 - p) peaks at p = 2/3
        ("ganetic", "fake", (3 * 0.01**3 * 0.99, 0.1875, 3 * 0.99**3 * 0.01), 81 / 256),  # at p = 3/4
    ],
)
def test_slopes(name: str, role: str, slopes: tuple[float, ...], steepest: float) -> None:
    assert CARDS[name].slopes[role] == pytest.approx(slopes, rel=1e-9, abs=1e-12)
    assert CARDS[name].steepest[role] == pytest.approx(steepest, rel=2e-3)  # the grid may step over the very peak


def test_where_a_loss_saturates() -> None:
    edge = math.log(199)  # of BCE: 1 - p = 0.01 * 0.5
    ((low, high),) = CARDS["bce"].saturates["real"]
    assert (low, high) == (pytest.approx(edge, abs=0.03), 8.0)
    assert CARDS["hinge"].saturates["real"] == [(1.0, 8.0)]
    assert CARDS["hinge"].saturates["fake"] == [(-8.0, -1.0)]
    assert CARDS["wasserstein"].saturates["real"] == []
    assert CARDS["lsgan"].saturates["real"] == [], "an optimum is no saturation"
    assert CARDS["none"].saturates["real"] == [(-8.0, 8.0)]
    ((low, high),) = CARDS["ganetic"].saturates["real"]  # steepest 54.5, but 0.518 at p = 0.5; 2 (1 - p) = 0.00518
    assert (low, high) == (pytest.approx(math.log(2 / 0.00518), abs=0.03), 8.0)
    still = np.where(np.abs(FINE) < 1.0, 0.0, np.where(FINE > 0.0, 1.0, -0.005))  # no slope at 0: of the steepest
    ((low, high),) = saturation(still, FINE)
    assert (low, high) == (-8.0, pytest.approx(1.0, abs=2e-3))
    valley = np.where(np.abs(FINE - 3.0) < 1.0, 0.0, 1.0)
    ((low, high),) = saturation(valley, FINE)
    assert (low, high) == (pytest.approx(2.0, abs=2e-3), pytest.approx(4.0, abs=2e-3))


def test_which_roles_are_convex() -> None:
    for name in ("bce", "lsgan", "hinge", "wasserstein"):
        assert all(CARDS[name].convex.values()), name
    assert CARDS["minimax"].convex == {"real": True, "fake": True, "generator": False}
    assert not any(CARDS["ganetic"].convex.values())
    assert not any(CARDS["brier"].convex.values())
    assert is_convex(np.array([0.0, 1.0, 1.0 - 1e-10]))
    assert not is_convex(np.array([0.0, 1.0, 1.0 - 1e-6]))


def test_which_losses_are_proper() -> None:
    kinds = {name: found.proper.kind for name, found in CARDS.items() if found.proper}
    proper = {"bce", "minimax", "brier"}
    assert {name for name, kind in kinds.items() if kind == "strictly"} == proper
    assert {name for name, kind in kinds.items() if kind == "weakly"} == {"none"}
    assert CARDS["relativistic"].proper is None
    hinge, lsgan = CARDS["hinge"].proper, CARDS["lsgan"].proper
    assert hinge and (hinge.q, hinge.p) == (pytest.approx(0.95), pytest.approx(sigmoid(1), abs=1e-3))
    assert lsgan and (lsgan.q, lsgan.p) == (pytest.approx(0.05), pytest.approx(sigmoid(0.05), abs=1e-3))  # s* = q


@given(st.floats(0.2, 5.0), st.floats(-3.0, 3.0))
@settings(max_examples=20)
def test_a_proper_loss_stays_proper_in_scale_and_shift_but_not_with_weights(scale: float, shift: float) -> None:
    p = 1 / (1 + np.exp(-FINE))
    real, fake = -np.log(p), -np.log(1 - p)
    assert properness(scale * real + shift, scale * fake - shift, FINE).kind == "strictly"
    assert properness(real, (1.0 + scale) * fake, FINE).kind == "no"


def test_weights_that_match_bce() -> None:
    expected = {
        "bce": (1.0, 1.0),
        "minimax": (1.0, 1.0),
        "hinge": (0.5, 0.5),
        "wasserstein": (0.5, 0.5),
        "lsgan": (0.5, 0.25),  # slopes -2 and 0; -2
        "brier": (2.0, 2.0),
    }
    for name, (discriminator, generator) in expected.items():
        assert CARDS[name].weights == pytest.approx({"discriminator": discriminator, "generator": generator}), name
    slope = -3 * 0.5**3 * 0.5 + math.sqrt(3.985 / 0.5) * 0.25  # of -GANetic, real at p = 1/2
    assert CARDS["ganetic"].weights["generator"] == pytest.approx(0.5 / slope)
    assert CARDS["none"].weights == {"discriminator": None, "generator": None}


@pytest.mark.parametrize("text", [RELATIVISTIC_AVERAGE, RELATIVISTIC_HINGE, RELATIVISTIC, UNEVEN, LSGAN])
def test_weights_are_those_of_the_gradients_that_flow_in_the_module(text: str) -> None:
    loss = parse_loss(text)
    criterion = load_source(emit_torch(loss))
    real, fake = (torch.zeros(n, dtype=torch.float64, requires_grad=True) for n in (3, 5))
    of_real, of_fake = torch.autograd.grad(criterion.discriminator_loss(real, fake), (real, fake))
    (of_generated,) = torch.autograd.grad(criterion.generator_loss(fake, real.detach()), fake)
    pulls = [float((len(g) * g).abs().max()) for g in (of_real, of_fake, of_generated)]
    expected = {"discriminator": 1.0 / (pulls[0] + pulls[1]), "generator": 0.5 / pulls[2]}
    assert card(loss).weights == pytest.approx(expected, rel=1e-12)
    if text == RELATIVISTIC_AVERAGE:  # half of it through a mean
        assert expected == pytest.approx({"discriminator": 0.5, "generator": 0.5})


def test_dtypes_that_hold_a_loss() -> None:
    assert all(CARDS["ganetic"].finite.values())  # at score -30 its clamp ends at sqrt(3.985e8) = 19962
    assert CARDS["large"].finite == {"float64": True, "float32": True, "float16": False, "bfloat16": True}  # e^30
    assert card(parse_loss("1e39 * score + y_real")).finite["float32"] is False


def test_a_loss_of_whole_batches() -> None:
    found = CARDS["relativistic"]
    assert found.elementwise is False
    assert CARDS["bce"].elementwise is True
    assert list(found.settles) == [*ROLES, "generator_real"]
    assert found.settles["generator_real"] == pytest.approx(sigmoid(-1), abs=1e-4)
    lines = card_lines(found)
    assert any(line.startswith("generator, real ") for line in lines)
    assert any(line.endswith("(slopes at p=0.5, through the means, too)") for line in lines)
    assert "means of a batch held at 0" in " ".join(title_lines(found))
    assert "mean" not in " ".join(title_lines(CARDS["bce"]))


@given(losses())
@settings(max_examples=40)
def test_any_loss_has_a_card_that_can_be_shown(loss: object) -> None:
    try:
        found = card(loss)  # type: ignore[arg-type]
    except NotFiniteError:
        return
    lines = card_lines(found)
    assert len(lines) == 4 + 1 + 5
    assert all(line.isprintable() and "nan" not in line and "inf " not in line for line in lines)
    assert max(map(len, title_lines(found))) <= 120
    json.dumps(found.as_json())


def test_what_has_no_end_is_not_shown_as_a_number() -> None:
    shown = {name: card_lines(CARDS[name]) for name in ("bce", "hinge", "wasserstein")}
    assert [line.split()[1:3] for line in shown["bce"][1:4]] == [["→", "1"], ["→", "0"], ["→", "1"]]
    assert [line.split()[1] for line in shown["hinge"][1:4]] == ["0.7311", "0.2689", "→"]
    assert shown["bce"][5].endswith(" → 1; real settles at 1")
    assert shown["hinge"][5].endswith(" 0.4621; real does not settle at 1")


def test_a_file_says_what_the_screen_has_against_its_loss() -> None:
    backwards = parse_loss("(y_real - 0.5) * score")
    line = screen_line(card(backwards))
    assert line.startswith("screen                rejected, settles the wrong way: real settles at")
    assert f"\n    {line}\n" in emit_torch(backwards)
    assert load_source(emit_torch(backwards)) is not None
    assert "\n    screen" not in emit_torch(parse_loss(HINGE))


def test_the_table_is_aligned_and_reads_as_measured() -> None:
    lines = card_lines(CARDS["ganetic"])
    assert " ".join(lines[0].split()) == "settles at p dL/ds at p=0.01 p=0.5 p=0.99 steepest convex in s saturates"
    assert lines[2].split()[:6] == ["fake", "0.0047", "2.97e-06", "0.188", "0.0291", "0.316"]
    for title, cell in (("settles at p", "0.7302"), ("p=0.5", "-0.518"), ("steepest", "54.5")):
        assert lines[0].index(title) + len(title) == lines[1].index(cell) + len(cell)
    assert lines[1].endswith("no           s > 5.9")
    assert lines[5:7] == [
        "settling gap          0.7255; real does not settle at 1",
        "proper scoring rule   no: where 0.10 of the images are real, the best answer is p = 0.38 instead of 0.10",
    ]
    assert max(map(len, lines)) <= 116


def test_numbers_on_an_edge_come_out_the_same_whatever_the_last_bit() -> None:
    for value in (0.1875, 0.125, 2.5e-6, 40.5):
        for noisy in (value, math.nextafter(value, 1e9), math.nextafter(value, 0.0), value * (1 - 1e-14)):
            assert number(noisy, ".3g") == number(value, ".3g")
            assert number(-noisy, ".2g") == "-" + number(value, ".2g")
    assert number(-1e-9, ".1f") == number(-0.0, ".3g").replace("0", "0.0") == "0.0"
    assert number(math.nan, ".3g") == number(math.inf, ".3g") == "–"


def test_inspection_shows_the_card_and_the_screens_word() -> None:
    loss = parse_loss("0.5 * y_real")
    found = Inspection(loss, loss, {"L": None}, CARDS["none"])
    lines = found.lines()
    assert lines[-1] == "screen                rejected, flat: real has no gradient"
    assert card_lines(CARDS["none"]) == lines[-11:-1]
    title = title_lines(CARDS["none"])
    assert [*title[:-1], title[-1] + ":", ""] == lines[-12 - len(title) : -11]
    shown = found.as_json()
    assert shown["schema"] == 1
    assert set(shown["card"]) == {
        "settles", "endless", "gap", "real_settles_at_one", "slopes", "steepest", "saturates", "convex", "proper",
        "weights", "finite", "elementwise", "verdict",
    }  # fmt: skip
