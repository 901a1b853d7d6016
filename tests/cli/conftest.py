"""Settings of the tests that run commands, whole searches among them."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_compiler() -> Iterator[None]:
    """No C++ compiler: tests of full_checks compile a loss, and a champion a search would take seconds each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", "no-such-compiler")
        yield
