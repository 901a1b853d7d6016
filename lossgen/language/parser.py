"""Loss text to Loss, through grammar/loss.lark, with errors that show the line, a caret and what was expected."""

import functools
from collections.abc import Iterable, Mapping
from typing import cast

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

from lossgen.errors import InputError
from lossgen.language.builder import Builder, Misuse, quoted
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.macro import Macro
from lossgen.language.mistakes import known_mistake
from lossgen.resources import resource_dir

MAX_TEXT = 64 * 1024

_SHOWN = {
    "NUMBER": "a number",
    "NAME": "a name",
    "ROLE": "a role (real:, fake:, generator:)",
    "_NEEDS": "needs:",
    "LOSS": "loss",
    "CONST": "const",
    "$END": "the end",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "COLON": ":",
    "EQUAL": "=",
    "ADD": "+",
    "SUB": "-",
    "MUL": "*",
    "DIV": "/",
    "POW": "^",
}


class LossSyntaxError(InputError):
    """Loss or space text that is not in its language.

    Attributes:
        line, column: place of the error, counted from 1.
        what, expected: what is wrong, and what would not be.
    """

    def __init__(self, what: str, text: str, line: int, column: int, expected: str = "", source: str = "loss") -> None:
        self.line, self.column, self.what, self.expected = line, column, what, expected
        lines = text.split("\n")
        shown = lines[line - 1] if 0 < line <= len(lines) else ""
        start = max(0, column - 60)
        window = "".join(c if c.isprintable() else " " for c in shown[start : start + 100])
        message = f"{source}, line {line}, column {column}: {what}"
        message += f"\n    {window}\n    {' ' * (column - 1 - start)}^"
        super().__init__(message + (f"\nexpected {expected}" if expected else ""))


def parse_loss(
    text: str,
    source: str = "loss",
    names: Mapping[str, Expression] | None = None,
    macros: Mapping[str, Macro] | None = None,
) -> Loss:
    """The loss that `text` says: a definition `loss Name(…) …`, or a bare expression, which is named Loss.

    Comment lines before the definition become its note.

    Args:
        text: at most 64 KiB; see grammar/README.md for the language.
        source: what messages call the text, for instance a file name.
        names: what further names stand for, as those of `const` lines stand for their constants.
        macros: what further names mean that are called as functions are.

    Raises:
        LossSyntaxError: not in the language, or over a limit (depth 100, 1000 nodes).
        InputError: no text, or too much of it.
    """
    text = text.removeprefix("\ufeff")
    if len(text.encode(errors="surrogatepass")) > MAX_TEXT:
        raise InputError(f"{source}: {len(text)} characters of loss text; at most {MAX_TEXT // 1024} KiB are read")
    if not text.strip():
        raise InputError(f"{source}: empty text; expected a loss such as: square(y_pred - y_real)")
    parser, builder = _parser()
    try:
        with builder.knowing(names or {}, macros or {}):
            parsed = cast(Loss, parser.parse(text))  # the transformer's result, not a tree
    except Misuse as fault:
        raise _located(fault, text, source) from None
    except VisitError as error:
        if isinstance(error.orig_exc, Misuse):
            raise _located(error.orig_exc, text, source) from None
        raise
    except UnexpectedInput as error:
        raise _unexpected(error, text, source) from None
    return parsed.renamed(parsed.name, _leading_comment(text))


def _located(fault: Misuse, text: str, source: str) -> LossSyntaxError:
    line, column = fault.token.line or 1, fault.token.column or 1
    return LossSyntaxError(fault.what, text, line, column, fault.expected, source)


def _unexpected(error: UnexpectedInput, text: str, source: str) -> LossSyntaxError:
    expected: Iterable[str]
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        expected, what = error.accepts or error.expected, f"unexpected {quoted(error.token.value)}"
        line, column = error.line, error.column
    elif isinstance(error, UnexpectedCharacters):
        expected, what = error.allowed or set(), f"unexpected character {error.char!r}"
        line, column = error.line, error.column
    else:
        expected = (error.accepts or error.expected) if isinstance(error, UnexpectedToken) else ()
        what = "the text ends too early"
        lines = text.rstrip().split("\n")
        line, column = len(lines), len(lines[-1]) + 1
    known = known_mistake(error, text)
    if known:
        what, start, wanted = known
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        return LossSyntaxError(what, text, line, column, wanted, source)
    names = sorted({_SHOWN.get(name, name) for name in expected})
    return LossSyntaxError(what, text, line, column, " or ".join(names), source)


def _leading_comment(text: str) -> str:
    lines = []
    for line in text.lstrip().split("\n"):
        if not line.strip().startswith("#"):
            break
        lines.append(line.strip().lstrip("#").strip())
    return "\n".join(lines).strip()


@functools.cache
def _parser() -> "tuple[Lark, Builder]":
    grammar = (resource_dir("grammar") / "loss.lark").read_text(encoding="utf-8")
    builder = Builder()
    return Lark(grammar, parser="lalr", transformer=builder), builder
