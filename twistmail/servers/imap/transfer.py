"""Messages that come, go and are doubled: APPEND, COPY, MOVE, EXPUNGE (RFC 3501 §6.3.11, §6.4.3, §6.4.7, RFC 4315, RFC 6851).

COPY and MOVE are all or none. A message that another session has expunged makes
them fail by number (RFC 2180 §4.4.2: a copy of less than was asked would be a
silent loss) and is passed over by UID.
"""

from __future__ import annotations

import re
from typing import Any

from twistmail.interfaces import IMailbox
from twistmail.mail.content import Content, Memory
from twistmail.mail.mailbox import Copied, Flag, NewMessage, NoSuchMailbox
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.fetch import spans_of
from twistmail.servers.imap.view import View
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import OK, Continuation, Tagged, Untagged
from twistmail.wire.imap.sequence import SequenceSet, render

#: Octets of an appended message that are kept in memory; more goes to a draft.
IN_MEMORY = 256 * 1024
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CRS = re.compile(rb"\r{2,}")


# ----- COPY and MOVE


async def copy(client: Client, event: c.Copy) -> Responses:
    view = client.selected
    uids = _chosen(view, event)
    code = b""
    if uids:
        code = _copyuid(await _to(event.mailbox, view.mailbox.copy(uids, event.mailbox, by=view.watcher)))
    yield Tagged(event.tag, OK, "Copied", code)


async def move(client: Client, event: c.Move) -> Responses:
    view = client.writable
    uids = _chosen(view, event)
    if uids:
        moved = await _to(event.mailbox, view.mailbox.move(uids, event.mailbox, by=view.watcher))
        view.note_expunged(moved.source)
        yield Untagged(b"OK [%b] Moved" % _copyuid(moved))  # RFC 6851 §4.3: before the EXPUNGEs
    yield Tagged(event.tag, OK, "Done")


def _chosen(view: View, event: c.Copy | c.Move) -> list[int]:
    """The UIDs that the command means. Refusal where it went by number and some are gone."""
    spans = spans_of(view, event.set, uid=event.uid)
    uids = [uid for span in spans for uid in view.block(*span).uids]
    if not event.uid and len(uids) < sum(stop - start for start, stop in spans):
        raise Refusal("Some of the messages are gone; none was copied", "EXPUNGEISSUED")
    return uids


async def _to(mailbox: str, transfer: Any) -> Copied:
    """The result of *transfer*; where the target is missing the client is told to make it (RFC 3501 §6.4.7)."""
    try:
        copied: Copied = await transfer
    except NoSuchMailbox as error:
        raise Refusal(str(error), "TRYCREATE") from None
    return copied


def _copyuid(copied: Copied) -> bytes:
    return b"COPYUID %d %b %b" % (copied.uidvalidity, render(copied.source), render(copied.target))


# ----- EXPUNGE


async def expunge(client: Client, event: c.Expunge) -> Responses:
    await expunge_deleted(client.writable, event.uids)
    yield Tagged(event.tag, OK, "Expunged")


async def expunge_deleted(view: View, among: SequenceSet | None = None) -> None:
    """Remove what is marked \\Deleted and known to this client; *among*: the UIDs of UID EXPUNGE."""
    spans = [(0, len(view.uids))] if among is None else view.spans(among, uid=True)
    uids = [uid for span in spans for uid, bits in zip(*view.block(*span)[1:], strict=True) if bits & Flag.DELETED]
    if uids:
        view.note_expunged(await view.mailbox.expunge(uids, by=view.watcher))


# ----- APPEND


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
    upload: Upload = client.upload
    client.upload = None
    try:
        content = await upload.content()
        message = NewMessage(content, upload.event.flags, upload.event.internaldate)
        appended = await upload.mailbox.append((message,))
    finally:
        upload.close()
    yield Tagged(event.tag, OK, "Appended", b"APPENDUID %d %b" % (appended.uidvalidity, render(appended.target)))


async def append_abandoned(client: Client, event: c.AppendAbandoned) -> Responses:
    if client.upload is not None:
        client.upload.close()
        client.upload = None
    return
    yield
