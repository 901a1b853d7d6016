"""Ctrl-C: once ends a run in order, twice at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lossgen.evolution.session import Session


@contextmanager
def ctrl_c_stops(session: Session) -> Iterator[None]:
    """Inside, the first Ctrl-C stops the session, and a second one raises KeyboardInterrupt.

    Elsewhere than in the main thread, and where Ctrl-C is ignored, nothing changes.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    pressed = False  # a session that a listener has stopped goes on to the same end: there is still a first press

    def handle(_: int, __: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        session.stop()
        session.listener.stopping()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
