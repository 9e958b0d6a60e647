"""APPEND (RFC 3501 §6.3.11): messages that a client brings.

A client that sends one APPEND after the other without waiting (RFC 7888) is not
made to wait for the disk each time: `pending` has the answers that are still to
come, so that many messages become durable together.
"""

from __future__ import annotations

import re
from typing import Any

from twistmail.interfaces import IMailbox
from twistmail.mail.content import Content, Memory
from twistmail.mail.mailbox import NewMessage, NoSuchMailbox
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import OK, Continuation, Postponed, Tagged
from twistmail.wire.imap.sequence import render

#: Octets of an appended message that are kept in memory; more goes to a draft.
IN_MEMORY = 256 * 1024
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CRS = re.compile(rb"\r{2,}")


class Upload:
    """A message under way into `mailbox`. `trouble` is what has stopped it: the rest of it is swallowed, then told."""

    def __init__(self, client: Client, event: c.AppendBegin, mailbox: IMailbox) -> None:
        self.event = event
        self.mailbox = mailbox
        self.trouble: Exception | None = None
        self._threads = client.service.threads
        self._drafts = client.service.drafts
        self._pieces: list[bytes] = []
        self._held = 0
        self._draft: Any = None
        self._open = True
        self._after_cr = False

    async def add(self, data: bytes) -> None:
        """Take a chunk, its line ends made whole."""
        if self.trouble is not None:
            return
        if b"\0" in data:
            self.trouble = Refusal("A message cannot hold NUL")  # RFC 3501 §4.3: a literal is CHAR8
            return
        if data.count(b"\n") != data.count(b"\r\n") or self._after_cr or b"\r\r" in data:
            data = self._with_crlf(data)
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        self._pieces.append(data)
        self._held += len(data)
        if self._held > IN_MEMORY:
            await self._to_draft()

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

    async def _to_draft(self) -> None:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        try:
            if self._draft is None:
                self._draft = await self._threads.run(self._drafts.open)
            await self._threads.run(self._draft.write, data)
        except OSError as error:
            self.trouble = error

    async def content(self) -> Content:
        """The whole message. Raises what has stopped it."""
        if self._draft is not None and self.trouble is None:
            await self._to_draft()
        if self.trouble is not None:
            raise self.trouble
        if self._draft is None:
            return Memory(b"".join(self._pieces))
        content: Content = await self._threads.run(self._draft.finish)
        return content

    def close(self) -> None:
        """Let go of the mailbox and the draft. May be called again."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None
        self._pieces.clear()
        if self._open:
            self._open = False
            self.mailbox.close()


async def append_begin(client: Client, event: c.AppendBegin) -> Responses:
    try:
        mailbox = await client.folders.open(event.mailbox)
    except NoSuchMailbox as error:
        raise Refusal(str(error), "TRYCREATE") from None
    client.upload = Upload(client, event, mailbox)
    yield Continuation()


async def append_chunk(client: Client, event: c.AppendChunk) -> Responses:
    if client.upload is not None:
        await client.upload.add(event.data)
    return
    yield


async def append_end(client: Client, event: c.AppendEnd) -> Responses:
    """The message is complete. Its answer comes when it is safe; until then the client may send more, which become safe together."""
    upload: Upload = client.upload
    client.upload = None
    client.pending.begin(event.tag, _appended(upload, event.tag))
    yield Postponed()


async def _appended(upload: Upload, tag: bytes) -> Tagged:
    try:
        content = await upload.content()
        message = NewMessage(content, upload.event.flags, upload.event.internaldate)
        appended = await upload.mailbox.append((message,))
    finally:
        upload.close()
    return Tagged(tag, OK, "Appended", b"APPENDUID %d %b" % (appended.uidvalidity, render(appended.target)))


async def append_abandoned(client: Client, event: c.AppendAbandoned) -> Responses:
    if client.upload is not None:
        client.upload.close()
        client.upload = None
    return
    yield
