"""One message on its way into a mailbox: in memory while it is small, beyond that in a draft on disk, written in a thread.

What a literal brings is made fit to be kept: lines end with CRLF, and NUL is refused (RFC 3501 §4.3, CHAR8) unless the literal
may hold any octets (RFC 3516 §4.4). A message that is no text then has its binary parts encoded, as the RFC lets us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from twistmail.mail.content import Content, Memory
from twistmail.mail.unbinary import unbinary
from twistmail.servers.imap.client import Client, Refusal
from twistmail.wire.imap.responses import READ_UTF8
from twistmail.wire.imap.uploads import Head, Literal

#: Octets of a message that are kept in memory; more goes to a draft.
IN_MEMORY = 256 * 1024
#: Pieces that are kept as they came: each costs some 40 octets beside its own, and a client may cut them as small as it likes.
MOST_PIECES = 1024
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CRS = re.compile(rb"\r{2,}")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Incoming:
    """A message under way. `trouble` is what has stopped it: the rest of it is swallowed, then told. Ends with `close`."""

    __slots__ = (
        "_after_cr", "_draft", "_drafts", "_is_binary", "_latest", "_pieces", "_threads", "head", "held", "size", "trouble",
    )  # fmt: skip

    def __init__(self, client: Client, head: Head) -> None:
        self.head = head
        self.trouble: Exception | None = None
        self.size = 0
        self.held = 0  # octets in memory
        self._threads = client.service.threads
        self._drafts = client.service.drafts
        self._pieces: list[bytes] = []
        self._draft: Any = None
        self._after_cr = False
        self._is_binary = False
        #: The last octets of the header, where it has to be ASCII and is not over yet. A message may begin with its empty line.
        self._latest = b"" if client.service.settings.raw_headers or not client.enabled.isdisjoint(READ_UTF8) else b"\r\n"

    async def add(self, data: bytes, literal: Literal) -> None:
        """Take octets of *literal*."""
        if self.trouble is not None:
            return
        if literal.binary:
            self._is_binary = self._is_binary or b"\0" in data or _BARE.search(data) is not None
        elif b"\0" in data:
            self.trouble = Refusal("A message cannot hold NUL")
            return
        elif data.count(b"\n") != data.count(b"\r\n") or self._after_cr or b"\r\r" in data:
            data = self._with_crlf(data)
        await self.keep(data)

    def _with_crlf(self, data: bytes) -> bytes:
        """Bare LFs become CRLF, as clients of Unix kind mean them; of CRs in a row one is left, for CR CR LF cannot be kept in a
        file whose line ends are LF. Two CRs or a CR and its LF may be in two chunks.
        """
        data = _CRS.sub(b"\r", data)
        if self._after_cr:
            data = data.removeprefix(b"\r")
            if data.startswith(b"\n"):
                return b"\n" + _BARE_LF.sub(b"\r\n", data[1:])
        return _BARE_LF.sub(b"\r\n", data)

    async def keep(self, data: bytes) -> None:
        """Take octets as they are."""
        if self._latest:
            self._look_at_header(data)
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        self._pieces.append(data)
        self.size += len(data)
        self.held += len(data)
        if self.held > IN_MEMORY:
            await self.to_draft()
        elif len(self._pieces) > MOST_PIECES:
            self._pieces = [b"".join(self._pieces)]

    def _look_at_header(self, data: bytes) -> None:
        """RFC 6855 §4: a client that has not enabled UTF-8 cannot bring a header with 8-bit octets."""
        data = self._latest + data
        end = data.find(b"\r\n\r\n")
        header = data if end < 0 else data[:end]
        self._latest = data[-3:] if end < 0 else b""
        if not header.isascii():
            self.trouble = Refusal("A header with 8-bit octets takes ENABLE UTF8=ACCEPT")

    async def to_draft(self) -> None:
        """What is in memory goes to the disk."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.held = 0
        try:
            await self._threads.run(self._write, (data,))
        except OSError as error:
            self.trouble = error

    def _write(self, pieces: Iterable[bytes]) -> None:
        if self._draft is None:
            self._draft = self._drafts.open()
        for piece in pieces:
            self._draft.write(piece)

    async def content(self) -> Content:
        """The whole message. Raises what has stopped it."""
        content = await self._finished()
        if not self._is_binary:
            return content
        binary, self._draft = self._draft, None
        try:
            return await self._encoded(content)
        finally:
            if binary is not None:
                binary.discard()

    async def _finished(self) -> Content:
        if self._draft is not None and self.trouble is None:
            await self.to_draft()
        if self.trouble is not None:
            raise self.trouble
        if self._draft is None:
            return Memory(b"".join(self._pieces))
        content: Content = await self._threads.run(self._draft.finish)
        return content

    async def _encoded(self, content: Content) -> Content:
        """*content* as every mailbox can keep it (RFC 3516 §6)."""

        def encode() -> Content:
            pieces = unbinary(b"".join(content.chunks()))
            if content.size <= IN_MEMORY:
                return Memory(b"".join(pieces))
            self._write(pieces)
            finished: Content = self._draft.finish()
            return finished

        encoded: Content = await self._threads.run(encode)
        return encoded

    def close(self) -> None:
        """Forget it. May be called again."""
        self._pieces.clear()
        if self._draft is not None:
            self._draft.discard()
            self._draft = None
