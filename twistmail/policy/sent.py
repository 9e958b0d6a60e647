"""Copies of what members of a role send as the role, for its mailbox for sent mail: the others shall see what was answered.

Who may send as a role is `identities`' business; `mailflow.Reception` puts the copies to the other targets of a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twistmail.mail.address import Address, parse
from twistmail.mail.circles import Circles
from twistmail.mail.envelope import Kind, Target, Transaction
from twistmail.mail.headers import fields
from twistmail.policy.authors import authors_of
from twistmail.policy.identities import Identities
from twistmail.policy.submission import BLIND


class SentCopies:
    """*folder_of*(account) tells the name of the mailbox for what an account has sent."""

    def __init__(self, identities: Identities, circles: Circles, folder_of: Callable[[str], Awaitable[str]]) -> None:
        self._identities = identities
        self._circles = circles
        self._folder_of = folder_of

    async def targets(self, transaction: Transaction, original: bytes) -> tuple[Target, ...]:
        """Where else *transaction* goes, because of whom its sender, or its author, is. Raises Unavailable, OSError.

        *original* is the header block as it came. Who got a blind copy stands in what is filed, as in any mailbox for sent mail.
        """
        account = transaction.account
        if account is None:
            return ()
        roles: dict[str, None] = {}
        for address in _written_as(transaction):
            roles |= dict.fromkeys(await self._identities.roles(address, account))
        filed = [role for role in roles if self._circles.roles[role].files_sent]
        front = _blind(original) if filed and not _blind(transaction.header) else b""
        return tuple([_target(role, await self._folder_of(role), front) for role in filed])


def _written_as(transaction: Transaction) -> list[Address]:
    sender = [transaction.sender] if transaction.sender is not None else []
    return list(dict.fromkeys([*sender, *authors_of(transaction.header)]))


def _blind(header: bytes) -> bytes:
    """The fields that tell who got a blind copy."""
    return b"".join([header[field.start : field.end] for field in fields(header) if field.name.lower() in BLIND])


def _target(role: str, folder: str, front: bytes) -> Target:
    address = parse(role)
    return Target(Kind.MAILBOX, address, address, role, folder, seen=True, front=front)
