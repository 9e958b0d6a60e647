"""What has changed since: CONDSTORE, QRESYNC (RFC 7162) and UIDONLY (RFC 9586), beside what `view` tells by itself.

A client that counts changes is told UID and MODSEQ wherever flags have changed; one that resynchronises hears which
messages are gone (VANISHED) and which are different, and all of it fits together with the HIGHESTMODSEQ that it was told
(`View.highest_modseq`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from twistmail.mail.ranges import Range, common, gaps, runs
from twistmail.servers.imap.bodies import Tally
from twistmail.servers.imap.client import Client, Refusal
from twistmail.servers.imap.view import BLOCK, View, vanished_lines
from twistmail.wire.imap.responses import BAD, Untagged
from twistmail.wire.imap.sequence import SequenceSet

#: Messages whose modification sequences are looked at before the reactor has its turn.
TURN_AFTER = 20_000
#: So many ranges of UIDs that are gone are dealt with in a thread.
MANY_RANGES = 2000


def begun(client: Client, event: Any) -> Iterable[Untagged]:
    """Before *event* is answered: refuse what UIDONLY rules out, and notice who counts changes."""
    if event.by_number and "UIDONLY" in client.enabled:
        raise Refusal("Messages have UIDs only, as you have wished", "UIDREQUIRED", BAD)
    if event.wants_modseqs:
        yield from count_changes(client)


def count_changes(client: Client) -> Iterable[Untagged]:
    """The client counts changes from now on; it is told from where, where a mailbox is selected (RFC 7162 §3.1)."""
    if "CONDSTORE" not in client.enabled:
        client.enabled.add("CONDSTORE")
        if client.view is not None:
            yield Untagged(client.view.modseq_line())


def require_qresync(client: Client) -> None:
    """Refusal where a client asks for what it has not enabled (RFC 7162 §3.2.3)."""
    if "QRESYNC" not in client.enabled:
        raise Refusal("Please ENABLE QRESYNC first", condition=BAD)


async def changed(client: Client, spans: Iterable[Range], since: int, tally: Tally) -> list[list[int]]:
    """The positions in *spans* of messages that have changed after *since*, at most BLOCK together; those that are gone are tallied."""
    view = client.selected
    found: list[int] = []
    looked_at = 0
    for start, stop in spans:
        block = view.block(start, stop)
        tally.gone += stop - start - len(block.uids)
        if max(block.modseqs, default=0) > since:
            found += [number - 1 for number, modseq in zip(block.numbers, block.modseqs, strict=True) if modseq > since]
        looked_at += stop - start
        if looked_at > TURN_AFTER:
            looked_at = 0
            await client.turn()
    return [found[start : start + BLOCK] for start in range(0, len(found), BLOCK)]


async def vanished(client: Client, among: SequenceSet | None, since: int, above: int = 0) -> list[Untagged]:
    """VANISHED (EARLIER): UIDs of *among*, above *above*, that were expunged after *since*.

    Those of which the client will yet hear by a VANISHED of the other kind are left out (RFC 7162 §3.2.10).
    """
    view = client.selected
    ranges: Sequence[Range] = await view.mailbox.vanished_since(since)
    last = view.mailbox.uidnext - 1
    wanted = gaps([(1, above)] if above else [], last)
    if among is not None:
        wanted = common(wanted, among.up_to(last))
    if len(ranges) < MANY_RANGES:
        return _vanished(ranges, wanted, gaps(runs(sorted(view.untold)), last))
    return await client.service.threads.run(_vanished, ranges, wanted, gaps(runs(sorted(view.untold)), last))


def _vanished(ranges: Sequence[Range], wanted: Sequence[Range], told: Sequence[Range]) -> list[Untagged]:
    """What is in all of them."""
    return [Untagged(line) for line in vanished_lines(common(common(ranges, wanted), told), b"VANISHED (EARLIER)")]


def agreed(view: View, sample: tuple[SequenceSet, SequenceSet]) -> int:
    """The highest UID of *sample* that has the number that the client thinks; 0 where there is none.

    What is below has not changed: messages only go, so one that has gone would have moved this one (RFC 7162 §3.2.5.2).
    """
    for number, uid, count in reversed(list(_pairs(*sample))):
        stretch = view.uids[number - 1 : number - 1 + count]
        # UIDs rise at least as fast as numbers: what they are ahead never shrinks
        place = bisect_right(range(len(stretch)), 0, key=lambda at: stretch[at] - (uid + at)) - 1
        if place >= 0 and stretch[place] == uid + place:
            return uid + place
    return 0


def _pairs(numbers: SequenceSet, uids: SequenceSet) -> Iterable[tuple[int, int, int]]:
    """Stretches (first number, its UID, how many) in which both count up by one."""
    theirs = iter(uids.ranges)
    uid, last = next(theirs)
    for number, high in numbers.ranges:
        while number <= high:
            count = min(high - number, last - uid) + 1
            yield number, uid, count
            number += count
            uid += count
            if uid > last:
                uid, last = next(theirs, (0, 0))
