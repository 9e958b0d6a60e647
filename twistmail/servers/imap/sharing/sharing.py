"""Sharing as the IMAP service is given it: what the settings say, and a tree for everybody who logs in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twistmail.facts import Facts
from twistmail.mail.values import frozen
from twistmail.options import Settings
from twistmail.servers.imap.sharing.lists import AccessLists
from twistmail.servers.imap.sharing.places import Places
from twistmail.servers.imap.sharing.tree import Circumstances, SharedTree


@frozen
class Sharing:
    """`settings` are those of [sharing]; `lists` outlive a reload. `store` is an IMailStore, `accounts` IAccounts."""

    settings: Settings
    lists: AccessLists
    store: Any
    accounts: Any
    facts: Facts
    epoch: Callable[[], float]
    default_domain: str

    @property
    def levels(self) -> tuple[str, str]:
        """Below which other users' and shared mailboxes are."""
        return self.settings.other_users, self.settings.shared

    def tree(self, person: str, own: Any, connection: str) -> SharedTree:
        """What the account *person* sees, whose own mailboxes are *own*; *connection* is named in facts."""
        house = self.lists.house
        places = Places(person, self.settings.other_users, self.settings.shared, house.account, house.circles.roles)
        around = Circumstances(self.store, self.accounts, self.lists, self.facts, self.epoch, connection, self.default_domain)
        return SharedTree(person, places, own, around)
