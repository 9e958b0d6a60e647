"""A message in a list, where it lies, and its id: values that inboxes, searches, pages and the JSON API share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from twistmail.web.letters import Person

_ID = re.compile(r"([a-z0-9]{1,30})-((?:[A-Za-z0-9.]|_[0-9a-f]{2}){1,200})-((?:[A-Za-z0-9.]|_[0-9a-f]{2}){1,1000})-([0-9]{1,10})")
_PLAIN = re.compile(rb"[^A-Za-z0-9.]")
_CODE = re.compile(r"_([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies. `account`: "alice@blue.test"."""

    office: str
    account: str
    mailbox: str
    uid: int

    @property
    def id(self) -> str:
        return f"{self.office}-{_coded(self.account.partition('@')[0])}-{_coded(self.mailbox)}-{self.uid}"


@dataclass(frozen=True, slots=True)
class Row:
    """One message in a list. `arrived`: POSIX seconds; `size` in octets; `files`: attachments."""

    place: Place
    is_read: bool
    sender: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    bcc: tuple[Person, ...]
    reply_to: tuple[Person, ...]
    subject: str
    message_id: str
    arrived: float
    size: int
    files: int
    preview: str

    @property
    def id(self) -> str:
        return self.place.id

    @property
    def account(self) -> str:
        return self.place.account

    @property
    def mailbox(self) -> str:
        return self.place.mailbox


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
