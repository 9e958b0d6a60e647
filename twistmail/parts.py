"""Our own parts, as plugins: each named in the configuration, each replaceable by one from another package.

One small factory per part (IPart): it takes the settings of its section and the
ground to stand on (`foundation.Ground`), and builds the part. Policy stages have
factories of their own (`policy.builtin`).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import alsoProvides, implementer

from twistmail.accounts import cred, http, ldap, pam, sql
from twistmail.accounts.house import House
from twistmail.by_format import StoreByFormat
from twistmail.giving import Owner
from twistmail.interfaces import IPart, Unavailable
from twistmail.lookup.resolver import OPTIONS as DNS
from twistmail.lookup.resolver import DnsLookup
from twistmail.mail.bounds import Bounds
from twistmail.memory.lookup import SilentLookup
from twistmail.memory.queue import MemoryQueue
from twistmail.options import Section, Settings
from twistmail.policy.builtin import STAGES
from twistmail.queue.spool import OPTIONS as QUEUE
from twistmail.queue.spool import Spool, bounds
from twistmail.store.mailstore import OPTIONS as STORE
from twistmail.store.mailstore import MailStore
from twistmail.store.upkeep import Rules


@implementer(IPlugin, IPart)
@dataclass(frozen=True)
class BuiltIn:
    """A part whose making is one function of its settings and the ground."""

    kind: str
    name: str
    options: Section | None
    make: Callable[[Any, Any], Any]
    #: What is wrong with the settings as a whole.
    check: Callable[[Settings], Iterable[tuple[str, str, str]]] = lambda settings: ()

    def build(self, settings: Settings | None, ground: Any) -> Any:
        return self.make(settings, ground)


def _maildir(settings: Settings, ground: Any) -> MailStore:
    return MailStore(
        ground.data_dir,
        ground.reactor,
        ground.committer,
        ground.threads,
        path=settings.path,
        folders=settings.folders,
        hostname=ground.config["server"].hostname,
        quota_of=ground.terms.quota_of,
        rules=Rules(settings.keep_expunged, settings.trash_after, settings.junk_after),
        owner_of=partial(_owner, ground) if ground.giver else None,
        fulltext=settings.fulltext,
        epoch=ground.epoch,
    )


async def _owner(ground: Any, account: str) -> Owner | None:
    """Whom the mail of *account* belongs to. OSError while that cannot be told: mail that waits is better than mail of the wrong user."""
    try:
        user = await ground.terms.uid_of(account)
    except Unavailable as error:
        raise OSError(errno.EAGAIN, f"whose mail {account} gets cannot be told: {error}") from error
    return None if user is None else Owner(user, ground.giver.give)


def _mbox(settings: Settings, ground: Any) -> Any:
    from twistmail.mbox.store import MboxStore

    return MboxStore(
        ground.data_dir,
        ground.reactor,
        ground.threads,
        inbox=settings.mbox_inbox,
        folders=settings.mbox_folders,
        standard=settings.folders,
        quota_of=ground.terms.quota_of,
        fsync=settings.fsync,
    )


def _files(settings: Settings, ground: Any) -> StoreByFormat:
    """Maildirs, and mbox files once an account has them."""
    maildirs = {"maildir": _maildir(settings, ground)}
    return StoreByFormat(maildirs, ground.terms.format_of, later={"mbox": partial(_mbox, settings, ground)})


def _memory(settings: Settings, ground: Any) -> Any:
    from twistmail.memory.store import MailStore

    return MailStore(ground.epoch, quota_of=ground.terms.quota_of)


def _spool(settings: Settings, ground: Any) -> Spool:
    root = ground.data_dir / settings.path
    limits = bounds(settings.max_messages, settings.max_bytes, root)
    return Spool(root, ground.committer, ground.threads, limits, reserve=settings.reserve, clock=ground.reactor)


def _leaning(build: Callable[[Settings, House], Any]) -> Callable[[Settings, Any], Any]:
    """Aliases of a directory, which is asked as it is for accounts."""

    def made(settings: Settings, ground: Any) -> Any:
        return build(settings, House("", ground.reactor, ground.threads, ground.lasting, ground.config.file, _nothing))

    return made


def _nothing(word: str) -> Any:
    raise KeyError(word)


MAILDIR = BuiltIn("store", "maildir", STORE, _files)
MEMORY_STORE = BuiltIn("store", "memory", STORE, _memory)
SPOOL = BuiltIn("queue", "spool", QUEUE, _spool)
MEMORY_QUEUE = BuiltIn("queue", "memory", QUEUE, lambda settings, ground: MemoryQueue(Bounds(settings.max_messages)))
RESOLVER = BuiltIn(
    "lookup", "resolver", DNS,
    lambda settings, ground: DnsLookup(ground.reactor, settings.servers, settings.timeout, settings.trust_ad, ground.clock),
)  # fmt: skip
SQL = BuiltIn("accounts", "sql", sql.OPTIONS, sql.build, sql.check)
LDAP = BuiltIn("accounts", "ldap", ldap.OPTIONS, ldap.build, ldap.check)
HTTP = BuiltIn("accounts", "http", http.OPTIONS, http.build, http.check)
SQL_ALIASES = BuiltIn("alias source", "sql", sql.OPTIONS, _leaning(sql.build_aliases), sql.check_aliases)
LDAP_ALIASES = BuiltIn("alias source", "ldap", ldap.OPTIONS, _leaning(ldap.build_aliases), ldap.check_aliases)
HTTP_ALIASES = BuiltIn("alias source", "http", http.OPTIONS, _leaning(http.build_aliases), http.check)
PAM = BuiltIn("accounts", "pam", pam.OPTIONS, pam.build, pam.check)
CRED = BuiltIn("accounts", "cred", cred.OPTIONS, cred.build, cred.check)
SILENT = BuiltIn("lookup", "none", DNS, lambda settings, ground: SilentLookup())


def stage(name: str) -> Any:
    """The built-in policy stage called *name*, as a plugin."""
    factory = STAGES[name]
    alsoProvides(factory, IPlugin)
    return factory
