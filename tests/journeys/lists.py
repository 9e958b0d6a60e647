"""A house with a mailing list, and how its members and strangers write to it."""

from __future__ import annotations

import re

from tests.journeys.house import House, identifier
from tests.relay.peers import Peer
from twistmail.lists.notes import Note
from twistmail.mail.address import parse

NEWS = parse("news@blue.test")
MEMBERS = "members = book ann bob harry@far.test\n"
LIST = f"[list:news@blue.test]\nowners = fred\n{MEMBERS}"
POST = b"From: Ann <ann@blue.test>\r\nTo: news@blue.test\r\nSubject: hello\r\nMessage-ID: <1@blue.test>\r\n\r\nhow are you\r\n"
BROKEN = b"554 5.1.1 Nobody of that name"


def sent_to(peer: Peer) -> list[tuple[str, str]]:
    """(sender, recipient) of each transaction that the peer has seen."""
    senders = [re.findall(rb"<(.*?)>", line)[0].decode() for line in peer.said if line.startswith(b"MAIL")]
    return list(zip(senders, (re.findall(rb"<(.*?)>", line)[0].decode() for line in peer.said if line.startswith(b"RCPT")), strict=True))


def note(house: House, member: str) -> Note | None:
    return house.parts.people.lists.tools.book.note(NEWS, member)  # type: ignore[no-any-return]


def members(house: House) -> list[str]:
    return [str(one.address) for one in house.run(house.parts.people.lists.get(NEWS).members())]


def post(house: House, message: bytes = POST) -> str:
    answer = house.submit(message, "news@blue.test")
    house.settle()
    return identifier(answer)


def write(house: House, to: str, author: str = "eve@far.test", more: bytes = b"") -> str:
    """A message from the world to one of the addresses of the list."""
    answer = house.send(b"From: <%s>\r\nSubject: x\r\n%s\r\ny\r\n" % (author.encode(), more), to, sender=author)
    house.settle()
    return answer
