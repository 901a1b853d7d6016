"""From the rules of a space to its productions, with every mistake that can be known before anything is sampled."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lark import Token

from lossgen.evolution.distribution import Distribution
from lossgen.evolution.space import CONST, MAX_DEPTH, MAX_SIZE, ROLES_ALIAS, SEARCHED, Production
from lossgen.evolution.space_comments import NOT_SEARCHED, Comments, Place
from lossgen.language.loss import ROLES
from lossgen.language.macro import Macro
from lossgen.language.operators import BATCH_TERMS, OPERATORS

START = "start"
DEFAULT = Distribution("lognormal", (0.0, 1.0))
"""How constants are drawn of which a space says nothing."""

_OPERATORS = {name: row.arity for name, row in OPERATORS.items() if row.surface}
_Productions = dict[str, list[Production]]


@dataclass(frozen=True)
class Alternative:
    """One alternative of a rule, as its words stand in the text.

    Attributes:
        alias: the word after the arrow.
        operands: names of types.
        terminals: names of terminals.
        words: all of it.
    """

    alias: Token | None
    operands: Sequence[Token]
    terminals: Sequence[Token]
    words: Sequence[Token]


@dataclass(frozen=True)
class Rules:
    """What a space's text holds besides its comments.

    Attributes:
        types: alternatives of each rule.
        terminals: for each, the terminals that it refers to.
    """

    types: Sequence[tuple[Token, list[Alternative]]]
    terminals: Sequence[tuple[Token, set[str]]]


def checked_productions(rules: Rules, comments: Comments, place: Place) -> _Productions:
    """The alternatives of each type.

    Raises:
        LossSyntaxError: a name that means nothing or stands twice, a wrong number of operands, a type that is never
            reached or never ends, or a comment about what does not occur.
    """
    _check_names(rules, place)
    own: _Productions = {}
    passed_on: dict[str, list[str]] = {}
    for name, alternatives in rules.types:
        own[str(name)], passed_on[str(name)] = [], []
        seen: set[str] = set()
        for alternative in alternatives:
            hands_on = len(alternative.words) == len(alternative.operands) == 1
            word = alternative.operands[0] if hands_on else alternative.alias
            if word is None:
                at = alternative.words[0] if alternative.words else name
                raise place.error(f"an alternative of {name} has no alias", at, '"…" TYPE … -> OPERATOR')
            if word in seen:
                raise place.error(f"{word} stands twice among the alternatives of {name}", word)
            seen.add(str(word))
            if alternative.alias is None:
                passed_on[str(name)].append(str(word))
            else:
                own[str(name)].append(_production(alternative, word, comments, place))
    _check_roles(rules, comments, place)
    _check_reached(rules, place)
    _check_comments(rules, comments, place)
    productions = {type_: _alternatives(type_, own, passed_on) for type_ in own}
    _check_ends(rules, productions, place)
    return productions


def least_depths(productions: Mapping[str, Sequence[Production]]) -> dict[str, float]:
    """Depth of the shallowest derivation by type; a macro counts as one level. Infinite for a type that never ends."""
    return _least(productions, lambda production, depths: 1.0 + max(depths, default=0.0))


def _check_names(rules: Rules, place: Place) -> None:
    """Each type and terminal is defined once, and is used."""
    defined = {str(name) for name, _ in (*rules.types, *rules.terminals)}
    for kind, words in (("type", rules.types), ("terminal", rules.terminals)):
        seen: set[str] = set()
        for name, _ in words:
            if name in seen:
                raise place.error(f"the {kind} {name} is defined twice", name)
            seen.add(str(name))
    if START not in defined:
        raise place.error("no type is called start", rules.types[0][0], "start: …, the type of a whole loss")
    for _, alternatives in rules.types:
        for alternative in alternatives:
            for word in (*alternative.operands, *alternative.terminals):
                if word not in defined:
                    kind = "type" if word in alternative.operands else "terminal"
                    raise place.error(f"the {kind} {word} is not defined", word, f"a rule {word}: …, too")
    used = {str(t) for _, alternatives in rules.types for a in alternatives for t in a.terminals}
    used |= {t for _, inside in rules.terminals for t in inside}
    for name, _ in rules.terminals:
        if name not in used:
            raise place.error(f"the terminal {name} is never used", name)


def _production(alternative: Alternative, alias: Token, comments: Comments, place: Place) -> Production:
    macro = comments.macros.get(alias)
    if alias in BATCH_TERMS:
        raise place.error(NOT_SEARCHED.format(alias), alias)
    arities = {**_OPERATORS, **dict.fromkeys((*SEARCHED, CONST), 0), ROLES_ALIAS: len(ROLES)}
    arities |= {name: found.arity for name, found in comments.macros.items()}
    if alias not in arities:
        raise place.error(f"unknown operator {str(alias)!r}", alias, f"one of: {', '.join(arities)}")
    wanted, given = arities[str(alias)], len(alternative.operands)
    if given != wanted:
        raise place.error(f"{alias} takes {wanted} operand{'s'[: wanted != 1]}, not {given}", alias)
    drawn = None
    if alias == CONST:
        if len(alternative.terminals) != 1:
            raise place.error(f"const takes one terminal, not {len(alternative.terminals)}", alias, "CONST -> const")
        drawn = comments.constants.get(str(alternative.terminals[0]), comments.constants.get("", DEFAULT))
    operands = tuple(str(operand) for operand in alternative.operands)
    return Production(str(alias), operands, comments.weights.get(str(alias), 1.0), drawn, macro)


def _check_roles(rules: Rules, comments: Comments, place: Place) -> None:
    """Role-form losses are made at the start and nowhere below it, and have no target."""
    roles = [a for _, alternatives in rules.types for a in alternatives if a.alias == ROLES_ALIAS]
    if not roles:
        return
    below = _reached(rules, [operand for alternative in roles for operand in alternative.operands])
    for name, alternatives in rules.types:
        for alternative in alternatives:
            alias = alternative.alias
            if alias == ROLES_ALIAS and alias is not None and name != START:
                raise place.error("roles make a whole loss", alias, "start: TYPE TYPE TYPE -> roles")
            for operand in alternative.operands:
                if operand == START:
                    raise place.error("a loss of three roles is no part of another", operand, "another type")
            macro = comments.macros.get(alias or "")
            if name in below and alias is not None and (alias == "y_real" or _has_target(macro)):
                raise place.error("y_real belongs to the label form; a role has its target already", alias)


def _has_target(macro: Macro | None) -> bool:
    return macro is not None and "y_real" in macro.body.variables()


def _check_reached(rules: Rules, place: Place) -> None:
    reached = _reached(rules, [START])
    for name, _ in rules.types:
        if name not in reached:
            raise place.error(f"{name} is never reached from start", name, "a rule that leads to it, or no such type")


def _check_comments(rules: Rules, comments: Comments, place: Place) -> None:
    """What is said of a name is said of one that occurs."""
    alternatives = [a for _, found in rules.types for a in found]
    aliases = {str(a.alias) for a in alternatives if a.alias is not None}
    drawn = {str(t) for a in alternatives if a.alias == CONST for t in a.terminals}
    for (kind, name), word in comments.words.items():
        if kind == "def" and name not in aliases | comments.used:
            raise place.error(f"the macro {name} is never used", word, f"an alternative … -> {name}, or no such line")
        if kind == "weight" and name not in aliases:
            raise place.error(f"no alternative is called {name}", word, f"one of: {', '.join(sorted(aliases))}")
        if kind == "const" and not ({name} & drawn if name else drawn - {n for k, n in comments.words if k == "const"}):
            of = f"no constant is drawn from {name}" if name else "no constant is drawn from this"
            raise place.error(of, word, f"one of: {', '.join(sorted(drawn))}" if drawn else "CONST -> const somewhere")


def _check_ends(rules: Rules, productions: _Productions, place: Place) -> None:
    """Each type has a derivation that ends, and that of a whole loss can be small enough."""
    words = {str(name): name for name, _ in rules.types}
    if not any(not p.operands for alternatives in productions.values() for p in alternatives):
        raise place.error("nothing ends: no alternative is a variable or const", words[START], '"score" -> score')
    depths = least_depths(productions)
    endless = [type_ for type_ in productions if depths[type_] == math.inf]
    if endless:
        needed = _needed(rules)
        blamed, met = endless[0], set[str]()
        while blamed not in met:  # those that lead to a cycle are not to blame, those in it are
            met.add(blamed)
            blamed = next(operand for operand in needed[blamed] if operand in endless)
        raise place.error(f"{blamed} never ends: each of its alternatives needs {blamed} again", words[blamed])
    for what, most, cost in (("nodes", MAX_SIZE, _size), ("levels", MAX_DEPTH, _depth)):
        least = _least(productions, cost)[START]
        if least > most:
            raise place.error(f"the smallest loss has {least:.0f} {what}", words[START], f"one of at most {most}")


def _size(production: Production, sizes: Sequence[float]) -> float:
    return production.macro.size(sizes) if production.macro else 1.0 + sum(sizes)


def _depth(production: Production, depths: Sequence[float]) -> float:
    return production.macro.depth(depths) if production.macro else 1.0 + max(depths, default=0.0)


def _alternatives(type_: str, own: _Productions, passed_on: Mapping[str, list[str]]) -> list[Production]:
    """The type's own alternatives, then those of types that it hands on to (`start: expr`), each once."""
    found: dict[Production, None] = {}
    seen: set[str] = set()
    waiting = [type_]
    while waiting:
        other = waiting.pop()
        if other not in seen:
            seen.add(other)
            found |= dict.fromkeys(own[other])
            waiting += reversed(passed_on[other])
    return list(found)


