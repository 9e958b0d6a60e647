"""Who belongs together: groups of accounts, and roles, mailboxes (info@) that several people have in common. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from twistmail.mail.acl import Acl, Rights, identifiers
from twistmail.mail.values import frozen


@frozen
class Role:
    """A mailbox without a login of its own. `members`: identifiers as in access lists, who may `rights` there.

    `senders`: those who may send as the role. `files_sent`: what they send so is filed in its mailbox for sent mail.
    """

    members: tuple[str, ...]
    rights: Rights
    senders: tuple[str, ...] = ()
    files_sent: bool = True

    @property
    def acl(self) -> Acl:
        """What holds in each of its mailboxes unless that has a list which says otherwise."""
        return Acl(dict.fromkeys(self.members, self.rights))


@frozen
class Circles:
    """`groups`: name -> the account names in it; `roles`: account name -> the role that it is."""

    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)

    def groups_of(self, account: str) -> tuple[str, ...]:
        return tuple(name for name, members in self.groups.items() if account in members)

    def sends_for(self, account: str, role: str) -> bool:
        """Whether *account* may send as the role whose account is called *role*."""
        return role in self.roles and not identifiers(account, self.groups_of(account)).isdisjoint(self.roles[role].senders)


NO_CIRCLES = Circles()
