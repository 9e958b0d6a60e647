"""What many tests need: running coroutines to their end without a reactor."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.python.failure import Failure

from twistmail import tasks

T = TypeVar("T")


def result_of(coroutine: Coroutine[Any, Any, T]) -> T:
    """What *coroutine* returns; AssertionError where it still waits; raises what it raises."""
    results: list[Any] = []
    tasks.shielded(coroutine).addBoth(results.append)
    assert results, f"{coroutine!r} has not ended"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
