"""sendmail -bs: a program speaks SMTP with us over its standard input and output.

Its words go to the running server, and the answers back: it is the server's user whose process this is, and nothing is
changed on the way, but that a program (or somebody at a terminal) whose first line ends with LF alone is taken to mean CRLF.
Where no server runs, we answer ourselves: each message is left for the server (`dropping`), whose rules are asked when it
starts, and whoever is refused then is told by a report.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.sendmail_talk import PATIENCE, Away, connected
from twistmail.mail.dropped import Dropped
from twistmail.mail.status import Status

PIECE = 64 * 1024
_LONE = re.compile(rb"(?<!\r)\n")


def speak(path: Path, leave: Callable[[Dropped], None], source: int, sink: int) -> int:
    """Let whoever writes to *source* (a descriptor) and reads from *sink* talk with the server at *path*; else *leave* his messages."""
    try:
        connection = connected(path)
    except Away:
        Alone(leave).talk(source, sink)
        return Exit.OK
    with connection:
        threading.Thread(target=_carry_in, args=(source, connection), daemon=True).start()
        _carry_out(connection, sink)
    return Exit.OK


def _carry_in(source: int, connection: socket.socket) -> None:
    with suppress(OSError):  # the server has gone, which the other direction tells
        for octets in _read(source):
            connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)


def _carry_out(connection: socket.socket, sink: int) -> None:
    connection.settimeout(2 * PATIENCE)  # the server has a time-out of its own, and says so
    try:
        while octets := connection.recv(PIECE):
            _write(sink, octets)
    except OSError as trouble:
        raise Failure(f"the server went away: {trouble}", Exit.TEMPFAIL, "try again") from None


def _read(source: int) -> Iterator[bytes]:
    """What comes from *source*; all its line ends as CRLF where the first one is an LF."""
    plain: bool | None = None
    last = b""
    while octets := os.read(source, PIECE):
        if plain is None and b"\n" in octets:
            plain = (last + octets).partition(b"\n")[0][-1:] != b"\r"
        yield _with_crlf(last, octets) if plain else octets
        last = octets[-1:]


def _with_crlf(last: bytes, octets: bytes) -> bytes:
    """*octets*, which follow the octet *last*, with CRLF for each lone LF."""
    return _LONE.sub(b"\r\n", last + octets)[len(last) :] if last != b"\n" else _LONE.sub(b"\r\n", octets)


def _write(sink: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(sink, view) :]


class Alone:
    """The server's side of a conversation without a server. *leave*(a message) keeps it durably, or raises Failure."""

    def __init__(self, leave: Callable[[Dropped], None]) -> None:
        from twistmail.wire.smtp.content import Limits
        from twistmail.wire.smtp.server import SmtpServerWire

        self._leave = leave
        extensions = frozenset(("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"))
        self._offered = tuple(sorted(extensions))
        self._wire = SmtpServerWire(Limits(extensions=extensions, bare_names=True))
        self._sender = ""
        self._asked: dict[str, str] = {}
        self._recipients: list[tuple[str, str]] = []  # with what was asked for each
        self._content: list[bytes] = []

    def talk(self, source: int, sink: int) -> None:
        """Answer until the other side is content or gone."""
        from twistmail.wire.contract import NEED_DATA, PAUSED, Wants

        _write(sink, self._wire.send(Status(220, "", "localhost ESMTP; the server does not run, mail waits for it")))
        for octets in _read(source):
            self._wire.receive_bytes(octets)
            while (event := self._wire.next_event()) not in (NEED_DATA, PAUSED):
                if (answer := self._answer(event)) is not None:
                    _write(sink, self._wire.send(answer))
                if self._wire.wants is Wants.CLOSE:
                    return

    def _answer(self, event: Any) -> Any:
        from twistmail.wire.smtp import commands as said
        from twistmail.wire.smtp.replies import Reply

        match event:
            case said.ContentChunk(data):
                self._content.append(data)
                return None
            case said.Hello(_, extended):
                self._forget()
                return Reply(Status(250, "", "localhost"), self._offered) if extended else Status(250, "", "localhost")
            case said.Mail(path) | said.Rcpt(path) if set("<>") & set(str(path or "")):
                return Status(553, "5.1.3", "Such an address cannot wait for the server")
            case said.Mail(path, parameters):
                self._forget()
                self._sender, self._asked = str(path or ""), parameters
                return Status(250, "2.1.0", "Sender taken")
            case said.Rcpt(path, parameters):
                self._recipients.append((str(path), parameters.get("NOTIFY", "")))
                return Status(250, "2.1.5", "Recipient taken; the server will look at it")
            case said.Data():
                return Status(354, "", "Go ahead")
            case said.ContentEnd(_, fault):
                return fault or self._kept()
            case said.Rset():
                self._forget()
                return Status(250, "2.0.0", "Forgotten")
            case said.Noop():
                return Status(250, "2.0.0", "Still here")
            case said.Vrfy() | said.Expn():
                return Status(252, "2.1.5", "Nobody can say that while the server does not run")
            case said.Quit():
                return Status(221, "2.0.0", "Bye")
            case said.Bad(status):
                return status
        return Status(502, "5.5.1", "Not while the server does not run")

    def _kept(self) -> Status:
        """Leave the message: once for each wish about reports, so that everybody has his own."""
        content = b"".join(self._content)
        wishes = dict.fromkeys(notify for _, notify in self._recipients)
        try:
            for notify in wishes:
                to = tuple(one for one, asked in self._recipients if asked == notify)
                self._leave(Dropped(self._sender, to, content, notify, self._asked.get("RET", ""), self._asked.get("ENVID", "")))
        except Failure as failure:
            return Status(451, "4.3.0", failure.message)
        self._forget()
        return Status(250, "2.0.0", "Kept for the server")

    def _forget(self) -> None:
        self._sender, self._asked, self._recipients, self._content = "", {}, [], []
