"""Pixels: depths, transparency, and the three ways to make a square."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.gan.images import fit_square, grey_if_equal, is_constant, on_black, to_uint8


def test_16_bits_scale_by_257_exactly() -> None:
    levels = np.arange(256, dtype=np.uint16)
    assert np.array_equal(to_uint8(levels * np.uint16(257), "x"), levels)
    everything = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_uint8(everything, "x"), np.rint(everything / 257))
    assert np.array_equal(to_uint8(everything.astype(">u2"), "x"), np.rint(everything / 257))


def test_floats_and_bools() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(levels / 255, "x"), levels)
    assert np.array_equal(to_uint8((levels / 255).astype(np.float32), "x"), levels)
    assert to_uint8(np.array([True, False]), "x").tolist() == [255, 0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([-1.0, 1.0]), "floats from -1 to 1"),
        (np.array([0.0, 255.0]), "floats from 0 to 255"),
        (np.array([0, 300]), "int64 from 0 to 300"),
        (np.array([0.5, np.nan]), "1 of 2 values are NaN or infinite"),
        (np.array([np.inf, 0.0]), "1 of 2 values are NaN or infinite"),
        (np.array(["a"]), "no pixels"),
    ],
)
def test_values_that_are_no_pixels(values: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=f"^data x: .*{said}") as caught:
        to_uint8(values, "data x")
    assert "\n" not in str(caught.value)


def test_transparency_is_laid_on_black() -> None:
    rgba = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], dtype=np.uint8)
    assert on_black(rgba).tolist() == [[[200, 100, 50], [0, 0, 0], [40, 20, 10]]]


def test_grey_by_content() -> None:
    grey = np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4, 1), 3, axis=-1)
    assert grey_if_equal(grey).shape == (4, 4, 1)
    grey[0, 0, 2] = 9
    assert grey_if_equal(grey).shape == (4, 4, 3)


def test_constant_is_asked_of_each_image() -> None:
    images = np.zeros((3, 4, 4, 3), dtype=np.uint8)
    images[0] = (200, 10, 10)  # one colour is one value
    images[1, 2, 2, 1] = 1
    assert is_constant(images).tolist() == [True, False, True]


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), size=st.sampled_from([8, 16, 28]))
def test_pad_keeps_the_aspect_ratio_and_centres(height: int, width: int, size: int) -> None:
    fitted = fit_square(np.full((height, width, 1), 255, dtype=np.uint8), size, "pad")[..., 0]
    inside = fitted == 255
    assert set(np.unique(fitted)) <= {0, 255}  # the image stays white up to its edge, the rest is black
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert inside.sum() == len(rows) * len(columns)
    scale = size / max(height, width)
    assert len(rows) == max(1, round(height * scale))
    assert len(columns) == max(1, round(width * scale))
    assert abs(rows[0] - (size - 1 - rows[-1])) <= 1
    assert abs(columns[0] - (size - 1 - columns[-1])) <= 1


def test_crop_takes_the_central_square() -> None:
    wide = np.zeros((10, 30, 1), dtype=np.uint8)
    wide[:, 10:20] = 255
    assert (fit_square(wide, 8, "crop") == 255).all()
    assert fit_square(wide, 8, "stretch")[4, [0, 7]].max() < 8
    assert (fit_square(wide.transpose(1, 0, 2), 8, "crop") == 255).all()


def test_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for fit in ("pad", "crop", "stretch"):
        assert np.array_equal(fit_square(image, 8, fit), image)  # type: ignore[arg-type]


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_made_smaller_is_antialiased(fit: str) -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    small = fit_square(board, 16, fit)[2:-2, 2:-2].astype(int)  # type: ignore[arg-type]
    assert np.abs(small - 127.5).max() < 3  # picking every fourth pixel would give 0 or 255
