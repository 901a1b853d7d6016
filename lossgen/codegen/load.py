"""Source text to live modules, and the LOSS argument of every command to source text."""

import ast
import difflib
import os
import re
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lossgen.codegen.docstring import BEFORE_LATEX, MARKER
from lossgen.codegen.parts import body_of
from lossgen.codegen.targets import TORCH, target_of
from lossgen.codegen.torch_module import emit_torch
from lossgen.errors import InputError
from lossgen.language.loss import Loss
from lossgen.language.parser import MAX_TEXT, parse_loss
from lossgen.resources import shortlist_dir, zoo_dir

if TYPE_CHECKING:
    from torch import nn

MAX_FILE = 4 * MAX_TEXT


@dataclass(frozen=True)
class NamedSource:
    """A loss that a command was given.

    Attributes:
        loss: the parsed loss.
        source: text of its emitted PyTorch module; the file's own where it is one.
    """

    loss: Loss
    source: str

    @property
    def name(self) -> str:
        return self.loss.name


def load_source(source: str) -> "nn.Module":
    """The module of an emitted file's text, built with its defaults.

    The text is run: give it only what `emit_torch` wrote, or what a user has declared to be trusted.

    Raises:
        InputError: the text does not run, does not define one `nn.Module`, or one that needs arguments.
    """
    from torch import nn

    module = run_source(source)
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise InputError(f"loss module: defines {len(classes)} nn.Module classes; an emitted file defines one")
    try:
        criterion: nn.Module = classes[0]()
    except Exception as error:  # noqa: BLE001  as above
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"loss module: cannot be built with its defaults: {what}") from None
    return criterion


def run_source(source: str) -> types.ModuleType:
    """An emitted file's text, run as a module of its own.

    Raises:
        InputError: it does not run.
    """
    module = types.ModuleType("lossgen_emitted")
    try:
        exec(compile(source, "<emitted loss>", "exec"), module.__dict__)
    except Exception as error:  # noqa: BLE001  a trusted file of the user's own may raise anything
        raise InputError(f"loss module: does not run: {type(error).__name__}: {error}") from None
    return module


def load_argument(text: str, trust: bool = False) -> NamedSource:
    """The loss that a LOSS argument means: a path that exists, else a name (zoo or shortlist), else an expression.

    Args:
        text: path of a `.loss` or an emitted `.py` file of any target, a name of the zoo or shortlist, or loss text.
        trust: take the body of a `.py` file as it is, although it differs from what lossgen would write.

    Raises:
        InputError: none of these, or a `.py` file whose body is not what its docstring's loss is emitted as.
    """
    path = Path(text)
    exists = os.path.exists(text)  # noqa: PTH110  unlike Path.exists it takes any text for an answer
    if not exists and text.endswith((".loss", ".py")) and "\n" not in text:
        raise InputError(f"loss {text}: no such file")
    if exists and path.is_file():
        return _from_file(path, trust)
    known = _named(text)
    if known is not None:
        return _from_file(known, trust)
    try:
        loss = parse_loss(text)
    except InputError as error:
        if exists:
            raise InputError(f"loss {text}: is a folder; give a .loss or .py file") from None
        if text.isidentifier():
            raise InputError(f"loss {text}: not a file, not in the zoo{_near(text)}") from None
        if _like_a_path(text):
            raise InputError(f"loss {text}: no such file") from None
        raise error from None
    return NamedSource(loss, emit_torch(loss))


def _named(name: str) -> Path | None:
    """The `.loss` file of a name of the zoo or the shortlist."""
    paths = [folder / f"{name[:100]}.loss" for folder in (zoo_dir(), shortlist_dir()) if name.isidentifier()]
    return next((path for path in paths if path.is_file()), None)


def _near(name: str) -> str:
    """The name that was meant, as it seems; else all of the zoo's."""
    close = difflib.get_close_matches(name.lower(), [*zoo_names(), *shortlist_names()], n=1)
    return f"; did you mean {close[0]}?" if close else f" ({', '.join(zoo_names())})"


def _like_a_path(text: str) -> bool:
    """Whether a text that is no loss begins as the path of a file does."""
    folder, slash, _ = text.partition("/")
    if "\n" in text or not slash:
        return False
    return folder in ("", ".", "..", "~") or os.path.isdir(folder)  # noqa: PTH112  as above


def zoo_names() -> list[str]:
    """Names of the losses that come with lossgen."""
    return sorted(path.stem for path in zoo_dir().glob("*.loss") if not path.stem.startswith("evolved_"))


def shortlist_names() -> list[str]:
    """Names of the losses of the shortlist, which searches have found."""
    return sorted(path.stem for path in shortlist_dir().glob("*.loss"))


def read_emitted(source: str, where: str) -> Loss:
    """The loss that an emitted file's docstring holds; the file is parsed, never run.

    Raises:
        InputError: not Python, or no such docstring.
    """
    try:
        docstring = ast.get_docstring(ast.parse(source), clean=False) or ""
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"loss {where}: not a Python file: {error}") from None
    _, found, after = docstring.partition(MARKER)
    if not found:
        raise InputError(f"loss {where}: its docstring holds no loss; give a file that lossgen wrote, or a .loss file")
    lines: list[str] = []
    for line in after.strip("\r\n").splitlines():
        if not line.startswith("    "):
            break
        lines.append(line[4:])
    loss = parse_loss("\n".join(lines), where)
    rest = after.split("\n\n")
    note = "\n\n".join(part for part in rest[2:]).rpartition(BEFORE_LATEX)[0].strip()
    return loss.renamed(loss.name, note)


def _from_file(path: Path, trust: bool) -> NamedSource:
    text = _read(path)
    if path.suffix != ".py":
        loss = parse_loss(text, str(path))
        try:
            return NamedSource(loss, emit_torch(loss))
        except InputError as error:
            raise InputError(f"loss {path}{_line_of(loss, text, str(error))}: {error}") from None
    loss, target = read_emitted(text, str(path)), target_of(text)
    same = body_of(text) == body_of(target.emit(loss))
    if not same and not (trust and target is TORCH):
        raise InputError(
            f"loss {path}: its code differs from what its docstring's loss is emitted as"
            + (
                ", so it is not run; pass --trust to run it as it is, or write it anew with `lossgen compile`"
                if target is TORCH
                else f" for {target.library}, and only PyTorch modules can be run as they are; "
                f"write it anew with `lossgen compile --target {target.name}`"
            )
        )
    return NamedSource(loss, text if target is TORCH else emit_torch(loss))


def _line_of(loss: Loss, text: str, message: str) -> str:
    """Where the constant is defined that a message is about, for the message's own text to follow."""
    for name in loss.constants:
        found = re.search(rf"^[ \t]*const\s+{re.escape(name)}\s*=", text, re.MULTILINE)
        if found and re.search(rf"\b{re.escape(name)}\b", message.partition(":")[0]):
            return f", line {text.count(chr(10), 0, found.start()) + 1 + found.group().count(chr(10))}"
    return ""


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise InputError(f"loss {path}: larger than {MAX_FILE // 1024} KiB")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"loss {path}: not a text file in UTF-8") from None
    except OSError as error:
        raise InputError(f"loss {path}: cannot be read: {error.strerror}") from None
