"""What a candidate is never depends on sympy."""

import subprocess
import sys

IDENTITY = """
import sys
import lossgen.evolution.discover
from lossgen.evolution.archive import found_name
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import screen
from lossgen.language.lower import lower_loss
from lossgen.language.parser import parse_loss

loss = parse_loss("y_pred - y_pred + square(y_pred - y_real)")
screening = screen([lower_loss(loss)])[0]
print(found_name(loss.digest()), loss.digest(), fingerprint(screening.curves), screening.rejection)
assert "sympy" not in sys.modules
"""


def test_screening_naming_and_telling_apart_do_without_sympy() -> None:
    # A search loads no sympy at all: simplification has it in a process of its own.
    done = subprocess.run([sys.executable, "-c", IDENTITY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Evolved_")
