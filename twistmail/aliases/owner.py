"""Who owns an alias: `owner-NAME`, where that is an alias too. He gets the reports about mail to it (sendmail, Postfix)."""

from __future__ import annotations

from collections.abc import Callable

from twistmail.mail.address import Address

PREFIX, REQUEST, LAST = "owner-", "-request", "owner-owner"


def owner_of(address: Address, is_alias: Callable[[Address], bool]) -> Address | None:
    """The owner of *address*, which is an alias; None where nobody is. The owner of owners and of NAME-request is owner-owner."""
    is_special = address.local.startswith(PREFIX) or address.local.endswith(REQUEST)
    owner = Address(LAST if is_special else PREFIX + address.local, address.domain)
    return owner if owner != address and is_alias(owner) else None
