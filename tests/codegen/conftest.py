"""One thread for the kernel: its calls here are tiny, and threads of a busy machine wait for each other."""

from collections.abc import Iterator

import numba
import pytest


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)
