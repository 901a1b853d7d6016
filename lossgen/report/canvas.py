"""What all pictures share: an empty figure, colours that colour-blind people tell apart, and writing the file."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from lossgen.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f5f5f")
"""Okabe and Ito's palette, which reads the same to almost everyone ("Color universal design", 2008)."""
DPI = 130
MAX_PIXELS = 20_000


def check_picture(path: Path) -> None:
    """Raise InputError where the path's suffix is of no kind of picture, before anything is computed."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"picture {path}: its name must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def new_figure(width: float, height: float, laid_out: bool = True) -> "Figure":
    """An empty figure of so many inches that belongs to no window; laid out by matplotlib, or by who draws on it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained" if laid_out else None)
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: Path) -> None:
    """Write the figure as what the path's suffix says; the same figure gives the same bytes.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    import matplotlib

    check_picture(path)
    kind = path.suffix.lower().removeprefix(".")
    metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    dpi = min(DPI, MAX_PIXELS / max(figure.get_size_inches()))
    data = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lossgen"}):
        figure.savefig(data, format=kind, dpi=dpi, metadata=metadata)
    try:
        path.write_bytes(data.getvalue())
    except OSError as error:
        raise InputError(f"picture {path}: cannot be written: {error.strerror or error}") from None


def cut(text: str, length: int) -> str:
    """The text on one line of at most `length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
