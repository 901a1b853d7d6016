"""The whole way: a text that parses is printed, set, lowered and emitted, fast; nobody's words become code."""

import ast
import functools
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from derived import MEANT_LOSSES
from fuzzing import LOSSES, in_time, inputs, mangle
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import ANY_CONSTANT, full_losses, losses

from lossgen.codegen.load import load_argument, read_emitted
from lossgen.codegen.parts import body_of
from lossgen.codegen.targets import TARGETS
from lossgen.errors import InputError
from lossgen.language.expression import MAX_DEPTH, MAX_SIZE, Expression, apply, constant, variable
from lossgen.language.loss import MAX_NAME, Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.mathml import loss_mathml
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula, loss_latex, print_loss

SURFACE = tuple(name for name, row in OPERATORS.items() if row.surface)


def names_in(source: str) -> set[str]:
    """All that a source refers to or defines, and its strings but for docstrings."""
    found = set()
    for node in ast.walk(ast.parse(body_of(source))):
        for field in ("id", "name", "attr", "arg", "module", "asname"):
            found.add(getattr(node, field, None))
        if isinstance(node, ast.Global | ast.Nonlocal | ast.Delete | ast.Try | ast.While):
            found.add(type(node).__name__)
    return {name for name in found if isinstance(name, str)}


@functools.cache
def known_names(target: str) -> set[str]:
    """What the emitter writes of its own accord: for losses of every form, and for all operators."""
    score, y_real, y_pred = (variable(name) for name in ("score", "y_real", "y_pred"))
    found: set[str] = set()
    losses = [
        load_argument(name).loss for name in ("bce", "bce_smooth", "wasserstein", "relativistic_average", "0 * y_real")
    ]
    role_form = "const a = 2\nloss A(score):\n real: score / a\n fake: score * a\n generator: sqrt(score - a)"
    losses += [parse_loss(text) for text in (*LOSSES[-2:], role_form)]
    differences = apply("sub", score, y_real), apply("sub", y_pred, score)
    for operands in (differences, (y_real, constant(2.0)), (score, y_real)):
        each = [apply(name, *operands[: OPERATORS[name].arity]) for name in SURFACE]
        losses.append(Loss("All", label=functools.reduce(lambda sum, one: apply("add", sum, one), each)))
    for loss in losses:
        found |= names_in(TARGETS[target].emit(loss)) - {loss.name} - set(loss.constants)
    return found


def check(loss: Loss, target: str = "") -> str:
    """The whole way of one loss, each step within its time; to one target, which is another for another loss.

    Returns the target, "" where the loss cannot be emitted.
    """
    with in_time(0.5):
        assert parse_loss(print_loss(loss)) == loss
        assert "\n" not in formula(loss)
        assert len(loss_latex(loss)) == len(loss_mathml(loss))
        assert len(loss.digest()) == 64
    try:
        lower_loss(loss)
    except NotFiniteError as error:
        assert "\n" not in str(error)
    target = target or list(TARGETS)[int(loss.digest(), 16) % len(TARGETS)]
    try:
        with in_time():
            source = TARGETS[target].emit(loss)
    except InputError as error:
        assert "\n" not in str(error)
        return ""
    unknown = names_in(source) - known_names(target) - {loss.name} - set(loss.constants)
    assert not [name for name in unknown if not re.fullmatch(r"t\d+_*|y_pred_+", name)]
    assert max(map(len, body_of(source).splitlines())) < 400
    assert read_emitted(source, "emitted") == loss
    return target


def test_texts_that_parse() -> None:
    taken = 0

    @inputs(0.015)
    @given(st.randoms(use_true_random=False))
    def mangled(source: random.Random) -> None:
        nonlocal taken
        text = source.choice(LOSSES)
        for _ in range(6):  # of a text that is mangled step by step the last that still parses
            try:
                loss = parse_loss(text)
            except InputError:
                return
            changed = mangle(text, source, LOSSES)
            try:
                parse_loss(changed)
            except InputError:
                break
            text = changed
        taken += 1
        check(loss)

    mangled()
    assert taken > 10


def test_what_the_grammar_derives() -> None:
    found: Counter[str] = Counter()

    @inputs(0.012)
    @given(MEANT_LOSSES)
    def derived(text: str) -> None:
        try:
            loss = parse_loss(text)
        except InputError:
            found["no loss"] += 1
        else:
            found[check(loss) or "not finite"] += 1

    derived()
    emitted = [found[target] for target in TARGETS]
    assert sum(emitted) >= found.total() / 3 and min(emitted) > 0, found


@inputs(0.01)
@given(full_losses() | losses(constants=ANY_CONSTANT, max_leaves=40))
def test_any_loss(loss: Loss) -> None:
    check(loss)


def grown(size: int, source: random.Random) -> Expression:
    """A random expression of so many nodes."""
    if size <= 1:
        leaf = source.choice(("score", "y_pred", "y_real", ""))
        return variable(leaf) if leaf else constant(round(source.gauss(0.0, 3.0), 3))
    arity = 1 if size == 2 or source.random() < 0.3 else 2
    name = source.choice([name for name in SURFACE if OPERATORS[name].arity == arity])
    left = source.randint(1, size - 2) if arity == 2 else size - 1
    sizes = (left, size - 1 - left)[:arity]
    return apply(name, *(grown(part, source) for part in sizes))


