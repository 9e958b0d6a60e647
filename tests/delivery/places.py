"""What tests of final delivery share: targets, an item, and a helper that writes down what it was asked for."""

from __future__ import annotations

from typing import Any

from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.piping import Run, Wanted

CONTENT = Memory(b"Subject: x\r\n\r\nhello\r\n")
WHOLE = b"Return-Path: <eve@red.test>\r\nDelivered-To: %s\r\nReceived: x\r\nSubject: x\r\n\r\nhello\r\n"
EVE = Address("eve", "red.test")


def to(kind: Kind, way: str = "", account: str = "", name: str = "ann", **more: Any) -> Target:
    address = Address(name, "blue.test")
    return Target(kind, address, more.pop("original", address), account, way=way, **more)


def item(*targets: Target, sender: Address | None = EVE) -> Item:
    return Item("i1", sender, tuple(map(Errand, targets)), 0.0, 40, b"Received: x\r\n")


class Helper:
    """`piping.Piper`, as far as couriers use it."""

    def __init__(self, end: Run | OSError = Run(0), *names: str) -> None:  # noqa: B008
        self.end = end
        self.names = frozenset(names)
        self.asked: list[Wanted] = []
        self.messages: list[bytes] = []

    def do(self, wanted: Wanted, message: Any) -> Run:
        self.asked.append(wanted)
        self.messages.append(b"".join(message))
        if isinstance(self.end, OSError):
            raise self.end
        return self.end


async def uid_of(account: str) -> int | None:
    """carl's source does not answer; only users of the domain `here` work at this machine."""
    if account.startswith("carl"):
        raise Unavailable("no answer")
    return 1001 if account.endswith("@here") else None
