"""Groups and roles as they stand in the configuration: [group:NAME] and [role:ADDRESS] sections.

A role is an account that nobody logs in to: mail for its address lies in its
mailbox, and its members, who log in as themselves, see that among the shared ones
and may send as it.
"""

from __future__ import annotations

from collections.abc import Mapping

from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, account_name
from twistmail.mail import acl
from twistmail.mail.account import Account
from twistmail.mail.acl import Rights
from twistmail.mail.circles import Circles, Role
from twistmail.options import SIZE, SWITCH, TEXT, WORDS, Kind, Option, Section, Settings


def _read_rights(text: str) -> Rights:
    try:
        return acl.read(text)
    except ValueError as error:
        raise ValueError(f"{text} are no rights: {error}\nwrite letters of RFC 4314, such as lrswipkxte") from None


RIGHTS = Kind("rights", _read_rights, lambda rights: "".join(letter for letter in acl.LETTERS if letter in rights))

GROUP = Section(
    "group",
    "People who belong together: group=NAME in access lists and roles means all of them.",
    Option("members", WORDS, "", "Their addresses.", required=True, example="anna@blue.example bert@blue.example"),
    pattern=True,
)

ROLE = Section(
    "role",
    "A mailbox that several people have in common: [role:info@blue.example]. They log in as themselves ([sharing] enabled).",
    Option("members", WORDS, "", "Who they are: addresses, and groups as group=NAME.", required=True,
           example="anna@blue.example group=office"),
    Option("rights", RIGHTS, "lrswipkxte", "What they may do there (RFC 4314); with a they may let others in."),
    Option("senders", WORDS, "", "Who may send as the role; empty: its members.", example="anna@blue.example"),
    Option("file_sent", SWITCH, "yes", "Put what they send as the role into its mailbox for sent mail."),
    Option("name", TEXT, "", "The full name."),
    Option("quota", SIZE, "unlimited", "How much mail may lie in the mailbox."),
    pattern=True,
)  # fmt: skip


def circles(groups: Mapping[str, Settings], roles: Mapping[str, Settings], default_domain: str) -> Circles:
    """What the sections say. ValueError where a member or a role is no address."""
    return Circles(
        {name: frozenset(account_name(member, default_domain) for member in group.members) for name, group in groups.items()},
        {account_name(name, default_domain): _role(role, default_domain) for name, role in roles.items()},
    )


def _role(role: Settings, default_domain: str) -> Role:
    senders = role.senders or role.members
    return Role(members(role.members, default_domain), role.rights, members(senders, default_domain), role.file_sent)


def members(words: tuple[str, ...], default_domain: str) -> tuple[str, ...]:
    """*words* as identifiers of access lists. ValueError where one can be none."""
    return tuple(acl.identifier(word, default_domain) for word in words)


def role_table(roles: Mapping[str, Settings], default_domain: str) -> FixedTable:
    """The accounts of the roles, which nobody logs in to."""
    names = {account_name(name, default_domain): role for name, role in roles.items()}
    return FixedTable(Entry(Account(name, role.name, role.quota)) for name, role in names.items())
