"""Addresses in a header changed where they stand; everything else stays to the octet, folding, names and comments too.

Which address becomes which is the caller's business. An address list is never
taken apart further than to find its addresses: what stands on both sides of an
@. Never raises, and is linear in the header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.addresses import TOKEN, behind_comment
from twistmail.mail.headers import fields
from twistmail.mail.values import frozen

#: Who wrote a message, and where an answer goes (RFC 5322 §3.6.2, §3.6.6; RFC 8098 §2.1; and what is older than those).
AUTHORS = frozenset(
    b"from sender reply-to errors-to return-receipt-to disposition-notification-to mail-reply-to "
    b"resent-from resent-sender resent-reply-to".split()
)
#: To whom it was written (RFC 5322 §3.6.3, §3.6.6).
READERS = frozenset(b"to cc bcc mail-followup-to resent-to resent-cc resent-bcc".split())

_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)

#: What an address becomes; None: it stays.
Change = Callable[[Address], Address | None]


@frozen
class Shown:
    """What takes the place of an address, and why: the line of a table, or the setting. `rule` is empty where nothing changes."""

    address: Address
    rule: str = ""


class _Word(NamedTuple):
    kind: str
    text: bytes
    start: int
    end: int


def readdressed(header: bytes, changes: Mapping[bytes, Change]) -> bytes:
    """*header* with the addresses of each field in *changes* (by its name in lower case) changed; the same object where none is."""
    pieces, at = [], 0
    for field in fields(header):
        change = changes.get(field.name.lower())
        if change is None or b"@" not in field.value:
            continue
        value = list_readdressed(field.value, change)
        if value is not field.value:
            begin = header.index(b":", field.start) + 1
            pieces += [header[at:begin], value]
            at = begin + len(field.value)
    return b"".join(pieces) + header[at:] if pieces else header


def list_readdressed(value: bytes, change: Change) -> bytes:
    """The address list *value* (folding allowed) with its addresses changed; the same object where none is."""
    pieces, at = [], 0
    for start, end, address in _addresses(value):
        if (changed := change(address)) is not None and changed != address:
            pieces += [value[at:start], bytes(changed)]
            at = end
    return b"".join(pieces) + value[at:] if pieces else value


def by_field(authors: Change | None, readers: Change | None) -> dict[bytes, Change]:
    """What `readdressed` takes: *authors* for the fields that name who wrote, *readers* for those that name to whom."""
    return {
        **(dict.fromkeys(AUTHORS, authors) if authors is not None else {}),
        **(dict.fromkeys(READERS, readers) if readers is not None else {}),
    }


def _addresses(value: bytes) -> Iterator[tuple[int, int, Address]]:
    """(start, end, address) of each local@domain in *value*, in order; what cannot be an address is passed over."""
    local: list[_Word] = []
    words = _words(value)
    word = next(words, None)
    while word is not None:
        if word.kind == "special":
            if word.text == b"@" and local:
                domain, word = _domain(words)
                if domain and (address := _address(local, domain)) is not None:
                    yield local[0].start, domain[-1].end, address
                local = []
                continue
            local = []
        elif local and not _are_one(local[-1], word):
            local = [word]  # what came before was a name
        else:
            local.append(word)
        word = next(words, None)


def _domain(words: Iterator[_Word]) -> tuple[list[_Word], _Word | None]:
    """The words of a domain behind an @, and the word behind them."""
    domain: list[_Word] = []
    for word in words:
        if word.kind not in ("atom", "literal") or (domain and not _are_one(domain[-1], word)):
            return domain, word
        domain.append(word)
    return domain, None


def _are_one(before: _Word, word: _Word) -> bool:
    """RFC 5322 §4.4: blanks and comments may stand beside a dot."""
    return before.text.endswith(b".") or word.text.startswith(b".")


def _address(local: Collection[_Word], domain: Collection[_Word]) -> Address | None:
    try:
        name = b"".join(word.text for word in local).decode()
        return Address(name, canonical_domain(b"".join(word.text for word in domain).decode()))
    except ValueError:
        return None


def _words(value: bytes) -> Iterator[_Word]:
    """The words of *value* without blanks and comments; quoted strings without their marks and escapes."""
    at = 0
    while match := TOKEN.match(value, at):
        kind = match.lastgroup or "junk"
        if kind == "comment":
            at = behind_comment(value, match.end())
            continue
        at = match.end()
        if kind in ("blank", "junk"):
            continue
        text = match[kind]
        if kind == "quoted":
            text = _ESCAPE.sub(rb"\1", text)
        yield _Word(kind, text, match.start(), at)
