"""Mistakes that people make in loss text, and what to write instead, where the grammar alone would not say it."""

import re
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

_MINUSES = "\u2212\u2010\u2011\u2012\u2013\u2014"
_IN_NEEDS = re.compile(r"\bneeds\s*:[^:]*\(\s*$")
_COMMENT = re.compile(r"#[^\n]*")
_BEGUN_NEEDS = re.compile(r"\bneeds\s*$")
_AFTER_NEEDS = re.compile(r"\bneeds\s*:[^:]*$")
_AFTER_LOSS = re.compile(r"^[ \t]*loss\b", re.MULTILINE)
_SPELT_LOSS = re.compile(r"\bloss\s+$", re.IGNORECASE)


def known_mistake(error: UnexpectedInput, text: str) -> tuple[str, int, str] | None:
    """What is wrong, where it begins in the text, and what would not be; None where it is no mistake known here."""
    start: Any = error.pos_in_stream  # lark's types say None
    if start is None:
        return None
    if isinstance(error, UnexpectedCharacters):
        if error.char in _MINUSES:
            return f"unexpected character {error.char!r}", start, "the ASCII minus -"
        return None
    token = error.token if isinstance(error, UnexpectedToken) else Token("", "")
    before = _COMMENT.sub(lambda comment: " " * len(comment.group()), text[:start])
    if token == "*" and before.endswith("*"):
        return "unexpected '**'", start - 1, "^: write ^ for powers"
    if token.type == "NAME" and (spelt := _SPELT_LOSS.search(before)):
        return f"unexpected {before[spelt.start() :].strip()!r}", spelt.start(), "loss: write loss in lower case"
    if token.type == "SUB" and _IN_NEEDS.search(before):
        return "unexpected '-'", start, "a number: a strength is a positive number"
    defined = _AFTER_LOSS.search(before) is not None
    if not defined and (token.type == "_NEEDS" or (token == ":" and _BEGUN_NEEDS.search(before))):
        return "needs: without a definition", start, "a line such as loss A(score) = … before it"
    if token.type == "_NEEDS" or (token.type == "ROLE" and _AFTER_NEEDS.search(before)):
        return f"unexpected {str(token)!r}", start, "all clauses before needs: since needs: stands last"
    if token.type == "LOSS" and defined:
        return "a second loss", start, "the end: one loss a file"
    return None
