"""The form in which another server can take a message: as it is, with seven bits, or not at all.

Most servers offer 8BITMIME and SMTPUTF8, and then nobody looks into the content.
For the others it is read through once, in a thread. What has to be encoded is
encoded while it is sent, so that a big message needs no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twistmail.disk import FileContent
from twistmail.mail.content import Content, Memory
from twistmail.mail.item import Item
from twistmail.mail.paged import looked_at
from twistmail.mail.parts import scan
from twistmail.mail.sevenbit import can_be_sevenbit, sevenbit
from twistmail.mail.status import Status
from twistmail.relay.parameters import NO_UTF8, Offered

NOT_CONVERTED = Status(554, "5.6.3", "The other side takes seven bits only, and the message cannot be encoded without being changed")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is sent: `content`, and the parameters of MAIL that tell of its form. `is_same`: as it was, so its size is known."""

    content: Content
    parameters: tuple[str, ...] = ()
    is_same: bool = True


async def fit(item: Item, content: Content, offered: Offered, threads: Any, *, utf8_envelope: bool) -> Fitted | Status:
    """*content* of *item* for a server that offers this, or why there is no way. *utf8_envelope*: addresses are not ASCII."""
    parameters = []
    if utf8_envelope or item.wishes.utf8:
        if "SMTPUTF8" in offered:
            parameters.append("SMTPUTF8")
        elif utf8_envelope or not item.prefix.isascii() or await _run(threads, content, _has_utf8_header):
            return NO_UTF8
    if item.body == "7BIT":
        return Fitted(content, tuple(parameters))
    if "8BITMIME" in offered:
        return Fitted(content, ("BODY=8BITMIME", *parameters))
    if await _run(threads, content, _is_ascii):
        return Fitted(content, tuple(parameters))
    if not await _run(threads, content, _can_be_sevenbit):
        return NOT_CONVERTED
    return Fitted(SevenBit(content), tuple(parameters), is_same=False)


class SevenBit:
    """See `content.Content`; its `size` is not known before it has been sent, and nobody asks."""

    def __init__(self, original: Content) -> None:
        self._original = original

    @property
    def size(self) -> int:
        return sum(map(len, self.chunks()))

    def chunks(self) -> Iterator[bytes]:
        yield from sevenbit(_looked_at(self._original))

    def beginning(self, limit: int) -> bytes:
        found = b""
        for chunk in self.chunks():
            found += chunk
            if len(found) >= limit:
                break
        return found[:limit]


async def _run(threads: Any, content: Content, question: Any) -> bool:
    """What *question* says of *content*; in a thread where it lies in a file."""
    answer = question(content) if isinstance(content, Memory) else await threads.run(question, content)
    return bool(answer)


def _looked_at(content: Content) -> Any:
    """*content* as bytes, or as much like them as is needed. OSError where it cannot be read."""
    return looked_at(content) if isinstance(content, Memory | FileContent) else b"".join(content.chunks())


def _is_ascii(content: Content) -> bool:
    return all(map(bytes.isascii, content.chunks()))


def _can_be_sevenbit(content: Content) -> bool:
    return can_be_sevenbit(_looked_at(content))


def _has_utf8_header(content: Content) -> bool:
    """RFC 6531 §3.4: whether a header of the message, or of a part of it, is not ASCII."""
    if _is_ascii(content):
        return False
    message = _looked_at(content)
    return not all(message[part.start : part.body].isascii() for part in scan(message).walk())
