"""When to look at a maildir again: inotify(7) as a hint, a look from time to time as the truth.

Whoever shows a mailbox to somebody asks with `watch`; its *look* (a coroutine
function that compares the directories with what is known) is called soon after
something was written there, and once more when the directory is quiet, because
the times by which looks tell changes are coarse. `poll`, each second, looks at
what is stirred, at all that the kernel does not watch for us (another system, no
watches left), and at a share of the rest: each has its turn in `TRUTH_EVERY`
seconds whatever became of the hints (which other hosts' writes never give).

Not Twisted's own `INotify`: it shuts down for all directories when one of them is
deleted, and copies what is left of its buffer for every event.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks

log = Logger()

Look = Callable[[], Coroutine[Any, Any, None]]

#: Seconds: what is written within the first is looked at together; after the second a directory is quiet (`view.QUIET_NS`).
GATHER = 0.02
QUIET = 1.1
#: Each watched mailbox is looked at once in so many polls, hint or not.
TRUTH_EVERY = 30
#: Mailboxes; each costs two of the kernel's watches, of which a user has 8192 or many more (fs.inotify.max_user_watches).
MOST_WATCHED = 50_000

_EVENT = struct.Struct("iIII")
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLY_DIRECTORIES = 0x01000000
_MASK = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLY_DIRECTORIES
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_FOLDERS = ("new", "cur")


@implementer(IReadDescriptor)
class Hints:
    """See the module note. *reactor*: IReactorTime, and IReactorFDSet where inotify shall be used. The descriptor is opened when needed."""

    def __init__(self, reactor: Any, most: int = MOST_WATCHED) -> None:
        self._reactor = reactor
        self._most = most
        self._inotify: _Inotify | None = None
        self._usable = hasattr(reactor, "addReader")
        self._watched: OrderedDict[Look, tuple[int, ...]] = OrderedDict()
        self._looks: dict[int, set[Look]] = {}
        self._blind: dict[Look, None] = {}
        self._stirred: dict[Look, float] = {}
        self._fresh: set[Look] = set()
        self._looking: set[Look] = set()
        self._share = 0.0  # looks that this poll owes
        self._calls: list[Any] = [None, None]

    def watch(self, maildir: Path, look: Look) -> None:
        """From now on call *look* when new/ or cur/ of *maildir* may have changed."""
        numbers = self._numbers(maildir) if self._usable and len(self._watched) < self._most else ()
        if not numbers:
            self._blind[look] = None
            return
        self._watched[look] = numbers
        for number in numbers:
            self._looks.setdefault(number, set()).add(look)
        self._look_when_quiet({look})  # at what came since the mailbox was opened

    def unwatch(self, look: Look) -> None:
        """No more. No harm where *look* is not watched."""
        self._blind.pop(look, None)
        self._stirred.pop(look, None)
        self._fresh.discard(look)
        for number in self._watched.pop(look, ()):
            self._let_go(number, look)

    async def poll(self) -> None:
        """To be called each second."""
        self.doRead()
        self._share += len(self._watched) / TRUTH_EVERY
        share, self._share = int(self._share), self._share % 1
        due = [*self._blind, *self._fresh, *(look for look, _ in zip(self._watched, range(share), strict=False))]
        self._fresh.clear()
        for look in due:
            if look in self._watched:
                self._watched.move_to_end(look)
            await self._look(look)

    def close(self) -> None:
        for call in self._calls:
            if call and call.active():
                call.cancel()
        if self._inotify:
            self._reactor.removeReader(self)
            self._inotify.close()
            self._inotify = None
        self._usable = False
        self._blind.update(dict.fromkeys(self._watched))
        self._watched.clear()
        self._looks.clear()

    # ----- the kernel's watches

    def _numbers(self, maildir: Path) -> tuple[int, ...]:
        """The watches on the directories of *maildir*; empty where they cannot be had."""
        try:
            if self._inotify is None:
                self._inotify = _Inotify()
                self._reactor.addReader(self)
            numbers: list[int] = []
            try:
                numbers.extend(self._inotify.add(maildir / folder, _MASK) for folder in _FOLDERS)
            except OSError:
                for number in numbers:
                    self._let_go(number)
                raise
        except (OSError, AttributeError) as error:  # a libc without inotify has no such functions
            log.debug("no watch on {maildir}: {error}", maildir=maildir, error=error)
            return ()
        return tuple(numbers)

    def _let_go(self, number: int, look: Look | None = None) -> None:
        """One directory may have several watchers, of a mailbox that went and of one that came."""
        looks = self._looks.get(number, set())
        looks.discard(look)  # type: ignore[arg-type]
        if not looks:
            self._looks.pop(number, None)
            if self._inotify:
                self._inotify.remove(number)

    # ----- what the reactor calls

    def fileno(self) -> int:
        return self._inotify.descriptor if self._inotify else -1

    def logPrefix(self) -> str:
        return "Hints"

    def connectionLost(self, reason: Any) -> None:
        """The reactor ends."""

    def doRead(self) -> None:
        if self._inotify is None:
            return
        looks: set[Look] = set()
        for number, mask in self._inotify.read():
            if mask & _OVERFLOW:
                looks.update(self._watched)
            looks |= self._looks.get(number, set())
            if mask & _IGNORED:  # the directory has gone, and with it the watch
                self._lose(number)
        self._stir(looks)

    def _lose(self, number: int) -> None:
        for look in self._looks.pop(number, set()):
            for other in self._watched.pop(look, ()):
                if other != number:
                    self._let_go(other, look)
            self._blind[look] = None

    # ----- looking

    def _stir(self, looks: set[Look]) -> None:
        if looks:
            self._fresh |= looks
            self._call(0, GATHER, self._look_at_fresh)
            self._look_when_quiet(looks)

    def _look_when_quiet(self, looks: set[Look]) -> None:
        self._stirred.update(dict.fromkeys(looks, self._reactor.seconds()))
        self._call(1, QUIET, self._look_at_quiet)

    def _call(self, which: int, seconds: float, function: Callable[[], None]) -> None:
        call = self._calls[which]
        if call is None or not call.active():
            self._calls[which] = self._reactor.callLater(seconds, function)

    def _look_at_fresh(self) -> None:
        fresh, self._fresh = self._fresh, set()
        for look in fresh:
            tasks.start(self._look(look), "looking at a mailbox")

    def _look_at_quiet(self) -> None:
        """Look once more at what has been quiet since its last hint; the rest has to wait for that."""
        now = self._reactor.seconds()
        quiet = [look for look, stirred in self._stirred.items() if now - stirred >= QUIET - GATHER]
        for look in quiet:
            del self._stirred[look]
            tasks.start(self._look(look), "looking at a mailbox")
        if self._stirred:
            self._call(1, min(self._stirred.values()) + QUIET - now, self._look_at_quiet)

    async def _look(self, look: Look) -> None:
        """One look at a time: while files keep coming into a big mailbox, a look may take longer than the time to the next hint."""
        if look in self._looking:
            return
        self._looking.add(look)
        try:
            await look()
        except OSError as error:
            log.warn("looking at a mailbox: {error}", error=error)
        finally:
            self._looking.discard(look)


class _Inotify:
    """The three calls, and reading. OSError from each."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._checked(self._libc.inotify_init1(_NONBLOCK_CLOEXEC))

    def add(self, directory: Path, mask: int) -> int:
        return self._checked(self._libc.inotify_add_watch(self.descriptor, os.fsencode(directory), mask))

    def remove(self, number: int) -> None:
        self._libc.inotify_rm_watch(self.descriptor, number)  # that it has gone already is no trouble

    def read(self) -> list[tuple[int, int]]:
        """Pairs (watch, what has happened), without the names."""
        try:
            data = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return []
        events, place = [], 0
        while place < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, place)
            events.append((number, mask))
            place += _EVENT.size + length
        return events

    def close(self) -> None:
        os.close(self.descriptor)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
