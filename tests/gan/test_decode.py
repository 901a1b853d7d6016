"""Image files as people have them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.errors import InputError
from lossgen.gan.decode import decode, read_header


@pytest.fixture
def colour() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats(tmp_path: Path, colour: np.ndarray, suffix: str, channels: int) -> None:
    pixels = colour[..., :channels]
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    assert np.array_equal(decode(path), pixels)
    header = read_header(path)
    assert (header.height, header.width, header.depth, header.frames) == (12, 20, "8-bit", 1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey(tmp_path: Path, colour: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(colour[..., 0].astype(np.uint16) * 257).save(path)
    assert np.array_equal(decode(path), colour[..., :1])
    assert read_header(path).depth == "16-bit"


def test_palette_and_one_bit(tmp_path: Path, colour: np.ndarray) -> None:
    few = (colour[..., :1] // 64 * 64).repeat(3, axis=-1)
    few[..., 1] = 7
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.png")
    assert np.array_equal(decode(tmp_path / "p.png"), few)
    Image.fromarray(colour[..., 0] > 127).save(tmp_path / "b.png")
    assert np.array_equal(decode(tmp_path / "b.png")[..., 0], (colour[..., 0] > 127) * 255)
    assert read_header(tmp_path / "b.png").depth == "1-bit"


def test_alpha_is_laid_on_black(tmp_path: Path, colour: np.ndarray) -> None:
    alpha = np.full((12, 20, 1), 255, dtype=np.uint8)
    alpha[:6] = 0
    Image.fromarray(np.concatenate([colour, alpha], axis=-1)).save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").transparent
    pixels = decode(tmp_path / "a.png")
    assert (pixels[:6] == 0).all()
    assert np.array_equal(pixels[6:], colour[6:])


def test_rgb_of_equal_channels_is_grey(tmp_path: Path, colour: np.ndarray) -> None:
    grey = colour[..., :1].repeat(3, axis=-1)
    Image.fromarray(grey).save(tmp_path / "g.png")
    assert np.array_equal(decode(tmp_path / "g.png"), grey[..., :1])
    Image.fromarray(grey).save(tmp_path / "g.jpg")
    assert decode(tmp_path / "g.jpg").shape == (12, 20, 1)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    upright = np.zeros((16, 32, 3), dtype=np.uint8)
    upright[:, :8] = 255  # a white stripe on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90° clockwise to view"
    Image.fromarray(np.rot90(upright)).save(tmp_path / "x.jpg", exif=exif, quality=95)
    pixels = decode(tmp_path / "x.jpg")[..., 0]
    assert pixels.shape == (16, 32)
    assert pixels[:, :8].mean() > 240
    assert pixels[:, 8:].mean() < 15
    assert (read_header(tmp_path / "x.jpg").height, read_header(tmp_path / "x.jpg").width) == (16, 32)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_a_header_is_read_without_decoding(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (9, 7)).save(tmp_path / f"x.{suffix}")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    header = read_header(tmp_path / f"x.{suffix}")
    assert (header.height, header.width) == (7, 9)


def test_first_page_of_a_tiff(tmp_path: Path, colour: np.ndarray) -> None:
    first, second = Image.fromarray(colour), Image.fromarray(255 - colour)
    first.save(tmp_path / "x.tif", save_all=True, append_images=[second])
    assert np.array_equal(decode(tmp_path / "x.tif"), colour)
    assert read_header(tmp_path / "x.tif").frames == 2


def test_large_jpeg_is_scaled_down_on_the_way(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 640).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (480, 1))).save(tmp_path / "x.jpg", quality=95)
    assert decode(tmp_path / "x.jpg").shape == (480, 640, 1)
    assert decode(tmp_path / "x.jpg", at_least=60).shape == (60, 80, 1)
    assert decode(tmp_path / "x.jpg", at_least=61).shape == (120, 160, 1)


def _raises_one_line(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        decode(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _raises_one_line(path, "mend or remove")


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    _raises_one_line(tmp_path / "x.png", "not an image|mend or remove")


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10_000 / factor))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _raises_one_line(tmp_path / "x.png", "million pixels; scale it down")


def test_float_tiff(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert np.array_equal(decode(tmp_path / "x.tif")[..., 0], np.rint(values * 255))
    assert read_header(tmp_path / "x.tif").depth == "float"
    values[3, 3] = np.nan
    Image.fromarray(values).save(tmp_path / "x.tif")
    _raises_one_line(tmp_path / "x.tif", "1 of 64 values are NaN")


def test_32_bit_integers(tmp_path: Path) -> None:
    values = np.array([[0, 257], [65535, 514]], dtype=np.int32)
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert decode(tmp_path / "x.tif")[..., 0].tolist() == [[0, 1], [255, 2]]
    Image.fromarray(values * 10).save(tmp_path / "x.tif")
    _raises_one_line(tmp_path / "x.tif", "integers from 0 to 655350")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", denied)  # not chmod, which does not bind root
    _raises_one_line(tmp_path / "x.png", "permission denied")
