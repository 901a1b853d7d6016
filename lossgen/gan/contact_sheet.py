"""Images side by side, to look at: those of a generator, and a contact sheet of data, one row a class, as one PNG."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.images import Pixels
from lossgen.gan.raw import SPLITS, RawData

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_COLUMNS = 10
_ROWS = 30
_CELL = 96
_GAP = 8
_CAPTION = 190
_TITLE = 56
_NOTE = 16
_INK, _FAINT, _PAPER = (20, 20, 20), (95, 95, 95), (255, 255, 255)


def grid(images: NDArray[np.uint8], columns: int = 8, gap: int = 1) -> NDArray[np.uint8]:
    """Images (N, C, H, W) side by side as one picture: (rows, columns) of pixels, with a last axis of 3 for colour.

    The gap between images is grey: digits of 8 pixels fill their frame, and could not be told apart without one.
    """
    count, channels, height, width = images.shape
    rows = math.ceil(count / columns)
    page = np.full((rows * columns, channels, height + gap, width + gap), 96, dtype=np.uint8)
    page[:count, :, :height, :width] = images
    page = page.reshape(rows, columns, channels, height + gap, width + gap).transpose(0, 3, 1, 4, 2)
    picture = page.reshape(rows * (height + gap), columns * (width + gap), channels)
    return picture[..., 0] if channels == 1 else picture


def draw_contact_sheet(data: RawData, title: str, path: Path) -> None:
    """Write up to ten images of each class of train, evenly spaced in its order, to the PNG file `path`.

    Small images are enlarged by a whole factor without smoothing, so that pixels stay visible. Under images of mixed
    sizes stands the size of each. Without labels there are three rows of ten; of many classes the first 30 are shown.

    Raises:
        InputError: the file cannot be written.
    """
    from PIL import Image, ImageDraw

    rows = _rows(data)
    mixed = len(np.unique(data.splits["train"].images.shapes, axis=0)) > 1
    pitch = _CELL + _GAP + (_NOTE if mixed else 0)
    hidden = len(data.classes) - len(rows) if data.classes else 0
    caption = _CAPTION if data.classes else _GAP
    width = caption + _COLUMNS * (_CELL + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _TITLE + len(rows) * pitch + _GAP + (24 if hidden else 0)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (_GAP, 8), title, 16, width - 2 * _GAP)
    counted = "train / validation / test" if data.classes else "the images of train, evenly spaced"
    _write(pen, (_GAP, 32), counted, 12, width - 2 * _GAP, _FAINT)
    for row, (name, counts, indices) in enumerate(rows):
        top = _TITLE + row * pitch
        _write(pen, (_GAP, top + 28), name, 16, _CAPTION - 2 * _GAP)
        _write(pen, (_GAP, top + 50), counts, 12, _CAPTION - 2 * _GAP, _FAINT)
        for column, index in enumerate(indices):
            left = caption + column * (_CELL + _GAP)
            pixels = data.splits["train"].images.read(int(index), at_least=2 * _CELL)
            thumb = _thumbnail(pixels)
            sheet.paste(thumb, (left + (_CELL - thumb.width) // 2, top + (_CELL - thumb.height) // 2))
            if mixed:
                height, wide = data.splits["train"].images.shapes[index]
                _write(pen, (left, top + _CELL + 1), f"{wide} × {height}", 11, _CELL, _FAINT, centred=True)
    if hidden:
        _write(pen, (_GAP, _TITLE + len(rows) * pitch), f"and {hidden} more classes", 14, width)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    try:
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise InputError(f"contact sheet {path}: cannot be written: {error.strerror or error}") from None


def _rows(data: RawData) -> list[tuple[str, str, list[int]]]:
    """Caption, counts and image numbers of each row."""
    train = data.splits["train"]
    if not data.classes or train.labels is None:
        chosen = _spaced(np.arange(len(train.images)), 3 * _COLUMNS)
        return [("", "", chosen[start : start + _COLUMNS]) for start in range(0, len(chosen), _COLUMNS)]
    rows = []
    for number, name in enumerate(data.classes[:_ROWS]):
        labels = [data.splits[split].labels for split in SPLITS]
        counts = " / ".join("–" if part is None else str(int((part == number).sum())) for part in labels)
        rows.append((name, counts, _spaced(np.flatnonzero(train.labels == number), _COLUMNS)))
    return rows


def _spaced(indices: "np.typing.NDArray[np.int64]", count: int) -> list[int]:
    """Up to `count` of `indices`, evenly spaced, the first and the last among them."""
    if len(indices) <= count:
        return [int(index) for index in indices]
    return [int(index) for index in indices[np.linspace(0, len(indices) - 1, count).round().astype(np.int64)]]


def _thumbnail(pixels: Pixels) -> "Image.Image":
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    longest = max(picture.size)
    if longest <= _CELL:
        factor = _CELL // longest
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
    return picture


def _write(
    pen: "ImageDraw.ImageDraw",
    place: tuple[int, int],
    text: str,
    points: int,
    room: int,
    ink: tuple[int, int, int] = _INK,
    centred: bool = False,
) -> None:
    """`text` in `room` pixels, cut with an ellipsis where it does not fit."""
    font = _font(points)
    shown = text
    while shown and pen.textlength(shown if shown == text else shown + "…", font=font) > room:
        shown = shown[:-1]
    shown = shown if shown == text else shown + "…"
    left = place[0] + (int(room - pen.textlength(shown, font=font)) // 2 if centred else 0)
    pen.text((left, place[1]), shown, fill=ink, font=font)


def _font(points: int) -> "ImageFont.FreeTypeFont":
    """DejaVu Sans, which matplotlib carries and which has Latin, Greek, Cyrillic and Arabic letters."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), points)
