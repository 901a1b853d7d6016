"""Text to losses: what is read, what is refused, and how the refusal reads."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import losses

from lossgen.errors import InputError
from lossgen.language.expression import MAX_SIZE, Expression, apply, constant, variable
from lossgen.language.loss import Loss
from lossgen.language.parser import MAX_TEXT, LossSyntaxError, parse_loss
from lossgen.language.printer import print_loss

SCORE, Y_PRED, Y_REAL = variable("score"), variable("y_pred"), variable("y_real")
ROLE_FORM = "loss Hinge(score):\n    real: relu(1 - score)\n    fake: relu(1 + score)\n    generator: -score\n"


def parse(text: str) -> Expression:
    label = parse_loss(text).label
    assert label is not None
    return label


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-3", constant(-3.0)),
        ("- 3", constant(-3.0)),
        ("-(3)", apply("neg", constant(3.0))),
        ("--3", apply("neg", constant(-3.0))),
        ("-3^2", apply("neg", apply("pow", constant(3.0), constant(2.0)))),
        ("(-3)^2", apply("pow", constant(-3.0), constant(2.0))),
        ("2^-3", apply("pow", constant(2.0), constant(-3.0))),
        ("2^-3^2", apply("pow", constant(2.0), apply("neg", apply("pow", constant(3.0), constant(2.0))))),
        ("score^2^3", apply("pow", SCORE, apply("pow", constant(2.0), constant(3.0)))),
        ("(score^2)^3", apply("pow", apply("pow", SCORE, constant(2.0)), constant(3.0))),
        ("-score^2", apply("neg", apply("pow", SCORE, constant(2.0)))),
        ("score - 1 - y_pred", apply("sub", apply("sub", SCORE, constant(1.0)), Y_PRED)),
        ("score - (1 - y_pred)", apply("sub", SCORE, apply("sub", constant(1.0), Y_PRED))),
        ("score / 2 * 3", apply("mul", apply("div", SCORE, constant(2.0)), constant(3.0))),
        ("1 + 2 * score", apply("add", constant(1.0), apply("mul", constant(2.0), SCORE))),
        ("score -1", apply("sub", SCORE, constant(1.0))),
        ("score * -1", apply("mul", SCORE, constant(-1.0))),
        ("-score * y_real", apply("mul", apply("neg", SCORE), Y_REAL)),
        ("1e+22 + 1E-7 + .5 + 2.", parse("1e22 + 0.0000001 + 0.5 + 2")),
        ("min(score, max(1, y_pred))", apply("min", SCORE, apply("max", constant(1.0), Y_PRED))),
        ("# a comment\n  score # another\n + 1", apply("add", SCORE, constant(1.0))),
    ],
)
def test_precedence_and_signs(text: str, expected: Expression) -> None:
    assert parse(text) == expected


def test_both_forms_of_a_definition() -> None:
    loss = parse_loss("# Who found it.\n# And when.\nloss A(y_real, y_pred) = y_real * y_pred")
    assert loss == Loss("A", label=apply("mul", Y_REAL, Y_PRED))
    assert loss.note == "Who found it.\nAnd when."
    hinge = parse_loss(ROLE_FORM)
    assert hinge.name == "Hinge"
    assert list(hinge.roles) == ["real", "fake", "generator"]
    assert hinge.roles["generator"] == apply("neg", SCORE)
    shuffled = "loss Hinge(score):\n generator: -score\n real: relu(1 - score)\n fake: relu(1 + score)"
    assert parse_loss(shuffled) == hinge
    assert parse_loss("score").name == "Loss"
    assert parse_loss("loss loss(score) = score").name == "loss"
    assert parse_loss("loss C() = 3").label == constant(3.0)


@pytest.mark.parametrize(
    ("text", "what", "line", "column", "expected"),
    [
        ("sqr(y_pred)", "unknown operator 'sqr'", 1, 1, "sqrt, or one of: abs, cos"),
        ("1 + foo(y_pred)", "unknown operator 'foo'", 1, 5, "one of: abs"),
        ("y_pred +\n  y_fake", "unknown variable 'y_fake'", 2, 3, "one of: score, y_pred, y_real"),
        ("1 + log", "log is an operator", 1, 5, "log(…)"),
        ("(y_pred + 1", "the text ends too early", 1, 12, ")"),
        ("(y_pred + 1\n\n  ", "the text ends too early", 1, 12, ")"),
        ("y_pred + 1)", "unexpected ')'", 1, 11, "the end"),
        ("y_pred +\n * 2", "unexpected '*'", 2, 2, "a number"),
        ("y_pred ? 2", "unexpected character '?'", 1, 8, "+"),
        ("\ty_pred = 2", "unexpected '='", 1, 9, "the end"),
        ("y_pred \x0b+ 2", "unexpected character '\\x0b'", 1, 8, "+"),
        ("score +\n\u2028 2", "unexpected character '\\u2028'", 2, 1, "a number"),
        ("abs(y_pred, 2)", "abs takes 1 operand, not 2", 1, 1, "abs(…)"),
        ("1 + max(y_pred)", "max takes 2 operands, not 1", 1, 5, "max(…, …)"),
        ("abs()", "unexpected ')'", 1, 5, "a name"),
        ("2 * 1e999", "the constant is not a finite 64-bit number", 1, 5, "at most"),
        ("-" * 101 + "score", "nested deeper than 100 levels", 1, 2, "at most 100 levels"),
        ("abs(" * 100 + "score" + ")" * 100, "nested deeper than 100 levels", 1, 1, "at most 100 levels"),
        ("(" * 500 + "score" + "]", "unexpected character ']'", 1, 506, ")"),
        ("loss A(y_real) = y_pred", "y_pred is used but is no parameter", 1, 6, "A(…, y_pred)"),
        ("loss A(q) = q", "unknown variable 'q'", 1, 8, "one of: mean_fake"),
        ("loss A(score) score", "unexpected 'score'", 1, 15, ":"),
        ("loss class(y_pred) = y_pred", "name 'class': not a class name", 1, 6, "a name such as"),
        ("loss None(y_pred) = y_pred", "name 'None': not a class name", 1, 6, "a name such as"),
        (f"loss {'x' * 65}(y_pred) = y_pred", "not a class name", 1, 6, "a name such as"),
        ("loss 2nd(y_pred) = y_pred", "unexpected '2'", 1, 6, "a name"),
        ("loss A.b(y_pred) = y_pred", "unexpected character '.'", 1, 7, "("),
        ("loss A;print(y_pred) = y_pred", "unexpected character ';'", 1, 7, "("),
        ("loss Ä(y_pred) = y_pred", "unexpected character 'Ä'", 1, 6, "a name"),
        ("loss A(score):\n  real: score\n  fake: score", "no clause for generator", 3, 3, "each of the roles"),
        ("loss A(score):\n real: score\n real: score", "the role real stands twice", 3, 2, "each of the roles"),
        ("loss A(y_real):\n real: y_real\n fake: 1\n generator: 1", "belongs to the label", 2, 8, "mean_real and"),
        ("loss A(score):\n  fool: score", "unexpected 'fool'", 2, 3, "a role"),
        ("const a = 3\nscore", "the constant a is never used", 1, 7, "a loss that uses it"),
        ("const a = 1\nconst a = 2\na * score", "the constant a is defined twice", 2, 7, "one definition"),
        ("const score = 3\nscore", "'score' has a meaning already", 1, 7, "another name"),
        ("const lambda = 3\nlambda * score", "'lambda' has a meaning already", 1, 7, "another name"),
        ("const a = 1e999\na * score", "not a finite 64-bit number", 1, 11, "at most 1.8e308"),
        ("const ab = 1\nabb * score", "unknown variable 'abb'", 2, 1, "ab, or one of: ab, score, y_pred"),
        ("mean_real * score", "mean_real belongs to the role form", 1, 1, "clauses real:"),
        ("loss A(score, mean_fake) = score - mean_fake", "mean_fake belongs to the role form", 1, 36, "clauses real:"),
        ("loss A(score):\n real: y\n", "unknown variable 'y'", 2, 8, "one of: mean_fake, mean_real, score, y_pred"),
        ("y_pred \u2212 1", "unexpected character '\u2212'", 1, 8, "the ASCII minus -"),
        ("y_pred \u2014 1", "unexpected character '\u2014'", 1, 8, "the ASCII minus -"),
        ("y_pred\n + y_real**2", "unexpected '**'", 2, 10, "^: write ^ for powers"),
        ("# loss\nLoss A(y_pred) = y_pred", "unexpected 'Loss'", 2, 1, "loss: write loss in lower case"),
        ("loss A(score) = score\nloss B(score) = score", "a second loss", 2, 1, "the end: one loss a file"),
        ("loss A(score):\n needs: r1(2)\n real: 1", "unexpected 'needs'", 2, 2, "all clauses before needs: since"),
        ("loss A(score):\n real: 1\n needs: r1(2)\n fake: 1", "unexpected 'fake'", 4, 2, "all clauses before needs:"),
        ("y_pred needs: r1(1)", "needs: without a definition", 1, 8, "a line such as loss A(score)"),
        ("needs: r1(1)\ny_pred", "needs: without a definition", 1, 6, "a line such as loss A(score)"),
        ("loss A(score) = score needs: r3(1)", "unknown need 'r3'", 1, 30, "one of: drift, gradient_penalty, r1"),
        ("loss A(score) = score needs: r1(0)", "r1 of strength 0", 1, 33, "a positive number"),
        ("loss A(score) = score needs: r1(1), r1(2)", "the need r1 stands twice", 1, 37, "each need once"),
        ("loss A(score) = score needs: r1(-1)", "unexpected '-'", 1, 33, "a number: a strength is a positive number"),
        ("٣ * score", "unexpected character '٣'", 1, 1, "a number"),
    ],
)  # fmt: skip
def test_errors_show_line_column_caret_and_what_was_expected(
    text: str, what: str, line: int, column: int, expected: str
) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        parse_loss(text, "my.loss")
    first, shown, caret, last = str(caught.value).split("\n")
    assert first.startswith(f"my.loss, line {line}, column {column}: ")
    assert what in first
    at = caret.index("^")
    assert caret.strip() == "^"
    wanted = text.split("\n")[line - 1]
    under = wanted[column - 1 : column]
    assert (shown[at : at + 1] or " ") == (under if under.isprintable() and under else " ")
    assert shown[4:at] == "".join(c if c.isprintable() else " " for c in wanted[max(0, column - 60) : column - 1])
    assert last.startswith("expected ")
    assert expected in last


def test_size_is_limited_in_one_expression_and_over_all_clauses() -> None:
    def balanced(leaves: int) -> str:
        return "score" if leaves == 1 else f"({balanced(leaves // 2)} + {balanced(leaves - leaves // 2)})"

    assert parse(balanced(500)).size == MAX_SIZE - 1
    with pytest.raises(LossSyntaxError, match=r"more than 1000 nodes\n.*\n *\^\nexpected at most 1000 nodes"):
        parse_loss(balanced(501))
    third = balanced(200)
    text = f"loss Big(score):\n real: {third}\n fake: {third}\n generator: {third}"
    with pytest.raises(LossSyntaxError, match=r"line 1, column 6: 1197 nodes in all\n.*\n *\^\nexpected at most 1000"):
        parse_loss(text)


@pytest.mark.parametrize("text", ["", " ", "\n\t\r\n"])
def test_empty_text(text: str) -> None:
    with pytest.raises(InputError, match="empty text; expected a loss such as"):
        parse_loss(text)


def test_text_over_the_limit_is_not_read() -> None:
    parse_loss("1".rjust(MAX_TEXT))
    with pytest.raises(InputError, match="at most 64 KiB"):
        parse_loss("1".rjust(MAX_TEXT + 1))
    with pytest.raises(InputError, match="at most 64 KiB"):
        parse_loss("1 #" + "ä" * (MAX_TEXT // 2))


def test_a_long_word_or_line_is_cut_in_the_message() -> None:
    for text in ("x" * 60_000, "x" * 60_000 + "(score)", "score " + "1" * 60_000, "(" * 60_000 + "@"):
        with pytest.raises(LossSyntaxError) as caught:
            parse_loss(text)
        assert max(map(len, str(caught.value).split("\n"))) < 250


PIECES = [
    "loss",
    "real:",
    "y_real",
    "score",
    "(",
    ")",
    "^",
    "-",
    "1e",
    "e5",
    ".",
    "#",
    "\n",
    ":",
    "=",
    ",",
    "\x00",
    "ß",
    "٣",
]


@settings(max_examples=1000)
@given(
    loss=losses(max_leaves=8),
    edits=st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 6), st.one_of(st.sampled_from(PIECES), st.text(max_size=3))),
        min_size=1,
        max_size=4,
    ),
)
@example(loss=Loss("A", label=SCORE), edits=[(0, 500, "(" * 5000)])
@example(loss=Loss("A", label=SCORE), edits=[(0, 500, "-" * 60_000)])
@example(loss=Loss("A", label=SCORE), edits=[(0, 500, "2^" * 20_000 + "2")])
@example(loss=Loss("A", label=SCORE), edits=[(0, 500, "1+" * 20_000 + "2")])
def test_mutated_text_is_a_loss_or_an_input_error(loss: Loss, edits: list[tuple[int, int, str]]) -> None:
    text = print_loss(loss)
    for place, removed, inserted in edits:  # every prefix of the edits is a text to try
        place %= len(text) + 1
        text = text[:place] + inserted + text[place + removed :]
        try:
            found = parse_loss(text)
        except LossSyntaxError as error:
            assert 1 <= error.line <= text.count("\n") + 1
            assert 1 <= error.column <= len(text.split("\n")[error.line - 1]) + 1
        except InputError as error:
            assert not text.strip() or len(text) > MAX_TEXT // 2, error
        else:
            assert parse_loss(print_loss(found)) == found


@settings(max_examples=300)
@given(st.text(alphabet="()+-*/^,.:=# \n\r\t019eE_ysrpl\x0bäß", max_size=60))
def test_noise_is_a_loss_or_an_input_error(text: str) -> None:
    try:
        found = parse_loss(text)
    except InputError:
        return
    assert parse_loss(print_loss(found)) == found


SMOOTHED = """
# one-sided smoothing
const smooth = 0.9
const floor = -2
loss Smoothed(y_real, score) = softplus(score) - smooth * y_real * score + floor * smooth
"""


def test_a_named_constant_stands_in_the_expression_by_name_and_value() -> None:
    loss = parse_loss(SMOOTHED)
    assert loss.label is not None
    assert dict(loss.constants) == {"smooth": 0.9, "floor": -2.0}
    assert constant(0.9, "smooth") in set(loss.label.walk())
    assert parse_loss("0.9 * score") != parse_loss("const a = 0.9\na * score")
    assert parse_loss("0.9 * score").digest() != parse_loss("const a = 0.9\na * score").digest()
    assert loss.note == "one-sided smoothing"


def test_names_of_one_text_are_unknown_to_the_next() -> None:
    parse_loss(SMOOTHED)
    with pytest.raises(LossSyntaxError, match="unknown variable 'smooth'"):
        parse_loss("smooth * score")


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parse_loss("\ufeffscore") == parse_loss("score")


RELATIVISTIC = """
loss Relativistic(score, mean_real, mean_fake):
    real: softplus(mean_fake - score)
    fake: softplus(score - mean_real)
    generator: softplus(mean_real - score)
    generator_real: softplus(score - mean_fake)
    needs: gradient_penalty(10), drift(0.001)
"""


def test_a_relativistic_loss_has_batch_terms_and_a_fourth_clause() -> None:
    loss = parse_loss(RELATIVISTIC)
    assert list(loss.clauses) == ["real", "fake", "generator", "generator_real"]
    assert loss.needs_real
    assert dict(loss.needs) == {"gradient_penalty": 10.0, "drift": 0.001}
    assert not parse_loss("loss H(score):\n real: -score\n fake: score\n generator: -score").needs_real
    assert parse_loss(RELATIVISTIC.replace(", drift(0.001)", "")).digest() != loss.digest()


def test_a_label_with_batch_terms_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="role form"):
        Loss("A", label=variable("mean_real"))
    with pytest.raises(ValueError, match="no variable's"):
        Loss("A", label=constant(1.0, "y_real"))
    with pytest.raises(ValueError, match="one value"):
        Loss("A", label=apply("add", constant(1.0, "a"), constant(2.0, "a")))
