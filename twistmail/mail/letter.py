"""A message as its final delivery has it: where reports go, whom it was for, and its trace, in front of the content."""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item


class Letter:
    """*content* with *front* before it. See `mail.content.Content`."""

    __slots__ = ("_content", "_front", "size")

    def __init__(self, front: bytes, content: Content) -> None:
        self._front = front
        self._content = content
        self.size = len(front) + content.size

    def chunks(self) -> Iterator[bytes]:
        yield self._front
        yield from self._content.chunks()

    def beginning(self, limit: int) -> bytes:
        if limit <= len(self._front):
            return self._front[:limit]
        return self._front + self._content.beginning(limit - len(self._front))


def letter(item: Item, target: Target, content: Content) -> Letter:
    """*item* for *target*: Return-Path (RFC 5321 §4.4), Delivered-To, what stands in front of it there, and *content*."""
    sender = item.sender_for(target)
    returned = b"Return-Path: <%s>\r\nDelivered-To: %s\r\n" % (bytes(sender) if sender else b"", bytes(target.address))
    return Letter(returned + item.prefix + target.front, content)
