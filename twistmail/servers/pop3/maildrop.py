"""A maildrop (RFC 1939 §3): an account's INBOX as one POP3 session sees it, with numbers that do not change.

Nothing is deleted before `update`. Small messages are fetched several at a time
when the client asks for one after the other, which nearly all clients do: one
thread hop for thirty messages instead of thirty, and the next thirty come while
these are on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from twistmail import tasks
from twistmail.mail.content import Stored
from twistmail.mail.mailbox import Column, Flag, FlagChange, StoreError
from twistmail.servers.pop3.uniqueids import DEFAULT, LONGEST, UniqueIds, read

#: Messages up to this size are fetched whole; larger ones are streamed.
SMALL = 128 * 1024
#: The most that is fetched ahead in one go, of which two are kept: messages, octets.
MOST_AHEAD = 32
MOST_OCTETS_AHEAD = 160 * 1024
#: Rows that the store tells at a time (`IMailbox.rows`), and lines of a listing in one piece.
ROWS = 2000
LINES = 5000
#: Rows between which the reactor has its turn.
TURN_AFTER = 10 * ROWS
USUAL = read(DEFAULT)
SEEN = "\\Seen"


class Maildrop:
    """Messages 1 to `len(uids)`; a number of which `uid` is None does not exist, or no more.

    Sizes are asked for when they are needed first (`measure`): who only looks whether there is something new needs none. The
    same goes for names that others have given (`identify`). *clock*: where very much is to be done, the reactor has its turn.
    """

    def __init__(self, mailbox: Any, uids: Sequence[int], unique_ids: UniqueIds = USUAL, clock: Any = None) -> None:
        self.mailbox = mailbox
        self._clock = clock
        self.uids = uids
        self.sizes: Sequence[int] = ()
        self._spelling = unique_ids.within(mailbox.uidvalidity)
        self._given: Mapping[int, bytes] | None = None
        self.deleted: set[int] = set()  # numbers
        self._ahead: dict[int, bytes] = {}  # fetched and not yet asked for, by number
        self._coming: Any = None  # a Deferred with more of that
        self._next = 0  # the number that follows what was asked for last
        self._reach = 1

    @property
    def count(self) -> int:
        return len(self.uids) - len(self.deleted)

    @property
    def octets(self) -> int:
        return sum(self.sizes) - sum(self.sizes[number - 1] for number in self.deleted)

    async def measure(self) -> None:
        """Learn the sizes, once. A message that has gone since login has none: 0."""
        if len(self.sizes) == len(self.uids):
            return
        sizes = await self._column(Column.SIZE)
        self.sizes = tuple([sizes.get(uid, 0) for uid in self.uids])

    async def _column(self, column: Column) -> dict[int, Any]:
        """{uid: what *column* (of small numbers) has of it} of all messages that are still there."""
        found: dict[int, Any] = {}
        for first in range(0, len(self.uids), ROWS):
            if first and self._clock is not None and first % TURN_AFTER == 0:
                await tasks.sleep(self._clock, 0)
            found.update(await self.mailbox.rows(self.uids[first : first + ROWS], (column,)))
        return found

    def uid(self, number: int) -> int | None:
        """The UID of message *number*, None where there is none or it is marked as deleted."""
        return self.uids[number - 1] if 1 <= number <= len(self.uids) and number not in self.deleted else None

    async def identify(self) -> None:
        """Learn by what other servers have told clients of messages, once."""
        if self._given is None:
            self._given = {uid: name for uid, name in (await self.mailbox.unique_ids()).items() if _is_unique_id(name)}

    def unique_id(self, number: int) -> bytes:
        """RFC 1939 §7 UIDL: the same in every session, and never another message's."""
        uid = self.uids[number - 1]
        return self._given[uid] if self._given and uid in self._given else self._spelling % uid

    def size_line(self, number: int) -> bytes:
        return b"%d %d\r\n" % (number, self.sizes[number - 1])

    def unique_id_line(self, number: int) -> bytes:
        return b"%d %b\r\n" % (number, self.unique_id(number))

    def lines(self, line: Callable[[int], bytes]) -> Iterator[bytes]:
        """*line*(number) of all messages that are not deleted, in order, as blocks."""
        for first in range(1, len(self.uids) + 1, LINES):
            numbers = range(first, min(first + LINES, len(self.uids) + 1))
            yield b"".join([line(number) for number in numbers if number not in self.deleted])

    def is_small(self, number: int) -> bool:
        return self.sizes[number - 1] <= SMALL

    async def whole(self, number: int) -> bytes | None:
        """The octets of small message *number*; None where it has gone since login."""
        in_order = number == self._next
        self._next = number + 1
        if number not in self._ahead and self._coming is not None:
            coming, self._coming = self._coming, None
            self._ahead = await tasks.awaiting(coming)
        if number not in self._ahead:
            self._reach = min(self._reach * 4, MOST_AHEAD) if in_order else 1
            self._ahead = await self._fetched(self._run_from(number))
        content = self._ahead.pop(number, None)
        if in_order and self._coming is None and len(self._ahead) <= self._reach // 2:
            self._look_ahead()
        return content

    @property
    def has_more_at_hand(self) -> bool:
        """Whether the next messages need not be waited for."""
        return bool(self._ahead)

    def _look_ahead(self) -> None:
        """Fetch what follows all that is here, while the client is busy with that."""
        run = self._run_from(max(self._ahead, default=self._next - 1) + 1) if self._reach == MOST_AHEAD else []
        if run:
            self._coming = tasks.shielded(self._fetched_ahead(run))

    def _run_from(self, first: int) -> list[int]:
        """*first* and the small messages behind it that are wanted with it."""
        run: list[int] = []
        octets = 0
        for number in range(first, min(first + self._reach, len(self.uids) + 1)):
            if number in self.deleted:
                continue
            octets += self.sizes[number - 1]
            if octets > MOST_OCTETS_AHEAD or not self.is_small(number):
                break
            run.append(number)
        return run

    async def _fetched(self, numbers: Sequence[int]) -> dict[int, bytes]:
        number_of = {self.uids[number - 1]: number for number in numbers}
        return {number_of[uid]: octets for uid, octets in await self.mailbox.load(tuple(number_of))}

    async def _fetched_ahead(self, numbers: Sequence[int]) -> dict[int, bytes]:
        try:
            return await self._fetched(numbers)
        except (OSError, StoreError):
            return {}  # whoever asks for one of them is told

    async def is_ascii(self, number: int) -> bool:
        """Whether the header of message *number*, and what is known of those of its parts, is ASCII."""
        rows = await self.mailbox.rows((self.uids[number - 1],), (Column.HEADER, Column.BODYSTRUCTURE))
        return all(value.isascii() for row in rows for value in row[1:])

    async def content(self, number: int) -> Stored | None:
        """The Content of message *number*; None where it has gone since login."""
        found = await self.mailbox.read((self.uids[number - 1],))
        return found[0][1] if found else None

    async def mark_read(self, numbers: Collection[int]) -> None:
        """Note, for other programs and for `outdated`, that these messages have been read."""
        uids = sorted(self.uids[number - 1] for number in numbers)
        await self.mailbox.store(uids, FlagChange.ADD, (SEEN,))

    async def outdated(self, before: float) -> set[int]:
        """The numbers of what came before *before* (POSIX seconds) and has been read."""
        read = {uid for uid, bits in zip(self.mailbox.uids, self.mailbox.bits, strict=True) if bits & Flag.SEEN}
        dates = await self._column(Column.INTERNALDATE)
        return {number for number, uid in enumerate(self.uids, 1) if uid in read and dates.get(uid, before) < before}

    async def update(self) -> bool:
        """Delete what is marked, now and durably. False where some of it is still there. StoreError, OSError."""
        marked = sorted(self.uids[number - 1] for number in self.deleted)
        if not marked:
            return True
        gone = await self.mailbox.expunge(tuple(marked), durable=True)
        return not set(marked).difference(gone).intersection(self.mailbox.uids)

    def close(self) -> None:
        self._ahead.clear()
        self.mailbox.close()


def _is_unique_id(name: bytes) -> bool:
    return 1 <= len(name) <= LONGEST and all(0x21 <= octet <= 0x7E for octet in name)


async def open_maildrop(store: Any, account: str, unique_ids: UniqueIds = USUAL, clock: Any = None) -> Maildrop:
    """The INBOX of account *account* as it is now. StoreError, OSError, Unavailable."""
    mailboxes = await store.mailboxes(account)
    mailbox = await mailboxes.open("INBOX")
    try:
        await mailbox.refresh()
    except BaseException:
        mailbox.close()
        raise
    return Maildrop(mailbox, tuple(mailbox.uids), unique_ids, clock)
