"""The addresses of a list: news@ takes what is for its members; the others are news-owner@, news-request@ and so on. Pure."""

from __future__ import annotations

from collections.abc import Container
from enum import Enum

from twistmail.mail.address import Address
from twistmail.mail.values import frozen


class Role(Enum):
    """What one of the addresses is for: what stands between the dash and the @."""

    POST = ""
    OWNER = "owner"  # RFC 2142 §6 has -request; -owner is how lists have done it since
    REQUEST = "request"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    CONFIRM = "confirm"
    BOUNCES = "bounces"


_ROLES = {role.value: role for role in Role if role is not Role.POST}


@frozen
class Call:
    """A list was called by one of its addresses. `token` stands behind the plus sign."""

    name: Address
    role: Role
    token: str = ""


def called(address: Address, names: Container[Address]) -> Call | None:
    """Which of the lists *names* the *address* (folded) belongs to, and what for; None where to none."""
    if address in names:
        return Call(address, Role.POST)
    whole, _, token = address.local.partition("+")
    stem, _, word = whole.rpartition("-")
    name, role = Address(stem, address.domain), _ROLES.get(word)
    return Call(name, role, token) if role is not None and name in names else None


def address_of(name: Address, role: Role, token: str = "") -> Address:
    """The address that `called` takes apart."""
    return Address(name.local + (f"-{role.value}" if role.value else "") + (f"+{token}" if token else ""), name.domain)
