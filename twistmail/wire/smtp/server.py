"""The server side of SMTP: octets become commands in their right order, replies become octets.

It knows the spelling of every command, the order in which they may come
(`states`), where content ends, and what is too long; what a command means is
the session's business. The pump feeds it and obeys `wants`.

Line ends are CRLF and nothing else: a bare CR or LF in a command line closes
the connection, because whoever sends one either does not speak SMTP or wants
two readers to see two different dialogues.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twistmail.mail.status import Status
from twistmail.wire import sasl
from twistmail.wire.buffer import Buffer, LineTooLong
from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, LocalProtocolError, Wants
from twistmail.wire.smtp.commands import (
    Auth,
    AuthResponse,
    Bad,
    ContentChunk,
    ContentEnd,
    Data,
    Expn,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from twistmail.wire.smtp.content import ContentReader, Limits
from twistmail.wire.smtp.grammar import BadSyntax, forward_path, hello_name, parameters, reverse_path
from twistmail.wire.smtp.replies import Reply, render
from twistmail.wire.smtp.states import AFTER_CHALLENGE, AFTER_REFUSAL, ALWAYS, EXPECTED, EXPECTED_OF, TRANSITIONS, State

BLOCK = 64 * 1024
DEFAULT_LIMITS = Limits()

MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "AUTH"})
RCPT_PARAMETERS: frozenset[str] = frozenset()

NOT_KNOWN = Status(500, "5.5.1", "That is no command")
NOT_IMPLEMENTED = Status(502, "5.5.1", "That command is not offered here")
NOT_ASCII = Status(500, "5.5.2", "Commands are printable ASCII")
UTF8_ADDRESS = Status(553, "5.6.7", "Addresses that are not ASCII are not accepted here")
LINE_TOO_LONG = Status(500, "5.5.2", "The line is too long")
ENDLESS_LINE = Status(421, "4.7.0", "The line does not end; closing")
BARE_NEWLINE = Status(500, "5.5.2", "Lines end with <CR><LF>; closing")
NOT_SMTP = Status(421, "4.7.0", "This is SMTP and nothing else; closing")
NO_ARGUMENTS = Status(501, "5.5.4", "That command takes no argument")
NOT_BASE64 = Status(501, "5.5.2", "That is not base64")

SECRET = b"(secret)"  # stands in transcripts for what nobody shall read
_TOO_LONG = b"too long"  # stands for a line that was thrown away; told by identity


class SmtpServerWire:
    """One connection's server side: see `wire.contract.Wire`. The first response is the greeting."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.state = State.GREETED
        self.wants = Wants.NOTHING
        self._limits = limits
        self._buffer = Buffer()
        self._asked: Ask | None = Greeting()  # what waits for its answer
        self._content: ContentReader | None = None
        self._skipped = 0  # octets thrown away of a line that is too long; 0: none is
        self._said = b""

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def in_content(self) -> bool:
        return self._content is not None

    def receive_bytes(self, data: bytes) -> None:
        self._buffer.feed(data)

    def receive_eof(self) -> None:
        """Nothing to do: what came before is still answered, and half a line is nothing."""

    def next_event(self) -> Any:
        if self.wants is Wants.CLOSE:
            return NEED_DATA
        if self._asked is not None:
            return PAUSED
        event = self._next_content() if self._content is not None else self._next_command()
        if event is not NEED_DATA and not isinstance(event, ContentChunk):
            self._asked = event
        return event

    # ----- what is sent

    def send(self, response: Status | Reply) -> bytes:
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
        step = (self.state, type(asked))
        if (code == 354) != (type(asked) is Data and code < 400) or (code == 334 and step not in AFTER_CHALLENGE):
            raise LocalProtocolError(f"cannot send {code} while {self.state} waits for the answer to {type(asked).__name__}")
        if type(asked) is Greeting:
            self.wants = Wants.NOTHING if code < 400 else Wants.CLOSE
        elif code == 334:
            self.state = AFTER_CHALLENGE[step]
        elif code >= 400:
            self.state = AFTER_REFUSAL.get(step, self.state)
        else:
            self.state = TRANSITIONS.get(step, self.state)
        self._begin(asked, code)

    def _begin(self, asked: Any, code: int) -> None:
        """What the reply sets going, beside the state."""
        if code == 354:
            self._content = ContentReader(self._limits)
        elif type(asked) is Quit or (type(asked) is Bad and asked.fatal):
            self.wants = Wants.CLOSE
        elif type(asked) is StartTls and code < 400:
            self.wants = Wants.START_TLS

    def tls_started(self) -> None:
        self.state = State.GREETED
        self.wants = Wants.NOTHING
        self._buffer.clear()
        self._skipped = 0
        self._said = b""

    def said(self) -> bytes:
        return self._said

    # ----- what has come

    def _next_content(self) -> Any:
        reader = self._content
        assert reader is not None
        while not reader.ended and (octets := self._buffer.take(BLOCK)):
            data = reader.feed(octets)
            if reader.ended:
                self._buffer.put_back(reader.rest)
            if data:
                self._said = b"(%d octets of content)" % len(data)
                return ContentChunk(data)
        if not reader.ended:
            return NEED_DATA
        self._content = None
        self._said = b"."
        return ContentEnd(reader.size, reader.fault)

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
        self._said = line if self.state is not State.AUTHENTICATING else SECRET
        if not line.isascii() or b"\r" in line or b"\n" in line:
            return _unprintable(line)
        try:
            if self.state is State.AUTHENTICATING:
                return AuthResponse(None if line == b"*" else _decoded(line))
            return self._command(line.decode("ascii"))
        except BadSyntax as bad:
            return Bad(bad.status)

    def _command(self, text: str) -> Any:
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        if verb == "AUTH":
            self._said = b"AUTH " + SECRET
        elif len(text) > self._limits.command_line:
            return Bad(LINE_TOO_LONG)
        if not text.isprintable():
            return Bad(NOT_ASCII)
        parser = _PARSERS.get(verb)
        if parser is None:
            return _stranger(verb)
        event = parser(rest)
        kind = type(event)
        step = (self.state, kind)
        if step in TRANSITIONS or kind in ALWAYS:
            return event
        return Bad(Status(503, "5.5.1", EXPECTED_OF.get(step) or EXPECTED[self.state]))

    def _unfinished(self) -> Any:
        """No whole line is there. One that ends with a bare LF never will be, and its sender waits for us."""
        if self._skipped >= self._limits.discarded:
            return Bad(ENDLESS_LINE, fatal=True)
        if not self._skipped and self._buffer.contains(b"\n"):
            return Bad(BARE_NEWLINE, fatal=True)
        return NEED_DATA

    def _rest_of_line(self) -> bytes | None:
        """Throw away what has come of a line that is too long: _TOO_LONG when that was all of it."""
        held = len(self._buffer)
        finished = self._buffer.skip_line() is not None
        self._skipped += held - len(self._buffer)
        return _TOO_LONG if finished else None


