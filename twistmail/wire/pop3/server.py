"""The server's side of POP3 (RFC 1939 with RFC 2449, 2595, 5034 and 6856): lines to commands, responses to octets.

Knows the states and the spelling; what a mailbox is, who may log in, and when
TLS is offered is the session's business (`servers/pop3/session.py`). The first response
is the greeting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twistmail.wire.buffer import Buffer, LineTooLong
from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, LocalProtocolError, Signal, Wants, shown_of_unknown
from twistmail.wire.dotted import Stuffer
from twistmail.wire.pop3.commands import (
    Apop,
    Auth,
    Bad,
    Capa,
    Challenge,
    Chunk,
    Dele,
    Err,
    Farewell,
    GoAhead,
    Good,
    Lang,
    List,
    Listing,
    Message,
    MessageBegins,
    MessageEnds,
    Noop,
    Pass,
    Quit,
    Response,
    Retr,
    Rset,
    Stat,
    State,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
    Welcome,
)
from twistmail.wire.sasl.spelling import encode
from twistmail.wire.typed import TypedBuffer

#: Octets of a command line without its CRLF (limits.md; RFC 2449 §4 wants 253 at least), and of one that carries SASL.
LONGEST_LINE = 512
LONGEST_SASL_LINE = 12_288
#: Message numbers and line counts have no more digits than this.
MOST_DIGITS = 10

LINE_TOO_LONG = "That line is too long"
UNKNOWN = "That is no command"
CONTROLS = "Commands have no control characters in them"
TOO_EARLY = "Log in first"
TOO_LATE = "You have logged in already"
NO_ARGUMENT = "That command takes no argument"
WANTS_NUMBER = "That command wants the number of a message"
WANTS_TWO = "TOP wants the number of a message and a number of lines"
WANTS_NAME = "USER wants a name"
WANTS_PASSWORD = "PASS wants a password"
WANTS_DIGEST = "APOP wants a name and a digest"
WANTS_LANGUAGE = "LANG wants a language, such as de or en-gb"
#: All that a Bad says, for whoever has other words for it (RFC 6856 §3).
SENTENCES = (LINE_TOO_LONG, UNKNOWN, CONTROLS, TOO_EARLY, TOO_LATE, NO_ARGUMENT, WANTS_NUMBER, WANTS_TWO, WANTS_NAME, WANTS_PASSWORD,
             WANTS_DIGEST, WANTS_LANGUAGE)


class PopServerWire:
    """One connection. See `wire.contract.Wire`. *apop*: APOP is a command here (RFC 1939 §7). *lone_lf*: see `wire.typed`."""

    in_content = False

    def __init__(self, *, apop: bool = False, lone_lf: bool = False) -> None:
        self.state = State.AUTHORIZATION
        self._commands = WITH_APOP if apop else COMMANDS
        self.wants: Wants | None = None
        self._buffer = TypedBuffer() if lone_lf else Buffer()
        self._paused = True  # until the greeting is said
        self._stuffer: Stuffer | None = None
        self._said = b""

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def lone_lf(self) -> bool:
        return self._buffer.lone_lf

    # ----- octets to events

    def receive_bytes(self, data: bytes) -> None:
        self._buffer.feed(data)

    def receive_eof(self) -> None:
        """Whole lines that have come are still answered; half a line is nothing."""

    def next_event(self) -> Ask | Signal:
        if self._paused:
            return PAUSED
        try:
            line = self._buffer.line(LONGEST_LINE if self.state is State.TRANSACTION else LONGEST_SASL_LINE)
        except LineTooLong:
            # Where the next command begins is not known, so there is none.
            self._buffer.clear()
            self._said = b"(a line that is too long)"
            self._paused = True
            return Bad(LINE_TOO_LONG, fatal=True)
        if line is None:
            return NEED_DATA
        self._paused = True
        if self.state is State.EXCHANGE:
            self._said = b"(secret)"
            return Response(line)
        return self._command(line)

    def said(self) -> bytes:
        return self._said

    def _command(self, line: bytes) -> Ask:
        keyword, space, argument = line.partition(b" ")
        keyword = keyword.upper()
        known = self._commands.get(keyword)
        self._said = shown_of_unknown(line) if known is None else keyword + b" (secret)" if space and keyword in SECRET else line
        if len(line) > LONGEST_LINE and keyword != b"AUTH":
            return Bad(LINE_TOO_LONG)
        if not _is_clean(line):
            return Bad(CONTROLS)
        if known is None:
            return Bad(UNKNOWN)
        states, read = known
        if self.state not in states:
            return Bad(TOO_EARLY if self.state is State.AUTHORIZATION else TOO_LATE)
        return read(argument if space else None)

    # ----- responses to octets

    def send(self, response: Any) -> bytes:
        render = _RENDER.get(type(response))
        if render is None:
            raise LocalProtocolError(f"{response!r} is no response of POP3")
        if not self._paused and not isinstance(response, Farewell):
            raise LocalProtocolError(f"cannot send {response!r}: nothing was asked")
        octets = render(self, response)
        if response.is_final:
            self._paused = False
        return octets

    def tls_started(self) -> None:
        """RFC 2595 §4: what was said in clear is forgotten; no second greeting."""
        self.state = State.AUTHORIZATION
        self.wants = None
        self._buffer.clear()

    def _good(self, response: Good) -> bytes:
        self._leave_exchange()
        return b"+OK %b\r\n" % _text(response)

    def _err(self, response: Err) -> bytes:
        self._leave_exchange()
        return _error(response)

    def _welcome(self, response: Welcome) -> bytes:
        if self.state is State.TRANSACTION:
            raise LocalProtocolError("nobody logs in twice")
        self.state = State.TRANSACTION
        return b"+OK %b\r\n" % _text(response)

    def _challenge(self, response: Challenge) -> bytes:
        if self.state is State.TRANSACTION:
            raise LocalProtocolError("a challenge after login")
        self.state = State.EXCHANGE
        return b"+ %b\r\n" % encode(response.data)

    def _go_ahead(self, response: GoAhead) -> bytes:
        self.wants = Wants.START_TLS
        return b"+OK %b\r\n" % _text(response)

    def _farewell(self, response: Farewell) -> bytes:
        self.wants = Wants.CLOSE
        if self._stuffer is not None:
            return b""  # in the middle of a message nothing can be said that would be understood
        return b"+OK %b\r\n" % _text(response) if response.good else _error(response)

    def _listing(self, response: Listing) -> bytes:
        return b"+OK %b\r\n%b.\r\n" % (_text(response), response.lines)

    def _message(self, response: Message) -> bytes:
        stuffer = Stuffer()
        return b"+OK %b\r\n%b%b" % (_text(response), stuffer.feed(response.content), stuffer.finish())

    def _message_begins(self, response: MessageBegins) -> bytes:
        self._stuffer = Stuffer()
        return b"+OK %b\r\n" % _text(response)

    def _chunk(self, response: Chunk) -> bytes:
        if self._stuffer is None:
            raise LocalProtocolError("a chunk of no message")
        return self._stuffer.feed(response.data)

    def _message_ends(self, response: MessageEnds) -> bytes:
        if self._stuffer is None:
            raise LocalProtocolError("the end of no message")
        stuffer, self._stuffer = self._stuffer, None
        return stuffer.finish()

    def _leave_exchange(self) -> None:
        if self.state is State.EXCHANGE:
            self.state = State.AUTHORIZATION


def _text(response: Any) -> bytes:
    text: str = response.text
    return (text.format(*response.values) if response.values else text).encode("utf-8", "replace")


def _error(response: Any) -> bytes:
    return b"-ERR [%b] %b\r\n" % (response.code.encode(), _text(response)) if response.code else b"-ERR %b\r\n" % _text(response)


_RENDER: dict[type, Callable[[PopServerWire, Any], bytes]] = {
    Good: PopServerWire._good,
    Err: PopServerWire._err,
    Welcome: PopServerWire._welcome,
    Challenge: PopServerWire._challenge,
    GoAhead: PopServerWire._go_ahead,
    Farewell: PopServerWire._farewell,
    Listing: PopServerWire._listing,
    Message: PopServerWire._message,
    MessageBegins: PopServerWire._message_begins,
    Chunk: PopServerWire._chunk,
    MessageEnds: PopServerWire._message_ends,
}


# ----- the spelling of arguments: None where there was not even a space


_CONTROLS = bytes(range(32)) + b"\x7f"


def _is_clean(line: bytes) -> bool:
    return len(line.translate(None, _CONTROLS)) == len(line)


def _number(text: bytes) -> int | None:
    """A decimal number, or None. No sign, no space, no `_`."""
    return int(text) if text.isdigit() and len(text) <= MOST_DIGITS else None


def _without_argument(event: Ask) -> Callable[[bytes | None], Ask]:
    def read(argument: bytes | None) -> Ask:
        # Some clients put a space behind a bare command.
        return Bad(NO_ARGUMENT) if argument else event

    return read


def _with_number(event: Callable[[int], Ask]) -> Callable[[bytes | None], Ask]:
    def read(argument: bytes | None) -> Ask:
        number = _number(argument or b"")
        return Bad(WANTS_NUMBER) if number is None else event(number)

    return read


def _with_optional_number(event: Callable[[int | None], Ask]) -> Callable[[bytes | None], Ask]:
    with_number = _with_number(event)

    def read(argument: bytes | None) -> Ask:
        return with_number(argument) if argument else event(None)

    return read


def _top(argument: bytes | None) -> Ask:
    first, _, second = (argument or b"").partition(b" ")
    number, lines = _number(first), _number(second)
    return Bad(WANTS_TWO) if number is None or lines is None else Top(number, lines)


def _user(argument: bytes | None) -> Ask:
    return User(argument) if argument else Bad(WANTS_NAME)


def _pass(argument: bytes | None) -> Ask:
    """RFC 1939 §7: what stands behind the one space is the password, spaces and all."""
    return Pass(argument) if argument else Bad(WANTS_PASSWORD)


_DIGEST = re.compile(rb"[0-9a-f]{32}")
#: A basic language range (RFC 4647 §2.1), no longer than any that is in use.
_RANGE = re.compile(rb"\*|[a-z]{1,8}(?:-[a-z0-9]{1,8}){0,7}")


def _apop(argument: bytes | None) -> Ask:
    """The digest is what follows the last space: a name may have one."""
    name, _, digest = (argument or b"").rpartition(b" ")
    return Apop(name, digest) if name and _DIGEST.fullmatch(digest) else Bad(WANTS_DIGEST)


def _lang(argument: bytes | None) -> Ask:
    if not argument:
        return Lang()
    wanted = argument.lower()
    return Lang(wanted.decode("ascii")) if _RANGE.fullmatch(wanted) else Bad(WANTS_LANGUAGE)


def _auth(argument: bytes | None) -> Ask:
    mechanism, space, initial = (argument or b"").partition(b" ")
    return Auth(mechanism.decode("ascii", "replace").upper(), initial if space else None)


_BEFORE = frozenset({State.AUTHORIZATION})
_AFTER = frozenset({State.TRANSACTION})
_ALWAYS = _BEFORE | _AFTER

#: Keyword -> the states in which it is legal, and how its argument is read. In EXCHANGE a line is no command.
COMMANDS: dict[bytes, tuple[frozenset[State], Callable[[bytes | None], Ask]]] = {
    b"USER": (_BEFORE, _user),
    b"PASS": (_BEFORE, _pass),
    b"AUTH": (_BEFORE, _auth),
    b"STLS": (_BEFORE, _without_argument(Stls())),
    b"UTF8": (_BEFORE, _without_argument(Utf8())),
    b"LANG": (_ALWAYS, _lang),
    b"CAPA": (_ALWAYS, _without_argument(Capa())),
    b"QUIT": (_ALWAYS, _without_argument(Quit())),
    b"STAT": (_AFTER, _without_argument(Stat())),
    b"LIST": (_AFTER, _with_optional_number(List)),
    b"UIDL": (_AFTER, _with_optional_number(Uidl)),
    b"RETR": (_AFTER, _with_number(Retr)),
    b"TOP": (_AFTER, _top),
    b"DELE": (_AFTER, _with_number(Dele)),
    b"NOOP": (_AFTER, _without_argument(Noop())),
    b"RSET": (_AFTER, _without_argument(Rset())),
}
WITH_APOP = COMMANDS | {b"APOP": (_BEFORE, _apop)}
SECRET = frozenset({b"PASS", b"APOP", b"AUTH"})
