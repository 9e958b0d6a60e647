"""What one client believes of its selected mailbox: its own numbering, and the news that it has not been told.

The mailbox is shared by all sessions and always up to date; a client's sequence
numbers change only when we say so (RFC 3501 §7.4.1). A View therefore has its
own array of UIDs, and collects what the mailbox tells of changes until `updates`
is allowed to say it.

Fast where it matters: as long as nothing expunged is waiting to be told, the
view's arrays and the mailbox's are parallel, and a block is two slices.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from twistmail.mail import acl
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES, Change, Flag
from twistmail.mail.parts import Part
from twistmail.mail.ranges import Range, runs
from twistmail.mail.surrogate import Replacement
from twistmail.servers.imap.places import Following, missing
from twistmail.servers.imap.rendering import RECENT_BIT, FlagsRendered
from twistmail.store_interfaces import IMailbox
from twistmail.tasks import start
from twistmail.wire.imap.sequence import SequenceSet, spelled

#: Messages that are looked at in one go.
BLOCK = 500
#: Ranges of UIDs that one VANISHED tells; clients have their limits, too (RFC 7162 §4).
IN_A_LINE = 500
#: Messages of which one `updates` tells that they are gone, or have other flags.
TOLD_AT_ONCE = 5000

_LOWEST_OCTET = 0 if sys.byteorder == "little" else 7
_IS_UNSEEN = bytes(not octet & Flag.SEEN for octet in range(256))


class Block(NamedTuple):
    """Messages in the client's order: sequence numbers, UIDs, flag bits (with RECENT_BIT), modification sequences; all parallel."""

    numbers: Sequence[int]
    uids: Sequence[int]
    bits: Sequence[int]
    modseqs: Sequence[int]


class Wants(NamedTuple):
    """What a client wants to be told unasked (RFC 5465 §3.1)."""

    arrivals: bool = True
    expunges: bool = True
    flags: bool = True


EVERYTHING = Wants()

EXISTING_FLAGS = " ".join(FLAG_NAMES)


