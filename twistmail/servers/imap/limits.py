"""How many messages one command may be about: MESSAGELIMIT, or SAVELIMIT for what makes new messages only (RFC 9738).

With `message_limit` a command is about the last so many of the messages that it means, and its answer tells where it has stopped:
the client goes on below. Commands that are all or none, and those whose answer makes sense as a whole only, are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from twistmail.mail.mailbox import Flag
from twistmail.options import Settings
from twistmail.servers.imap.client import Client, Refusal
from twistmail.servers.imap.view import View
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap.responses import OK, Response, Tagged, Untagged
from twistmail.wire.imap.sequence import SequenceSet
from twistmail.wire.imap.sorting import Sort, Thread

Span = tuple[int, int]


class Limited(NamedTuple):
    """What is left of a command, and the response code that tells so; b"" where all of it is left."""

    event: Any
    code: bytes = b""

    def told(self, response: Response) -> list[Response]:
        """*response*, and with the final one that this was not all."""
        if not self.code or not isinstance(response, Tagged) or response.condition != OK:
            return [response]
        if response.code:  # there is no place for two
            return [Untagged(b"NO [%b] This was not all" % self.code), response]
        return [replace(response, code=self.code)]


def saved_at_once(settings: Settings) -> int | None:
    """How many messages a command may make."""
    limits = [limit for limit in (settings.message_limit, settings.save_limit) if limit is not None]
    return min(limits, default=None)


def limited(client: Client, event: Any) -> Limited:
    """As much of *event* as may be done at once. Refusal where it is all or none."""
    settings, view = client.service.settings, client.view
    if view is None:
        return Limited(event)
    if isinstance(event, c.Copy):
        refuse_above(saved_at_once(settings), sum(stop - start for start, stop in view.positions(event.set, uid=event.uid)))
    most = settings.message_limit
    if most is None or len(view.uids) <= most:
        return Limited(event)
    match event:
        case c.Fetch() if event.partial is not None:
            first, stop = event.partial.span(sum(stop - start for start, stop in view.positions(event.set, uid=event.uid)))
            refuse_above(most, stop - first)
        case c.Fetch() | c.Store() | c.Move():
            spans, left = _last(view.positions(event.set, uid=event.uid), most)
            return _narrowed(view, event, most, spans, set=_set_of(view, spans, uid=event.uid)) if left else Limited(event)
        case c.Expunge() if event.uids is not None:
            spans, left = _last([(place, place + 1) for place in _deleted(view, event.uids)], most)
            return _narrowed(view, event, most, spans, uids=_set_of(view, spans, uid=True)) if left else Limited(event)
        case c.Search():
            spans, left = _last(_searched(view, event.key), most)
            return _narrowed(view, event, most, spans, key=k.And((_key_of(view, spans), event.key))) if left else Limited(event)
        case Sort() | Thread():
            refuse_above(most, sum(stop - start for start, stop in _searched(view, event.key)))
    return Limited(event)


def refuse_above(most: int | None, count: int) -> None:
    """Refusal where *count* messages are too many for a command that is all or none."""
    if most is not None and count > most:
        raise Refusal(f"That is about more than {most} messages; please ask for fewer at a time", f"MESSAGELIMIT {most}")


def _narrowed(view: View, event: Any, most: int, spans: Sequence[Span], **changed: Any) -> Limited:
    return Limited(replace(event, **changed), b"MESSAGELIMIT %d %d" % (most, view.uids[spans[0][0]]))


def _last(spans: Sequence[Span], most: int) -> tuple[list[Span], bool]:
    """The last *most* of the positions in *spans* (ascending), and whether there are more."""
    kept: list[Span] = []
    for start, stop in reversed(spans):
        if not most:
            return kept[::-1], True
        first = max(start, stop - most)
        kept.append((first, stop))
        most -= stop - first
        if first > start:
            return kept[::-1], True
    return kept[::-1], False


def _set_of(view: View, spans: Sequence[Span], *, uid: bool) -> SequenceSet:
    if uid:
        return SequenceSet(tuple((view.uids[start], view.uids[stop - 1]) for start, stop in spans))
    return SequenceSet(tuple((start + 1, stop) for start, stop in spans))


def _key_of(view: View, spans: Sequence[Span]) -> k.Key:
    return k.Uid(_set_of(view, spans, uid=True))


def _searched(view: View, key: k.Key) -> list[Span]:
    """The positions that a search has to look at: those of the sets at its top, or all."""
    for part in key.keys if isinstance(key, k.And) else (key,):
        if isinstance(part, k.Uid | k.Numbers):
            return view.positions(part.set, uid=isinstance(part, k.Uid))
    return [(0, len(view.uids))]


def _deleted(view: View, uids: SequenceSet) -> list[int]:
    """The positions of what UID EXPUNGE removes."""
    return [
        number - 1
        for span in view.spans(uids, uid=True)
        for number, bits in zip(view.block(*span).numbers, view.block(*span).bits, strict=True)
        if bits & Flag.DELETED
    ]
