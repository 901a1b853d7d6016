"""Texts that grammar/loss.lark derives, and the same with names that mean something where they stand.

The grammar knows of no variable, so that hardly any text that it derives says a loss. `DERIVED_LOSSES` are such texts
as they are, for the errors, and others in which each name has been looked at: one that cannot stand where it stands
gives way to one that can, operands that are too many go, roles and parameters are completed. All else, the order of
the words, the blanks between them and the parentheses, is left as it was derived.
"""

import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from lossgen.language.loss import NEEDS, ROLES
from lossgen.language.operators import BATCH_TERMS, FUNCTIONS, VARIABLES
from lossgen.resources import resource_dir

CONSTANTS = ("alpha", "slope", "T")
"""Names of constants that stand in derived texts."""
_CLAUSES = (*ROLES, "generator_real")
_NUMBERS = ("0", "1", "2.5", "3.985", "1e-9", "1e308", ".5", "7.", "1E+2", "9" * 400, "1e999")
_TEXT = (resource_dir("grammar") / "loss.lark").read_text(encoding="utf-8")
_GRAMMAR = Lark(_TEXT, parser="lalr", keep_all_tokens=True, propagate_positions=True)
_WITHOUT_BLANKS = Lark(re.sub("(?m)^%ignore.*", "", _TEXT), parser="lalr")
_BLANKS = st.sampled_from([*"     \n", "\r\n\t", " # 1 + (\n"])


