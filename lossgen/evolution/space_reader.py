"""Text of a search space to Space, through grammar/space.lark, with errors that show the line and a caret."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.visitors import Transformer

from lossgen.errors import InputError
from lossgen.evolution.space import Space
from lossgen.evolution.space_checks import Alternative, Rules, checked_productions, least_depths
from lossgen.evolution.space_comments import Place, read_comments
from lossgen.language.parser import MAX_TEXT, LossSyntaxError
from lossgen.resources import resource_dir

_SHOWN = {
    "NAME": "a name in small letters",
    "TERMINAL": "a name in capitals",
    "STRING": "text in quotes",
    "REGEXP": "a pattern",
    "COLON": ":",
    "_ARROW": "->",
    "_OR": "|",
    "_NL": "the end of the line",
}
_GROUPING = frozenset("()[]*+?~{}")


def find_space(name: str) -> Space:
    """The space called `name`: a path to a .lark file, or one of grammar/spaces/.

    Raises:
        InputError: no such space, one that cannot be read, or a malformed one.
    """
    folder = resource_dir("grammar") / "spaces"
    path = Path(name) if name.endswith(".lark") else folder / f"{name}.lark"
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"space {name}: is a folder or a device; give a .lark file")
        if path.stat().st_size > MAX_TEXT:
            raise InputError(f"space {name}: larger than {MAX_TEXT // 1024} KiB; give a search space")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"space {name}: not a text file in UTF-8 (byte {error.start})") from None
    except PermissionError as error:
        raise InputError(f"space {name}: cannot be read: {error.strerror}") from None
    except (OSError, ValueError):
        known = ", ".join(sorted(p.stem for p in folder.glob("*.lark")))
        raise InputError(f"space {name}: not found; give a path to a .lark file, or one of: {known}") from None
    return read_space(text, path.stem, str(path) if name.endswith(".lark") else f"{name}.lark")


def read_space(text: str, name: str, source: str) -> Space:
    """The space that grammar text says.

    Args:
        text: see grammar/README.md for how a space is written.
        name: for the record.
        source: what messages call the text, for instance a file name.

    Raises:
        LossSyntaxError: not the text of a space, or one that nothing can be sampled from.
        InputError: no text, or too much of it.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if len(text.encode(errors="surrogatepass")) > MAX_TEXT:
        raise InputError(f"{source}: {len(text)} characters; at most {MAX_TEXT // 1024} KiB of a space are read")
    place = Place(text, source)
    rules = _parse(place)
    if not rules.types:
        raise InputError(f'{source}: holds no rules; expected some, such as: start: "neg" start -> neg | "s" -> score')
    productions = checked_productions(rules, read_comments(place), place)
    depths = {type_: int(depth) for type_, depth in least_depths(productions).items()}
    return Space(name, text, "start", productions, depths)


def _parse(place: Place) -> Rules:
    try:
        return cast(Rules, _parser().parse(place.text + "\n"))  # the transformer's result, not a tree
    except UnexpectedInput as error:
        raise _unexpected(error, place) from None


@functools.cache
def _parser() -> Lark:
    grammar = (resource_dir("grammar") / "space.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=_Builder())


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Collects rules while the text is parsed."""

    def start(self, *items: Any) -> Rules:
        return Rules([item for item in items if isinstance(item[1], list)], [i for i in items if isinstance(i[1], set)])

    def rule(self, _: Token | None, name: Token, *alternatives: Alternative) -> tuple[Token, list[Alternative]]:
        return name, list(alternatives)

    def alternative(self, *parts: Token | None) -> Alternative:
        symbols, alias = [part for part in parts[:-1] if part is not None], parts[-1]
        operands = [symbol for symbol in symbols if symbol.type == "NAME"]
        terminals = [symbol for symbol in symbols if symbol.type == "TERMINAL"]
        return Alternative(alias, operands, terminals, [*symbols, alias] if alias is not None else symbols)

    def terminal(self, name: Token, _: Token | None, *pieces: Token) -> tuple[Token, set[str]]:
        return name, {str(piece) for piece in pieces if piece.type == "TERMINAL"}


def _unexpected(error: UnexpectedInput, place: Place) -> LossSyntaxError:
    names: Iterable[str] = ()
    if isinstance(error, UnexpectedToken):
        names, word = error.accepts or error.expected, str(error.token)
    else:
        word = error.char if isinstance(error, UnexpectedCharacters) else ""
        names = error.allowed or () if isinstance(error, UnexpectedCharacters) else ()
    if word == "%":
        what, expected = "a space imports, ignores and declares nothing", "rules and terminals of its own"
    elif word and word[0] in _GROUPING:
        what = f"unexpected {word[0]!r}: a space has no groups, options or repetitions"
        expected = "each alternative written out"
    else:
        what = f"unexpected {word[:40]!r}" if word.strip() else "unexpected end of the line"
        expected = " or ".join(sorted({_SHOWN[name] for name in names if name in _SHOWN}))
    return LossSyntaxError(what, place.text, error.line, error.column, expected, place.source)
