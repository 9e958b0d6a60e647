"""Accounts that stand in the configuration itself, and the settings of all sources of accounts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twistmail.accounts import passwords
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, account_name
from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.networks import NETWORKS
from twistmail.options import COUNT, RATES_OR_UNLIMITED, SIZE, SWITCH, TEXT, WORDS, Kind, Option, Reload, Section, Settings, choice

#: How `{SCHEME}secret` begins, and the hashes that say themselves what they are.
_HASH = re.compile(r"\{|\$(?:argon2|scrypt\$|pbkdf2|[1567]\$|2[abxy]\$|g?y\$|sha1\$)|pbkdf2_sha|bcrypt\$\$|argon2\$argon2")
_SOURCE = re.compile(r"sqlite|config|passwd:.+|[a-z][a-z0-9_-]*(?::.+)?")


def _read_sources(text: str) -> tuple[str, ...]:
    sources = WORDS.read(text)
    for source in sources:
        if not _SOURCE.fullmatch(source) or source == "passwd":
            raise ValueError(f"{source} is not a source of accounts\nwrite sqlite, config or passwd:PATH")
    if not sources:
        raise ValueError("there is no source of accounts\nwrite sqlite")
    return tuple(sources)


def _read_secret(text: str) -> str:
    """A hash as it is; anything else is a password in clear. What begins as a hash does is one, or a mistake."""
    return passwords.check(text) if _HASH.match(text) else "{PLAIN}" + text


def _read_addresses(text: str) -> tuple[str, ...]:
    return tuple(str(parse(word)) for word in WORDS.read(text))


SOURCES = Kind("sources of accounts", _read_sources, " ".join)
FORMAT = choice("maildir", "mbox", "")
#: Empty: what holds for all.
RATE = Kind("rates, or unlimited", lambda text: (RATES_OR_UNLIMITED.read(text) or ()) if text else None,
            lambda rates: "" if rates is None else RATES_OR_UNLIMITED.write(rates or None))  # fmt: skip
SECRET = Kind("a password or its hash", _read_secret)
ADDRESSES = Kind("addresses", _read_addresses, " ".join)
#: Fields of an Account that every source may keep as text, under the names that they have in a [user:NAME] section.
PERSONAL = {"format": FORMAT, "rate": RATE, "recipient_rate": RATE, "forward": ADDRESSES, "keep_copy": SWITCH,
            "login_from": NETWORKS}  # fmt: skip

OPTIONS = Section(
    "users",
    "Where the accounts are: the first source that knows a name answers.",
    Option("source", SOURCES, "sqlite",
           "Sources, in order: sqlite (the built-in database), config ([user:NAME] sections), passwd:PATH (a file), system (users of this "
           "machine), sql, ldap, http, pam, cred, or what a plugin brings: docs/accounts.md."),
    Option("login", choice("local", "address", "both"), "both",
           "What people log in by: the part before the @ (of the default domain first), the full address, or either."),
    Option("min_uid", COUNT, "1000", "Source system: users of this machine from this number on have mailboxes; never root."),
    Option("max_uid", COUNT, "60000", "... up to this one."),
    Option("nologin_users", SWITCH, "no", "Source system: users without a shell (nologin, false) have mailboxes too."),
    Option("shadow", TEXT, "", "Source system: the file with the hashes of their passwords, which the server must be able to read; "
           "empty: they log in by another source (pam:system).", example="/etc/shadow"),
    Option("database", TEXT, "accounts.db", "The built-in database, below data_dir."),
    Option("minimum_password", COUNT, "10", "So many characters a new password must have."),
    Option("password_socket", TEXT, "", "A UNIX socket at which the users of this machine may change their own passwords "
           "(`twistmail password`), by the old one; empty: none.", Reload.RESTART, example="/run/twistmail/password.sock"),
)

USER = Section(
    "user",
    "One account of the source `config`: [user:anna@blue.example].",
    Option("password", SECRET, "", "The password, or its hash ({ARGON2ID}... from `twistmail user hash`).", secret=True, required=True),
    Option("name", TEXT, "", "The full name."),
    Option("addresses", WORDS, "", "Further addresses whose mail goes into the same mailbox.", example="anna.other@blue.example"),
    Option("forward", ADDRESSES, "", "Where the mail goes on to.", example="anna@partner.example"),
    Option("keep_copy", SWITCH, "yes", "Whether mail that goes on lies in the mailbox too."),
    Option("quota", SIZE, "unlimited", "How much mail may lie in the mailbox."),
    Option("enabled", SWITCH, "yes", "Whether the account may log in."),
    Option("login_from", NETWORKS, "", "Addresses and networks from which the account may log in; empty: any.", example="192.0.2.0/24"),
    Option("format", FORMAT, "", "How the mail lies: maildir or mbox; what [store] format says where it is empty."),
    Option("rate", RATE, "", "Messages that may be sent; what [submission] rate says where it is empty.", example="1000/1h"),
    Option("recipient_rate", RATE, "", "Recipients of these messages; what [submission] recipient_rate says where it is empty.",
           example="unlimited"),
    pattern=True,
)


def config_table(users: Mapping[str, Settings], default_domain: str) -> FixedTable:
    """The accounts of the [user:NAME] sections: {NAME: its Settings}. ValueError where a NAME is no address."""
    return FixedTable(
        Entry(_account(account_name(name, default_domain), user, default_domain), user.password) for name, user in users.items())


def _account(name: str, user: Settings, default_domain: str) -> Account:
    addresses = tuple(account_name(address, default_domain) for address in user.addresses)
    personal = {key: getattr(user, key) for key in PERSONAL}
    return Account(name, user.name, user.quota, user.enabled, addresses=addresses, **personal)
