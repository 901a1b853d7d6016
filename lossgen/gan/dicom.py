"""DICOM files (`pip install 'lossgen[dicom]'`): their pixels in 8 bits, through the window that the file brings.

Stored values go through the modality's rescale or table, then through the file's first window (PS3.3 C.11.2.1.2 and
C.11.2.1.3) or its VOI table; where there is neither, from the least to the largest value, padding left out. What is
stored with white as the lowest value (MONOCHROME1) is turned round. Nothing but pixels is used: no name, no date.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lossgen.errors import InputError
from lossgen.gan.images import Pixels, grey_if_equal

SUFFIXES = frozenset({".dcm", ".dicom"})
"""Endings, in lower case, of the files that are taken for DICOM."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pydicom's remarks on odd metadata, which the pixels do not depend on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@_quiet()
def size_of(path: Path) -> tuple[int, int, int, int]:
    """Height, width, bits a value and frames of the image in a file.

    Raises:
        InputError: it is no DICOM file with an image, or pydicom is not installed.
    """
    return _size(path, _read(path, pixels=False))


def _size(path: Path, content: Any) -> tuple[int, int, int, int]:
    try:
        frames = int(content.get("NumberOfFrames", 1) or 1)
        return int(content.Rows), int(content.Columns), int(content.BitsStored), frames
    except _damaged():
        raise InputError(f"image {path}: a DICOM file without an image; remove it") from None


@_quiet()
def decode(path: Path) -> Pixels:
    """The first image in a file: (H, W, 1) where it is grey, else (H, W, 3).

    Raises:
        InputError: it is no DICOM file with an image, its compression has no decoder here, or pydicom is missing.
    """
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    content = _read(path, pixels=True)
    frames = _size(path, content)[3]
    try:
        values = content.pixel_array
        values = values[0] if frames > 1 else values
        if content.PhotometricInterpretation == "PALETTE COLOR":
            colours = apply_color_lut(values, content)
            return _bytes(colours / np.iinfo(colours.dtype).max)
        if values.ndim == 3:
            return grey_if_equal(_bytes(values / (2**content.BitsStored - 1)))
        grey = _windowed(np.asarray(apply_modality_lut(values, content), dtype=np.float64), values, content)
    except _damaged() as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"image {path}: its pixels cannot be decoded ({reason}); save it uncompressed") from None
    return _bytes(1.0 - grey if content.PhotometricInterpretation == "MONOCHROME1" else grey)[..., None]


def _windowed(values: npt.NDArray[np.float64], stored: npt.NDArray[Any], content: Any) -> npt.NDArray[np.float64]:
    """Values on 0 to 1, as they are once rescaled, beside those that are stored."""
    from pydicom.pixels.processing import apply_voi

    if content.get("VOILUTSequence"):
        bits = int(content.VOILUTSequence[0].LUTDescriptor[2])
        table: npt.NDArray[np.float64] = apply_voi(values.astype(np.int64), content) / (2**bits - 1)
        return table
    centre, width = _first(content.get("WindowCenter")), _first(content.get("WindowWidth"))
    if centre is None or width is None:
        padding = content.get("PixelPaddingValue")
        seen = values if padding is None else values[stored != padding]
        low, high = (seen.min(), seen.max()) if seen.size else (0.0, 0.0)
        return (values - low) / (high - low) if high > low else np.zeros_like(values)
    if width <= 0.0:
        raise ValueError(f"its window is {width:g} wide")
    function = content.get("VOILUTFunction", "LINEAR") or "LINEAR"
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (values - centre) / width)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    return np.clip((values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5, 0.0, 1.0)


def _first(value: Any) -> float | None:
    """The first of what may be one number, several or none."""
    if value is None or value == "":
        return None
    return float(value[0]) if hasattr(value, "__len__") and not isinstance(value, str) else float(value)


def _bytes(values: npt.NDArray[np.floating]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0.0, 1.0) * 255), dtype=np.uint8)


def _damaged() -> tuple[type[Exception], ...]:
    """What pydicom is seen to raise on damaged files; its own exceptions derive from Exception alone."""
    from pydicom import errors

    own = errors.InvalidDicomError, errors.BytesLengthException
    return (
        *own, OSError, EOFError, struct.error, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError,
        ValueError,
    )  # fmt: skip


def _read(path: Path, pixels: bool) -> Any:
    try:
        import pydicom
    except ImportError:
        raise InputError(f"image {path}: DICOM takes a package more: pip install 'lossgen[dicom]'") from None
    try:
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except PermissionError:
        raise InputError(f"image {path}: permission denied; make it readable") from None
    except _damaged():
        raise InputError(f"image {path}: not a DICOM file that can be read; mend or remove it") from None
