"""Pixels: from any depth to 8 bits, from transparency to black, from any shape to a square of a given side.

Arrays of an .npz file and files of a folder take the same way through here, so that the same picture gives the same
pixels wherever it comes from. An image is (H, W, C) uint8 with C = 1 (grey) or 3 (colour).
"""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lossgen.errors import InputError

Pixels = npt.NDArray[np.uint8]
Fit = Literal["pad", "crop", "stretch"]
FITS: tuple[str, ...] = get_args(Fit)

_TOLERANCE = 1e-6
"""How far float images may leave [0, 1] by rounding alone, in units of full scale."""


def to_uint8(values: npt.NDArray[Any], where: str) -> Pixels:
    """`values` on 0..255: uint8 as it is, uint16 by 1/257, bool and floats in [0, 1] by 255, rounded to nearest.

    65535 / 257 = 255, so white stays white, and a 16-bit copy of an 8-bit image (v · 257) gives v back exactly.

    Args:
        values: of any shape.
        where: what the message is to begin with, such as "data x.npz: train_images".

    Raises:
        InputError: another type, values out of range, or not finite.
    """
    if values.size == 0 or values.dtype == np.uint8:
        return np.ascontiguousarray(values, dtype=np.uint8)
    if values.dtype.kind == "b":
        return np.where(values, np.uint8(255), np.uint8(0))
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return np.asarray((values.astype(np.uint32) + 128) // 257, dtype=np.uint8)
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            raise InputError(
                f"{where}: {values.size - int(finite.sum())} of {values.size} values are NaN or infinite; mend them"
            )
        low, high = float(values.min()), float(values.max())
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise InputError(f"{where}: floats from {low:g} to {high:g}; scale them to [0, 1] or save them as uint8")
        return np.asarray(np.rint(np.clip(values, 0, 1) * 255), dtype=np.uint8)
    if values.dtype.kind not in "iu":
        raise InputError(f"{where}: values of type {values.dtype} are no pixels; save them as uint8")
    raise InputError(
        f"{where}: {values.dtype} from {values.min()} to {values.max()}; "
        "save them as uint8 (0 to 255) or uint16 (0 to 65535)"
    )


def on_black(rgba: Pixels) -> Pixels:
    """(…, 4) with straight alpha laid on black: (…, 3). Black, because that is what `pad` adds too."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)


def grey_if_equal(pixels: Pixels) -> Pixels:
    """(…, 3) as (…, 1) where the three channels are the same everywhere; anything else as it is."""
    if pixels.shape[-1] == 3 and bool((pixels[..., :2] == pixels[..., 1:]).all()):
        return np.ascontiguousarray(pixels[..., :1])
    return pixels


def is_constant(images: Pixels) -> npt.NDArray[np.bool_]:
    """Of (N, H, W, C): (N,), whether all pixels of an image are the same."""
    return np.asarray((images == images[:, :1, :1]).all(axis=(1, 2, 3)))


def fit_square(pixels: Pixels, size: int, fit: Fit) -> Pixels:
    """(H, W, C) resized to (size, size, C) by Lanczos, which also low-passes (antialiases) where it makes smaller.

    `pad` keeps the aspect ratio and adds black on both sides, `crop` takes the central square, `stretch` changes the
    aspect ratio. A square image of the right side comes back unchanged.
    """
    from PIL import Image

    height, width, channels = pixels.shape
    if height == width == size:
        return pixels
    if fit == "crop":  # before resizing, or the filter would mix in what was cut off
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if fit != "pad":
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    else:
        scale = size / max(height, width)
        inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
        inner = picture.resize((inner_width, inner_height), Image.Resampling.LANCZOS)
        picture = Image.new(inner.mode, (size, size))
        picture.paste(inner, ((size - inner_width) // 2, (size - inner_height) // 2))
    return np.asarray(picture, dtype=np.uint8).reshape(size, size, channels)
