"""Mailboxes on another IMAP server, read as our own see them: folders, flags, dates, and content piece by piece.

imaplib speaks; what it would keep whole in memory is asked for in pieces, and
big messages go through a temporary file. Mailboxes are opened by EXAMINE, so
nothing changes there. Blocking.
"""

from __future__ import annotations

import imaplib
import ipaddress
import re
import ssl
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from twistmail.formats import postmark, status
from twistmail.formats.streamed import SMALL, Streamed, pieces, write_all
from twistmail.mail import mutf7
from twistmail.mail.content import Content, Memory
from twistmail.mail.mailbox import FLAG_NAMES, NewMessage
from twistmail.mail.values import frozen

PATIENCE = 120.0
#: Messages whose flags, dates and sizes are asked for at once.
BLOCK = 200

_UID = re.compile(rb"UID (\d{1,10})")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_DATE = re.compile(rb'INTERNALDATE "([^"]{1,40})"')
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,18})")
_LISTED = re.compile(rb'\(([^)]*)\) (?:NIL|"(\\?.)") (?:"((?:[^"\\]|\\.)*)"|([^ "]+))?')
_ESCAPED = re.compile(rb"\\(.)")


class RemoteTrouble(Exception):
    """The server refuses, or does not speak IMAP. The text is a sentence."""


