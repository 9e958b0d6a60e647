"""Surrogates: messages whose header fields are UTF-8, for programs that know ASCII only (RFC 6857).

Texts, names and parameters become encoded words and their like, which every
program shows as they were meant. An address that is not ASCII cannot be written
to by such a program, so it becomes a group without members that is called like
it; message ids that are not ASCII move to fields called `Downgraded-...`. Fields
that are ASCII, and bodies, stay to the octet, and so do octets that are no UTF-8:
what they were meant to be nobody knows.

A message is bytes, or anything that can be sliced and searched like them
(`paged.Paged`). Pure; linear.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

from twistmail.mail import headers
from twistmail.mail.address import canonical_domain
from twistmail.mail.addresses import ListedAddress, addresses
from twistmail.mail.headers import unfold
from twistmail.mail.parts import Part, scan

#: Octets that are handed out at a time.
WINDOW = 64 * 1024
#: Octets of text in one encoded word: a line with one has at most 76 characters (RFC 2047 §2), the name of the field among them.
_LONGEST_WORD = 36
#: Where lines are folded (RFC 5322 §2.1.1), and about what stands on the first one already.
_LINE = 76
_INDENT = 12

ADDRESSES = frozenset(
    b"from sender reply-to to cc bcc resent-from resent-sender resent-reply-to resent-to resent-cc resent-bcc return-path "
    b"disposition-notification-to mail-followup-to mail-reply-to delivered-to x-original-to".split()
)
IDS = frozenset(
    b"message-id in-reply-to references resent-message-id content-id original-recipient final-recipient".split()
)
MIME = frozenset(b"content-type content-disposition".split())
_PARAMETER = re.compile(rb'([!#$&+\-.^_`{|}~0-9A-Za-z]++)=("(?:[^"\\]|\\.)*+"|[^\s;"]++)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_EIGHT_BIT = re.compile(rb"[\x80-\xff]+")
_GLOBAL = re.compile(rb"(message/)global(?![-\w])", re.IGNORECASE)
_ATOMS = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ \t-]+")


#: From the first to the second offset in a message something else stands.
Replacement = tuple[int, int, bytes]


def surrogate(message: Any) -> Iterator[bytes]:
    """*message* in pieces (none empty), with header fields that are ASCII wherever they were UTF-8: its own, and those of its parts."""
    return filter(None, _pieces(message))


def replacements(message: Any) -> list[Replacement]:
    """The header blocks of *message* that are others in its surrogate, in order."""
    found: list[Replacement] = []
    for part in scan(message).walk():
        before = message[part.start : part.body]
        after = _shown(message, part, before)
        if after != before:
            found.append((part.start, part.body, after))
    return found


def needs_surrogate(message: Any) -> bool:
    """Whether `surrogate` would make anything else of *message*."""
    return any(_is_foreign(line) for part in scan(message).walk() for line in headers.lines(message[part.start : part.body]))


def _pieces(message: Any) -> Iterator[bytes]:
    at = 0
    for start, end, header in replacements(message):
        yield from _windows(message, at, start)
        yield header
        at = end
    yield from _windows(message, at, len(message))


def _shown(message: Any, part: Part, header: bytes) -> bytes:
    """What stands instead of the *header* of a part."""
    return _as_rfc822(_header(header)) if _holds_global(message, part) else _header(header)


def _windows(message: Any, start: int, end: int) -> Iterator[bytes]:
    return (message[at : min(at + WINDOW, end)] for at in range(start, end, WINDOW))


def _holds_global(message: Any, part: Part) -> bool:
    """Is it a message/global, which is a message/rfc822 when the header of the message in it is ASCII (RFC 6532 §3.7)?"""
    if not part.is_message or part.subtype.lower() != b"global":
        return False
    inner = part.children[0]
    return any(map(_is_foreign, headers.lines(message[inner.start : inner.body])))


def _as_rfc822(header: bytes) -> bytes:
    return _GLOBAL.sub(rb"\1rfc822", header, count=1)


def _is_foreign(line: bytes) -> bool:
    if line.isascii():
        return False
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(header: bytes) -> bytes:
    if header.isascii():
        return header
    return b"\r\n".join([_field(line) if _is_foreign(line) else line for line in headers.lines(header)])


def _field(line: bytes) -> bytes:
    """One field with its folding, without its last line end."""
    name, colon, value = line.partition(b":")
    if not colon or not name.isascii():  # no field; whoever comes upon it passes it over
        return _EIGHT_BIT.sub(b"?", line)
    kind = name.rstrip(b" \t").lower()
    if kind in IDS:
        return b"Downgraded-%b: %b" % (name.rstrip(b" \t"), _text(value))
    turned = next((turn for kinds, turn in _KINDS if kind in kinds), _text)(value)
    return b"%b: %b" % (name, turned)


def _text(value: bytes) -> bytes:
    """Unstructured text (RFC 2047 §5 (1)): the words from the first to the last that are not ASCII become encoded words."""
    words = unfold(value).split(b" ")
    foreign = [place for place, word in enumerate(words) if not word.isascii()]
    first, last = foreign[0], foreign[-1] + 1
    return _folded([*words[:first], *_encoded_words(b" ".join(words[first:last])), *words[last:]])


def _folded(words: list[bytes]) -> bytes:
    lines, line = [], words[:1]
    size = len(words[0]) + _INDENT
    for word in words[1:]:
        if size + len(word) < _LINE or not word:
            line.append(word)
            size += len(word) + 1
        else:
            lines.append(b" ".join(line))
            line, size = [word], len(word) + 1
    return b"\r\n ".join([*lines, b" ".join(line)])


def _encoded(octets: bytes) -> bytes:
    """*octets*, which are UTF-8, as encoded words on lines of their own."""
    return b"\r\n ".join(_encoded_words(octets))


def _encoded_words(octets: bytes) -> list[bytes]:
    """No character is divided (RFC 2047 §5)."""
    words, at = [], 0
    while at < len(octets):
        end = at + _LONGEST_WORD
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?b?%b?=" % b2a_base64(octets[at:end], newline=False))
        at = end
    return words


def _addresses(value: bytes) -> bytes:
    entries: list[bytes] = []
    group: bytes | None = None
    members: list[bytes] = []
    for one in addresses(value):
        if one.is_mailbox:
            (members if group is not None else entries).append(_mailbox(one, alone=group is None))
        elif one.local is not None:
            group, members = _phrase(one.local), []
        else:
            entries.append(b"%b: %b;" % (group or b"", b", ".join(members)))
            group = None
    return b",\r\n ".join(entries)


def _mailbox(one: ListedAddress, *, alone: bool) -> bytes:
    """*alone*: not in a group, where there can be no other group."""
    local = one.local or b""
    address = b"%b@%b" % (local, _domain(one.domain) if local.isascii() else one.domain) if one.domain else local
    if address.isascii():
        return b"%b <%b>" % (_phrase(one.name), address) if one.name else address
    told = _encoded(b"%b <%b>" % (one.name, address) if one.name else address)
    return told + b":;" if alone else told + b" <invalid@invalid.invalid>"


def _domain(domain: bytes) -> bytes:
    """As A-labels, which are the same domain (RFC 5890), where it can be said so."""
    try:
        return domain if domain.isascii() else canonical_domain(domain.decode("utf-8")).encode("ascii")
    except ValueError:
        return domain


def _phrase(words: bytes) -> bytes:
    if not words.isascii():
        return _encoded(words)
    return words if _ATOMS.fullmatch(words) else b'"%b"' % words.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _parameters(value: bytes) -> bytes:
    """RFC 2231 §4. What is not ASCII and no parameter (a comment) is not kept."""
    return _EIGHT_BIT.sub(b"?", _PARAMETER.sub(_parameter, value)).lstrip(b" ")


def _parameter(match: re.Match[bytes]) -> bytes:
    name, value = match.groups()
    if value.isascii() or name.endswith(b"*"):
        return match[0]
    if value.startswith(b'"'):
        value = _ESCAPE.sub(rb"\1", value[1:-1].replace(b"\r\n", b""))
    return b"%b*=utf-8''%b" % (name, quote_from_bytes(value, safe="").encode("ascii"))


def _traces(value: bytes) -> bytes:
    """Received, whose every word is a rule's: what is not ASCII is not kept."""
    return _EIGHT_BIT.sub(b"?", value).lstrip(b" ")


_KINDS: tuple[tuple[frozenset[bytes], Callable[[bytes], bytes]], ...] = (
    (ADDRESSES, _addresses), (MIME, _parameters), (frozenset({b"received"}), _traces),
)  # fmt: skip
