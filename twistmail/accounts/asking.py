"""Asking a service elsewhere: in threads of its own, so many at a time, with patience, and over connections that are kept.

A service that does not answer is weather (`interfaces.Unavailable`): whoever
asked is told to come again later, and no other source is asked in its place.
What the questions are is the business of `sql`, `ldap` and `pam`.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from twisted.logger import Logger

from twistmail import tasks
from twistmail.interfaces import Unavailable

C = TypeVar("C")
T = TypeVar("T")
log = Logger()

#: Questions that may wait for a thread; beyond, who asks is told to come later.
MOST_WAITING = 200
#: Seconds between two complaints in the log about one service.
COMPLAIN_EVERY = 30.0


#: Octets of an address and of a password that a service is asked about.
LONGEST_NAME, LONGEST_PASSWORD = 320, 4096
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def can_be_asked(text: str, most: int = LONGEST_NAME) -> bool:
    """Whether anybody can be called *text*, or have it as a password: not empty, no control characters, no lone surrogates."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 0 < length <= most and not _CONTROLS.search(text)


def lacking(module: str, extra: str) -> tuple[str, str] | None:
    """(what is missing, what would help) where the Python *module* that an *extra* of ours brings is not installed."""
    if importlib.util.find_spec(module) is not None:
        return None
    return f"the Python package {module} is not installed", f"pip install 'twistmail[{extra}]'"


def imported(module: str, extra: str) -> tuple[str, str] | None:
    """As `lacking`, and *module* is imported here and now: whoever starts as root may be unable to read packages later."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        return lacking(module, extra) or (f"the Python package {module} does not work: {error}", f"pip install 'twistmail[{extra}]'")
    return None


class Trouble(Exception):
    """A service did not answer, or not as it should. `text` is for the log: without secrets."""


class Asking:
    """Questions to the service called *name*, in *threads* and on the clock of *reactor*; each is answered within *timeout* seconds."""

    def __init__(self, name: str, reactor: Any, threads: Any, timeout: float) -> None:
        self._name = name
        self._clock = reactor
        self._threads = threads
        self._timeout = timeout
        self._waiting = 0
        self._complained: float | None = None

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """What *question*(*arguments*) returns, which is blocking. Unavailable where it raises Trouble, or takes too long."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"{self._name}: too many questions at once")
        asked = self._asked(self._clock.seconds() + self._timeout, question, *arguments)
        try:
            return await tasks.with_timeout(self._clock, self._timeout, asked, f"a question to {self._name}")
        except (Trouble, tasks.TimedOut) as trouble:
            raise self.unavailable(str(trouble)) from trouble

    async def _asked(self, deadline: float, question: Callable[..., T], *arguments: Any) -> T:
        """It counts until a thread is done with it, however long ago whoever asked has gone."""
        self._waiting += 1
        try:
            return await self._threads.run(self._if_wanted, deadline, question, *arguments)  # type: ignore[no-any-return]
        finally:
            self._waiting -= 1

    def _if_wanted(self, deadline: float, question: Callable[..., T], *arguments: Any) -> T:
        """In a thread, when it is its turn: a service that was away for a while is not asked what nobody waits for."""
        if self._clock.seconds() > deadline:
            raise Trouble("it has not come to the question in time")
        return question(*arguments)

    def unavailable(self, why: str) -> Unavailable:
        """The exception to raise; *why* goes to the log, but not each time."""
        self.complain(why)
        return Unavailable(f"{self._name}: {why}")

    def complain(self, why: str) -> None:
        """Tell the operator, but not each time."""
        now = self._clock.seconds()
        if self._complained is None or now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            log.error("accounts: no answer from {name}: {why}", name=self._name, why=why)

    def understood(self, read: Callable[[], T]) -> T | None:
        """What *read*() returns; None, and a complaint, where it raises ValueError: for one of many answers."""
        try:
            return read()
        except ValueError as error:
            self.complain(f"what is told of somebody cannot be understood: {error}")
            return None


class Connections(Generic[C]):
    """Connections that are kept, at most *most*; blocking, used by many threads. *opened*() makes one, *closed*(one) ends it.

    Both may raise Trouble.
    """

    def __init__(self, opened: Callable[[], C], closed: Callable[[C], None], most: int) -> None:
        self._opened = opened
        self._closed = closed
        self._most = most
        self._idle: list[C] = []
        self._lock = threading.Lock()

    def use(self, question: Callable[[C], T]) -> T:
        """What *question*(a connection) returns. Where a kept connection turns out to be dead, it is asked once more on a new one."""
        kept = self._kept()
        if kept is not None:
            try:
                with self._lent(kept):
                    return question(kept)
            except Trouble:
                self.close()  # those that lie beside it are as old
        with self._lent(self._opened()) as connection:
            return question(connection)

    @contextmanager
    def _lent(self, connection: C) -> Iterator[C]:
        """Kept again afterwards, or closed where anything went wrong."""
        try:
            yield connection
        except BaseException:
            self._closed(connection)
            raise
        with self._lock:
            if len(self._idle) < self._most:
                self._idle.append(connection)
                return
        self._closed(connection)

    def _kept(self) -> C | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def close(self) -> None:
        """Close those that nobody uses at the moment."""
        while (connection := self._kept()) is not None:
            self._closed(connection)

    def retire(self) -> None:
        """Keep none from now on: another configuration has taken the place of ours."""
        self._most = 0
        self.close()
