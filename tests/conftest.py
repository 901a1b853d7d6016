"""Settings that all tests share."""

import numba
import pytest
from hypothesis import settings

settings.register_profile("lossgen", deadline=None, derandomize=True, database=None)
settings.load_profile("lossgen")


@pytest.fixture(autouse=True, scope="session")
def _one_kernel_thread() -> None:
    """The kernel's calls here are tiny, and on a busy machine threads wait for each other, ten times as long."""
    numba.set_num_threads(1)
