"""Where a name leads: which account's tree, and what the mailbox is called there. Pure.

A mailbox of the user's own may have a name that leads to what others share, because it was there before anything was shared. It is
shown with MINE behind the first level: his own `Shared/2019` is `Shared (mine)/2019`, and whatever was called so has MINE once more.
"""

from __future__ import annotations

from collections.abc import Collection

from twistmail.mail.mailbox import NoSuchMailbox
from twistmail.mail.names import INBOX, SEPARATOR, existing
from twistmail.mail.values import frozen

MINE = " (mine)"


@frozen
class Place:
    """A mailbox: `inner` is its name among the mailboxes of `account`, `name` what the user calls it.

    `prefix` stands before the names of mailboxes that are not his.
    """

    account: str
    inner: str
    prefix: str = ""
    alias: str = ""  # the name, where it is not `prefix + inner`

    @property
    def name(self) -> str:
        return self.alias or self.prefix + self.inner


@frozen
class Places:
    """The names of one user: his own (`person`), `others` for what others share, `shared` for the house's `account` and `roles`."""

    person: str
    others: str
    shared: str
    account: str
    roles: Collection[str]

    @property
    def levels(self) -> tuple[str, str]:
        return self.others, self.shared

    def find(self, name: str) -> Place:
        """Where *name* leads. NoSuchMailbox where it can lead nowhere, as a mere level above mailboxes does not."""
        first, separator, rest = name.partition(SEPARATOR)
        if first.endswith(MINE) and self._misleads(first):
            inner = existing(first.removesuffix(MINE) + separator + rest)
            return Place(self.person, inner, alias=self.called(self.person, inner))
        if first not in self.levels:
            return Place(self.person, existing(name))
        if first == self.shared and rest.partition(SEPARATOR)[0] not in self.roles:
            place = Place(self.account, existing(rest), self.shared + SEPARATOR)
            if place.inner.partition(SEPARATOR)[0] != INBOX:  # nobody writes to the house's own
                return place
            raise NoSuchMailbox(name)
        owner, _, inner = rest.partition(SEPARATOR)
        if not inner or owner == self.person or (first == self.others and (owner in self.roles or owner == self.account)):
            raise NoSuchMailbox(name)
        return Place(owner, existing(inner), self.prefix(owner))

    def prefix(self, account: str) -> str:
        """What stands before the names of *account*'s mailboxes."""
        if account == self.person:
            return ""
        if account == self.account:
            return self.shared + SEPARATOR
        return f"{self.shared if account in self.roles else self.others}{SEPARATOR}{account}{SEPARATOR}"

    def called(self, account: str, inner: str) -> str:
        """What the user calls the mailbox *inner* of *account*."""
        if account != self.person:
            return self.prefix(account) + inner
        first, separator, rest = inner.partition(SEPARATOR)
        return f"{first}{MINE}{separator}{rest}" if self._misleads(first) else inner

    def _misleads(self, first: str) -> bool:
        """Whether the first level of a name of his own leads elsewhere, or is what such a one is called."""
        while first.endswith(MINE):
            first = first.removesuffix(MINE)
        return first in self.levels
