"""The garbage collector of a process that converts and does nothing else: the endpoint's, bulk's, the benchmark's."""

from __future__ import annotations

import gc

#: Objects made and not yet gone, until the collector looks at the young ones; at Python's 700 it looks again and
#: again at one large document, which has no circles and goes at once when it is done.
YOUNG = 10_000


def settle() -> None:
    """What is loaded by now stays: the collector looks at it no more, and less often at what comes and goes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
