"""The server side of SMTP: octets become commands in their right order, replies become octets.

It knows the spelling of every command, the order in which they may come
(`states`), where content ends, and what is too long; what a command means is
the session's business. The pump feeds it and obeys `wants`.

Line ends are CRLF and nothing else: a bare CR or LF in a command line closes
the connection, because whoever sends one either does not speak SMTP or wants
two readers to see two different dialogues. Ports of the classroom take whole
dialogues without any CR as well (`wire.typed`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twistmail.mail.status import Status
from twistmail.wire.buffer import Buffer, LineTooLong
from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, LocalProtocolError, Wants, shown_of_unknown
from twistmail.wire.smtp import parsing
from twistmail.wire.smtp.commands import (
    AuthResponse,
    Bad,
    Burl,
    Chunk,
    ContentChunk,
    ContentEnd,
    Data,
    Hello,
    LastBurl,
    LastChunk,
    Mail,
    Quit,
    StartTls,
    XClient,
)
from twistmail.wire.smtp.content import ChunkReader, ContentReader, Limits
from twistmail.wire.smtp.grammar import BadSyntax
from twistmail.wire.smtp.replies import Replies, Reply, Utf8Reply, render
from twistmail.wire.smtp.states import AFTER_CHALLENGE, AFTER_REFUSAL, ALWAYS, ENDS_GROUP, EXPECTED, EXPECTED_OF, TRANSITIONS, State
from twistmail.wire.typed import TypedBuffer

BLOCK = 64 * 1024
DEFAULT_LIMITS = Limits()

NOT_ASCII = Status(500, "5.5.2", "Commands are printable ASCII")
UTF8_ADDRESS = Status(553, "5.6.7", "Addresses that are not ASCII want SMTPUTF8 in MAIL, where it is offered")
TLS_WANTED = Status(555, "5.5.4", "REQUIRETLS is known under TLS only")
LINE_TOO_LONG = Status(500, "5.5.2", "The line is too long")
ENDLESS_LINE = Status(421, "4.7.0", "The line does not end; closing")
BARE_NEWLINE = Status(500, "5.5.2", "Lines end with <CR><LF>; closing")
OUT_OF_STEP = Status(503, "5.5.0", "You have not waited for an answer where you have to; closing")

SECRET = b"(secret)"  # stands in transcripts for what nobody shall read
_TOO_LONG = b"too long"  # stands for a line that was thrown away; told by identity


class Chunks(Enum):
    """What the octets of a BDAT chunk are, while some are to come."""

    WANTED = "wanted"
    UNWANTED = "to be thrown away"


class SmtpServerWire:
    """One connection's server side: see `wire.contract.Wire`. The first response is the greeting."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.state = State.GREETED
        self.wants: Wants | None = None
        self._limits = limits
        self._buffer = TypedBuffer() if limits.lone_lf else Buffer()
        self._asked: Ask | None = Greeting()  # what waits for its answer
        self._content: ContentReader | None = None
        self._chunks: ChunkReader | None = None  # of the present transaction
        self._chunk: Chunks | None = None
        self._is_last = False
        self._binary = False  # MAIL had BODY=BINARYMIME
        self._utf8 = False  # MAIL had SMTPUTF8
        self._tls = False
        self._pipelines = False  # has said EHLO, and was offered PIPELINING
        self._skipped = 0  # octets thrown away of a line that is too long; 0: none is
        self._said = b""

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def in_content(self) -> bool:
        return self._content is not None or self._chunk is not None

    @property
    def lone_lf(self) -> bool:
        return self._buffer.lone_lf

    def receive_bytes(self, data: bytes) -> None:
        self._buffer.feed(data)
        if type(self._asked) is Greeting:
            self._buffer.skip_options()  # a telnet program says them before it is greeted, which is no impatience

    def receive_eof(self) -> None:
        """Nothing to do: what came before is still answered, and half a line is nothing."""

    def next_event(self) -> Any:
        if self.wants is not None:
            return NEED_DATA
        if self._asked is not None:
            return PAUSED
        if self._content is not None:
            event = self._next_content()
        else:
            if self._chunk is not None:
                event = self._next_chunk()
            elif not self._buffer:  # as after each answer that the peer waits for
                return NEED_DATA
            else:
                event = self._next_command()
            if self._limits.in_step and event is not NEED_DATA and len(self._buffer) and not self._may_go_on(event):
                event = Bad(OUT_OF_STEP, fatal=True)
        if event is not NEED_DATA and not isinstance(event, ContentChunk):
            self._asked = event
        return event

    # ----- what is sent

    def send(self, response: Status | Reply | Replies | Utf8Reply) -> bytes:
        """The octets of *response*, which answers what was asked last; 421 may be said at any time (RFC 5321 §3.8)."""
        status = response if isinstance(response, Status) else response.status
        asked, self._asked = self._asked, None
        if status.code == 421:
            self.wants = Wants.CLOSE
        elif asked is None:
            raise LocalProtocolError(f"cannot send {status}: nothing was asked")
        else:
            self._settle(asked, status.code)
        return render(response)

    def _settle(self, asked: Any, code: int) -> None:
        """Move on as the table says; LocalProtocolError for a reply that *asked* cannot have."""
        kind = type(asked)
        step = (self.state, kind)
        if (code == 354) != (kind is Data and code < 400) or (code == 334 and step not in AFTER_CHALLENGE):
            raise LocalProtocolError(f"cannot send {code} while {self.state} waits for the answer to {kind.__name__}")
        if code == 334:
            self.state = AFTER_CHALLENGE[step]
        elif code >= 400:
            self.state = AFTER_REFUSAL.get(step, self.state)
        else:
            self.state = TRANSITIONS.get(step, self.state)
        if (begin := _BEGINS.get(kind)) is not None:
            begin(self, asked, code)

    # ----- what a reply sets going, beside the state

    def _greeted(self, asked: Greeting, code: int) -> None:
        self.wants = None if code < 400 else Wants.CLOSE

    def _said_hello(self, asked: Hello, code: int) -> None:
        if code < 400:
            self._pipelines = asked.extended and "PIPELINING" in self._limits.extensions

    def _has_sender(self, asked: Mail, code: int) -> None:
        if code < 400:
            self._utf8 = "SMTPUTF8" in asked.parameters
            self._binary = asked.parameters.get("BODY") == "BINARYMIME"
            self._chunks = None

    def _goes_ahead(self, asked: Data, code: int) -> None:
        if code == 354:
            self._content = ContentReader(self._limits)

    def _starts_tls(self, asked: StartTls, code: int) -> None:
        if code < 400:
            self.wants = Wants.START_TLS

    def _is_another(self, asked: XClient, code: int) -> None:
        if code == 554:  # the greeting that the client would have got
            self.wants = Wants.CLOSE
        else:
            self._pipelines = False

    def _is_refused(self, asked: Bad, code: int) -> None:
        if asked.fatal:
            self.wants = Wants.CLOSE

    def _leaves(self, asked: Quit, code: int) -> None:
        self.wants = Wants.CLOSE

    def tls_started(self) -> None:
        self.state = State.GREETED
        self.wants = None
        self._tls = True
        self._pipelines = False
        self._buffer.clear()
        self._skipped = 0
        self._said = b""

    def said(self) -> bytes:
        return self._said

    # ----- what has come

    def _may_go_on(self, event: Any) -> bool:
        """Octets have come behind *event*, before its answer was said: whether the peer may do that.

        A group of commands is for those who were offered PIPELINING (RFC 2920 §3.1), and some end it. What belongs to BDAT goes on.
        """
        if type(event) in (ContentChunk, Chunk, LastChunk) or (type(event) is Bad and event.fatal):
            return True
        ends = self.state is State.AUTHENTICATING or self._said.partition(b" ")[0].upper() in ENDS_GROUP
        return self._pipelines and not ends

    def _next_content(self) -> Any:
        reader = self._content
        assert reader is not None
        while not reader.ended and (octets := self._buffer.take_lines(BLOCK)):
            data = reader.feed(octets)
            if reader.ended and reader.rest:
                self._buffer.put_back_lines(reader.rest)
            if data:
                self._said = b"(%d octets of content)" % len(data)
                return ContentChunk(data)
        if not reader.ended:
            return NEED_DATA
        self._content = None
        self._said = b"."
        return ContentEnd(reader.size, reader.fault)

    def _begin_chunk(self, begin: parsing.BeginChunk) -> Any:
        """BDAT's octets come in any case; where no chunk may stand they are thrown away, and then it is said."""
        self._is_last = begin.last
        if (self.state, LastChunk) in TRANSITIONS:
            self._chunk = Chunks.WANTED
            self._chunks = self._chunks or ChunkReader(self._limits, binary=self._binary)
            self._chunks.begin(begin.octets, last=begin.last)
        else:
            self._chunk = Chunks.UNWANTED
            self._skipped = begin.octets
        return self._next_chunk()

    def _borrow(self, event: parsing.Borrow) -> Burl:
        """The URL may be leave to read, which is nobody's business who looks on."""
        self._said = b"BURL " + SECRET
        self._chunks = self._chunks or ChunkReader(self._limits, binary=self._binary)
        return (LastBurl if event.last else Burl)(event.url, self._chunks)

    def _next_chunk(self) -> Any:
        if self._chunk is Chunks.UNWANTED:
            return self._next_unwanted()
        chunks = self._chunks
        assert chunks is not None
        while chunks.left:
            octets = self._buffer.take(min(BLOCK, chunks.left))
            if not octets:
                return NEED_DATA
            if data := chunks.feed(octets):
                self._said = b"(%d octets of content)" % len(data)
                return ContentChunk(data)
        if data := chunks.feed(b""):
            return ContentChunk(data)
        self._chunk = None
        self._said = b"(the end of a chunk)"
        return (LastChunk if self._is_last else Chunk)(chunks.size, chunks.fault)

    def _next_unwanted(self) -> Any:
        """A chunk where none may stand."""
        while self._skipped and (octets := self._buffer.take(min(BLOCK, self._skipped))):
            self._skipped -= len(octets)
        if self._skipped:
            return NEED_DATA
        self._chunk = None
        return Bad(Status(503, "5.5.1", EXPECTED_OF.get((self.state, LastChunk)) or EXPECTED[self.state]))

    def _next_command(self) -> Any:
        try:
            line = self._buffer.line(self._limits.auth_line) if not self._skipped else self._rest_of_line()
        except LineTooLong as error:
            self._said = b"(a line that is too long)"
            self._skipped = error.dropped
            line = _TOO_LONG if error.finished else self._rest_of_line()
        if line is None:
            return self._unfinished()
        if line is _TOO_LONG:
            dropped, self._skipped = self._skipped, 0
            return Bad(LINE_TOO_LONG) if dropped < self._limits.discarded else Bad(ENDLESS_LINE, fatal=True)
        is_response = self.state is State.AUTHENTICATING
        self._said = SECRET if is_response else line
        if b"\r" in line or b"\n" in line:
            self._said = _shown(self._said)
            return Bad(BARE_NEWLINE, fatal=True)
        if not line.isascii() and (fault := self._unreadable(line)):
            self._said = _shown(self._said)
            return Bad(fault)
        try:
            if is_response:
                return AuthResponse(None if line == b"*" else parsing.decoded(line))
            return self._command(line.decode())
        except BadSyntax as bad:
            return Bad(bad.status)

    def _command(self, text: str) -> Any:
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        if verb == "AUTH" or verb not in parsing.PARSERS:
            self._said = _shown(self._said)
        if verb != "AUTH" and len(text) > self._limits.command_line:
            return Bad(LINE_TOO_LONG)
        if not text.isprintable():
            return Bad(NOT_ASCII)
        event = parsing.command(verb, rest, self._limits)
        kind = type(event)
        if kind is parsing.BeginChunk:
            return self._begin_chunk(event)
        if kind is parsing.Borrow:
            event = self._borrow(event)
            kind = type(event)
        if kind is Mail and event.parameters and (fault := self._unfit(event)):
            return Bad(fault)
        step = (self.state, kind)
        if step in TRANSITIONS or kind in ALWAYS:
            return event
        return Bad(Status(503, "5.5.1", EXPECTED_OF.get(step) or EXPECTED[self.state]))

    def _unreadable(self, line: bytes) -> Status | None:
        """What is wrong with a line that is not ASCII (RFC 6531 §3.4, §3.5): who says so may write addresses in UTF-8."""
        verb, _, rest = line.partition(b" ")
        verb = verb.upper()
        if verb not in (b"MAIL", b"RCPT", b"VRFY", b"EXPN") or self.state is State.AUTHENTICATING or not _is_utf8(line):
            return NOT_ASCII
        if "SMTPUTF8" not in self._limits.extensions:
            return UTF8_ADDRESS
        says_so = self._utf8 if verb == b"RCPT" else b"SMTPUTF8" in rest.upper().split(b" ")
        return None if says_so else UTF8_ADDRESS

    def _unfit(self, mail: Mail) -> Status | None:
        """RFC 8689 §4: REQUIRETLS is for those who have TLS, and not known to others."""
        return TLS_WANTED if "REQUIRETLS" in mail.parameters and not self._tls else None

    def _unfinished(self) -> Any:
        """No whole line is there. One that ends with a bare LF never will be, and its sender waits for us."""
        if self._skipped >= self._limits.discarded:
            return Bad(ENDLESS_LINE, fatal=True)
        if not self._skipped and b"\n" in self._buffer:
            return Bad(BARE_NEWLINE, fatal=True)
        return NEED_DATA

    def _rest_of_line(self) -> bytes | None:
        """Throw away what has come of a line that is too long: _TOO_LONG when that was all of it."""
        held = len(self._buffer)
        finished = self._buffer.skip_line() is not None
        self._skipped += held - len(self._buffer)
        return _TOO_LONG if finished else None


class Greeting(Ask):
    """Stands for the question that nobody asked: our greeting answers it."""


#: What the answer to a command begins or ends: `begin`(wire, what was asked, code of the answer). Most do neither.
_BEGINS: dict[type, Callable[[SmtpServerWire, Any, int], None]] = {
    Greeting: SmtpServerWire._greeted,
    Hello: SmtpServerWire._said_hello,
    Mail: SmtpServerWire._has_sender,
    Data: SmtpServerWire._goes_ahead,
    StartTls: SmtpServerWire._starts_tls,
    XClient: SmtpServerWire._is_another,
    Bad: SmtpServerWire._is_refused,
    Quit: SmtpServerWire._leaves,
}


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _shown(line: bytes) -> bytes:
    """What a transcript may show of a command in which there may be a secret."""
    verb = line.partition(b" ")[0].upper()
    if verb.startswith(b"AUTH"):  # whatever divides it from what follows
        return b"AUTH " + SECRET
    return line if line == SECRET or verb.decode("latin-1") in parsing.PARSERS else shown_of_unknown(line)
