"""Where a letter lies, and its id in addresses of pages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twistmail.mail.values import frozen

_ID = re.compile(r"([a-z0-9]{1,30})-((?:[A-Za-z0-9.]|_[0-9a-f]{2}){1,200})-((?:[A-Za-z0-9.]|_[0-9a-f]{2}){1,1000})-([0-9]{1,10})")
_PLAIN = re.compile(rb"[^A-Za-z0-9.]")
_CODE = re.compile(r"_([0-9a-f]{2})")


@frozen
class Place:
    """Where a message lies. `account`: "alice@blue.test"."""

    office: str
    account: str
    mailbox: str
    uid: int

    @property
    def id(self) -> str:
        return f"{self.office}-{_coded(self.account.partition('@')[0])}-{_coded(self.mailbox)}-{self.uid}"


def place_of(identifier: str, domains: Mapping[str, str]) -> Place | None:
    """What *identifier* (`Place.id`) means, there or not; *domains* of the offices, by name. None: it is none."""
    match = _ID.fullmatch(identifier)
    if match is None or match[1] not in domains:
        return None
    person, mailbox = _decoded(match[2]), _decoded(match[3])
    return Place(match[1], f"{person}@{domains[match[1]]}", mailbox, int(match[4])) if person and mailbox else None


def _coded(text: str) -> str:
    return _PLAIN.sub(lambda match: b"_%02x" % match[0][0], text.encode()).decode()


def _decoded(text: str) -> str | None:
    try:
        return b"".join(bytes([int(piece, 16)]) if place % 2 else piece.encode() for place, piece in enumerate(_CODE.split(text))).decode()
    except UnicodeDecodeError:
        return None
