"""The memory of a process that converts and does nothing else: the endpoint's, bulk's, the benchmark's."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

#: Objects made and not yet gone, until the collector looks at the young ones; at Python's 700 it looks again and
#: again at one large document, which has no circles and goes at once when it is done.
YOUNG = 10_000
#: glibc's number for the most arenas that malloc may have (malloc.h). With one for each thread, every thread keeps
#: what its largest document took; one is enough for threads that take turns at Python's lock.
_M_ARENA_MAX = -8


def settle() -> None:
    """What is loaded by now stays: the collector looks at it no more, and less often at what comes and goes.

    To be called before there are threads.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
