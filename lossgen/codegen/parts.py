"""Parts that the files of all targets have: the functions of the roles, the gap between parts, the names in use."""

import ast
import builtins
from collections.abc import Iterator

from lossgen.codegen.statements import Target, function
from lossgen.errors import InputError
from lossgen.language.loss import Loss
from lossgen.language.lower import LoweredLoss

EPS_LINE = "EPS = 1e-8  # divisors, roots and logarithms are guarded below this magnitude, nowhere else"


def check_free(name: str, reserved: frozenset[str]) -> None:
    """Raise InputError where a class called `name` would hide something that its module uses."""
    if name in reserved or hasattr(builtins, name):
        raise InputError(f"name {name!r}: the emitted module uses this name itself; choose another with --name")


def role_functions(target: Target, loss: Loss, lowered: LoweredLoss) -> Iterator[str]:
    """Sources of the functions real, fake, generator and loss, in that order."""
    score, both = ("score",), ("score", "y_real")
    roles = lowered.roles
    yield function(target, "real", score, "Loss of the discriminator on real images, elementwise.", roles["real"])
    yield function(target, "fake", score, "Loss of the discriminator on generated images, elementwise.", roles["fake"])
    about = "Loss of the generator, elementwise."
    if loss.label is not None:
        yield f'{target.signature("generator", score)}\n    """{about}"""\n    return real(score)'
    else:
        yield function(target, "generator", score, about, roles["generator"])
    about = "Loss for any target, elementwise: 1 for real, 0 for fake, or soft."
    if loss.label is not None and lowered.label is not None:
        yield function(target, "loss", both, about, lowered.label)
    else:
        mixture = "y_real * real(score) + (1.0 - y_real) * fake(score)"
        yield f'{target.signature("loss", both)}\n    """{about}"""\n    return {mixture}'


def join(parts: list[str]) -> str:
    """One file: docstring, imports, the constant EPS where it is used, then definitions two lines apart."""
    text = parts[0] + "\n\n" + parts[1]
    for part in parts[2:]:
        gap = "\n\n" if part.startswith("EPS") else "\n\n\n"
        text += gap + part
    return text.rstrip() + "\n"


def body_of(source: str) -> str:
    """The source after the module's docstring: what runs. All of it where there is no docstring.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: not Python.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    body = ast.parse(text).body
    if not (body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)):
        return text.strip()
    lines = text.split("\n")
    last, column = body[0].end_lineno or 0, body[0].end_col_offset or 0
    return "\n".join([lines[last - 1].encode()[column:].decode(), *lines[last:]]).strip()
