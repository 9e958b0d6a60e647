"""What many tests need: running coroutines to their end without a reactor."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.python.failure import Failure

from twistmail import tasks
from twistmail.control import Part, spoken
from twistmail.networks import NETWORKS
from twistmail.servers.mechanisms import Openness, Tools

T = TypeVar("T")


#: For a `servers.login.Login`: what never comes twice comes always, and everybody may send passwords in clear.
TOOLS = Tools(lambda: "nonce", "mx.here.example")
OPEN = Openness(True, NETWORKS.read("0.0.0.0/0 ::/0"))
CLOSED = Openness()


def result_of(coroutine: Coroutine[Any, Any, T]) -> T:
    """What *coroutine* returns; AssertionError where it still waits; raises what it raises."""
    results: list[Any] = []
    tasks.shielded(coroutine).addBoth(results.append)
    assert results, f"{coroutine!r} has not ended"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


def heard(answer: Any, clock: Any) -> tuple[list[Any], Any]:
    """What a verb of the control socket has told in parts, and its result; *clock* (task.Clock) goes on while it waits."""
    parts, results = [], []

    async def tell(part: Part) -> bool:
        parts.append(part.value)
        return True

    tasks.shielded(spoken(answer, tell)).addBoth(results.append)
    for _ in range(100_000):
        if results:
            break
        clock.advance(0)
    assert results, f"{answer!r} has not ended"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return parts, results[0]


def takes_linear_time(seconds: Callable[[int], float], size: int) -> bool:
    """Whether *seconds*(n), of processor time, grows with n, not with its square, between *size* and sixteen times *size*.

    A square makes it 256 times as long. 64 leaves a busy machine, or a small cache, four times what the line would give.
    """
    return min(seconds(16 * size) for _ in range(2)) < 64 * max(min(seconds(size) for _ in range(3)), 0.001)
