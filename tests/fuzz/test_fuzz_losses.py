"""Whatever the text: a loss that prints and reads back, or an error that says where; never anything else."""

from collections import Counter

import pytest
from derived import DERIVED_LOSSES
from fuzzing import LOSSES, in_time, inputs, mangled
from hypothesis import example, given
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.language.loss import Loss
from lossgen.language.parser import MAX_TEXT, LossSyntaxError, parse_loss
from lossgen.language.printer import print_loss


def read(text: str) -> Loss | None:
    """The loss, or None after a look at the error: its place lies in the text, its message has few and short lines."""
    try:
        with in_time():
            return parse_loss(text)
    except LossSyntaxError as error:
        lines = text.removeprefix("\ufeff").split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        message = str(error).splitlines()
        assert 3 <= len(message) <= 4, "what, the line, a caret, and perhaps what was expected"
        assert all(line.isprintable() and len(line) < 600 for line in message), message
    except InputError as error:
        assert type(error) is InputError
        assert not text.removeprefix("\ufeff").strip() or len(text.encode(errors="surrogatepass")) > MAX_TEXT
        assert str(error).isprintable()
    return None


def check(text: str) -> Loss | None:
    loss = read(text)
    if loss is not None:
        printed = print_loss(loss)
        again = parse_loss(printed)
        assert again == loss and hash(again) == hash(loss) and again.digest() == loss.digest()
        assert print_loss(again) == printed
    return loss


def test_what_the_grammar_derives() -> None:
    kinds: Counter[str] = Counter()

    @inputs(0.02)
    @given(DERIVED_LOSSES)
    def count(text: str) -> None:
        loss = check(text)
        if loss is None:
            kinds["error"] += 1
            return
        operators = sum(len(node.operands) > 0 for expression in loss.expressions() for node in expression.walk())
        found = {"loss": True, "large": operators > 5, "constants": loss.constants, "roles": loss.roles}
        kinds.update(kind for kind, is_so in found.items() if is_so)

    count()
    total = kinds["loss"] + kinds["error"]
    # else the fuzzing would be of the tokeniser alone, or of losses that nobody writes
    assert kinds["loss"] >= total / 3 and kinds["large"] >= total / 8, kinds
    assert min(kinds["error"], kinds["constants"], kinds["roles"]) > 0, kinds


@inputs(0.63)
@given(mangled(LOSSES))
def test_mangled_losses(text: str) -> None:
    check(text)


@inputs(0.05)
@given(st.text(max_size=300) | st.text("()+-*/^,:=#. \r\n\t0123456789eEsxyrealfkgnotcd_", max_size=200))
@example("\ufeff")
@example("\ufeff\ufeffscore")
@example("score\x00")
@example("1\u0663")
@example("score \u2212 1")
@example("#")
@example("# a\r\n# b\r\nscore\r\n")
@example("\ud800")
@example("loss \ud800() = 1")
def test_any_text(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 30_000 + "score" + ")" * 30_000,
        "(" * 60_000,
        "-" * 60_000 + "1",
        "exp(" * 15_000,
        "1+" * 30_000 + "1",
        "2^" * 30_000 + "2",
        "9" * 60_000,
        "1e" + "9" * 60_000,
        "a" * 60_000,
        "#" * 60_000,
        "\n" * 60_000 + "score",
        "\u0663" * 30_000,
        "real: 1\n" * 8_000,
        "loss A(" + "score, " * 8_000 + "score) = score",
        "".join(f"const a{i} = 1\n" for i in range(4_000)) + "score",
        "max(" * 8_000 + "score" + ", 1)" * 8_000,
        "-" * 98 + "score",
        "score" + " + score" * 99,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_and_deep_texts(text: str) -> None:
    check(text)
