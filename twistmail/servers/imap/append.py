"""APPEND and REPLACE: messages that a client brings, one or several, whole or put together.

RFC 3501 §6.3.11, RFC 3502, RFC 4469, RFC 8508.

All messages of a command come into the mailbox together, or none does. What cannot be is said as soon as it is known: where
there is no such mailbox or no room, before the client has sent a message.

A client that sends one APPEND after the other without waiting (RFC 7888) is not
made to wait for the disk each time: `pending` has the answers that are still to
come, so that many messages become durable together.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from twistmail.mail.imapurl import BadUrl, parse
from twistmail.mail.mailbox import Column, Copied, NewMessage, NoSuchMailbox
from twistmail.servers.excerpts import excerpt
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.incoming import IN_MEMORY, Incoming
from twistmail.servers.imap.limits import refuse_above, saved_at_once
from twistmail.servers.imap.sharing.guard import of_one_account
from twistmail.servers.imap.view import View
from twistmail.store_interfaces import IMailbox
from twistmail.wire.imap.responses import BAD, OK, Continuation, Postponed, Tagged, untagged_ok
from twistmail.wire.imap.sequence import render
from twistmail.wire.imap.uploads import (
    AppendAbandoned,
    AppendBegin,
    AppendChunk,
    AppendEnd,
    AppendMore,
    Head,
    Literal,
    Replaced,
    Url,
)

_NOT_IN_CODE = re.compile(r"[^!-\\^-~]")


class Upload:
    """The messages of one command, under way into `mailbox`. `replaced`: the UID that REPLACE removes from the selected one."""

    def __init__(self, client: Client, mailbox: IMailbox, replaced: int | None = None) -> None:
        self.mailbox = mailbox
        self.replaced = replaced
        self.freed: tuple[int, ...] = ()  # the size of the message that goes
        self._client = client
        self._messages: list[Incoming] = []
        self._literal = Literal(0)
        self._size = 0  # of the messages that are complete
        self._held = 0  # what of them is in memory
        self._open = True

    async def take(self, words: Iterable[Head | Url], literal: Literal | None = None) -> None:
        """What the client has said up to *literal*, which comes next. Raises where it need not come."""
        for word in words:
            if isinstance(word, Head):
                await self._begin(word)
            else:
                await self._add_excerpt(word.url)
        if literal is not None:
            self._literal = literal
            await self._admit(literal.size)

    async def _add_excerpt(self, text: str) -> None:
        """What an IMAP URL means is part of the message, octet by octet (RFC 4469 §3)."""
        try:
            url = parse(text, self._client.view.mailbox.name if self._client.view else "")
            if url.server is not None or url.grant is not None:
                raise BadUrl("A message is put together from URLs of this session")
            mailbox = await self._client.folders.open(url.mailbox)
        except (BadUrl, NoSuchMailbox) as error:
            raise Refusal(str(error), bad_url(text)) from None
        threads = self._client.service.threads
        try:
            found = await excerpt(threads, mailbox, url)
            if found is None:
                raise Refusal("There is no such message or part", bad_url(text))
            await self._admit(found.size)
            async with aclosing(found.pieces(threads)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    await self._messages[-1].keep(piece)
        finally:
            mailbox.close()

    async def _begin(self, head: Head) -> None:
        self._concluded()
        refuse_above(saved_at_once(self._client.service.settings), len(self._messages) + 1)
        if self._messages:
            latest = self._messages[-1]
            if self._held + latest.held > IN_MEMORY:
                await latest.to_draft()
            self._size += latest.size
            self._held += latest.held
        self._messages.append(Incoming(self._client, head))

    def _concluded(self) -> None:
        """The latest message is complete. Raises what has stopped it; an empty one cancels all (RFC 3502 §6.3.11)."""
        if not self._messages:
            return
        latest = self._messages[-1]
        if latest.trouble is not None:
            raise latest.trouble
        if not latest.size:
            raise Refusal("A message without any octets: nothing was appended")

    async def _admit(self, octets: int) -> None:
        """Whether so much more may come. Refusal, with the reason."""
        size, most = self._messages[-1].size + octets, self._client.service.settings.max_message
        if most is not None and size > most:
            raise Refusal(f"A message may have {most} octets", "TOOBIG")
        total = self._size + size
        if not await self.mailbox.room_for(total - sum(self.freed), len(self._messages) - len(self.freed)):
            raise Refusal("The mailbox is full", "OVERQUOTA")

    async def add(self, data: bytes) -> None:
        """Octets of the latest literal."""
        await self._messages[-1].add(data, self._literal)

    async def append(self) -> Copied:
        """All messages into the mailbox, durable when it returns. Raises what has stopped them."""
        self._concluded()
        messages = [NewMessage(await message.content(), message.head.flags, message.head.internaldate) for message in self._messages]
        copied: Copied = await self.mailbox.append(messages, self.freed)
        return copied

    @property
    def held(self) -> int:
        """Octets of its messages that are in memory."""
        return sum(message.held for message in self._messages)

    def close(self) -> None:
        """Let go of the mailbox and the drafts. May be called again."""
        for message in self._messages:
            message.close()
        if self._open:
            self._open = False
            self.mailbox.close()


def bad_url(text: str) -> str:
    """The response code that tells the URL *text* (RFC 4469 §4.1), in which "]" would end it."""
    return "BADURL " + _NOT_IN_CODE.sub(lambda match: quote(match[0], safe=""), text)


async def append_begin(client: Client, event: AppendBegin) -> Responses:
    replaced = None if event.replaced is None else _replaced(client.writable, event.replaced)
    try:
        mailbox = await client.folders.open(event.mailbox)
    except NoSuchMailbox as error:
        raise Refusal(str(error), "TRYCREATE") from None
    if "i" not in mailbox.rights:
        mailbox.close()
        raise Refusal("You may not put messages into this mailbox", "NOPERM")
    client.upload = Upload(client, mailbox, replaced)
    if replaced is not None and of_one_account(mailbox, client.selected.mailbox):
        client.upload.freed = tuple(size for _, size in await client.selected.mailbox.rows([replaced], (Column.SIZE,)))
    await _take(client, event.words, event.literal)
    yield Continuation()


async def append_more(client: Client, event: AppendMore) -> Responses:
    await _take(client, event.words, event.literal)
    yield Continuation()


async def _take(client: Client, words: tuple[Any, ...], literal: Literal | None) -> None:
    try:
        await client.upload.take(words, literal)
    except BaseException:
        _forget(client)
        raise


async def append_chunk(client: Client, event: AppendChunk) -> Responses:
    if client.upload is not None:
        await client.upload.add(event.data)
    return
    yield


async def append_end(client: Client, event: AppendEnd) -> Responses:
    """All has come. The answer comes when it is safe; until then the client may send more messages, which become safe together."""
    await _take(client, event.words, None)
    upload: Upload = client.upload
    client.upload = None
    if upload.replaced is None:
        client.pending.begin(event.tag, _appended(upload, event.tag), upload.held)
        yield Postponed()
        return
    view = client.selected
    try:
        copied = await upload.append()
    finally:
        upload.close()
    yield untagged_ok(_appenduid(copied), b"The replacement is there")  # RFC 8508 §4.3: before the EXPUNGE
    await view.mailbox.expunge([upload.replaced], by=view.watcher)
    yield Tagged(event.tag, OK, "Replaced")


async def _appended(upload: Upload, tag: bytes) -> Tagged:
    try:
        copied = await upload.append()
    finally:
        upload.close()
    return Tagged(tag, OK, "Appended", _appenduid(copied))


def _appenduid(copied: Copied) -> bytes:
    return b"APPENDUID %d %b" % (copied.uidvalidity, render(copied.target)) if copied.target else b""


async def append_abandoned(client: Client, event: AppendAbandoned) -> Responses:
    _forget(client)
    return
    yield


def _forget(client: Client) -> None:
    if client.upload is not None:
        client.upload.close()
        client.upload = None


def _replaced(view: View, replaced: Replaced) -> int:
    """The UID of the message that is to go. Refusal where there is none, or where it may not go (RFC 8508 §4.1)."""
    if not (view.may("t") and view.may("e")):
        raise Refusal("You may not replace messages here", "NOPERM")
    uid = replaced.number
    if not replaced.uid:
        if uid > len(view.uids):
            raise Refusal(f"There are {len(view.uids)} messages only", condition=BAD)
        uid = view.uids[uid - 1]
    place = bisect_left(view.uids, uid)
    if not view.knows(uid) or not view.block(place, place + 1).uids:
        raise Refusal("That message is gone", "" if replaced.uid else "EXPUNGEISSUED")
    return uid


ANSWERS: dict[type, Callable[[Client, Any], Responses]] = {
    AppendBegin: append_begin,
    AppendMore: append_more,
    AppendChunk: append_chunk,
    AppendEnd: append_end,
    AppendAbandoned: append_abandoned,
}
