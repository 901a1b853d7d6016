"""Refuse an output that cannot be written, or that would destroy something, before seconds are spent on it."""

from collections.abc import Sequence
from pathlib import Path

from lossgen.errors import InputError


def check_output(output: str, inputs: Sequence[str], flag: str = "-o") -> Path:
    """The path of an emitted file.

    Args:
        output: as it was typed, a slash at its end included.
        inputs: the LOSS arguments; those that are files are not to be written over.

    Raises:
        InputError: a folder, an input, no name of a Python file, or in a folder that does not exist.
    """
    path = Path(output)
    if output.endswith(("/", "\\")) or path.is_dir():
        raise InputError(f"{flag} {output}: is a folder; give a file, for instance {path / 'loss.py'}")
    for text in inputs:
        if path == Path(text) or (_is_file(text) and path.exists() and path.samefile(text)):
            raise InputError(f"{flag} {output}: is the LOSS itself and would be written over; give another file")
    if path.suffix != ".py":
        source = ", the suffix of sources," if path.suffix == ".loss" else ""
        raise InputError(f"{flag} {output}: does not end in .py{source} but Python is written; give a .py file")
    check_folder(path, flag)
    return path


def check_folder(path: Path, flag: str) -> None:
    """Raise InputError where the folder that a file is to be written to does not exist."""
    if not path.parent.is_dir():
        what = "is not a folder" if path.parent.exists() else "does not exist"
        raise InputError(f"{flag} {path}: the folder {path.parent} {what}; make it first, or give another file")


def check_replaceable(path: Path) -> None:
    """Raise InputError where a file stands that lossgen did not write: it may be somebody's only copy of something."""
    from lossgen.codegen.docstring import MARKER

    if path.is_file() and path.stat().st_size > 0 and MARKER not in path.read_text(encoding="utf-8", errors="replace"):
        raise InputError(f"{path}: exists, and lossgen did not write it; move it away, or give another file with -o")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # an expression, too long for a name or with a NUL
        return False
