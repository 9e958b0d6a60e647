"""What an IMAP URL means, read from the mailbox in pieces: for CATENATE (RFC 4469), URLFETCH (RFC 4467) and BURL (RFC 4468).

\\Seen is left as it is, and it does not matter what is selected.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from twistmail.mail import mime
from twistmail.mail.content import Memory
from twistmail.mail.imapurl import MessageUrl
from twistmail.mail.paged import looked_at
from twistmail.mail.parts import scan
from twistmail.store_interfaces import IMailbox
from twistmail.wire.imap.fetchitems import Section
from twistmail.wire.imap.parse_fetch import section_named
from twistmail.wire.imap.tokens import Misspelled

#: Octets that are read at a time.
PIECE = 256 * 1024


class Excerpt(NamedTuple):
    """The octets of `content` (a Stored) from `start` to `end`."""

    content: Any
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    async def pieces(self, threads: Any) -> AsyncIterator[bytes]:
        """The octets in order. OSError where the message has gone meanwhile."""
        at = self.start
        while at < self.end:
            piece = await threads.run(self.content.span, at, min(PIECE, self.end - at))
            if not piece:
                raise OSError("a message has gone while it was being read")
            yield piece
            at += len(piece)


async def excerpt(threads: Any, mailbox: IMailbox, url: MessageUrl) -> Excerpt | None:
    """What *url* means in *mailbox*, which is its mailbox; None where there is no such message or part."""
    if url.uidvalidity not in (None, mailbox.uidvalidity):
        return None
    try:
        section = section_named(url.section.encode("utf-8"))
    except Misspelled:
        return None
    found = await mailbox.read([url.uid])
    if not found:
        return None
    whole: Excerpt | None = await threads.run(_located, found[0][1], section)
    if whole is None:
        return None
    start = min(whole.start + url.offset, whole.end)
    return Excerpt(whole.content, start, whole.end if url.count is None else min(start + url.count, whole.end))


def _located(content: Any, section: Section) -> Excerpt | None:
    """Where the octets of *section* are. Blocking."""
    text = section.text.value.decode("ascii")
    if not section.part and not text:
        return Excerpt(content, 0, content.size)
    place = mime.span(scan(looked_at(content)), section.part, text)
    if place is None:
        return None
    if not section.fields:
        return Excerpt(content, *place)
    fields = mime.chosen(content.span(place[0], place[1] - place[0]), text, section.fields)
    return Excerpt(Memory(fields), 0, len(fields))
