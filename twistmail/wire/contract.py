"""What every wire promises to the pump: bytes become events, responses become bytes.

A wire is the spelling of one protocol on one side of one connection. It holds
no socket, reads no clock, logs nothing and never awaits.

* An **Ask** is an event that wants a final response: `next_event()` answers
  PAUSED until the pump has handed that response to `send()`. This alone gives
  ordering, pipelining and back-pressure (spec: one command at a time).
* A **Tell** (a chunk of content, a peer that is gone) wants none.

Events are instances of classes that derive from `Ask` or `Tell`. A response
is final unless it says otherwise: POP3 chunks and IMAP untagged responses have
`is_final = False`. One that carries mail has a true `is_mail`: transcripts count
it and do not quote it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

#: Octets of the first word of a line that is no command, up to which it may be one that was misspelled.
LONGEST_SHOWN = 8


class Ask:
    """An event that pauses the wire until its final response is sent."""

    __slots__ = ()


class Tell:
    """An event that wants no response."""

    __slots__ = ()


class PeerGone(Tell):
    """The peer has closed its side; nothing more will come. The last event of a wire."""

    __slots__ = ()


class Signal(Enum):
    """What `next_event` answers when it has no event."""

    NEED_DATA = "need data"  # call receive_bytes first
    PAUSED = "paused"  # send the final response to the last Ask first


NEED_DATA, PAUSED = Signal.NEED_DATA, Signal.PAUSED


class Wants(Enum):
    """What a wire wants done to the transport after the response just sent."""

    START_TLS = "start TLS"
    COMPRESS = "compress"  # from now on both sides deflate (RFC 4978)
    END_COMPRESSION = "end compression"  # no longer
    CLOSE = "close"


class FramingError(Exception):
    """The peer's bytes cannot be framed any more; the wire wants to close. Never escapes a wire."""


class LocalProtocolError(Exception):
    """Our own side asked the wire for something illegal: a bug of ours, never the peer's fault."""


class Wire(Protocol):
    """One side of one connection's protocol."""

    #: What is to be done to the transport now, None: nothing; the pump looks after every response.
    wants: Wants | None
    #: Octets that wait in the buffer; the pump stops reading when they pass `limit`.
    buffered: int
    #: True while the peer sends content (DATA, a literal): the minimum data rate holds.
    in_content: bool
    #: True where the peer ends its lines with a bare LF, and may (`wire.typed`).
    lone_lf: bool

    def receive_bytes(self, data: bytes) -> None:
        """Take what has arrived. Never raises."""

    def receive_eof(self) -> None:
        """The peer has closed its side."""

    def next_event(self) -> Any:
        """The next event, or NEED_DATA, or PAUSED. Never raises for anything that a peer may send."""

    def send(self, response: Any) -> bytes:
        """The octets of *response*. LocalProtocolError where it is not legal now."""

    def tls_started(self) -> None:
        """TLS is up: forget everything that was said in clear (RFC 3207 §4.2)."""

    def said(self) -> bytes:
        """The line that made the latest event, secrets masked, for transcripts; content is not quoted."""


def shown_of_unknown(line: bytes) -> bytes:
    """What a transcript may show of a line that is no command: it may be a password, misspelled or said at the wrong time."""
    word, space, _ = line.partition(b" ")
    if space and word.isalnum() and len(word) <= LONGEST_SHOWN:
        return word + b" (not understood)"
    return b"(%d octets that are no command)" % len(line)
