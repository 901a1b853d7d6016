"""The commands, run in the tests' own process."""

import sys

import pytest

from lossgen.cli import main


def exit_code(*args: object) -> int:
    """Run `lossgen` with these arguments; what it prints is the caller's to catch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lossgen", *map(str, args)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0
