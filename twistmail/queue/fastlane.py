"""The way of express mail through a spool: into the log when it comes, out of it when it has gone, into files when it must wait.

The spool asks here first. What is in the log is in memory too, with its content,
so that an attempt reads no file. See `express` for what the log promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.disk import FileContent
from twistmail.mail.content import Content, Memory
from twistmail.mail.item import Item
from twistmail.mail.outcome import Event, Outcome, Result
from twistmail.queue.express import LARGEST, Express, added
from twistmail.queue.folders import Folders
from twistmail.queue.jobs import Add, Remove

log = Logger()

#: Seconds after which what is still here gets files; so often is looked.
MOST_WAIT, LOOK = 2.0, 1.0
#: Seconds within which it is on the disk that mail has gone.
NOTED_WITHIN = 0.02
_GOOD = frozenset({Result.RELAYED, Result.DELIVERED})


class _Letter(Add):
    """A new item: one record in the log or, where that takes none, its files."""

    def __init__(self, folders: Folders, lengths: dict[str, int], item: Item, content: Memory, express: Express) -> None:
        super().__init__(folders, lengths, item, content)
        self.redo = express
        self.identifier = item.id
        self.bodies: Sequence[bytes] = (added(item, content.data),)
        self.logged = False


class _Nudge:
    """Nothing new: what has been noted becomes durable."""

    size = 0
    identifier = ""
    bodies: Sequence[bytes] = ()

    def __init__(self, express: Express) -> None:
        self.redo = express
        self.logged = False

    def write(self) -> Iterable[int]:
        """Where the log takes nothing new, what was noted in it is synced all the same."""
        return self.redo.take_dirty()

    def publish(self) -> Iterable[int]:
        return ()

    def close(self) -> None:
        pass


@dataclass(slots=True)
class _Fresh:
    content: Memory
    since: float


class FastLane:
    """`items` and `lengths` are the spool's; `clock`: IReactorTime. Takes nothing before `open`."""

    def __init__(
        self, folders: Folders, items: Mapping[str, Item], lengths: dict[str, int], committer: Any, threads: Any, clock: Any
    ) -> None:
        self._folders = folders
        self._items = items
        self._lengths = lengths
        self._committer = committer
        self._threads = threads
        self._clock = clock
        self._express: Express | None = None
        self._is_prepared = False
        self._fresh: dict[str, _Fresh] = {}
        self._moving: dict[str, list[tasks.Deferred[None]]] = {}
        self._stained: set[str] = set()  # they may have files, which must go with them
        self._gone: list[str] = []  # and the log has still to say so
        self._is_gathering = False
        self._look: Any = None
        self._sync: Any = None
        self._said = ""

    def open(self, express: Express) -> None:
        """Use *express*, which has been opened and restored."""
        self._express = express

    # ----- what the spool asks

    async def add(self, item: Item, content: Content) -> bool:
        """Make *item* durable; False where that is not for us, and nothing was done. Raises OSError."""
        express = self._express
        if express is None or item.size > LARGEST or item.held or isinstance(content, FileContent):
            return False
        if not self._is_prepared:
            self._is_prepared = True
            tasks.start(self._prepare(express), "making the log of the queue")
            return False
        memory = content if isinstance(content, Memory) else Memory(b"".join(content.chunks()))
        letter = _Letter(self._folders, self._lengths, item, memory, express)
        await self._committer.commit(letter)
        if letter.logged:
            self._fresh[item.id] = _Fresh(memory, self._clock.seconds())
            self._look = self._look or self._clock.callLater(LOOK, self._looked)
        return True

    async def _prepare(self, express: Express) -> None:
        try:
            await self._threads.run(express.prepare)
        except OSError as error:
            log.warn("queue: {error}; every message gets files", error=error)

    def content(self, identifier: str) -> Memory | None:
        """The content of an item that is in the log; None where it has files."""
        fresh = self._fresh.get(identifier)
        return fresh.content if fresh else None

    def noted(self, identifier: str, event: Event) -> Item | None:
        """The item after *event*, written down; None where that has to be in its file."""
        if not self._is_here(identifier) or not isinstance(event, Outcome) or event.result not in _GOOD:
            return None
        after = self._items[identifier].after(event)
        if not after.is_settled:  # else its removal, which follows at once, says it too
            try:
                if self._express is None or not self._express.note(identifier, event):
                    return None
            except OSError:
                return None
            self._sync_soon()
        return after

    def forget(self, identifier: str) -> bool:
        """Whether the item was in the log, and now is not."""
        if self._express is None or not self._is_here(identifier):
            return False
        del self._fresh[identifier]
        self._gone.append(identifier)
        if not self._is_gathering:
            self._write_gone()
        return True

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that the log has to `forget` meanwhile is written down at the end, at once. For the one who hears of several at a time,
        and is done with all of them before the reactor gets its turn."""
        self._is_gathering = True
        try:
            yield
        finally:
            self._is_gathering = False
            self._write_gone()

    def _write_gone(self) -> None:
        gone, self._gone = self._gone, []
        if gone and self._express is not None:
            self._express.gone(*gone)
            self._sync_soon()

    def _is_here(self, identifier: str) -> bool:
        return identifier in self._fresh and identifier not in self._moving and identifier not in self._stained

    async def move(self, identifier: str) -> None:
        """Give the item files, where it has none. Raises OSError."""
        while identifier in self._fresh:
            if identifier in self._moving:
                moved: tasks.Deferred[None] = tasks.Deferred()
                self._moving[identifier].append(moved)
                await moved
                continue
            self._moving[identifier] = []
            try:
                await self._make_files(identifier)
            finally:
                for moved in self._moving.pop(identifier):
                    moved.callback(None)

    async def _make_files(self, identifier: str) -> None:
        """The log must have forgotten it durably before its files may go, or it would come back after a crash."""
        assert self._express is not None
        content = self._fresh[identifier].content
        try:
            await self._committer.commit(Add(self._folders, self._lengths, self._items[identifier], content))
        except OSError:
            await self._take_back(identifier)
            raise
        del self._fresh[identifier]
        self._stained.discard(identifier)
        self._express.gone(identifier)
        await self._committer.commit(_Nudge(self._express))

    async def _take_back(self, identifier: str) -> None:
        """Files that may be there although they could not be synced would be found by the next start, sent or not."""
        self._stained.add(identifier)
        with suppress(OSError):
            await self._committer.commit(Remove(self._folders, self._lengths, identifier))
            self._stained.discard(identifier)

    # ----- by the clock

    def _sync_soon(self) -> None:
        self._sync = self._sync or self._clock.callLater(NOTED_WITHIN, self._synced)

    def _synced(self) -> None:
        self._sync = None
        if self._express is not None and self._express.is_dirty:
            tasks.start(self._nudge(self._express), "syncing the log of the queue")

    async def _nudge(self, express: Express) -> None:
        try:
            await self._committer.commit(_Nudge(express))
        except OSError as error:
            self._complain(error)

    def _looked(self) -> None:
        self._look = None
        long_ago = self._clock.seconds() - MOST_WAIT
        due = [identifier for identifier, fresh in self._fresh.items() if fresh.since <= long_ago]
        if self._express is not None:
            due += [identifier for identifier in self._express.in_the_way() if identifier in self._fresh]
        tasks.start(self._tend(dict.fromkeys(due)), "giving express mail files")

    async def _tend(self, due: Iterable[str]) -> None:
        await tasks.gather(*map(self._move_if_possible, due))
        if self._fresh and self._look is None:
            self._look = self._clock.callLater(LOOK, self._looked)

    async def _move_if_possible(self, identifier: str) -> None:
        try:
            await self.move(identifier)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        """Once for each trouble: it is looked at every second."""
        if self._said != str(error):
            self._said = str(error)
            log.error("queue: {error}; new mail stays in the log", error=error)

    # ----- the end

    async def rest(self) -> None:
        """Give files to all that is here, as far as that can be done."""
        await tasks.gather(*map(self._move_if_possible, list(self._fresh)))

    def close(self) -> None:
        """After the committer has stopped. What is in the log stays there."""
        self._write_gone()
        for timer in (self._look, self._sync):
            if timer is not None:
                timer.cancel()
        self._look = self._sync = None
        if self._express is not None:
            try:
                self._express.empty()
            except OSError as error:
                self._complain(error)
            self._express.close()
            self._express = None
