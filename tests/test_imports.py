"""Heavy imports happen inside what needs them."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "sympy", "numba", "matplotlib", "sklearn", "scipy", "networkx")


HELP = """import sys
import lossgen.cli
sys.argv = ["lossgen", "--help"]
try:
    lossgen.cli.main()
except SystemExit:
    pass"""


def test_a_run_is_looked_at_without_torch() -> None:
    script = "import sys, lossgen.api, lossgen.cli.looking\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("what", ["import lossgen", HELP], ids=["import", "help"])
def test_nothing_heavy_is_loaded(what: str) -> None:
    script = f"{what}\nimport sys; print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
