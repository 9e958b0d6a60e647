"""Memory that is given back without keeping everybody waiting.

A full collection of garbage looks at every container that there is. What was
made at the start (modules, classes, the parts) stays until the end: looking at
it again and again is 20 ms each time for nothing. And freeing a million objects
with the list that holds them is one call, in which no other thread comes to its
turn for 80 ms.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Any

#: Containers that are made, and not thrown away again, before the youngest are looked at: 700 are made by every few commands.
YOUNG = 10_000
#: Objects that are freed in one call: less than a millisecond.
PIECE = 5000


def let_go(*lists: list[Any]) -> None:
    """Empty *lists* piece by piece. To be called in the thread that has made them."""
    for one in lists:
        while one:
            del one[-PIECE:]


def settle() -> None:
    """What is here now is here to stay. Called once, when the reactor runs."""
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):  # glibc has it: what the start has needed and freed goes back to the system
        ctypes.CDLL(None).malloc_trim(0)
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