def chain(*names: str, leaf: str = "y_pred") -> Expression:
    """As deep as may be, each operator over the one before and, where it takes two, a term of its own."""
    expression = variable("score")
    while expression.depth < MAX_DEPTH and expression.size < MAX_SIZE - 10:
        name = names[expression.depth % len(names)]
        other = apply("tanh", apply("mul", variable(leaf), constant(expression.size / 7.0)))
        operands = (expression, other)[:: 1 if expression.depth % 2 else -1]
        expression = apply(name, *(operands if OPERATORS[name].arity == 2 else (expression,)))
    return expression


def doubled() -> Expression:
    """Few distinct nodes, many in all."""
    expression = variable("score")
    while 2 * expression.size + 2 < MAX_SIZE:
        expression = apply("mul", expression, apply("sin", expression))
    return expression


LARGEST = {
    **{f"random {seed}": grown(MAX_SIZE, random.Random(seed)) for seed in range(2)},
    **{name: chain(name) for name in ("div", "pow", "max", "exp")},
    "mixed": chain("mul", "exp", "sub", "div", "abs"),
    "targets": chain("div", "pow", "log", leaf="y_real"),
    "doubled": doubled(),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_losses(name: str) -> None:
    if LARGEST[name].depth <= MAX_DEPTH:
        check(Loss("Large", label=LARGEST[name]), "torch")


_NASTY = (
    '"""', '"', "'''", "\\", "\n", "\r", "\f", "\x00", "\u2028", "\x85", "\t", "\ud800", "é", "\\u0022", "{0}",
    "# ", "    ", "import os", "CLASS_NAME", "The loss, in the language of lossgen::", "In LaTeX, with y the target",
)  # fmt: skip
WORDS = st.text(max_size=40) | st.lists(st.sampled_from(_NASTY), max_size=8).map("".join)
OTHER_NAMES = st.from_regex(r"\w{1,8}", fullmatch=True) | st.sampled_from(["torch", "EPS", "print", "F", "self", "t0"])
OTHER_PATHS = st.sampled_from(["\x00", "/", ".", "~", "a/" * 3000, "a" * 300 + ".py"])
HARMLESS = load_argument("ganetic").loss


@pytest.mark.parametrize("target", TARGETS)
def test_no_note_ends_the_docstring(target: str) -> None:
    emit = TARGETS[target].emit
    body = body_of(emit(HARMLESS))

    @inputs(0.007)
    @given(WORDS)
    @example('"""\nimport os\n"""')
    @example("\\" * 3 + '"')
    @example('""')
    @example("a\\\n")
    def check_note(note: str) -> None:
        source = emit(HARMLESS.renamed(HARMLESS.name, note))
        assert body_of(source) == body
        assert body_of(source.encode("utf-8", "replace").decode()) == body
        assert ast.get_docstring(ast.parse(source)) is not None
        assert read_emitted(source, "emitted") == HARMLESS

    check_note()


@inputs(0.03)
@given(WORDS | OTHER_NAMES)
@example("class")
@example("Gan\n")
@example("ﬁ")
@example("a" * (MAX_NAME + 1))
def test_no_name_is_more_than_a_name(name: str) -> None:
    try:
        loss = HARMLESS.renamed(name)
        sources = {target: row.emit(loss) for target, row in TARGETS.items()}
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert name.isascii() and name.isidentifier()
    for target, source in sources.items():
        known = names_in(TARGETS[target].emit(HARMLESS)) - {HARMLESS.name}
        assert names_in(source) - {name} <= known


@inputs(0.02)
@given(WORDS)
@example("a): pass\n\n\nimport os #")
@example("score")
@example("torch")
@example("class")
def test_no_constants_name_is_more_than_a_name(name: str) -> None:
    if not name:
        return
    try:
        loss = Loss("Named", label=apply("mul", constant(2.0, name), variable("score")))
        sources = {target: row.emit(loss) for target, row in TARGETS.items()}
    except (InputError, ValueError):
        return
    for target, source in sources.items():
        # a lambda of the file whose parameter would be called so is given another one
        assert names_in(source) - known_names(target) <= {name, f"{name}_", "Named"}
        assert name.isidentifier()


@pytest.mark.parametrize("folder", ['"""\nimport os\n', "a\\", "\u2028# b", "{0}"])
def test_no_path_is_in_the_text(folder: str, tmp_path: Path) -> None:
    path = tmp_path / folder / 'x"""\nimport os #.loss'
    path.parent.mkdir()
    path.write_text(print_loss(HARMLESS))
    assert load_argument(str(path)).source == TARGETS["torch"].emit(HARMLESS.renamed(HARMLESS.name, ""))


@inputs(0.02)
@given(WORDS.map(lambda words: words + ".loss") | WORDS | OTHER_PATHS)
def test_any_argument(text: str) -> None:
    try:
        load_argument(text)
    except InputError as error:
        assert str(error)
