"""Whoever comes from outside must call himself something that could be a host (RFC 5321 §4.1.1.1).

Only the syntax is judged: RFC 5321 §4.1.4 forbids refusing a name because it
does not lead back to the peer. Users' own machines call themselves anything,
so submission takes every name.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.address import canonical_domain
from twistmail.mail.envelope import Peer, Role
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.pipeline import House

NO_NAME = Status(501, "5.5.4", "That is neither the name of a host nor an address literal")


@implementer(IPolicyStage)
class HelloSyntax:
    """EHLO wants a domain or an address literal."""

    name = "hello"
    point = Point.HELLO

    async def judge(self, peer: Peer) -> Status | None:
        try:
            canonical_domain(peer.hello)
        except ValueError:
            return NO_NAME
        return None


@implementer(IPolicyStageFactory)
class HelloFactory:
    name = "hello"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        return () if house.role is Role.SUBMISSION else (HelloSyntax(),)
