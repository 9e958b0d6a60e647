"""Where a name leads: which account's tree, and what the mailbox is called there. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from twistmail.mail.mailbox import NoSuchMailbox
from twistmail.mail.names import INBOX, SEPARATOR, existing


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox: `inner` is its name among the mailboxes of `account`, `prefix + inner` what the user calls it."""

    account: str
    inner: str
    prefix: str = ""

    @property
    def name(self) -> str:
        return self.prefix + self.inner


@dataclass(frozen=True, slots=True)
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
        first, _, rest = name.partition(SEPARATOR)
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

    def hidden(self, name: str) -> bool:
        """Whether one of the user's own mailboxes called *name* cannot be reached: its name leads elsewhere."""
        return name.partition(SEPARATOR)[0] in self.levels
