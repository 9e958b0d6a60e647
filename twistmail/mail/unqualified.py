"""Names without a domain in address lists: where they stand, and the list with domains put behind them.

A list is only read as far as it has to be: what is qualified, named, quoted or
commented stays as it was written, to the octet. What "bob" without a domain
means is the caller's business. Never raises, and is linear in the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from twistmail.mail.addresses import TOKEN, behind_comment

_ATOM = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-"
#: An entry as nearly all are, with a domain: "name" <local@domain> or local@domain, and what ends it. Possessive, so linear.
_QUALIFIED = re.compile(
    rb'[ \t\r\n]*+(?:(?:"[^"\\]*+"[ \t\r\n]*+|[' + _ATOM + rb" \t\r\n]*+)<[" + _ATOM + rb"]++@[A-Za-z0-9.\-]++>"
    rb"|[" + _ATOM + rb"]++@[A-Za-z0-9.\-]++)[ \t\r\n]*+(?:,|\Z)"
)
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)


class Bare(NamedTuple):
    """A name without a domain: unquoted, and the offset in the value behind which its domain would stand."""

    local: bytes
    end: int


class _Word(NamedTuple):
    kind: str
    text: bytes
    end: int

    def is_mark(self, mark: bytes) -> bool:
        return self.kind == "special" and self.text == mark


def bare_names(value: bytes) -> list[Bare]:
    """The names without a domain in the address list *value*, as it was written (folding kept), in order."""
    return [found for entry in _entries(value) if (found := _bare(entry)) is not None]


def qualified(value: bytes, domains: Mapping[bytes, bytes]) -> bytes:
    """*value* with "@domain" behind each bare name that *domains* ({local: domain}) has."""
    pieces, at = [], 0
    for local, end in bare_names(value):
        if local in domains:
            pieces += [value[at:end], b"@", domains[local]]
            at = end
    return b"".join(pieces) + value[at:]


def _entries(value: bytes) -> Iterator[list[_Word]]:
    """The words of each entry that is not plainly qualified. Names of groups are no entries."""
    at, entry = 0, list[_Word]()
    in_angle = in_route = False
    while at < len(value):
        if not entry and (plain := _QUALIFIED.match(value, at)):
            at = plain.end()
            continue
        word, at = _word(value, at)
        if word is None:
            continue
        if word.kind == "special" and word.text in b"<>":
            in_angle, in_route = word.text == b"<", False
        elif word.is_mark(b"@") and entry and entry[-1].is_mark(b"<"):
            in_route = True
        elif word.is_mark(b":"):
            if not in_angle:
                entry = []
                continue
            in_route = False
        elif not in_route and (word.is_mark(b",") or word.is_mark(b";")):
            yield entry
            entry, in_angle = [], False
            continue
        entry.append(word)
    yield entry


def _word(value: bytes, at: int) -> tuple[_Word | None, int]:
    """The word at *at* (None for blanks, comments and junk), and where what follows begins."""
    match = TOKEN.match(value, at)
    assert match is not None, "every octet is some token"
    kind = match.lastgroup or "junk"
    if kind == "comment":
        return None, behind_comment(value, match.end())
    if kind in ("blank", "junk"):
        return None, match.end()
    text = match[kind]
    return _Word(kind, _ESCAPE.sub(rb"\1", text) if kind == "quoted" else text, match.end()), match.end()


def _bare(entry: list[_Word]) -> Bare | None:
    """The name that *entry* consists of, where it has no domain and is no mere display name."""
    opened = next((number for number, word in enumerate(entry) if word.is_mark(b"<")), None)
    inside = entry if opened is None else entry[opened + 1 :]
    closed = next((number for number, word in enumerate(inside) if word.is_mark(b">")), len(inside))
    inside = _behind_route(inside[:closed])
    if not inside or any(word.kind not in ("atom", "quoted") for word in inside):
        return None
    if any(not (one.text.endswith(b".") or other.text.startswith(b".")) for one, other in pairwise(inside)):
        return None  # several words: somebody's name, nobody's address
    return Bare(b"".join(word.text for word in inside), inside[-1].end)


def _behind_route(inside: list[_Word]) -> list[_Word]:
    """*inside* without the source route (RFC 5322 §4.4) at its beginning."""
    if not inside or not inside[0].is_mark(b"@"):
        return inside
    colon = next((number for number, word in enumerate(inside) if word.is_mark(b":")), len(inside))
    return inside[colon + 1 :]
