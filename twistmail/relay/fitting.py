"""The form in which another server can take a message: as it is, with seven bits, with shorter lines, or not at all.

Most servers offer 8BITMIME and SMTPUTF8, and most messages have short lines: then the
content goes as it is. For the others it is looked through once more, a big one in a
thread. What has to be encoded in a big one is encoded while it is sent, so that it
needs no more memory than a small one.

This is the last change that a message sees: what is signed on the way out has to be
given this form before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from twistmail.disk import FileContent
from twistmail.mail.content import Content, Memory
from twistmail.mail.headers import split
from twistmail.mail.item import Item
from twistmail.mail.longlines import has_long_line
from twistmail.mail.paged import looked_at
from twistmail.mail.parts import scan
from twistmail.mail.sevenbit import can_be_sevenbit, sevenbit, shortened
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.parameters import NO_UTF8, Offered, is_too_big, solicitation

T = TypeVar("T")

NOT_CONVERTED = Status(554, "5.6.3", "The other side takes seven bits only, and the message cannot be encoded without being changed")
GROWN = Status(552, "5.3.4", "The other side takes seven bits only, and encoded for it the message is bigger than it takes")
#: Contents of no more octets are read at once, and kept in memory while they are sent.
SMALL = 256 * 1024
#: As much of a message as is looked through for a field.
HEADER = 64 * 1024


@frozen
class Fitted:
    """What is sent: `content`, and the parameters of MAIL that tell of its form. `size`: octets with the item's prefix, None
    where that will be known only when all of it has been encoded."""

    content: Content
    size: int | None
    parameters: tuple[str, ...] = ()


async def in_memory(content: Content, threads: Any) -> Content:
    """*content*, read into memory where it is small. OSError where it cannot be read whole."""
    if isinstance(content, Memory) or content.size > SMALL:
        return content
    data = await threads.run(content.beginning, content.size)
    if len(data) < content.size:
        raise OSError(f"{content.size - len(data)} octets of the content are missing")
    return Memory(data)


async def fit(item: Item, content: Content, offered: Offered, threads: Any, *, utf8_envelope: bool) -> Fitted | Status:
    """*content* of *item* for a server that offers this, or why there is no way. *utf8_envelope*: addresses are not ASCII."""
    parameters = []
    if utf8_envelope or item.wishes.utf8:
        if "SMTPUTF8" in offered:
            parameters.append("SMTPUTF8")
        elif utf8_envelope or not item.prefix.isascii() or await _run(threads, content, _has_utf8_header):
            return NO_UTF8
    if "NO-SOLICITING" in offered and (words := await _run(threads, content, _solicitation)):
        parameters.append(f"SOLICIT={words}")
    form: type[_Converted] | None = None
    if item.body == "7BIT" or "8BITMIME" in offered or await _run(threads, content, _is_ascii):
        parameters[:0] = ["BODY=8BITMIME"] if item.body != "7BIT" and "8BITMIME" in offered else []
        form = Shortened if await _run(threads, content, _has_long_line) else None
    elif await _run(threads, content, _can_be_sevenbit):
        form = SevenBit
    else:
        return NOT_CONVERTED
    fitted = await _in_form(form, content, threads)
    size = None if isinstance(fitted, _Converted) else fitted.size + len(item.prefix)
    return GROWN if is_too_big(size or 0, offered) else Fitted(fitted, size, tuple(parameters))


async def _in_form(form: type[_Converted] | None, content: Content, threads: Any) -> Content:
    if form is None:
        return content
    converted = form(content)
    return Memory(b"".join(converted.chunks())) if isinstance(content, Memory) else converted


class _Converted:
    """See `content.Content`; its `size` is not known before it has been sent, and nobody asks."""

    convert: Callable[[Any], Iterator[bytes]]

    def __init__(self, original: Content) -> None:
        self._original = original

    @property
    def size(self) -> int:
        return sum(map(len, self.chunks()))

    def chunks(self) -> Iterator[bytes]:
        yield from type(self).convert(_looked_at(self._original))

    def beginning(self, limit: int) -> bytes:
        found = b""
        for chunk in self.chunks():
            found += chunk
            if len(found) >= limit:
                break
        return found[:limit]


class SevenBit(_Converted):
    """For servers without 8BITMIME."""

    convert = staticmethod(sevenbit)


class Shortened(_Converted):
    """With lines that every server takes."""

    convert = staticmethod(shortened)


async def _run(threads: Any, content: Content, question: Callable[[Content], T]) -> T:
    """What *question* says of *content*; in a thread where it lies in a file."""
    answer: T = question(content) if isinstance(content, Memory) else await threads.run(question, content)
    return answer


def _looked_at(content: Content) -> Any:
    """*content* as bytes, or as much like them as is needed. OSError where it cannot be read."""
    return looked_at(content) if isinstance(content, Memory | FileContent) else b"".join(content.chunks())


def _is_ascii(content: Content) -> bool:
    return all(map(bytes.isascii, content.chunks()))


def _has_long_line(content: Content) -> bool:
    return has_long_line(content.chunks())


def _solicitation(content: Content) -> str:
    return solicitation(split(content.beginning(HEADER))[0])


def _can_be_sevenbit(content: Content) -> bool:
    return can_be_sevenbit(_looked_at(content))


def _has_utf8_header(content: Content) -> bool:
    """RFC 6531 §3.4: whether a header of the message, or of a part of it, is not ASCII."""
    if _is_ascii(content):
        return False
    message = _looked_at(content)
    return not all(message[part.start : part.body].isascii() for part in scan(message).walk())