class View:
    """The selected mailbox as one client sees it.

    *news*() is called when there is something to tell. *enabled*: what the client has enabled, as it is at any time.
    """

    def __init__(
        self, mailbox: IMailbox, *, read_only: bool, news: Callable[[], None], enabled: Collection[str] = frozenset()
    ) -> None:  # fmt: skip
        self.mailbox = mailbox
        self._examined = read_only
        self.enabled = enabled
        self.uids: array[int] = mailbox.uids[:]
        self.recent: set[int] = set()
        self.saved = Following()  # what "$" means (RFC 5182)
        self.followers = [self.saved]  # sets of places that follow our numbering
        self.contexts: Any = None  # contexts.Contexts, where the client has asked for updates
        self.gone = False
        self.wants = EVERYTHING
        self.last_tree: tuple[int, Part] | None = None  # bodies: the parts of the big message asked for last
        self.last_changes: tuple[int, list[Replacement]] | None = None  # oldclients: what stands instead of its headers
        self.rendered = FlagsRendered(mailbox.keywords)
        self._news = news
        self._top = self.uids[-1] if self.uids else 0  # the highest UID that we have told or skipped
        self._expunged: set[int] = set()
        self._highest_before = 0  # of the mailbox, before the first of them was expunged
        self._flagged: set[int] = set()
        self._recent_told = 0
        self._rights_told = mailbox.rights
        self._keywords_told = len(mailbox.keywords)
        #: What we are to our mailbox: the `by` of our own changes.
        self.watcher = self._changed
        mailbox.watch(self.watcher)

    @property
    def read_only(self) -> bool:
        """EXAMINEd, or the user may change nothing here (RFC 4314 §5.2)."""
        return self._examined or self.mailbox.rights.isdisjoint(acl.WRITING)

    def may(self, right: str) -> bool:
        """Whether the user has *right* (`mail.acl`) and has not waived it by EXAMINE."""
        return right in self.mailbox.rights and not self._examined

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

    def note_expunged(self, uids: Sequence[int]) -> None:
        """*uids* are gone: they keep their numbers until the client may be told. Those above `_top` it has never heard of."""
        known = [uid for uid in uids if uid <= self._top]
        if known and not self._expunged:
            self._highest_before = self.mailbox.highest_modseq - 1
        self._expunged.update(known)
        self.recent.difference_update(uids if self.recent and len(known) < len(uids) else ())

    def note_flagged(self, uids: Iterable[int]) -> None:
        """The client shall hear what flags *uids* have."""
        self._flagged.update(uids)

    async def claim_recent(self) -> None:
        """What has arrived is \\Recent for us, unless another session was first (RFC 3501 §2.3.2); EXAMINE takes nothing."""
        if self.read_only or self.is_rev2:
            return
        claimed = await self.mailbox.claim_recent()
        if claimed:
            self.recent.update(claimed)
            self._news()

    # ----- what the client can understand

    @property
    def tells_modseqs(self) -> bool:
        """Every FETCH response that nobody has asked for tells UID and MODSEQ (RFC 7162 §3.2.4)."""
        return "CONDSTORE" in self.enabled

    @property
    def is_rev2(self) -> bool:
        """Nothing is \\Recent, and nobody is told how much (RFC 9051 appendix E)."""
        return "IMAP4REV2" in self.enabled

    @property
    def by_uid_only(self) -> bool:
        """No message has a number (RFC 9586)."""
        return "UIDONLY" in self.enabled

    @property
    def highest_modseq(self) -> int:
        """Up to this modification sequence the client has heard of everything, or will with the next `updates` (RFC 7162 §3.2).

        Of an expunge that has to wait it has not: a client that is told more, and then loses us, would never hear of it.
        """
        return self._highest_before if self._expunged else self.mailbox.highest_modseq

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
        return gone, _spread(self.mailbox.bits, gone, len(self.uids))

    def aligned_modseqs(self, uids: Sequence[int]) -> array[int]:
        """The modification sequences of *uids*, all that we had at some time; 0 where a message is gone."""
        return array("Q", _spread(self.mailbox.modseqs, missing(uids, self.mailbox.uids), len(uids)))

    def modseqs_of(self, uids: Sequence[int]) -> array[int]:
        """The same of any *uids* (ascending), not many."""
        found = {uid: modseq for _, uid, _, modseq in self._existing(uids, range(len(uids)))}
        return array("Q", [found.get(uid, 0) for uid in uids])

    def places(self, uids: Iterable[int]) -> list[int]:
        """The positions of those of *uids* (ascending) that the client knows."""
        found, at = [], 0
        for uid in uids:
            at = bisect_left(self.uids, uid, at)
            if at < len(self.uids) and self.uids[at] == uid:
                found.append(at)
        return found

    def uids_at(self, places: Sequence[int]) -> Sequence[int]:
        """The UIDs of the messages at positions *places*, a range or a list."""
        if isinstance(places, range):
            return self.uids[places.start : places.stop]
        return [self.uids[place] for place in places]

    def block(self, start: int, stop: int) -> Block:
        """Those of the messages at positions *start* to *stop* that still exist, as they are at this moment."""
        return self.block_at(range(start, stop))

    def block_at(self, places: Sequence[int]) -> Block:
        """The same of positions *places* (ascending), a range or a list; a range is fast."""
        mailbox, uids = self.mailbox, self.uids_at(places)
        part = slice(places.start, places.stop) if isinstance(places, range) else None
        if part is not None and mailbox.uids[part] == uids:
            block = Block(range(places[0] + 1, places[-1] + 2) if places else places, uids, mailbox.bits[part], mailbox.modseqs[part])
        else:
            found = list(self._existing(uids, places))
            block = Block(*map(list, zip(*found, strict=True))) if found else Block((), (), (), ())
        if self.recent:
            recent = self.recent
            bits = [flags | RECENT_BIT if uid in recent else flags for uid, flags in zip(block.uids, block.bits, strict=True)]
            return block._replace(bits=bits)
        return block

    def _existing(self, uids: Sequence[int], places: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
        present, bits, modseqs = self.mailbox.uids, self.mailbox.bits, self.mailbox.modseqs
        at = 0
        for place, uid in zip(places, uids, strict=True):
            at = bisect_left(present, uid, at)
            if at < len(present) and present[at] == uid:
                yield place + 1, uid, bits[at], modseqs[at]

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
        octets = self.mailbox.bits[: len(self.uids)].tobytes()[_LOWEST_OCTET::8]
        return octets.translate(_IS_UNSEEN).find(b"\1") + 1

    # ----- what the client is told

    def opening_lines(self) -> list[bytes]:
        """What SELECT tells of the mailbox (RFC 3501 §6.3.1), behind "* "."""
        self._take_arrivals()
        lines = [*self.flag_lines(), *self.count_lines()]
        if not self.is_rev2 and (unseen := self.first_unseen()):
            lines.append(b"OK [UNSEEN %d] The first unseen" % unseen)
        lines.append(b"OK [UIDVALIDITY %d] UIDs are valid" % self.mailbox.uidvalidity)
        lines.append(b"OK [UIDNEXT %d] The next UID" % self.mailbox.uidnext)
        lines.append(self.modseq_line())
        return lines

    def modseq_line(self) -> bytes:
        """HIGHESTMODSEQ (RFC 7162 §3.1.2.1)."""
        return b"OK [HIGHESTMODSEQ %d] You know of all changes up to it" % self.highest_modseq

    @property
    def has_new_keywords(self) -> bool:
        """The mailbox has got keywords of which the client has not been told."""
        return len(self.mailbox.keywords) != self._keywords_told

    def flag_lines(self) -> list[bytes]:
        """FLAGS and PERMANENTFLAGS."""
        names = " ".join([EXISTING_FLAGS, *self.mailbox.keywords]).encode("ascii", "replace")
        self._keywords_told = len(self.mailbox.keywords)
        permanent = b"" if self.read_only else self._permanent().encode("ascii", "replace")
        return [b"FLAGS (%b)" % names, b"OK [PERMANENTFLAGS (%b)] These can be changed" % permanent]

    def _permanent(self) -> str:
        """The flags that the user may change (RFC 4314 §5.1.1)."""
        flags = acl.permitted((*FLAG_NAMES, *self.mailbox.keywords), self.mailbox.rights)
        return " ".join((*flags, "\\*") if "w" in self.mailbox.rights else flags)

    def _rights_lines(self) -> list[bytes]:
        """What a change of the user's rights has made of the mailbox (RFC 3501 §7.1, RFC 4314 §5.1.1)."""
        had, self._rights_told = self._rights_told, self.mailbox.rights
        lines = self.flag_lines()
        if had.isdisjoint(acl.WRITING) != self._rights_told.isdisjoint(acl.WRITING):
            code = b"READ-ONLY" if self.read_only else b"READ-WRITE"
            lines.append(b"OK [%b] Your rights have changed" % code)
        return lines

    def count_lines(self) -> list[bytes]:
        """EXISTS and RECENT."""
        self._recent_told = len(self.recent)
        exists = b"%d EXISTS" % len(self.uids)
        return [exists] if self.is_rev2 else [exists, b"%d RECENT" % self._recent_told]

    def updates(self, *, expunges: bool) -> bytes:
        """News that are wanted, as response lines, each said once; *expunges*: numbers may change now (RFC 3501 §7.4.1).

        Of much only a part, so that it takes a few milliseconds: whoever wants all asks until nothing comes. Where an expunge has
        to wait, and the client counts changes, it is told how far it may count (RFC 7162 §3.2).
        """
        lines: list[bytes] = []
        has_to_wait = not (expunges and self.wants.expunges)
        if self._expunged and not has_to_wait:
            lines += self._tell_expunged()
        if self.wants.arrivals and (self._take_arrivals() or len(self.recent) != self._recent_told):
            lines += self.count_lines()
        if self.mailbox.rights is not self._rights_told and self.mailbox.rights != self._rights_told:
            lines += self._rights_lines()
        elif self.has_new_keywords:
            lines += self.flag_lines()
        if self._expunged and has_to_wait and self.tells_modseqs:
            lines.append(self.modseq_line())
        text = b"".join([b"* %b\r\n" % line for line in lines]) if lines else b""
        return text + self._tell_flags() if self._flagged and self.wants.flags else text

    def has_more(self, *, expunges: bool) -> bool:
        """Whether `updates` has left something to be said."""
        return bool(self._flagged and self.wants.flags) or bool(expunges and self._expunged and self.wants.expunges)

    def _tell_expunged(self) -> list[bytes]:
        """By UID where the client wants it so (RFC 7162 §3.2.10, RFC 9586 §3), else highest number first, so that none shifts the next."""
        gone = _some(self._expunged, TOLD_AT_ONCE)
        self._recent_told -= len(self.recent & gone)
        self.recent -= gone
        self._flagged -= gone
        places = self.places(sorted(gone))
        uids = self.uids_at(places)
        for follower in self.followers:
            follower.expunge(places, len(self.uids))
        self.uids = _without(self.uids, places)
        if "QRESYNC" in self.enabled or self.by_uid_only:
            return vanished_lines(runs(uids))
        return [b"%d EXPUNGE" % (place + 1) for place in reversed(places)]

    def _take_arrivals(self) -> bool:
        present = self.mailbox.uids
        if not present or present[-1] <= self._top:
            return False
        self.uids += present[bisect_right(present, self._top) :]
        self._top = present[-1]
        return True

    def _tell_flags(self) -> bytes:
        changed = sorted(_some(self._flagged, TOLD_AT_ONCE))
        numbers, uids, bits, modseqs = self.block_at(self.places(changed))
        flags = map(self.rendered.__getitem__, bits)
        if self.by_uid_only:
            heads = [b"* %d UIDFETCH (FLAGS %b" % each for each in zip(uids, flags, strict=True)]
        else:
            heads = [b"* %d FETCH (UID %d FLAGS %b" % each for each in zip(numbers, uids, flags, strict=True)]
        if self.tells_modseqs:
            return b"".join([b"%b MODSEQ (%d))\r\n" % each for each in zip(heads, modseqs, strict=True)])
        return b")\r\n".join([*heads, b""])


def vanished_lines(ranges: Sequence[Range], kind: bytes = b"VANISHED") -> list[bytes]:
    """That *ranges* of UIDs are gone, in lines of bounded length (RFC 7162 §3.2.10)."""
    return [b"%b %b" % (kind, spelled(ranges[start : start + IN_A_LINE])) for start in range(0, len(ranges), IN_A_LINE)]


def _spread(column: array[int], gone: Sequence[int], count: int) -> bytes:
    """The octets of *column* with an entry of zeros at each of the places *gone* (ascending), *count* entries in all."""
    octets, size = column[: count - len(gone)].tobytes(), column.itemsize
    borders = [0, *(size * (place - before) for before, place in enumerate(gone)), len(octets)]
    return bytes(size).join([octets[start:stop] for start, stop in pairwise(borders)])


def _some(waiting: set[int], most: int) -> set[int]:
    """At most so many of what is *waiting*, taken out of it."""
    if len(waiting) > most:
        return {waiting.pop() for _ in range(most)}
    taken = set(waiting)
    waiting.clear()
    return taken


def _without(column: array[int], places: Sequence[int]) -> array[int]:
    """*column* without what is at *places* (ascending), made of what lies between."""
    left = array(column.typecode)
    start = 0
    for place in places:
        left += column[start:place]
        start = place + 1
    left += column[start:]
    return left