def _needed(rules: Rules) -> dict[str, list[str]]:
    """The types of the operands of each type's alternatives, and those that it hands on to."""
    return {str(name): [str(o) for a in alternatives for o in a.operands] for name, alternatives in rules.types}


def _reached(rules: Rules, types: Iterable[str]) -> set[str]:
    """The types that derivations of `types` may hold."""
    needed, found = _needed(rules), set[str]()
    waiting = [str(type_) for type_ in types]
    while waiting:
        type_ = waiting.pop()
        if type_ not in found:
            found.add(type_)
            waiting += needed[type_]
    return found


def _least(
    productions: Mapping[str, Sequence[Production]], cost: Callable[[Production, Sequence[float]], float]
) -> dict[str, float]:
    """The least cost of a derivation by type, from the costs of its operands."""
    users: dict[str, set[str]] = {type_: set() for type_ in productions}
    for type_, alternatives in productions.items():
        for operand in {operand for p in alternatives for operand in p.operands}:
            users[operand].add(type_)
    best = dict.fromkeys(productions, math.inf)
    waiting = deque(productions)
    while waiting:
        type_ = waiting.popleft()
        costs = [cost(p, [best[operand] for operand in p.operands]) for p in productions[type_]]
        if min(costs, default=math.inf) < best[type_]:
            best[type_] = min(costs)
            waiting += sorted(users[type_])
    return best
