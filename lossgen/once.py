"""What is dear to come by and the same for all workers of a run: made once, and handed to the others.

Worker processes of one machine have its files in common, and need none of this. Those of a cluster are given what the
first of them has made: `evolution.workers.cluster` fills `Made` before a runner prepares, and looks afterwards what
there is in it.
"""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

T = TypeVar("T")
Made = MutableMapping[str, Any]
"""Values by key: of arrays, bytes and plain values in dataclasses, tuples and mappings."""

_made: ContextVar[Made | None] = ContextVar("made", default=None)


def once(key: str, make: Callable[[], T]) -> T:
    """What `make` gives; where values are handed around, that of whoever made it first.

    Args:
        key: says all that the value depends on. The value is not to be changed afterwards.
    """
    made = _made.get()
    if made is None:
        return make()
    if key not in made:
        made[key] = make()
    return cast("T", made[key])


@contextmanager
def handed_around(made: Made) -> Iterator[None]:
    """Have `once` look here first, and leave here what it makes."""
    before = _made.set(made)
    try:
        yield
    finally:
        _made.reset(before)
