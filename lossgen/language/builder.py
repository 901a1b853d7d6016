"""Builds expressions and losses while loss text is parsed, and says what cannot be meant, at its token."""

import difflib
import keyword
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from lark import Token, v_args
from lark.visitors import Transformer

from lossgen.errors import InputError
from lossgen.language.expression import MAX_DEPTH, MAX_SIZE, Expression, apply, constant, variable
from lossgen.language.loss import GENERATOR_REAL, MAX_NAME, NEEDS, ROLES, Loss, check_name
from lossgen.language.macro import Macro
from lossgen.language.operators import BATCH_TERMS, FUNCTIONS, INFIX, VARIABLES

BARE_NAME = "Loss"
_KEYWORDS = frozenset({"loss", "const", "needs", *ROLES, GENERATOR_REAL})


class Misuse(Exception):  # noqa: N818  it becomes a LossSyntaxError, which is what others see
    """A fault found while building, at a token."""

    def __init__(self, what: str, token: Token, expected: str = "") -> None:
        super().__init__(what)
        self.what, self.token, self.expected = what, token, expected


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """Builds expressions while the text is parsed; one text at a time, since names are known to it alone."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._names: dict[str, Expression] = {}
        self._macros: Mapping[str, Macro] = {}
        self._defined: dict[str, Token] = {}
        self._used: dict[str, Token] = {}
        self._in_roles = False

    @contextmanager
    def knowing(self, names: Mapping[str, Expression], macros: Mapping[str, Macro]) -> Iterator[None]:
        """For the parsing of one text, what names other than those of variables and operators stand for."""
        with self._lock:
            self._names, self._macros, self._defined = dict(names), macros, {}
            self._used, self._in_roles = {}, False
            yield

    def ROLE(self, token: Token) -> Token:  # noqa: N802  the name of the terminal
        """Called as soon as the token is read: from the first role on, the form is known."""
        self._in_roles = True
        return token

    def constant(self, token: Token) -> Expression:
        return self._number(token, token)

    def negative(self, minus: Token, token: Token) -> Expression:
        return self._number(token, "-" + token)

    def definition(self, name: Token, minus: Token | None, number: Token) -> None:
        if name in VARIABLES or name in FUNCTIONS or name in _KEYWORDS or keyword.iskeyword(name):
            raise Misuse(f"{quoted(name)} has a meaning already", name, "another name for the constant")
        if len(name) > MAX_NAME:
            raise Misuse("the name is too long", name, f"at most {MAX_NAME} characters")
        if name in self._names:
            raise Misuse(f"the constant {name} is defined twice", name, "one definition for each name")
        value = self._number(number, f"{minus or ''}{number}").value
        self._names[str(name)] = constant(value, str(name))
        self._defined[str(name)] = name

    def variable(self, token: Token) -> Expression:
        if token in VARIABLES:
            self._used.setdefault(str(token), token)
            return variable(str(token))
        if token in self._names:
            return self._names[str(token)]
        if token in FUNCTIONS:
            raise Misuse(f"{token} is an operator", token, f"{token}(…)")
        elsewhere = ("y_real",) if self._in_roles else BATCH_TERMS
        known = [name for name in (*VARIABLES, *self._names) if name not in elsewhere]
        raise Misuse(f"unknown variable {quoted(token)}", token, _suggest(token, known))

    def call(self, token: Token, *operands: Expression) -> Expression:
        macro = self._macros.get(token)
        if macro is None and token not in FUNCTIONS:
            known = [*FUNCTIONS, *self._macros]
            raise Misuse(f"unknown operator {quoted(token)}", token, _suggest(token, known))
        arity = macro.arity if macro else FUNCTIONS[token].arity
        if len(operands) != arity:
            what = f"{token} takes {arity} operand{'s'[: arity != 1]}, not {len(operands)}"
            raise Misuse(what, token, f"{token}({', '.join('…' * arity)})")
        applied = macro.expand(*operands) if macro else apply(str(token), *operands)
        return self._checked(applied, token)

    def infix(self, left: Expression, token: Token, right: Expression) -> Expression:
        return self._checked(apply(INFIX[str(token)].name, left, right), token)

    def negation(self, token: Token, operand: Expression) -> Expression:
        return self._checked(apply("neg", operand), token)

    def parameters(self, *names: Token) -> list[Token]:
        for name in names:
            if name not in VARIABLES:
                raise Misuse(f"unknown variable {quoted(name)}", name, _suggest(name, VARIABLES))
        return list(names)

    def clause(self, role: Token, expression: Expression) -> tuple[Token, Expression]:
        return role, expression

    def label_form(self, expression: Expression) -> Expression:
        return expression

    def need(self, name: Token, number: Token) -> tuple[Token, float]:
        if name not in NEEDS:
            raise Misuse(f"unknown need {quoted(name)}", name, _suggest(name, NEEDS))
        value = self._number(number, number).value
        if value <= 0.0:
            raise Misuse(f"{name} of strength 0 is none", number, "a positive number, or no such need")
        return name, value

    def needs(self, *found: tuple[Token, float]) -> dict[str, float]:
        strengths: dict[str, float] = {}
        for name, value in found:
            if name in strengths:
                raise Misuse(f"the need {name} stands twice", name, "each need once")
            strengths[str(name)] = value
        return strengths

    def role_form(self, *clauses: tuple[Token, Expression]) -> list[tuple[Token, Expression]]:
        seen: set[str] = set()
        for role, expression in clauses:
            if role in seen:
                raise Misuse(f"the role {role} stands twice", role, "one clause for each of the roles")
            if "y_real" in expression.variables():
                what = "y_real belongs to the label form; a role has its target already"
                place = self._used.get("y_real", role)
                raise Misuse(what, place, "an expression of y_pred, score, mean_real and mean_fake")
            seen.add(str(role))
        return list(clauses)

    def loss(self, name: Token, parameters: list[Token] | None, body: Any, needs: dict[str, float] | None) -> Loss:
        try:
            check_name(str(name))
        except InputError as error:
            raise Misuse(str(error), name, "a name such as MyLoss") from None
        if isinstance(body, Expression):
            self._without_batch_terms(body, name)
            found = Loss(str(name), label=body, needs=needs or {})
        else:
            missing = [role for role in ROLES if role not in dict(body)]
            if missing:
                what = f"no clause for {' and '.join(missing)}"
                raise Misuse(what, body[-1][0], "one clause for each of the roles")
            found = Loss(str(name), roles={str(role): expression for role, expression in body}, needs=needs or {})
        if found.size > MAX_SIZE:
            raise Misuse(f"{found.size} nodes in all", name, f"at most {MAX_SIZE} nodes")
        undeclared = sorted(found.variables() - {str(p) for p in parameters or ()})
        if undeclared:
            raise Misuse(f"{undeclared[0]} is used but is no parameter", name, f"{name}(…, {undeclared[0]})")
        return self._with_its_constants(found)

    def bare(self, expression: Expression) -> Loss:
        self._without_batch_terms(expression, None)
        return self._with_its_constants(Loss(BARE_NAME, label=expression))

    def _without_batch_terms(self, label: Expression, token: Token | None) -> None:
        found = [name for name in BATCH_TERMS if name in label.variables()]
        if found:
            what = f"{found[0]} belongs to the role form: a label has one expression for real and fake"
            place = self._used.get(found[0], token or Token("NAME", "", line=1, column=1))
            raise Misuse(what, place, "clauses real:, fake: and generator:")

    def _with_its_constants(self, loss: Loss) -> Loss:
        for name, token in self._defined.items():
            if name not in loss.constants:
                raise Misuse(f"the constant {name} is never used", token, "a loss that uses it, or no such line")
        return loss

    def start(self, *parts: Loss | None) -> Loss:
        return cast(Loss, parts[-1])

    def _number(self, token: Token, text: str) -> Expression:
        value = float(text)
        if not math.isfinite(value):
            raise Misuse("the constant is not a finite 64-bit number", token, "a constant of at most 1.8e308")
        return constant(value)

    def _checked(self, expression: Expression, token: Token) -> Expression:
        if expression.depth > MAX_DEPTH:
            raise Misuse(f"nested deeper than {MAX_DEPTH} levels", token, f"at most {MAX_DEPTH} levels")
        if expression.size > MAX_SIZE:
            raise Misuse(f"more than {MAX_SIZE} nodes", token, f"at most {MAX_SIZE} nodes")
        return expression


def quoted(word: str) -> str:
    return repr(word[:40]) + "…" * (len(word) > 40)


def _suggest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return (f"{close[0]}, or one of: " if close else "one of: ") + ", ".join(sorted(known))
