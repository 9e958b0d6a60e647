"""What belongs to a part and outlives a reload all the same: threads of its own, and what it keeps open.

A part that is built anew by a reload asks for them by name. Whether they still
fit is told by a key (its settings): with another key they are made anew, and
the old ones retire, which whoever still uses them may go on doing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twistmail import tasks


class Keepable(Protocol):
    """Something that is kept open, such as connections to a database."""

    def retire(self) -> None:
        """Close what nobody uses, and what somebody uses when he has done. Plain and quick; it may go on being used."""


K = TypeVar("K", bound=Keepable)


class Lasting:
    """Threads and things by name; *make*(name, most) gives `tasks.Threads` or what stands for it."""

    def __init__(self, make: Callable[[str, int], Any]) -> None:
        self._make = make
        self._threads: dict[tuple[str, int], Any] = {}
        self._kept: dict[str, tuple[Any, Any]] = {}

    def threads(self, name: str, most: int) -> Any:
        """At most so many threads, for nobody else's work."""
        if (name, most) not in self._threads:
            self._threads[name, most] = self._make(name, most)
        return self._threads[name, most]

    def keep(self, name: str, key: Any, make: Callable[[], K]) -> K:
        """The thing called *name* if it was made with an equal *key*, else a new one."""
        known = self._kept.get(name)
        if known is None or known[0] != key:
            self._kept[name] = key, make()
            if known is not None:
                known[1].retire()
        return self._kept[name][1]  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Let go of everything; waits for what threads are doing. Blocking, at shutdown."""
        for _, kept in self._kept.values():
            kept.retire()
        for threads in self._threads.values():
            threads.stop()


def inline() -> Lasting:
    """For the command line: threads that are none."""
    return Lasting(lambda name, most: tasks.Inline())
