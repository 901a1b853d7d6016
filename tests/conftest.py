"""Settings that all tests share."""

import os

from hypothesis import settings

# The kernel's calls are tiny here, and on a busy machine threads wait for each other, a hundred times as long. Numba
# tells OpenMP, so this is torch's number of threads too.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

settings.register_profile("lossgen", deadline=None, derandomize=True, database=None)
settings.load_profile("lossgen")
