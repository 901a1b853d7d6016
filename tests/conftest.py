"""Settings that all tests share."""

import os
import signal

from hypothesis import settings

# Calls of the kernel and of torch are tiny here, and on a busy machine threads wait for each other, a hundred times as
# long.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job ignores Ctrl-C, and what it starts would too: tests of an interruption would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Most tests of whole runs are none of the workers: a process of its own would import torch anew for each of them.
os.environ.setdefault("LOSSGEN_WORKERS", "0")

settings.register_profile("lossgen", deadline=None, derandomize=True, database=None)
settings.load_profile("lossgen")
