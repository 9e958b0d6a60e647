"""IMAP as a server spells it: octets become commands, responses become octets (RFC 3501 §2.2, §3).

`ImapWire` cuts lines and literals, keeps the limits, knows the state and which
commands are legal in it, streams APPEND's message, and learns from the session's
answers where the connection is: OK to LOGIN or AUTHENTICATE means logged in (and
the wider limits), OK to SELECT selected, NO to it not, OK to UNAUTHENTICATE as before login, OK to STARTTLS makes it
want TLS and OK to COMPRESS compression, LOGOUT's final response or a Bye makes it want to close. What a command
means is `servers/imap`'s.

A literal that the client waits to send appears as the Ask `Continue`, which the
session answers with a Continuation: a wire cannot speak unasked.

Damage. A malformed command is a Bad and the stream goes on behind it, for lines
and literals are cut before anything is understood. A refused literal that comes
nevertheless (RFC 7888) is read to its known end and thrown away. Where the end
is not known (an endless line) or too far away, or after ten Bads in a row, the
Bad has `close` set and nothing is read any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twistmail.wire.buffer import Buffer, LineTooLong
from twistmail.wire.contract import LONGEST_SHOWN, NEED_DATA, PAUSED, LocalProtocolError, PeerGone, Wants
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import responses as r
from twistmail.wire.imap.framing import Gathered, ImapLimits, Mark, mark_of
from twistmail.wire.imap.grammar import COMMANDS, ON_NO, ON_OK, sasl_data
from twistmail.wire.imap.rows import State
from twistmail.wire.imap.tokens import TAG, Cursor, Misspelled, Refused
from twistmail.wire.imap.uploads import ROWS as UPLOADS
from twistmail.wire.imap.uploads import AppendAbandoned, AppendBegin, AppendChunk, AppendEnd, AppendMore, Upload
from twistmail.wire.typed import TypedBuffer

CHUNK = 65_536  # octets of a literal that are handed on at once
NO_TAG = b"*"
MASK = b"***"

_BEGINNING = re.compile(b"(" + TAG + rb")(?: ((?:[Uu][Ii][Dd] )?[A-Za-z0-9.\-]+))?")
#: What a transcript may show of a command that carries a secret.
_SHOWN_OF_SECRET = re.compile(rb"(?i)[^ ]* (?:LOGIN|AUTHENTICATE(?: [^ ]*)?)(?= |\Z)")
_AGAIN = object()  # what a reader answers that has moved on without an event
#: Which Asks a final response that is not tagged may answer.
_GO_ON: dict[type, tuple[type[c.Command], ...]] = {
    r.Continuation: (c.Continue, AppendBegin, AppendMore, c.Idle),
    r.Challenge: (c.Authenticate, c.AuthResponse),
    r.Postponed: (AppendEnd,),
}


class ImapWire:
    """The server's side of one connection; a `twistmail.wire.contract.Wire`."""

    def __init__(self, limits: ImapLimits | None = None, state: State = State.NOT_AUTHENTICATED) -> None:
        """*state*: AUTHENTICATED for a connection that is greeted with PREAUTH."""
        self.limits = limits or ImapLimits()
        self.state = state
        self.wants: Wants | None = None
        self._buffer = TypedBuffer() if self.limits.lone_lf else Buffer()
        self._gone = False
        self._bads = 0  # in a row
        self._compressed = False
        self._utf8 = False  # the client has enabled it
        self._asked: c.Command | None = None  # what waits for its final response
        self._spoken: bytes | Gathered = b""
        self._restart()

    def _restart(self) -> None:
        """Expect a new command."""
        self._command = Gathered()
        self._tag = NO_TAG
        self._name = b""
        self._position = 0  # where the arguments begin in the command's text
        self._left = 0  # octets of a streamed or swallowed literal to come
        self._swallowed = 0
        self._upload: Upload | None = None  # APPEND or REPLACE
        self._has_begun = False  # its AppendBegin has been handed on
        self._message_waits = False  # its literal is a synchronising one
        self._refused: c.Command | None = None  # to be said when the swallowed command has ended
        self._read: Callable[[ImapWire], Any] = ImapWire._read_command

    # ----- what the pump calls

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def lone_lf(self) -> bool:
        return self._buffer.lone_lf

    @property
    def in_content(self) -> bool:
        return self._read is ImapWire._read_message

    def receive_bytes(self, data: bytes) -> None:
        if self.wants is not Wants.CLOSE:
            self._buffer.feed(data)

    def receive_eof(self) -> None:
        self._gone = True

    def next_event(self) -> Any:
        if self._asked is not None:
            return PAUSED
        if self.wants is not None:
            return NEED_DATA
        event = self._read(self)
        while event is _AGAIN:
            event = self._read(self)
        if event is None:
            return self._nothing()
        if isinstance(event, c.Command):
            self._asked = event
        return event

    def _nothing(self) -> Any:
        """No event: the peer's end, once, or NEED_DATA."""
        if not self._gone or self._read is ImapWire._read_nothing:
            return NEED_DATA
        self._read = ImapWire._read_nothing
        return PeerGone()

    def tls_started(self) -> None:
        self._buffer.clear()
        self.state = State.NOT_AUTHENTICATED
        self.wants = None
        self._asked = None
        self._restart()

    def said(self) -> bytes:
        """The command of the latest event as far as it has come: secrets masked, literals as their marks only."""
        spoken = self._spoken if isinstance(self._spoken, bytes) else self._spoken.text()
        shown = _SHOWN_OF_SECRET.match(spoken)
        return (spoken if shown is None else shown[0] + b" " + MASK).replace(b"\r\n", b" ")

    # ----- readers: each answers an event, _AGAIN, or None where octets are missing

    def _read_command(self) -> Any:
        """A line of a command: its beginning, or what follows a literal."""
        before_login = self.state is State.NOT_AUTHENTICATED
        try:
            # an AUTHENTICATE may be longer than other lines before login: _begin looks
            line = self._buffer.line(self.limits.auth_line if before_login else self.limits.line)
        except LineTooLong:
            return self._hopeless("A line of the command is too long")
        if line is None:
            return None
        begins = self._command.is_empty
        self._command.add_line(line)
        self._spoken = self._command  # made into text only for those who listen
        mark = mark_of(line)
        try:
            if begins:
                self._begin(line)
            if before_login and self._name != b"AUTHENTICATE" and len(line) > self.limits.line_before_login:
                raise Misspelled(f"A line may have {self.limits.line_before_login} octets before login")
            if self._name in UPLOADS:
                return self._read_text(line, mark)
            return self._understood() if mark is None else self._announced(mark)
        except Misspelled as error:
            return self._refuse(self._bad(str(error)), mark)
        except Refused as error:
            return self._refuse(c.No(self._tag, error.code, str(error)), mark)

    def _begin(self, line: bytes) -> None:
        """Tag and name of a command that is legal now. Raises Misspelled."""
        match = _BEGINNING.match(line)
        if match is None:
            raise Misspelled("A command is a tag, a space and a name")
        if match[2] is not None or len(match[1]) <= LONGEST_SHOWN:  # a longer word that stands alone may be a password
            self._tag = match[1]
        if match[2] is None:
            raise Misspelled("Behind the tag come one space and the name of a command")
        self._name = match[2].upper()
        self._position = match.end()
        row = COMMANDS.get(self._name)
        if row is None:
            raise Misspelled("There is no such command")
        objection = row.objection(self.state)
        if objection:
            raise Misspelled(objection)

    def _understood(self) -> c.Command:
        """The complete command. Raises Misspelled and Refused."""
        cursor = self._command.cursor(self._position, utf8=self._utf8)
        event = COMMANDS[self._name].parse(cursor, self._tag)
        cursor.end()
        if self._buffer and isinstance(event, (c.StartTls, c.Compress)):  # who put it there? how is it spelled?
            return self._hopeless("Nothing may follow STARTTLS or COMPRESS before it is answered")
        self._restart()
        return event

    def _announced(self, mark: Mark) -> Any:
        """A literal is to come that is a part of the command. Raises Misspelled."""
        objection = self._command.objection(mark, self.limits, logged_in=self.state is not State.NOT_AUTHENTICATED)
        if objection:
            raise Misspelled(objection)
        self._command.await_literal(mark.size)
        self._read = ImapWire._read_literal
        return c.Continue(self._tag, mark.size) if mark.waits else _AGAIN

    def _read_text(self, line: bytes, mark: Mark | None) -> Any:
        """The next text of APPEND or REPLACE. Raises Misspelled and Refused."""
        if self._upload is None:
            self._upload = Upload(self._tag, self._name)
        text = line if mark is None else line[: line.rindex(b"{")]
        strings = self._command.literals
        event = self._upload.read(Cursor(text, (), self._position, utf8=self._utf8), mark, strings.pop() if strings else None)
        self._position = 0
        if isinstance(event, AppendEnd):
            self._restart()
            return event
        if mark is None:  # a message of URLs only
            self._read = ImapWire._read_end_of_upload
            self._has_begun = True
            return event
        return self._announced(mark) if event is None else self._message_announced(event, mark)

    def _message_announced(self, event: Any, mark: Mark) -> Any:
        if mark.size > self.limits.append:
            raise Refused(b"TOOBIG", f"A message may have {self.limits.append} octets")
        if not mark.waits and mark.size > self.limits.unasked_append:  # RFC 7888 §5
            raise Misspelled(f"A literal of more than {self.limits.unasked_append} octets waits for leave here")
        self._left = mark.size
        self._message_waits = mark.waits
        self._read = ImapWire._read_message
        self._has_begun = True
        return event

    def _read_end_of_upload(self) -> Any:
        assert self._upload is not None
        event = self._upload.read(Cursor(b""), None)
        self._restart()
        return event

    def _read_literal(self) -> Any:
        chunk = self._buffer.take(self._command.missing)
        if self._command.add_chunk(chunk):
            self._read = ImapWire._read_command
            return _AGAIN
        return None

    def _read_message(self) -> Any:
        if not self._left:
            self._read = ImapWire._read_behind_message
            return _AGAIN
        chunk = self._buffer.take(min(self._left, CHUNK))
        if not chunk:
            return None
        self._left -= len(chunk)
        self._spoken = b""
        return AppendChunk(chunk)

    def _read_behind_message(self) -> Any:
        """The text that follows a message: the line end, or what announces the next literal."""
        try:
            line = self._buffer.line(self.limits.line)
        except LineTooLong:
            return self._abandoned(self._hopeless("What follows the message is too long"))
        if line is None:
            return None
        self._spoken = line
        mark = mark_of(line)
        try:
            return self._read_text(line, mark)
        except Misspelled as error:
            return self._refuse(self._bad(str(error)), mark)
        except Refused as error:
            return self._refuse(c.No(self._tag, error.code, str(error)), mark)

    def _abandoned(self, refusal: Any) -> AppendAbandoned:
        """*refusal* is an event of its own, behind this one."""
        if refusal is not _AGAIN:
            self._refused = refusal
            self._read = ImapWire._read_refusal
        return AppendAbandoned()

    def _read_refusal(self) -> Any:
        """What stands in `_refused`; then a new command, or nothing any more."""
        event = self._refused or _AGAIN
        self._restart()
        if isinstance(event, c.Bad) and event.close:
            self._read = ImapWire._read_nothing
        return event

    def _read_swallowed(self) -> Any:
        """Octets of a literal that nobody wants."""
        self._left -= len(self._buffer.take(self._left))
        if self._left:
            return None
        self._read = ImapWire._read_swallowed_line
        return _AGAIN

    def _read_swallowed_line(self) -> Any:
        """What follows such a literal: the command's end, or the next mark."""
        try:
            line = self._buffer.line(self.limits.line)
        except LineTooLong:
            return self._hopeless("A line of the command is too long")
        return None if line is None else self._swallow(mark_of(line))

    def _read_sasl(self) -> Any:
        """The client's answer to a challenge (RFC 3501 §6.2.2)."""
        try:
            line = self._buffer.line(self.limits.auth_line)
        except LineTooLong:
            return self._hopeless("The response is too long")
        if line is None:
            return None
        self._spoken = MASK
        try:
            event: c.Command = c.AuthResponse(self._tag, None if line == b"*" else sasl_data(line))
        except Misspelled as error:
            event = self._bad(str(error))
        self._restart()
        return event

    def _read_idle(self) -> Any:
        """The line that ends IDLE (RFC 2177 §3)."""
        try:
            line = self._buffer.line(self.limits.line)
        except LineTooLong:
            return self._hopeless("IDLE is ended by DONE")
        if line is None:
            return None
        self._spoken = line
        if line.upper() != b"DONE":
            return self._refuse(self._bad("IDLE is ended by DONE"), mark_of(line))
        event = c.Done(self._tag)
        self._restart()
        return event

    def _read_nothing(self) -> None:
        """It is over."""

    # ----- damage

    def _bad(self, text: str) -> c.Bad:
        """A Bad for the present command, which may be one too many."""
        if self.state is State.NOT_AUTHENTICATED:
            self._spoken = b"(no command)"  # there may be a password in what it is
        if self._bads + 1 >= self.limits.bad_commands:
            return c.Bad(self._tag, "Too many mistakes", close=True)
        return c.Bad(self._tag, text)

    def _hopeless(self, text: str) -> c.Bad:
        """Where the next command begins cannot be known, or shall not be."""
        event = c.Bad(self._tag, text, close=True)
        self._spoken = b"(given up)"
        self._buffer.clear()
        self._restart()
        self._read = ImapWire._read_nothing
        return event

    def _refuse(self, event: c.Command, mark: Mark | None) -> Any:
        """*event* instead of the command whose last line ended with *mark*: once the command has ended."""
        has_begun = self._has_begun
        if isinstance(event, c.Bad) and event.close:
            refusal = self._hopeless(event.text)
        else:
            self._refused = event
            refusal = self._swallow(mark)
        return self._abandoned(refusal) if has_begun else refusal

    def _swallow(self, mark: Mark | None) -> Any:
        """Go on to the end of a refused command; *mark*: a literal that the client believes to be wanted."""
        if mark is None or mark.waits:
            return self._read_refusal()
        self._swallowed += mark.size
        if self._swallowed > (self.limits.line if self.state is State.NOT_AUTHENTICATED else self.limits.swallowed):
            return self._hopeless("There is too much of that")
        self._left = mark.size
        self._read = ImapWire._read_swallowed
        return _AGAIN

    # ----- what the session says

    def send(self, response: Any) -> bytes:
        kind = type(response)
        if self.wants is Wants.CLOSE and not (kind is r.Tagged and isinstance(self._asked, c.Logout)):
            raise LocalProtocolError(f"cannot say {response!r} behind the last word")
        if kind is r.Enabled:
            self._utf8 = self._utf8 or not r.READ_UTF8.isdisjoint(response.names)
            return bytes(response.octets())
        if kind is r.Raw or kind is r.Untagged or kind is r.Late:
            return bytes(response.octets())
        if kind is r.Bye:
            self.wants = Wants.CLOSE
            if not isinstance(self._asked, c.Logout):
                self._asked = None
            return bytes(response.octets())
        asked, self._asked = self._asked, None
        if asked is None:
            raise LocalProtocolError(f"nobody waits for {response!r}")
        if kind is r.Tagged:
            self._concluded(asked, response)
        elif isinstance(asked, _GO_ON.get(kind, ())):
            return self._went_on(asked, response)
        else:
            raise LocalProtocolError(f"{response!r} is no answer to {asked!r}")
        return bytes(response.octets())

    def _went_on(self, asked: c.Command, response: r.Continuation | r.Challenge | r.Postponed) -> bytes:
        """The client has leave to say more of the same command."""
        if isinstance(asked, c.Idle):
            self._tag, self._read = asked.tag, ImapWire._read_idle
        elif isinstance(response, r.Challenge):
            self._tag, self._read = asked.tag, ImapWire._read_sasl
        elif isinstance(asked, AppendBegin | AppendMore) and not self._message_waits:
            return b""  # it comes anyhow (RFC 7888 §3)
        return response.octets()

    def _concluded(self, asked: c.Command, response: r.Tagged) -> None:
        """The final response to *asked* goes out: where are we now?"""
        if response.tag != asked.tag:
            raise LocalProtocolError(f"{response!r} has another tag than {asked!r}")
        self._bads = self._bads + 1 if response.condition == r.BAD else 0
        if isinstance(asked, c.Logout) or (isinstance(asked, c.Bad) and asked.close):
            self.wants = Wants.CLOSE
        elif response.condition == r.OK:
            self.state = ON_OK.get(type(asked), self.state)
            self._change_layers(asked)
        elif response.condition == r.NO:
            self.state = ON_NO.get(type(asked), self.state)
        if isinstance(asked, c.Continue):
            self._restart()
        elif isinstance(asked, AppendBegin | AppendMore):
            self._message_refused(asked)

    def _change_layers(self, asked: c.Command) -> None:
        """OK to *asked* may mean that other octets follow it."""
        if isinstance(asked, c.Unauthenticate):
            self._utf8 = False
        if isinstance(asked, c.StartTls):
            self.wants = Wants.START_TLS
        elif isinstance(asked, c.Compress):
            self.wants, self._compressed = Wants.COMPRESS, True
        elif isinstance(asked, c.Unauthenticate) and self._compressed:  # RFC 8437 §4.1
            self.wants, self._compressed = Wants.END_COMPRESSION, False

    def _message_refused(self, asked: AppendBegin | AppendMore) -> None:
        """A message that waits for leave never comes; one that does not is thrown away, and its command with it."""
        if self._message_waits or asked.literal is None:
            self._restart()
        else:
            self._swallowed = self._left
            self._read = ImapWire._read_swallowed
