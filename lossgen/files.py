"""Files are written whole or not at all, and JSON holds no NaN."""

import math
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from lossgen.errors import InputError


def expanded(path: str | Path) -> Path:
    """A path with the home folder in place of ~, or of ~name; as it is where nobody is called so."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path's own raises


def write_text(path: Path, text: str, *, soon_again: bool = False) -> None:
    """Write a text file in UTF-8 by way of a temporary one beside it, so that no reader sees half of it.

    Args:
        soon_again: it will be written again before long: leave it as it was while somebody has it open on Windows.

    Raises:
        InputError: it cannot be written; what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        with suppress(*([PermissionError] if soon_again else [])):
            temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path, pattern: str = "*") -> None:
    """Delete the temporary files that killed processes have left of files whose names match.

    On Windows, where a process cannot be asked whether it lives without being harmed, they stay.
    """
    for temporary in folder.glob(f".{pattern}.*"):
        maker = temporary.suffix[1:]
        if maker.isdecimal() and not _alive(int(maker)):
            temporary.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def without_nan(value: Any) -> Any:
    """JSON values with null in place of NaN and the infinities, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
