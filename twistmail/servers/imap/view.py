"""What one client believes of its selected mailbox: its own numbering, and the news that it has not been told.

The mailbox is shared by all sessions and always up to date; a client's sequence
numbers change only when we say so (RFC 3501 §7.4.1). A View therefore has its
own array of UIDs, and collects what the mailbox tells of changes until `updates`
is allowed to say it.

Fast where it matters: as long as nothing expunged is waiting to be told, the
view's arrays and the mailbox's are parallel, and a block is two slices.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from twistmail.interfaces import IMailbox
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES, Change, Flag
from twistmail.mail.parts import Part
from twistmail.servers.imap.places import Following, missing
from twistmail.servers.imap.rendering import RECENT_BIT, FlagsRendered
from twistmail.tasks import start
from twistmail.wire.imap.sequence import SequenceSet

#: Messages that are looked at in one go.
BLOCK = 500


class Block(NamedTuple):
    """Messages in the client's order: sequence numbers, UIDs and flag bits (with RECENT_BIT), parallel."""

    numbers: Sequence[int]
    uids: Sequence[int]
    bits: Sequence[int]


EXISTING_FLAGS = " ".join(FLAG_NAMES)


class View:
    """The selected mailbox as one client sees it.

    *news*() is called when there is something to tell. *enabled*: what the client has enabled, as it is at any time.
    """

    def __init__(
        self, mailbox: IMailbox, *, read_only: bool, news: Callable[[], None], enabled: Collection[str] = frozenset()
    ) -> None:  # fmt: skip
        self.mailbox = mailbox
        self.read_only = read_only
        self.enabled = enabled
        self.uids: array[int] = mailbox.uids[:]
        self.recent: set[int] = set()
        self.saved = Following()  # what "$" means (RFC 5182)
        self.followers = [self.saved]  # sets of places that follow our numbering
        self.contexts: Any = None  # contexts.Contexts, where the client has asked for updates
        self.gone = False
        self.last_tree: tuple[int, Part] | None = None  # bodies: the parts of the big message asked for last
        self.rendered = FlagsRendered(mailbox.keywords)
        self._news = news
        self._top = self.uids[-1] if self.uids else 0  # the highest UID that we have told or skipped
        self._expunged: set[int] = set()
        self._flagged: set[int] = set()
        self._recent_told = 0
        self._keywords_told = len(mailbox.keywords)
        #: What we are to our mailbox: the `by` of our own changes.
        self.watcher = self._changed
        mailbox.watch(self.watcher)

    def close(self) -> None:
        self.mailbox.unwatch(self.watcher)
        self.mailbox.close()

    # ----- what the mailbox tells

    def _changed(self, change: Change) -> None:
        if self.contexts is not None:
            self.contexts.note(change)
        if change.gone:
            self.gone = True
        if change.expunged:
            self.note_expunged(change.expunged)
        if change.flagged and change.by is not self.watcher:
            self._flagged.update(change.flagged)
        if change.arrived:
            start(self.claim_recent(), "claiming recent messages")
        self._news()

    def note_expunged(self, uids: Iterable[int]) -> None:
        """*uids* are gone: they keep their numbers until the client may be told."""
        for uid in uids:
            if self.knows(uid):
                self._expunged.add(uid)
            else:
                self.recent.discard(uid)

    async def claim_recent(self) -> None:
        """What has arrived is \\Recent for us, unless another session was first (RFC 3501 §2.3.2); EXAMINE takes nothing."""
        if self.read_only:
            return
        claimed = await self.mailbox.claim_recent()
        if claimed:
            self.recent.update(claimed)
            self._news()

    @property
    def untold(self) -> Collection[int]:
        """UIDs that are gone and still have their numbers, until the client may be told."""
        return self._expunged

    # ----- numbers

    def knows(self, uid: int) -> bool:
        place = bisect_left(self.uids, uid)
        return place < len(self.uids) and self.uids[place] == uid

    def spans(self, numbers: SequenceSet, *, uid: bool) -> list[tuple[int, int]]:
        """Half-open ranges of positions in `uids`, of at most BLOCK messages each, that a command's set means."""
        return [
            (start, min(start + BLOCK, stop))
            for first, stop in self.positions(numbers, uid=uid)
            for start in range(first, stop, BLOCK)
        ]  # fmt: skip

    def positions(self, numbers: SequenceSet, *, uid: bool) -> list[tuple[int, int]]:
        """As `spans`, of any length."""
        return self.saved.spans(len(self.uids)) if numbers.saved else numbers.spans(self.uids, numbers=not uid)

    def aligned(self) -> tuple[list[int], bytes]:
        """The positions of messages that are gone and still have a number; the flag bits of all positions, as octets of an array('Q')."""
        gone = missing(self.uids, self.mailbox.uids)
        bits = self.mailbox.bits[: len(self.uids) - len(gone)].tobytes()
        if not gone:
            return gone, bits
        borders = [0, *(8 * (place - before) for before, place in enumerate(gone)), len(bits)]
        return gone, bytes(8).join(bits[start:stop] for start, stop in pairwise(borders))

    def block(self, start: int, stop: int) -> Block:
        """Those of the messages at positions *start* to *stop* that still exist, as they are at this moment."""
        mailbox = self.mailbox
        uids = self.uids[start:stop]
        if mailbox.uids[start:stop] == uids:
            numbers: Sequence[int] = range(start + 1, stop + 1)
            bits: Sequence[int] = mailbox.bits[start:stop]
        else:
            found = list(self._existing(uids, start))
            numbers = [number for number, _, _ in found]
            uids = array(uids.typecode, [uid for _, uid, _ in found])
            bits = [flags for _, _, flags in found]
        if self.recent:
            recent = self.recent
            bits = [flags | RECENT_BIT if uid in recent else flags for uid, flags in zip(uids, bits, strict=True)]
        return Block(numbers, uids, bits)

    def _existing(self, uids: Sequence[int], start: int) -> Iterator[tuple[int, int, int]]:
        present, bits = self.mailbox.uids, self.mailbox.bits
        at = 0
        for number, uid in enumerate(uids, start + 1):
            at = bisect_left(present, uid, at)
            if at < len(present) and present[at] == uid:
                yield number, uid, bits[at]

    # ----- flags

    def mask(self, flag: str) -> int:
        """The bit of a flag or keyword; 0 for a keyword that the mailbox does not know."""
        if flag in FLAG_NAMES:
            return FLAG_NAMES[flag]
        wanted = flag.lower()
        for number, name in enumerate(self.mailbox.keywords):
            if name.lower() == wanted:
                return 1 << (FIRST_KEYWORD_BIT + number)
        return 0

    def first_unseen(self) -> int:
        """The sequence number of the first message without \\Seen; 0 where there is none."""
        return next((number for number, bits in enumerate(self.mailbox.bits[: len(self.uids)], 1) if not bits & Flag.SEEN), 0)

    # ----- what the client is told

    def opening_lines(self) -> list[bytes]:
        """What SELECT tells of the mailbox (RFC 3501 §6.3.1), behind "* "."""
        self._take_arrivals()
        lines = [*self.flag_lines(), *self.count_lines()]
        if unseen := self.first_unseen():
            lines.append(b"OK [UNSEEN %d] The first unseen" % unseen)
        lines.append(b"OK [UIDVALIDITY %d] UIDs are valid" % self.mailbox.uidvalidity)
        lines.append(b"OK [UIDNEXT %d] The next UID" % self.mailbox.uidnext)
        return lines

    @property
    def has_new_keywords(self) -> bool:
        """The mailbox has got keywords of which the client has not been told."""
        return len(self.mailbox.keywords) != self._keywords_told

    def flag_lines(self) -> list[bytes]:
        """FLAGS and PERMANENTFLAGS."""
        names = " ".join([EXISTING_FLAGS, *self.mailbox.keywords]).encode("ascii", "replace")
        self._keywords_told = len(self.mailbox.keywords)
        permanent = b"" if self.read_only else names + b" \\*"
        return [b"FLAGS (%b)" % names, b"OK [PERMANENTFLAGS (%b)] These can be changed" % permanent]

    def count_lines(self) -> list[bytes]:
        """EXISTS and RECENT."""
        self._recent_told = len(self.recent)
        return [b"%d EXISTS" % len(self.uids), b"%d RECENT" % self._recent_told]

    def updates(self, *, expunges: bool) -> bytes:
        """All news as response lines, said once; *expunges*: numbers may change now (RFC 3501 §7.4.1)."""
        lines: list[bytes] = []
        if expunges and self._expunged:
            lines += self._tell_expunged()
        if self._take_arrivals() or len(self.recent) != self._recent_told:
            lines += self.count_lines()
        if self.has_new_keywords:
            lines += self.flag_lines()
        text = b"".join([b"* %b\r\n" % line for line in lines]) if lines else b""
        return text + self._tell_flags() if self._flagged else text

    def _tell_expunged(self) -> list[bytes]:
        """Highest number first, so that none of them shifts the next."""
        gone, self._expunged = self._expunged, set()
        self._recent_told -= len(self.recent & gone)
        self.recent -= gone
        self._flagged -= gone
        numbers = [bisect_left(self.uids, uid) + 1 for uid in sorted(gone, reverse=True)]
        for follower in self.followers:
            follower.expunge([number - 1 for number in reversed(numbers)], len(self.uids))
        self.uids = array(self.uids.typecode, [uid for uid in self.uids if uid not in gone])
        return [b"%d EXPUNGE" % number for number in numbers]

    def _take_arrivals(self) -> bool:
        present = self.mailbox.uids
        if not present or present[-1] <= self._top:
            return False
        self.uids += present[bisect_right(present, self._top) :]
        self._top = present[-1]
        return True

    def _tell_flags(self) -> bytes:
        changed, self._flagged = sorted(self._flagged), set()
        positions = [place for uid in changed if (place := bisect_left(self.uids, uid)) < len(self.uids) and self.uids[place] == uid]
        blocks = [self.block(place, place + 1) for place in positions] if len(positions) < BLOCK else [self.block(0, len(self.uids))]
        wanted = set(changed)
        return b"".join(
            b"* %d FETCH (UID %d FLAGS %b)\r\n" % (number, uid, self.rendered[bits])
            for block in blocks
            for number, uid, bits in zip(*block, strict=True)
            if uid in wanted
        )
