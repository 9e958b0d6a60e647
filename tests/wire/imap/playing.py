"""Plays octets to an ImapWire, cut in any way, and answers as an obliging session does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, PeerGone
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import responses as r
from twistmail.wire.imap.framing import ImapLimits
from twistmail.wire.imap.rows import State
from twistmail.wire.imap.server import ImapWire
from twistmail.wire.imap.uploads import AppendBegin, AppendChunk, AppendMore

Answer = Callable[[Any], Iterable[Any]]


def obliging(event: Any) -> Iterator[Any]:
    """What a session that likes everything answers to an Ask."""
    match event:
        case c.Bad() | c.No():
            yield r.refusal(event)
        case c.Continue() | AppendBegin() | AppendMore() | c.Idle():
            yield r.Continuation()
        case c.Authenticate(initial=None):
            yield r.Challenge()
        case c.Logout(tag):
            yield r.Bye("See you")
            yield r.Tagged(tag, r.OK, "Done")
        case _:
            yield r.Tagged(event.tag, r.OK, "Done")


def play(wire: ImapWire, pieces: Iterable[bytes], answer: Answer = obliging) -> tuple[list[Any], bytes]:
    """The events that *pieces* become (chunks of one message joined) and all that the server said."""
    events: list[Any] = []
    said = b""
    for piece in pieces:
        wire.receive_bytes(piece)
        said += drain(wire, events, answer)
    return events, said


def drain(wire: ImapWire, events: list[Any], answer: Answer = obliging) -> bytes:
    """Take all events that there are now."""
    said = b""
    while True:
        event = wire.next_event()
        if event is NEED_DATA:
            return said
        assert event is not PAUSED
        if isinstance(event, AppendChunk) and events and isinstance(events[-1], AppendChunk):
            events[-1] = AppendChunk(events[-1].data + event.data)
        else:
            events.append(event)
        if isinstance(event, Ask):
            assert wire.next_event() is PAUSED
            said += b"".join(map(wire.send, answer(event)))
        assert isinstance(wire.said(), bytes)
        if isinstance(event, PeerGone):
            return said


def whole(octets: bytes) -> list[bytes]:
    return [octets]


def byte_by_byte(octets: bytes) -> list[bytes]:
    return [octets[at : at + 1] for at in range(len(octets))]


def line_by_line(octets: bytes) -> list[bytes]:
    return octets.splitlines(keepends=True)


FEEDINGS = (whole, byte_by_byte, line_by_line)


def fresh(state: State = State.SELECTED, **limits: int) -> ImapWire:
    return ImapWire(ImapLimits(**limits), state)


def event_of(line: bytes, state: State = State.SELECTED) -> Any:
    """The one event that *line* (without its line end; literals included) becomes, Continues left out."""
    events, _ = play(fresh(state), [line + b"\r\n"])
    (event,) = [event for event in events if not isinstance(event, c.Continue)]
    return event
