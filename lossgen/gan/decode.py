"""Image files as people have them: what the header says, and the pixels in 8 bits."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lossgen.errors import InputError
from lossgen.gan import dicom
from lossgen.gan.images import Pixels, grey_if_equal, on_black, to_uint8

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp", ".jp2"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
    | dicom.SUFFIXES
)
"""Endings, in lower case, of the files that count as images."""

_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""

# What Pillow's decoders are seen to raise on damaged files. OSError covers its own UnidentifiedImageError.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, ArithmeticError, LookupError, struct.error)


@dataclass(frozen=True)
class Header:
    """What a file says about its image before the pixels are decoded.

    Attributes:
        height: of the upright image, in pixels.
        width: of the upright image, in pixels.
        depth: bits a channel in words: "1-bit", "8-bit", "16-bit", "32-bit" or "float"; of DICOM any number.
        frames: pages of a TIFF, pictures of an animation; the first is the one that is used.
        transparent: whether there is transparency, which is laid on black.
    """

    height: int
    width: int
    depth: str
    frames: int
    transparent: bool


def read_header(path: Path) -> Header:
    """The header of an image file.

    Raises:
        InputError: the file cannot be read as an image, or is too large to be one in good faith.
    """
    if path.suffix.lower() in dicom.SUFFIXES:
        height, width, bits, frames = dicom.size_of(path)
        return Header(height, width, f"{bits}-bit", frames, False)
    with _opened(path) as image:
        width, height = image.size
        # Pillow decodes a whole PNG in search of EXIF data; those that stand before the pixels are known already.
        searches = image.format == "PNG" and "exif" not in image.info
        if not searches and image.getexif().get(0x0112) in _TURNED:
            width, height = height, width
        frames = int(getattr(image, "n_frames", 1))
        return Header(height, width, _depth(image), frames, image.has_transparency_data)


def decode(path: Path, at_least: int | None = None) -> Pixels:
    """The image in a file, upright by its EXIF orientation: (H, W, 1) where it is grey, else (H, W, 3).

    Args:
        path: the file; of several pages or frames the first is read.
        at_least: side in pixels that is enough. A large JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, never
            with a side below this, which saves most of the time.

    Raises:
        InputError: the file cannot be read as an image, is truncated, or holds values that are no pixels.
    """
    from PIL import ImageOps

    if path.suffix.lower() in dicom.SUFFIXES:
        return dicom.decode(path)
    with _opened(path) as image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return grey_if_equal(_pixels(ImageOps.exif_transpose(image), path))


def _pixels(image: "Image.Image", path: Path) -> Pixels:
    where = f"image {path}"
    if image.mode.startswith("I;16") or image.mode == "F":
        return to_uint8(np.asarray(image), where)[..., None]
    if image.mode == "I":  # 32-bit integers: what some 16-bit files are opened as
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"{where}: integers from {values.min()} to {values.max()}; save it in 8 or 16 bits")
        return to_uint8(values.astype(np.uint16), where)[..., None]
    if image.has_transparency_data:
        return on_black(np.asarray(image.convert("RGBA")))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def _depth(image: "Image.Image") -> str:
    if image.mode == "1":
        return "1-bit"
    if image.mode == "F":
        return "float"
    # Colour of 16 bits is opened as 8-bit RGB; only the raw mode of its tiles ("RGB;16B") tells.
    if "16" in image.mode or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        return "16-bit"
    return "32-bit" if image.mode == "I" else "8-bit"


@contextmanager
def _opened(path: Path) -> Iterator["Image.Image"]:
    """The file opened by Pillow; whatever goes wrong with it, there or in the block, is one line."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata, which the pixels do not depend on
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise InputError(f"image {path}: more than {limit:.0f} million pixels; scale it down first") from None
    except PermissionError:
        raise InputError(f"image {path}: permission denied; make it readable") from None
    except _DAMAGED as error:
        reason = "not an image that can be read" if isinstance(error, UnidentifiedImageError) else _line(error)
        raise InputError(f"image {path}: {reason}; mend or remove the file") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
