"""Address lists in header fields: From, To, Cc and their like (RFC 5322 §3.4, and the obsolete forms of §4.4).

`addresses` reads what people really send: groups, comments, source routes,
missing commas, unfinished quotes. It never raises, is linear in the value and
stops after `MOST_ADDRESSES`. Nearly all lists in the world are plain, so one
regular expression reads those, and a tokenizer only the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_ADDRESSES = 10_000

_ATOM = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-"
#: name <local@domain>, "name" <local@domain> or local@domain, and a comma or the end. Possessive: no way back, so linear.
_PLAIN = re.compile(
    rb'[ \t]*+(?:(?:"([^"\\\x00-\x1f\x7f-\xff]*+)"[ \t]*+|([' + _ATOM + rb' \t]*+))<([' + _ATOM + rb']++)@([A-Za-z0-9.\-]++)>'
    rb"|([" + _ATOM + rb"]++)@([A-Za-z0-9.\-]++))[ \t]*+(?:,|\Z)"
)  # fmt: skip
#: One token of any list; every octet is some token. Comments nest: `behind_comment`.
TOKEN = re.compile(
    rb'(?P<blank>[ \t\r\n]++)|"(?P<quoted>(?:[^"\\]|\\.)*+)"?|(?P<literal>\[[^\]]*+\]?)|(?P<comment>\()|(?P<special>[<>,;:@])'
    rb'|(?P<atom>(?:[^ \t\r\n"()<>,;:@\[\\]|\\.?|\))++)|(?P<junk>.)', re.DOTALL)  # fmt: skip
_COMMENT_MARK = re.compile(rb"[()]|\\.", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)


class ListedAddress(NamedTuple):
    """One entry of an address list, as IMAP's address structure has it (RFC 3501 §7.4.2). Octets, encoded words kept.

    A group begins with an entry whose `domain` and `name` are None and whose `local` is the group's name, and ends with one where
    all is None. A mailbox without local part or domain has an empty one.
    """

    name: bytes | None
    route: bytes | None
    local: bytes | None
    domain: bytes | None

    @property
    def is_mailbox(self) -> bool:
        return self.domain is not None


_GROUP_END = ListedAddress(None, None, None, None)


def addresses(value: bytes) -> list[ListedAddress]:
    """The entries of the address list *value* (folding allowed), at most `MOST_ADDRESSES` of them. Never raises."""
    value = value.replace(b"\r\n", b"")
    found: list[ListedAddress] = []
    at, size = 0, len(value)
    while at < size and len(found) < MOST_ADDRESSES:
        match = _PLAIN.match(value, at)
        if match is None:
            return found + _odd_list(value[at:], MOST_ADDRESSES - len(found))
        quoted, phrase, local, domain, bare_local, bare_domain = match.groups()
        if bare_local is not None:
            found.append(ListedAddress(None, None, bare_local, bare_domain))
        else:
            name = quoted if quoted is not None else b" ".join(phrase.split())
            found.append(ListedAddress(name or None, None, local, domain))
        at = match.end()
    return found


Token = tuple[str, bytes]
OPEN, CLOSE, COMMA, COLON, SEMICOLON, AT = (("special", mark) for mark in (b"<", b">", b",", b":", b";", b"@"))


def _tokens(value: bytes) -> Iterator[Token]:
    """(kind, text) of every token and a comma behind the last; quoted strings and comments without their marks and escapes."""
    at = 0
    while match := TOKEN.match(value, at):
        kind = match.lastgroup or "junk"
        if kind == "comment":
            text, at = _comment(value, match.end())
        else:
            text, at = match[kind], match.end()
        if kind == "quoted":
            text = _ESCAPE.sub(rb"\1", text)
        if kind not in ("blank", "junk"):
            yield kind, text
    yield COMMA


def _comment(value: bytes, start: int) -> tuple[bytes, int]:
    """The comment whose "(" ends at *start*: its text, inner comments kept, and the offset behind it. Unfinished: to the end."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(value, start):
        depth += {b"(": 1, b")": -1}.get(mark[0], 0)
        if not depth:
            return _ESCAPE.sub(rb"\1", value[start : mark.start()]), mark.end()
    return _ESCAPE.sub(rb"\1", value[start:]), len(value)


def behind_comment(value: bytes, start: int) -> int:
    """The offset behind the comment whose "(" ends at *start*."""
    return _comment(value, start)[1]


def _odd_list(value: bytes, most: int) -> list[ListedAddress]:
    """The general case: tokens are gathered up to a comma, or to what opens or closes a group."""
    found: list[ListedAddress] = []
    entry: list[Token] = []
    in_group = in_angle = in_route = False
    for token in _tokens(value):
        if token in (OPEN, CLOSE):
            in_angle, in_route = token == OPEN, False
        elif token == AT and entry and entry[-1] == OPEN:
            in_route = True
        elif in_route or token not in (COMMA, COLON, SEMICOLON) or (token == COLON and (in_group or in_angle)):
            in_route = in_route and token != COLON
        else:
            if token == COLON:
                found.append(ListedAddress(None, None, _phrase(entry), None))
            else:
                found.extend(_entry(entry))
            if token == SEMICOLON and in_group:
                found.append(_GROUP_END)
            in_group = token == COLON or (in_group and token != SEMICOLON)
            entry, in_angle = [], False
            if len(found) >= most:
                break
            continue
        entry.append(token)
    if in_group:
        found.append(_GROUP_END)
    return found[: most + 1]


def _entry(tokens: list[Token]) -> list[ListedAddress]:
    """What the tokens of one entry mean: one mailbox, or nothing."""
    words = [token for token in tokens if token[0] != "comment"]
    if not words:
        return []
    comment = next((text for kind, text in reversed(tokens) if kind == "comment"), None)
    route = None
    if OPEN in words:
        opened = words.index(OPEN)
        name, inside = _phrase(words[:opened]), words[opened + 1 :]
        if CLOSE in inside:
            inside = inside[: inside.index(CLOSE)]
        if inside and inside[0] == AT and COLON in inside:
            colon = inside.index(COLON)
            route, inside = b"".join(text for _, text in inside[:colon]), inside[colon + 1 :]
    else:
        name, inside = b"", words
        before = words[: words.index(AT)] if AT in words else words
        if len(_dotted(before)) < len(before):  # several words are a name, not a local part
            name, inside = _phrase(before), []
    local, domain = _spec(inside)
    return [ListedAddress(name or comment or None, route, local, domain)]


def _spec(words: list[Token]) -> tuple[bytes, bytes]:
    """local part and domain of an addr-spec; what is missing is empty."""
    sign = words.index(AT) if AT in words else len(words)
    return b"".join(text for _, text in words[:sign]), b"".join(text for _, text in _dotted(words[sign + 1 :]))


def _dotted(words: list[Token]) -> list[Token]:
    """The words up to the first blank that is not beside a dot (RFC 5322 §4.4, obs-domain)."""
    end = 1
    while end < len(words) and (words[end][1].startswith(b".") or words[end - 1][1].endswith(b".")) and words[end] != AT:
        end += 1
    return words[:end]


def _phrase(words: list[Token]) -> bytes:
    return b" ".join(text for kind, text in words if kind in ("atom", "quoted", "literal"))
