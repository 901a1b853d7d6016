"""Whatever the text of a search space: one that can be sampled from, or an error that says where."""

import numpy as np
import pytest
from fuzzing import SPACES, in_time, inputs, mangled
from hypothesis import example, given
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.evolution.space_reader import read_space
from lossgen.language.parser import MAX_TEXT, LossSyntaxError, parse_loss
from lossgen.language.printer import print_loss


def check(text: str) -> bool:
    """Whether it is a space."""
    try:
        with in_time(2.0):
            space = read_space(text, "fuzzed", "fuzzed.lark")
    except LossSyntaxError as error:
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        assert 1 <= error.line <= len(lines) + 1
        assert 1 <= error.column <= len([*lines, ""][error.line - 1]) + 2
        assert all(line.isprintable() for line in str(error).splitlines())
        return False
    except InputError as error:
        assert type(error) is InputError
        assert "holds no rules" in str(error) or len(text.encode(errors="surrogatepass")) > MAX_TEXT
        return False
    rng = np.random.default_rng(0)
    with in_time(2.0):
        loss = space.sample(space.start, rng, 6).loss("Sampled")
    if loss.size <= 1000 and all(expression.depth <= 100 for expression in loss.expressions()):
        assert parse_loss(print_loss(loss)) == loss
        assert space.derive(loss).loss("Sampled") == loss
    return True


def test_mangled_spaces() -> None:
    kinds = {True: 0, False: 0}

    @inputs(0.15)
    @given(mangled(SPACES))
    def count(text: str) -> None:
        kinds[check(text)] += 1

    count()
    assert min(kinds.values()) > 5


@inputs(0.02)
@given(st.text(max_size=200) | st.text('start:exp|"->()[]*+?/\\%#\n _ABC09.~', max_size=200))
@example("")
@example("\x00")
@example("start: start -> neg")
@example("start: -> neg")
@example('start: "s" -> score\n// weight score nan')
@example('start: "s" -> score\n// const normal(0, inf)\n')
@example('start: "a" start -> f | "s" -> score\n// def f(x) = ' + "exp(" * 120 + "x" + ")" * 120)
def test_any_text(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f'a{i}: "n" a{i + 1} -> neg' for i in range(3000)),
        'start: "n" a0 -> neg\n' + "\n".join(f'a{i}: "n" a{i + 1} -> neg' for i in range(200)) + '\na200: "s" -> score',
        "start: " + '| "s" -> score ' * 4000,
        'start: "s" -> score\n' + "// weight score 2\n" * 3000,
        'start: "s" -> score\n' + "".join(f"// def f{i}(x) = f{i - 1}(f{i - 1}(x))\n" for i in range(1, 900)),
        'start: "f" start -> f30 | "s" -> score\n// def f0(x) = x + x\n'
        + "".join(f"// def f{i}(x) = f{i - 1}(f{i - 1}(x))\n" for i in range(1, 31)),
        "(" * 60_000,
        '"' * 60_000,
        "/" * 60_000,
        "\\" * 60_000,
        "//" + "(" * 60_000,
        "// def f(x) = " + "(" * 60_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_and_deep_texts(text: str) -> None:
    check(text)