@frozen
class Address:
    """`imaps://user@host:port/folder`; `folder` None: all of them."""

    host: str
    port: int
    user: str
    is_tls: bool
    folder: str | None

    @property
    def is_local(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@frozen
class RemoteFolder:
    """`name` as we write it (levels by "/"), `wire` as the server does."""

    name: str
    wire: bytes


@frozen
class Listed:
    """What a message is, before its content is asked for."""

    uid: int
    flags: tuple[str, ...]
    date: float | None
    size: int


def address(url: str) -> Address:
    """Raises ValueError, whose text says what would be right."""
    parts = urlsplit(url)
    if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
        raise ValueError("write imaps://USER@HOST, with the @ of a full address as %40, such as imaps://anna%40blue.example@mail.example")
    if parts.password is not None:
        raise ValueError("a password in the address would be seen by everybody on this machine; it is asked for, or --password-stdin")
    is_tls = parts.scheme == "imaps"
    port = parts.port or (993 if is_tls else 143)
    return Address(parts.hostname, port, unquote(parts.username), is_tls, unquote(parts.path.strip("/")) or None)


class Remote:
    """A session. Raises RemoteTrouble and OSError (ssl.SSLError among them)."""

    def __init__(self, where: Address, tls: ssl.SSLContext, *, plain: bool = False) -> None:
        self._where = where
        if where.is_tls:
            self._imap: imaplib.IMAP4 = imaplib.IMAP4_SSL(where.host, where.port, ssl_context=tls, timeout=PATIENCE)
            return
        self._imap = imaplib.IMAP4(where.host, where.port, timeout=PATIENCE)
        if "STARTTLS" in self._imap.capabilities and self._imap.state == "NONAUTH":
            self._asked(self._imap.starttls, tls)
        elif not (plain or where.is_local):
            self._imap.shutdown()
            raise RemoteTrouble(f"{where.host} offers no TLS; --plain sends the password all the same")

    @property
    def needs_login(self) -> bool:
        return self._imap.state == "NONAUTH"

    def login(self, password: str) -> None:
        self._asked(self._imap.login, self._where.user, password)

    def close(self) -> None:
        try:
            self._imap.logout()
        except (OSError, imaplib.IMAP4.error):
            self._imap.shutdown()

    def folders(self) -> list[RemoteFolder]:
        """All that can be opened; or the one that the address names."""
        found = []
        for line in self._asked(self._imap.list):
            literal = b""
            if isinstance(line, tuple):
                line, literal = line
            match = _LISTED.match(line or b"")
            if match and b"\\noselect" not in match[1].lower() and b"\\nonexistent" not in match[1].lower():
                quoted = _ESCAPED.sub(rb"\1", match[3]) if match[3] is not None else match[4]
                wire = literal or quoted or b""
                found.append(RemoteFolder(_our_name(wire, (match[2] or b"/")[-1:]), wire))
        wanted = self._where.folder
        return found if wanted is None else [folder for folder in found if folder.name.lower() == wanted.lower()]

    def examine(self, folder: RemoteFolder) -> int:
        """Open it for reading; its UIDVALIDITY."""
        self._asked(self._imap.select, _quoted(folder.wire), True)
        _, (value,) = self._imap.response("UIDVALIDITY")
        return int(value or 0)

    def listed(self, above: int) -> Iterator[Listed]:
        """The messages of the open folder whose UID is above *above*, by their UIDs."""
        (words,) = self._asked(self._imap.uid, "SEARCH", f"UID {above + 1}:*")
        uids = sorted({uid for uid in map(int, (words or b"").split()) if uid > above})  # n:* finds the last one, however small
        for start in range(0, len(uids), BLOCK):
            chosen = ",".join(map(str, uids[start : start + BLOCK]))
            answers = self._asked(self._imap.uid, "FETCH", chosen, "(UID FLAGS INTERNALDATE RFC822.SIZE)")
            found = [_listed(answer) for answer in answers if isinstance(answer, bytes)]
            yield from sorted((one for one in found if one), key=lambda one: one.uid)

    def message(self, listed: Listed) -> NewMessage | None:
        """With its content; None where it has gone meanwhile."""
        content = self._content(listed)
        return None if content is None else NewMessage(content, listed.flags, listed.date)

    def _content(self, listed: Listed) -> Content | None:
        if listed.size <= SMALL:
            octets = self._octets(listed.uid, "BODY.PEEK[]")
            return None if octets is None else Memory(octets)
        file = tempfile.TemporaryFile(prefix="twistmail-pull-", buffering=0)  # noqa: SIM115  # it goes with the content
        at = 0
        while piece := self._octets(listed.uid, f"BODY.PEEK[]<{at}.{SMALL}>"):
            at += write_all(file.fileno(), piece)
        return Streamed(b"", lambda: pieces(file)) if at else None

    def _octets(self, uid: int, what: str) -> bytes | None:
        answers = self._asked(self._imap.uid, "FETCH", str(uid), f"({what})")
        return next((answer[1] for answer in answers if isinstance(answer, tuple)), None)

    def _asked(self, ask: Any, *arguments: Any) -> list[Any]:
        try:
            said, answers = ask(*arguments)
        except imaplib.IMAP4.error as trouble:
            raise RemoteTrouble(f"{self._where.host}: {_plain(trouble.args[0] if trouble.args else trouble)}") from None
        if said != "OK":
            raise RemoteTrouble(f"{self._where.host}: {_plain(answers[0] if answers else said)}")
        return answers


def _plain(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _quoted(wire: bytes) -> str:
    return '"' + wire.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _our_name(wire: bytes, separator: bytes) -> str:
    levels = wire.split(separator)
    return "/".join(_decoded(level).replace("/", "_") for level in levels)


def _decoded(level: bytes) -> str:
    text = level.decode("utf-8", "replace")
    try:
        return mutf7.decode(text)
    except ValueError:
        return text


def _listed(answer: bytes) -> Listed | None:
    uid, flags, date, size = (pattern.search(answer) for pattern in (_UID, _FLAGS, _DATE, _SIZE))
    if not uid or not size:
        return None
    words = flags[1].decode("utf-8", "replace").split() if flags else []
    system = {name.lower(): name for name in FLAG_NAMES}
    known = [system[word.lower()] for word in words if word.lower() in system]
    return Listed(int(uid[1]), (*known, *status.keywords(words)), postmark.date_of(date[1]) if date else None, int(size[1]))
