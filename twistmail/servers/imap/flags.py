"""STORE (RFC 3501 §6.4.6): flags change for everybody at once, and the client is told what they are now unless it said .SILENT.

Conditional STORE (RFC 7162 §3.1.3): what others have changed meanwhile stays as it is; the client is told how it is, and
which messages they are (MODIFIED). Who counts changes hears the new MODSEQ even of what it did silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import aclosing

from twistmail.mail.mailbox import FlagChange
from twistmail.mail.ranges import Range
from twistmail.servers.imap.bodies import Tally
from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.fetch import ended, flag_news, plan_for, responses, spans_of
from twistmail.servers.imap.progress import Series, until_done
from twistmail.servers.imap.view import View
from twistmail.tasks import Work
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import NO, OK, Tagged, Untagged
from twistmail.wire.imap.sequence import render

#: Messages whose flags are changed at once.
TOGETHER = 10_000


async def store(client: Client, event: c.Store) -> Responses:
    view = client.writable
    spans = spans_of(view, event.set, uid=event.uid)
    tally = Tally()
    refused: list[int] = []
    series = Series(sum(stop - start for start, stop in spans))
    for uids in _together(view, spans, tally):
        change = FlagChange(event.mode.value)
        work = Work(view.mailbox.store(uids, change, event.flags, view.watcher, event.unchanged_since))
        async for far in until_done(client, event.tag, work, series):
            yield far
        refused += work.result()[1]
        series.done += len(uids)
    for known in view.flag_lines() if view.has_new_keywords else ():  # before a flag appears, its name must be known (RFC 3501 §7.2.6)
        yield Untagged(known)
    if told := flag_news(view, silent=event.silent):
        lines = responses(client, plan_for(view, told, uid=event.uid), _changed(view, spans, refused), Tally())
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                yield line
    view.note_flagged(refused)  # why they were (RFC 7162 §3.1.3, Example 10)
    yield _ended(view, event, tally, refused)


def _together(view: View, spans: Sequence[Range], tally: Tally) -> Iterator[list[int]]:
    """The UIDs that exist in *spans*, many at a time."""
    uids: list[int] = []
    for start, stop in spans:
        found = view.block(start, stop).uids
        tally.gone += stop - start - len(found)
        uids += found
        if len(uids) >= TOGETHER:
            yield uids
            uids = []
    if uids:
        yield uids


def _changed(view: View, spans: Sequence[Range], refused: Sequence[int]) -> Iterator[Sequence[int]]:
    """The positions in *spans* but for those of *refused*."""
    left_out = set(refused)
    for start, stop in spans:
        uids = view.uids[start:stop] if left_out else ()
        if left_out.isdisjoint(uids):
            yield range(start, stop)
        else:
            yield [place for place, uid in enumerate(uids, start) if uid not in left_out]


def _ended(view: View, event: c.Store, tally: Tally, refused: Sequence[int]) -> Tagged:
    if not refused:
        return ended(event, tally)
    names = refused if event.uid else [place + 1 for place in view.places(refused)]
    condition, text = (NO, "Some of the messages are gone, and others") if tally.gone and not event.uid else (OK, "Some messages")
    return Tagged(event.tag, condition, f"{text} have been changed by somebody else", b"MODIFIED " + render(names))
