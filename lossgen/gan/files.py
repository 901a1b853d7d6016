"""Files that are either whole or not there: written beside their place, moved into it, and read without running code.

Each is a dict of plain values and tensors with a "kind" and "schema": 1, for `torch.load(weights_only=True)`.
"""

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch

from lossgen.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends, and vanishes if it fails.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # a folder that cannot be written holds nothing to tidy up
            temporary.unlink(missing_ok=True)


def save_dict(path: Path, content: Mapping[str, Any]) -> None:
    """Write a dict for `read_dict`.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    with replacing(path) as file:
        try:
            torch.save(dict(content), file)
        except RuntimeError as error:  # how PyTorch's writer reports a full disk
            raise InputError(f"{path}: cannot write: {str(error).splitlines()[0]}") from None


def read_dict(path: Path, kind: str) -> dict[str, Any]:
    """The dict of a file that `save_dict` wrote, its tensors on the CPU.

    Raises:
        InputError: the file is absent, damaged, of another kind, or of another schema.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"{path}: not a {kind} file, or damaged") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise InputError(f"{path}: not a {kind} file")
    if content.get("schema") != 1:
        raise InputError(f"{path}: schema {content.get('schema')!r} is not known to this version of lossgen")
    return content
