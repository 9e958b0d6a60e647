"""POP3 after login (RFC 1939 §5): what is there, messages out, what shall be deleted; deletions at QUIT and only there (§6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import islice
from typing import Any

from twisted.logger import Logger

from twistmail.facts import Fact, Read
from twistmail.interfaces import Unavailable
from twistmail.mail.mailbox import StoreError
from twistmail.mail.paged import Paged
from twistmail.mail.ranges import runs
from twistmail.mail.surrogate import needs_surrogate, surrogate
from twistmail.servers.pop3.maildrop import Maildrop
from twistmail.servers.pop3.service import Pop3Service
from twistmail.wire.imap.sequence import spelled
from twistmail.wire.pop3 import commands as pop
from twistmail.wire.pop3.top import Beginning

log = Logger()

#: Chunks (64 KiB each) of a large message that are read in one go.
CHUNKS = 4

NO_SUCH_MESSAGE = pop.Err("There is no such message")
NEEDS_UTF8 = pop.Err("That message can be had in UTF-8 only: UTF8", "UTF8")
GONE = pop.Err("That message has been deleted by somebody else")
DISK_TROUBLE = (OSError, StoreError, Unavailable)


class Transaction:
    """What somebody who has logged in as *account* may ask. *drop*: his maildrop; closed by whoever has opened it."""

    def __init__(self, service: Pop3Service, connection: str, account: str, drop: Maildrop, *, utf8: bool = False) -> None:
        self._service = service
        self._connection = connection
        self._account = account
        self._drop = drop
        self._reads_all = utf8 or service.settings.utf8_headers == "raw"  # whatever stands in a header
        self._fetched: set[int] = set()  # numbers of what was fetched whole
        self._read: list[int] = []  # UIDs that nobody has been told of

    async def answer(self, event: Any) -> Any:
        """A response, or an async iterator of some. StoreError, OSError, Unavailable."""
        return await _ANSWERS[type(event)](self, event)

    async def leave(self) -> pop.Farewell:
        """RFC 1939 §6: now, and only now, messages are deleted; the answer says whether they were."""
        try:
            await self._expire()
            done = await self._drop.update()
        except DISK_TROUBLE as error:
            log.warn("{id}: deleting at QUIT of {account}: {error}", id=self._connection, account=self._account, error=str(error))
            done = False
        if not done:
            return pop.Farewell("Some deleted messages were not removed", good=False, code="SYS/TEMP")
        return pop.Farewell("Good bye, {} deleted, {} left", values=(len(self._drop.deleted), self._drop.count))

    async def _expire(self) -> None:
        """What has been left here for long enough is deleted as if the client had asked for it (RFC 2449 §6.7)."""
        expire = self._service.settings.expire
        if expire is None:
            return
        if expire and (stay := self._fetched - self._drop.deleted):
            await self._drop.mark_read(stay)
        self._drop.deleted |= await self._drop.outdated(self._service.epoch() - expire) if expire else self._fetched

    async def _stat(self, event: pop.Stat) -> Any:
        await self._drop.measure()
        return pop.Good(f"{self._drop.count} {self._drop.octets}")

    async def _list(self, event: pop.List) -> Any:
        await self._drop.measure()
        return self._listed(event.number, self._drop.size_line, "{} messages ({} octets)", self._drop.count, self._drop.octets)

    async def _uidl(self, event: pop.Uidl) -> Any:
        await self._drop.identify()
        return self._listed(event.number, self._drop.unique_id_line, "Unique ids follow")

    def _listed(self, number: int | None, line: Callable[[int], bytes], title: str, *values: int) -> Any:
        """The *line* of one message as a reply, or those of all as a listing."""
        if number is None:
            return _blocks(pop.MessageBegins(title, values), self._drop.lines(line))
        if self._drop.uid(number) is None:
            return NO_SUCH_MESSAGE
        return pop.Good(line(number)[:-2].decode())

    async def _retr(self, event: pop.Retr) -> Any:
        return await self._message(event.number, None)

    async def _top(self, event: pop.Top) -> Any:
        return await self._message(event.number, Beginning(event.lines))

    async def _message(self, number: int, beginning: Beginning | None) -> Any:
        """A message, or only its *beginning*."""
        if self._drop.uid(number) is None:
            return NO_SUCH_MESSAGE
        await self._drop.measure()
        if not self._drop.is_small(number):
            return await self._stream(number, beginning)
        content = await self._drop.whole(number)
        if content is None:
            return GONE
        content = await self._readable(content)
        if content is None:
            return NEEDS_UTF8
        if beginning is not None:
            return pop.Message("The beginning follows", beginning.feed(content))
        self._note_read(number)
        return pop.Message("{} octets", content, (len(content),))

    async def _readable(self, content: bytes) -> bytes | None:
        """*content* as this client can read it; None: it cannot (RFC 6856 §2.1, §5)."""
        if self._reads_all or content.isascii():
            return content
        threads = self._service.threads
        if self._service.settings.utf8_headers == "refused":
            return None if await threads.run(needs_surrogate, content) else content
        turned: bytes = await threads.run(_turned, content)
        return turned

    async def _stream(self, number: int, beginning: Beginning | None) -> Any:
        """`_message` piece by piece, for a large one; the first piece is read before +OK is said."""
        content = await self._drop.content(number)
        if content is None:
            return GONE
        threads = self._service.threads
        chunks = content.chunks()
        if not self._reads_all and not await self._drop.is_ascii(number):
            if self._service.settings.utf8_headers == "refused" and await threads.run(needs_surrogate, Paged(content)):
                return NEEDS_UTF8
            chunks = surrogate(Paged(content))
        first = await threads.run(_next_of, chunks)
        if beginning is None:
            self._note_read(number)
        title = pop.MessageBegins("{} octets", (content.size,)) if beginning is None else pop.MessageBegins("The beginning follows")
        return self._pieces(title, first, chunks, beginning)

    async def _pieces(
        self, title: pop.MessageBegins, piece: bytes, chunks: Iterator[bytes], beginning: Beginning | None
    ) -> AsyncIterator[Any]:
        yield title
        while piece:
            yield pop.Chunk(piece if beginning is None else beginning.feed(piece))
            if beginning is not None and beginning.complete:
                break
            try:
                piece = await self._service.threads.run(_next_of, chunks)
            except OSError as error:
                # Half a message must not look like a whole one: no final dot, only the end of the connection.
                log.warn("{id}: reading a message: {error}", id=self._connection, error=str(error))
                yield pop.Farewell("", good=False)
                return
        yield pop.MessageEnds()

    async def _dele(self, event: pop.Dele) -> Any:
        if self._drop.uid(event.number) is None:
            return NO_SUCH_MESSAGE
        self._drop.deleted.add(event.number)
        return pop.Good("Marked, and deleted at QUIT")

    async def _rset(self, event: pop.Rset) -> Any:
        self._drop.deleted.clear()
        return pop.Good("{} messages, none marked", (self._drop.count,))

    def _note_read(self, number: int) -> None:
        """A client that fetches one after the other is told of in pieces."""
        self._fetched.add(number)
        self._read.append(self._drop.uids[number - 1])
        if not self._drop.has_more_at_hand:
            self.tell()

    def tell(self) -> None:
        """Say what has been read, as far as it has not been said."""
        if self._read and self._service.facts.listened:
            uids = spelled(runs(sorted(set(self._read)))).decode("ascii")
            what = Read("pop3", self._account, "INBOX", uids)
            self._service.facts.tell(Fact(self._service.epoch(), self._connection, what))
        self._read.clear()


async def _blocks(title: pop.MessageBegins, blocks: Iterator[bytes]) -> AsyncIterator[Any]:
    yield title
    for block in blocks:
        yield pop.Chunk(block)
    yield pop.MessageEnds()


def _turned(content: bytes) -> bytes:
    return b"".join(surrogate(content))


def _next_of(chunks: Iterator[bytes]) -> bytes:
    """The next octets, up to 256 KiB; empty at the end. Blocking."""
    return b"".join(islice(chunks, CHUNKS))


_ANSWERS: dict[type, Callable[[Transaction, Any], Awaitable[Any]]] = {
    pop.Stat: Transaction._stat,
    pop.List: Transaction._list,
    pop.Uidl: Transaction._uidl,
    pop.Retr: Transaction._retr,
    pop.Top: Transaction._top,
    pop.Dele: Transaction._dele,
    pop.Rset: Transaction._rset,
}
