"""Loss curves: whatever the loss, what is drawn can be read, and files are what their suffix says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from strategies import ANY_CONSTANT, full_losses, losses

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError
from lossgen.report import curves
from lossgen.report.canvas import COLOURS, check_picture, cut, new_figure, save
from lossgen.report.curves import beside_known, loss_curves

WILD = "loss Wild(y_real, y_pred, score) = exp(50 * y_pred) / (y_pred - y_real) + 1 / (score - 1.3)"
BROKEN = "loss Broken(score):\n real: (1e200 * score)^3\n fake: score / (score - 1.3)\n generator: 0 * score"


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, in place of their files."""
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save", lambda figure, path: drawn.append(figure))
    return drawn


def seen(axis: Axes) -> list[float]:
    """For each curve, the share of its finite points that lie within the axis."""
    low, high = axis.get_ylim()
    found = []
    for line in axis.get_lines():
        y = np.asarray(line.get_ydata(), float)
        y = y[np.isfinite(y)]
        if len(y) > 2:
            found.append(float(((y >= low) & (y <= high)).mean()))
    return found


@pytest.mark.parametrize("text", ["bce", "hinge", "wasserstein", "minimax", WILD, BROKEN])
def test_the_subject_lies_within_the_axes_and_has_some_height(text: str, figure: list[Figure]) -> None:
    loss = load_argument(text).loss
    loss_curves(beside_known(loss), Path("unused.png"))
    axes = figure[0].get_axes()
    assert len(axes) == 6
    for axis in axes:
        low, high = axis.get_ylim()
        to = axis.transData.transform
        for line in axis.get_lines():
            y = np.asarray(line.get_ydata(), float)
            if line.get_color() != COLOURS[0] or not np.isfinite(y).any():
                continue
            assert low <= np.nanmin(y) and np.nanmax(y) <= high
            height = to((0.0, np.nanmax(y)))[1] - to((0.0, np.nanmin(y)))[1]
            flat = np.nanmax(y) - np.nanmin(y) < 1e-9 * max(1.0, np.nanmax(np.abs(y)))
            assert flat or height > 0.04 * axis.bbox.height
    assert ("finite at 0%" in axes[0].get_title()) == (text == BROKEN)


RELATIVISTIC_HINGE = """loss RelativisticHinge(score, mean_real, mean_fake):
    real: relu(1 - (score - mean_fake))
    fake: relu(1 + (score - mean_real))
    generator: relu(1 - (score - mean_real))
    generator_real: relu(1 + (score - mean_fake))
"""


def test_equal_functions_look_equal_and_odd_scales_are_named(figure: list[Figure]) -> None:
    loss_curves(beside_known(load_argument(RELATIVISTIC_HINGE).loss), Path("unused.png"))
    axes = np.array(figure[0].get_axes()).reshape(2, 4)
    for row in axes:
        drawn = [axis.transData.transform(axis.get_lines()[0].get_xydata()) - axis.bbox.p0 for axis in row]
        np.testing.assert_allclose(drawn[1], drawn[3], atol=1e-6)
        assert len({axis.get_yscale() for axis in row}) == 1
        assert row[0].get_ylabel().endswith("(asinh scale)") == (row[0].get_yscale() == "asinh")
    assert axes[1, 0].get_yscale() == "asinh", "GANetic is steep"
    assert "means of a batch held at 0" in figure[0].get_suptitle()
    loss_curves([load_argument("bce").loss], Path("unused.png"))
    assert all("asinh" not in axis.get_ylabel() + axis.get_yscale() for axis in figure[1].get_axes())
    assert "mean" not in figure[1].get_suptitle()


def test_a_known_loss_is_seen_on_a_subject_that_is_the_same_for_a_role(figure: list[Figure]) -> None:
    loss_curves(beside_known(load_argument("minimax").loss), Path("unused.png"))
    subject, known = figure[0].get_axes()[0].get_lines()[:2]
    np.testing.assert_allclose(subject.get_ydata(), known.get_ydata(), atol=1e-9)
    assert known.get_linestyle() != "-" and known.get_linewidth() < subject.get_linewidth()
    assert known.get_zorder() >= subject.get_zorder()  # and later, so on top


def test_losses_far_below_the_known_ones_are_not_flattened(figure: list[Figure]) -> None:
    loss_curves(beside_known(load_argument("1e-6 * square(y_pred - y_real)").loss), Path("unused.png"))
    assert all(abs(limit) < 1e-3 for axis in figure[0].get_axes() for limit in axis.get_ylim())


@settings(max_examples=6, deadline=None)
@given(losses(constants=ANY_CONSTANT) | full_losses())
def test_any_loss_is_drawn(loss: Loss) -> None:
    drawn: list[Figure] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "save", lambda figure, path: drawn.append(figure))
        try:
            loss_curves(beside_known(loss), Path("unused.png"))
        except NotFiniteError:
            return
    drawn[0].canvas.draw()
    for axis in drawn[0].get_axes():
        low, high = axis.get_ylim()
        assert np.isfinite([low, high]).all() and low < high
        ticks = axis.get_yticks()
        assert len(ticks) < 16
        assert ((ticks >= low) & (ticks <= high)).sum() >= 3
        assert not seen(axis) or max(seen(axis)) > 0.0


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_the_suffix_says_the_kind_and_equal_losses_give_equal_files(suffix: str, start: bytes, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for file in files:
        loss_curves(beside_known(load_argument("hinge").loss), file)
    assert files[0].read_bytes().startswith(start)
    assert files[0].read_bytes() == files[1].read_bytes()
    if suffix == ".png":
        assert float(np.asarray(Image.open(files[0]).convert("L")).std()) > 10


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt", ".png"])
def test_other_suffixes_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.png, \.svg or \.pdf"):
        check_picture(tmp_path / name)


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written") as caught:
        save(new_figure(1, 1), tmp_path / "absent" / "a.png")
    assert "\n" not in str(caught.value)


def test_long_formulas_are_cut() -> None:
    assert cut("a +\n  b", 10) == "a + b"
    assert cut("a" * 50, 10) == "a" * 9 + "…"