def _spaced(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(_BLANKS, words).map(lambda parts: f"{parts[0]}{parts[1]} ")


def _derived(
    start: str, names: st.SearchStrategy[str], numbers: st.SearchStrategy[str], grammar: Lark = _WITHOUT_BLANKS
) -> st.SearchStrategy[str]:
    """What a rule derives, with blanks and comments before words; those that the grammar puts anywhere take long."""
    terminals = {"NAME": _spaced(names), "NUMBER": _spaced(numbers)}
    if start == "start":
        terminals |= {"ROLE": _spaced(st.sampled_from(_CLAUSES)), "_NEEDS": st.just(" needs")}
    return from_lark(grammar, start=start, explicit=terminals)


_WORDS = st.sampled_from([*VARIABLES, *FUNCTIONS, *CONSTANTS, "loss", "real", "class", *NEEDS])
_ANY = (_WORDS | st.from_regex(r"[A-Za-z_]\w?", fullmatch=True), st.sampled_from(_NUMBERS))
_RAW = (_derived("start", *_ANY), _derived("start", *_ANY, _GRAMMAR))
_TEXTS = _derived("start", st.sampled_from([*VARIABLES, *FUNCTIONS, *CONSTANTS]), st.sampled_from(_NUMBERS[:6]))
_OPERANDS = st.sampled_from([*VARIABLES, *VARIABLES, *CONSTANTS, *_NUMBERS[:6]])  # a name may stand for any number here
_EXPRESSIONS = _derived("expression", st.sampled_from([*VARIABLES, *FUNCTIONS, *CONSTANTS]), _OPERANDS)


@dataclass
class _Text:
    """A derived text, and what has to stand in it in place of something else.

    Attributes:
        pick: draws one of several words.
        edits: (start, end, words in place of what stands there).
    """

    text: str
    pick: Callable[[Sequence[str]], str]
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    def meant(self) -> str:
        """The text with names that mean something; as it is where it cannot be read."""
        try:
            tree = _GRAMMAR.parse(self.text)
        except UnexpectedInput:
            return self.text
        constants = self._definitions([*tree.find_data("definition")])
        body = tree.children[-1]
        in_roles = bool([*body.find_data("role_form")])
        variables = ("score", "y_pred", *(BATCH_TERMS if in_roles else ("y_real",)))
        self._expression(body, (*variables, *constants))
        if constants:  # one that is used twice does no harm, one that is never used does
            last = [*body.find_data("clause"), *body.find_data("label_form"), body][0].children[-1]
            self._put(_end(last), "".join(f" + {name}" for name in constants))
        if body.data == "loss":
            self._loss(body, variables)
        return self._edited()

    def _definitions(self, found: list[Any]) -> list[str]:
        names: list[str] = []
        for definition in found:
            name = definition.children[1]
            may_stay = name not in (*VARIABLES, *FUNCTIONS, *names) and not keyword.iskeyword(name)
            names.append(str(name) if may_stay else f"c{len(names)}")
            self._replace(name, names[-1])
        return names

    def _expression(self, body: Any, known: Sequence[str]) -> None:
        dropped: set[int] = set()
        for node in body.iter_subtrees_topdown():
            if node.data == "call" and id(node) not in dropped:
                name, _, *operands, _ = node.children
                arity = min(2, len(operands[::2]))
                fitting = [function for function, row in FUNCTIONS.items() if row.arity == arity]
                if name not in fitting:
                    self._replace(name, self.pick(fitting))
                for extra in operands[2 * arity - 1 :]:
                    self.edits.append((_start(extra), _end(extra), ""))
                    if isinstance(extra, Tree):
                        dropped |= {id(part) for part in extra.iter_subtrees()}
            elif node.data == "variable" and id(node) not in dropped and node.children[0] not in known:
                self._replace(node.children[0], self.pick(known))

    def _loss(self, loss: Any, variables: Sequence[str]) -> None:
        _, name, opening, _, closing, body, needs = loss.children
        if keyword.iskeyword(name):
            self._replace(name, "Derived")
        self.edits.append((_end(opening), _start(closing), ", ".join(variables)))
        if body.data == "role_form":
            missing = list(_CLAUSES)
            for clause in body.children[1:]:
                if not missing:
                    self.edits.append((_start(clause), _end(clause), ""))
                    continue
                role = clause.children[0]
                if role not in missing:
                    self._replace(role, missing[0])
                missing.remove(str(role) if role in missing else missing[0])
            self._put(_end(body), "".join(f" {role}: -score" for role in missing if role in ROLES))
        if needs is not None:
            first, *_ = needs.find_data("need")
            self.edits.append((_start(first), _end(needs), f"{self.pick(list(NEEDS))}(10)"))

    def _replace(self, token: Token, word: str) -> None:
        self.edits.append((_start(token), _end(token), word))

    def _put(self, place: int, words: str) -> None:
        self.edits.append((place, place, words))

    def _edited(self) -> str:
        dropped = [(start, end) for start, end, words in self.edits if not words]

        def stays(edit: tuple[int, int, str]) -> bool:
            return not any(s <= edit[0] and edit[1] <= e and (s, e) != edit[:2] for s, e in dropped)

        text, before = self.text, len(self.text)
        for start, end, words in sorted(filter(stays, self.edits), key=lambda edit: edit[:2], reverse=True):
            assert end <= before
            text, before = text[:start] + words + text[end:], start
        return text


def _start(part: Any) -> int:
    return int(part.meta.start_pos if isinstance(part, Tree) else part.start_pos)


def _end(part: Any) -> int:
    return int(part.meta.end_pos if isinstance(part, Tree) else part.end_pos)


@st.composite
def _meaningful(draw: Callable[..., Any], texts: st.SearchStrategy[str]) -> str:
    return _Text(draw(texts), lambda words: draw(st.sampled_from(list(words)))).meant()


@st.composite
def _wrapped(draw: Callable[..., Any]) -> str:
    """Derived expressions as the body of a definition, or alone."""
    constants = draw(st.lists(st.sampled_from(CONSTANTS), max_size=2, unique=True))
    lines = "".join(f"const {name} = {draw(st.sampled_from(['0.7', '-2', '0']))}\n" for name in constants)
    match draw(st.integers(0, 2)):
        case 0:
            return f"{lines}{draw(_EXPRESSIONS)}"
        case 1:
            return f"{lines}loss Derived() = {draw(_EXPRESSIONS)}"
        case _:
            roles = draw(st.lists(st.sampled_from(_CLAUSES), min_size=1, max_size=4, unique=True))
            return f"{lines}loss Derived():" + "".join(f" {role}: {draw(_EXPRESSIONS)}\n" for role in roles)


_MEANT = (_meaningful(_wrapped()), _meaningful(_wrapped()), _meaningful(_TEXTS))
MEANT_LOSSES = st.sampled_from(_MEANT).flatmap(lambda kind: kind)
"""Derived texts with names that mean something: nearly all are losses."""
DERIVED_LOSSES = st.sampled_from([*_MEANT, *_MEANT, *_RAW]).flatmap(lambda kind: kind)
"""Texts that grammar/loss.lark derives: one in four as it is, the others with names that mean something."""