def _unprintable(line: bytes) -> Bad:
    if b"\r" in line or b"\n" in line:
        return Bad(BARE_NEWLINE, fatal=True)
    if line[:5].upper() in (b"MAIL ", b"RCPT ") and _is_utf8(line):
        return Bad(UTF8_ADDRESS)
    return Bad(NOT_ASCII)


class Greeting(Ask):
    """Stands for the question that nobody asked: our greeting answers it."""


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(response: bytes) -> bytes:
    """The octets of an AUTH response (RFC 4954 §4); `=` is the empty one."""
    if (data := sasl.decode(response)) is None:
        raise BadSyntax(NOT_BASE64.code, NOT_BASE64.enhanced, NOT_BASE64.text)
    return data


def _mail(rest: str) -> Mail:
    if rest[:5].upper() != "FROM:":
        raise BadSyntax(501, "5.5.4", "Write MAIL FROM:<address>")
    path, rest = reverse_path(rest[5:])
    return Mail(path, parameters(rest, MAIL_PARAMETERS))


def _rcpt(rest: str) -> Rcpt:
    if rest[:3].upper() != "TO:":
        raise BadSyntax(501, "5.5.4", "Write RCPT TO:<address>")
    path, rest = forward_path(rest[3:])
    return Rcpt(path, parameters(rest, RCPT_PARAMETERS))


def _auth(rest: str) -> Auth:
    mechanism, _, initial = rest.rstrip(" ").partition(" ")
    if not mechanism or not mechanism.replace("-", "").replace("_", "").isalnum():
        raise BadSyntax(501, "5.5.4", "Write AUTH and the name of a mechanism")
    if not initial:
        return Auth(mechanism.upper())
    return Auth(mechanism.upper(), _decoded(initial.encode("ascii")))


def _bare(event: Callable[[], Any]) -> Callable[[str], Any]:
    """The parser of a command that takes no argument; blanks at the end are forgiven (RFC 5321 §4.1.1)."""

    def parse(rest: str) -> Any:
        return Bad(NO_ARGUMENTS) if rest.strip(" ") else event()

    return parse


_PARSERS: dict[str, Callable[[str], Any]] = {
    "EHLO": lambda rest: Hello(hello_name(rest), extended=True),
    "HELO": lambda rest: Hello(hello_name(rest), extended=False),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _bare(Data),
    "RSET": _bare(Rset),
    "NOOP": lambda rest: Noop(),
    "QUIT": _bare(Quit),
    "VRFY": Vrfy,
    "EXPN": Expn,
    "HELP": Help,
    "STARTTLS": _bare(StartTls),
    "AUTH": _auth,
}
VERBS = tuple(_PARSERS)

#: Browsers and their forgers (cross-protocol attacks), and what speaks to a web server.
_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "CONNECT", "TRACE", "PATCH", "HOST:", "USER-AGENT:", "CONTENT-TYPE:"})
_UNOFFERED = frozenset({"BDAT", "ETRN", "TURN", "ATRN", "SEND", "SOML", "SAML", "BURL", "LHLO"})


def _stranger(verb: str) -> Bad:
    if verb in _HTTP:
        return Bad(NOT_SMTP, fatal=True)
    return Bad(NOT_IMPLEMENTED if verb in _UNOFFERED else NOT_KNOWN)
