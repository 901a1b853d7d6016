"""What the fuzz tests share: how many inputs, how long each may take, and texts that someone has mangled."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lossgen.language.operators import FUNCTIONS, VARIABLES
from lossgen.resources import resource_dir, zoo_dir

DEFAULT_INPUTS = 3000
INPUTS = int(os.environ.get("LOSSGEN_FUZZ", DEFAULT_INPUTS))
"""Number of inputs of all fuzz tests together; `make fuzz` takes 100 000."""

SECONDS = 20.0
"""An input that takes longer, by the processor's clock, hangs: the slowest known take about 1."""


def inputs(share: float) -> settings:
    """Settings of a test that takes a share of the inputs; other inputs each time where they are many."""
    return settings(
        max_examples=max(1, round(INPUTS * share)),
        derandomize="LOSSGEN_FUZZ" not in os.environ,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Fails where what is inside takes longer, by this thread's processor time: other programs do not count."""
    start = time.thread_time()
    yield
    taken = time.thread_time() - start
    assert taken <= seconds, f"took {taken:.2f} s"


def _read(paths: Iterator[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]


LOSSES = [
    *_read(zoo_dir().glob("*.loss")),
    "y_pred^3 + sqrt(3.985 * y_real / y_pred)",
    "const a = 2\nconst b = -1e-3\nloss Two(y_real, y_pred, score) = a * max(score, -b)^2 - log(b + y_pred) / y_real",
    "loss R(score, mean_real):\n  real: -score\n  fake: mean_real - score\n  generator: -score\n"
    "  generator_real: score\n  needs: gradient_penalty(10), r1(.5)",
]
SPACES = _read((resource_dir("grammar") / "spaces").glob("*.lark"))

_PIECES = (
    *VARIABLES, *FUNCTIONS, "loss", "const", "needs:", "real:", "fake:", "generator:", "generator_real:", "start:",
    "->", "|", "//", "#", "\\", "%import", "// weight add 3", "// def f(x) = x * f(x)", "// const normal(0, 1)",
    *"+-*/^(),:=", "\n", "\r\n", "\r", "\t", " ", "\v", "\f", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "é",
    "\u0663", "\u0967", "\u2212", "\u00d7", "²", "ﬁ", "𝟙", "e\u0301", "\u202e", "\u200b", "😀",
    "\ud800", '"""', "'''", "{", "}", "$",
    "1e999", "1e-999", "-0.0", "0x10", "1_000", "1.2.3", "..", "1e", "nan", "inf", "9" * 30, "1." + "0" * 30,
    "a" * 70,
)  # fmt: skip
_LONG = ("(", ")", "-", "(-", "exp(", "1+", "score*", "2^", "9", "a", "#", "\n", " ", "max(score,", "real: 1\n",
         "const a = 1\n", '"x" start ', "start: start\n", "| ")  # fmt: skip


@st.composite
def mangled(draw: Callable[..., object], texts: list[str]) -> str:
    """A text with parts left out, doubled, swapped, put elsewhere, and with pieces put in that do not belong there."""
    random = draw(st.randoms(use_true_random=False))
    text = random.choice(texts)  # type: ignore[attr-defined]
    return mangle(text, random, texts)


def mangle(text: str, random: object, texts: list[str]) -> str:
    """One to five changes of the text, at random."""
    choice, integer = random.choice, random.randint  # type: ignore[attr-defined]
    for _ in range(integer(1, 5)):
        i, j = sorted((integer(0, len(text)), integer(0, len(text))))
        j = j if integer(0, 3) == 0 else min(j, i + integer(1, 6))
        match integer(0, 9):
            case 0 | 1:
                text = text[:i] + text[j:]
            case 2:
                text = text[:j] + text[i:j] * integer(1, 4) + text[j:]
            case 3:
                k = integer(0, len(text))
                text = text[:k] + text[i:j] + text[k:]
            case 4:
                text = text[:i] + text[i:j][::-1] + text[j:]
            case 5:
                other = choice(texts)
                text = text[:i] + other[integer(0, len(other)) :]
            case 6:
                text = text[:i] + chr(integer(0, 0x10FFFF)) + text[j:]
            case 7:
                text = text[:i] + choice(_LONG) * integer(2, 10 ** integer(1, 4)) + text[j:]
            case 8:
                text = choice([text.replace("\n", "\r\n"), "\ufeff" + text, text.upper(), text.replace(" ", "")])
            case _:
                text = text[:i] + choice(_PIECES) + text[j:]
    return text
