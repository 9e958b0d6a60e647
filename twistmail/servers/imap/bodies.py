"""The items of FETCH that need the message itself: BODY[...], RFC822 and RFC822.TEXT.

Small messages are loaded and rendered together, half a mebibyte at a time, in a
thread, while those before them go to the client. A big one is never in memory as
a whole: the length of a literal is known before its octets, so it is streamed
from the disk, a piece for each thread hop. Only where the parts of a big message
are asked for it is read once more, to find them; the offsets are kept for the next
question, which mail programs ask right away.

NUL cannot be said in a literal (RFC 3501 §9, CHAR8); it is shown as 0x80.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from twistmail.facts import Fact, Read
from twistmail.mail import headers, mime
from twistmail.mail.mailbox import Column
from twistmail.mail.paged import Paged, looked_at
from twistmail.mail.parts import Part, scan
from twistmail.mail.values import frozen
from twistmail.servers.excerpts import Excerpt
from twistmail.servers.imap import binary
from twistmail.servers.imap.binary import Torn
from twistmail.servers.imap.client import Client
from twistmail.servers.imap.oldclients import content_as_old, messages_as_old, wants_surrogates
from twistmail.tasks import shielded
from twistmail.wire.imap.fetchitems import Binary, Item, Section, SectionText
from twistmail.wire.imap.responses import Raw
from twistmail.wire.imap.sequence import render

#: Octets that are answered together; a message whose answer has more is streamed.
TOGETHER = 512 * 1024


@dataclass(slots=True)
class Tally:
    """How many of the messages that a command means were `gone` when their turn came; the UIDs of those that were `downgraded`."""

    gone: int = 0
    downgraded: set[int] = field(default_factory=set)


@frozen
class BodyItem:
    """One wanted literal: its `label`, where it lies (`part`, `text`, `fields` as `mime.section`), which of it."""

    label: bytes
    part: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()
    offset: int = 0
    count: int | None = None
    is_binary: bool = False  # BINARY[...]
    is_size: bool = False  # BINARY.SIZE[...]

    @property
    def needs_parts(self) -> bool:
        return bool(self.part)


def body_item(item: Item | Section | Binary) -> BodyItem:
    if isinstance(item, Binary):
        return BodyItem(item.label, item.part, "", (), item.offset or 0, item.count, not item.size_only, item.size_only)
    if isinstance(item, Section):
        return BodyItem(item.label, item.part, item.text.value.decode("ascii"), item.fields, item.offset or 0, item.count)
    return BodyItem(item.label, text=SectionText.TEXT.value.decode("ascii") if item is Item.RFC822_TEXT else "")


class Row(NamedTuple):
    """One response: the message, what stands before its literals and what behind them."""

    uid: int
    text: bytes
    tail: bytes


async def body_responses(client: Client, items: tuple[BodyItem, ...], rows: Sequence[Row], tally: Tally) -> AsyncIterator[Raw]:
    """A response for each of *rows* with its *items*; messages that are gone by now are left out and tallied."""
    mailbox = client.selected.mailbox
    # each item may be the whole message once more
    sizes = {uid: size * len(items) for uid, size in await mailbox.rows([row.uid for row in rows], (Column.SIZE,))}
    ahead: Any = None  # a Deferred
    try:
        for batch, following in pairwise([*_batches(rows, sizes), []]):
            if sizes.get(batch[0].uid, 0) > TOGETHER:
                pieces = _big(client, items, batch[0], tally)
                async with aclosing(pieces):  # type: ignore[type-var]
                    async for piece in pieces:
                        yield Raw(piece)
            else:
                rendered = await (ahead or _together(client, items, batch, tally))
                ahead = None
                if following and sizes.get(following[0].uid, 0) <= TOGETHER:  # they come from the disk while these go to the client
                    ahead = shielded(_together(client, items, following, tally))
                yield Raw(rendered)
            _tell_read(client, batch)
    finally:
        if ahead is not None:
            ahead.addErrback(_of_no_interest)


def _of_no_interest(_: Any) -> None:
    """The client has gone, and with it who would have heard of the failure."""


async def _together(client: Client, items: tuple[BodyItem, ...], batch: Sequence[Row], tally: Tally) -> bytes:
    """The responses for messages that are in memory together."""
    loaded = dict(await client.selected.mailbox.load([row.uid for row in batch]))
    if wants_surrogates(client):
        tally.downgraded.update(await messages_as_old(client, loaded))
    found = [(row, loaded[row.uid]) for row in batch if row.uid in loaded]
    tally.gone += len(batch) - len(found)
    if len(batch) == 1 and not any(item.needs_parts for item in items):
        return _rendered(found, items)
    return await client.service.threads.run(_rendered, found, items)


def _batches(rows: Sequence[Row], sizes: dict[int, int]) -> Iterator[list[Row]]:
    """Messages that are answered together; one whose answer is too big stands alone."""
    batch: list[Row] = []
    total = 0
    for row in rows:
        size = sizes.get(row.uid, 0)
        if batch and total + size > TOGETHER:
            yield batch
            batch, total = [], 0
        batch.append(row)
        total += size
    if batch:
        yield batch


def _rendered(found: list[tuple[Row, bytes]], items: tuple[BodyItem, ...]) -> bytes:
    """The responses for messages that are in memory. Pure: may run in a thread."""
    pieces: list[bytes] = []
    for row, message in found:
        pieces.append(row.text)
        _add_sections(pieces, message, items)
        pieces.append(row.tail)
    return b"".join(pieces)


def _add_sections(pieces: list[bytes], message: bytes, items: tuple[BodyItem, ...]) -> None:
    """All *items* of one message that is in memory."""
    root = scan(message) if any(item.needs_parts for item in items) else None
    for number, item in enumerate(items):
        if number:
            pieces.append(b" ")
        if item.is_binary or item.is_size:
            decoded = binary.undone(message, root, item.part)
            pieces += item.label, binary.size_of(decoded) if item.is_size else binary.rendered(decoded, item.offset, item.count)
            continue
        if root is not None:
            place = mime.span(root, item.part, item.text)
            octets = None if place is None else mime.chosen(message[place[0] : place[1]], item.text, item.fields)
        else:
            octets = mime.section(message, item.part, item.text, item.fields)
        pieces += _literal(item, octets)


def _literal(item: BodyItem, octets: bytes | None) -> tuple[bytes, bytes]:
    """What stands before the octets, and the octets."""
    if octets is None:
        return item.label, b" NIL"
    if item.offset or item.count is not None:
        octets = octets[item.offset : None if item.count is None else item.offset + item.count]
    return b"%b {%d}\r\n" % (item.label, len(octets)), _sayable(octets)


def _sayable(octets: bytes) -> bytes:
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


async def _big(client: Client, items: tuple[BodyItem, ...], row: Row, tally: Tally) -> AsyncIterator[bytes]:
    """The response for one big message, in pieces; nothing where the message is gone."""
    found = await client.selected.mailbox.read([row.uid])
    if not found:
        tally.gone += 1
        return
    content = stored = found[0][1]
    if wants_surrogates(client):
        content = await content_as_old(client, row.uid, stored)
        if content is not stored:
            tally.downgraded.add(row.uid)
    root = await _tree(client, row.uid, content) if any(item.needs_parts for item in items) else None
    for item in items:
        if item.is_binary or item.is_size:
            binary.undone(Paged(content), root, item.part)  # it is too late to refuse it when the response has begun
    yield row.text
    for number, item in enumerate(items):
        if number:
            yield b" "
        if item.is_binary or item.is_size:
            pieces = _big_binary(client, content, root, item)
            async with aclosing(pieces):  # type: ignore[type-var]
                async for piece in pieces:
                    yield piece
            continue
        place = await _place(client, root, content, item)
        if place is None or item.fields:  # chosen fields of a header are few enough to be put together
            octets = None if place is None else b"".join([piece async for piece in _stream(client, content, *place)])
            yield b"".join(_literal(item, None if octets is None else mime.chosen(octets, item.text, item.fields)))
            continue
        start = min(place[0] + item.offset, place[1])
        end = place[1] if item.count is None else min(place[1], start + item.count)
        yield b"%b {%d}\r\n" % (item.label, end - start)
        if content is not stored:
            pieces = Excerpt(content, start, end).pieces(client.service.threads)
        else:
            pieces = _stream(client, content, start, end) if item.count is None else _span(client, row.uid, start, end)
        async with aclosing(pieces):  # type: ignore[type-var]
            async for piece in pieces:
                yield _sayable(piece)
    yield row.tail


async def _big_binary(client: Client, content: Any, root: Part | None, item: BodyItem) -> AsyncIterator[bytes]:
    threads = client.service.threads
    yield item.label

    def decode() -> Iterator[bytes] | None:
        return binary.undone(Paged(content), root, item.part)

    if item.is_size:
        yield await threads.run(lambda: binary.size_of(decode()))
        return
    pieces = binary.streamed(threads, decode, item.offset, item.count)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            yield piece


async def _tree(client: Client, uid: int, content: Any) -> Part:
    """The parts of a big message, from memory where it is the one asked for last."""
    view = client.selected
    if view.last_tree is None or view.last_tree[0] != uid:
        view.last_tree = uid, await client.service.threads.run(_scan_content, content)
    return view.last_tree[1]


def _scan_content(content: Any) -> Part:
    return scan(looked_at(content))


async def _place(client: Client, root: Part | None, content: Any, item: BodyItem) -> tuple[int, int] | None:
    if root is not None:
        return mime.span(root, item.part, item.text)
    if not item.text:
        return 0, content.size
    _, body = headers.split(await client.service.threads.run(content.beginning, headers.MOST + 4))
    return body, content.size


async def _stream(client: Client, content: Any, start: int, end: int) -> AsyncIterator[bytes]:
    """The octets of *content* from *start* to *end*, in pieces. Torn where they do not come."""
    chunks = content.chunks()
    at = 0
    while at < end:
        piece = await client.service.threads.run(binary.next_piece, chunks)
        if not piece:
            raise Torn(f"message ends at {at}, not at {end}")
        if at + len(piece) > start:
            yield piece[max(0, start - at) : end - at]
        at += len(piece)


async def _span(client: Client, uid: int, start: int, end: int) -> AsyncIterator[bytes]:
    """The same, for who fetches a big message bit by bit: the mailbox knows where he was."""
    while start < end:
        piece = await client.selected.mailbox.span(uid, start, min(binary.PIECE, end - start))
        if not piece:
            raise Torn(f"message ends at {start}, not at {end}")
        yield piece
        start += len(piece)


def _tell_read(client: Client, rows: Sequence[Row]) -> None:
    facts = client.service.facts
    if facts.listened and client.account is not None:
        now, mailbox = client.service.epoch(), client.selected.mailbox.name
        uids = render(row.uid for row in rows).decode("ascii")
        facts.tell(Fact(now, client.connection, Read("imap", client.account.name, mailbox, uids)))
