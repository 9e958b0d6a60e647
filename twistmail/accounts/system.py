"""The users of this machine as accounts (row R21): who is in passwd and may log in to it gets mail, without further ado.

Root and the machine's own users (below `min_uid`) have no mailbox: they are
reached by aliases. Passwords: of the shadow file, where the server may read it;
`pam:system` asks PAM instead.
"""

from __future__ import annotations

import pwd
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from zope.interface import implementer

from twistmail.accounts.secrets import Entry
from twistmail.interfaces import IAccountSource
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.values import frozen
from twistmail.watched import WatchedFile

#: What a user may be called to have a mailbox; others cannot be the local part of an ordinary address.
_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,63}")
#: Programs that let nobody in.
_CLOSED = ("nologin", "false", "")


def are_meant(sources: Sequence[str]) -> bool:
    """Whether [users] source = *sources* makes users of this machine accounts: as they are, or with another check of passwords."""
    return any(source.rpartition(":")[2] == SystemSource.origin for source in sources)


DAY = 86_400.0


@frozen
class Shadow:
    """What shadow(5) keeps of somebody: his `secret`, and when his account `ends` (POSIX seconds; None: never)."""

    secret: str = field(repr=False)
    ends: float | None = None


@frozen
class Bounds:
    """Whom we take for people: users from `least` to `most`, with a shell unless `with_closed`."""

    least: int
    most: int
    with_closed: bool = False

    def take(self, user: pwd.struct_passwd) -> bool:
        """Whether *user* has a mailbox here."""
        has_shell = user.pw_shell.rpartition("/")[2] not in _CLOSED
        return 0 < self.least <= user.pw_uid <= self.most and bool(_NAME.fullmatch(user.pw_name)) and (has_shell or self.with_closed)


@implementer(IAccountSource)
class SystemSource:
    """The users of this machine in *domain*. *shadow*: the file with the hashes of their passwords; None: they are not known here.

    *by_name* and *everybody* look into passwd (and whatever else the machine asks: NIS, LDAP), which may take a while.
    *epoch*() gives POSIX seconds.
    """

    origin = "system"

    def __init__(
        self,
        bounds: Bounds,
        domain: str,
        threads: Any,
        shadow: Path | None = None,
        *,
        by_name: Callable[[str], pwd.struct_passwd] = pwd.getpwnam,
        everybody: Callable[[], Iterable[pwd.struct_passwd]] = pwd.getpwall,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._bounds = bounds
        self._domain = domain
        self._threads = threads
        self._secrets: WatchedFile[Mapping[str, Shadow]] | None = None if shadow is None else WatchedFile(shadow, parse_shadow, threads)
        self._by_name = by_name
        self._everybody = everybody
        self._epoch = epoch

    async def lookup(self, name: str) -> Entry | None:
        address = parse(name)
        if address.domain != self._domain or not _NAME.fullmatch(address.local):
            return None
        user = await self._threads.run(self._user, address.local)
        return await self._entry(user) if user is not None else None

    async def namesakes(self, local: str) -> tuple[Entry, ...]:
        entry = await self.lookup(str(Address(local, self._domain)))
        return (entry,) if entry else ()

    async def list(self) -> tuple[Account, ...]:
        return tuple(self._account(user) for user in await self._threads.run(self._everybody) if self._bounds.take(user))

    def _user(self, local: str) -> pwd.struct_passwd | None:
        try:
            user = self._by_name(local)
        except KeyError:
            return None
        return user if self._bounds.take(user) else None

    async def _entry(self, user: pwd.struct_passwd) -> Entry:
        if self._secrets is None:
            return Entry(self._account(user))
        await self._secrets.freshen()
        kept = self._secrets.value.get(user.pw_name)
        is_open = kept is not None and (kept.ends is None or self._epoch() < kept.ends)
        return Entry(self._account(user), kept.secret if kept and is_open else "")

    def _account(self, user: pwd.struct_passwd) -> Account:
        name = str(Address(user.pw_name, self._domain))
        return Account(name, user.pw_gecos.partition(",")[0], uid=user.pw_uid)


def parse_shadow(text: str) -> dict[str, Shadow]:
    """{name: what is kept} of shadow(5), without those who cannot log in by a password."""
    found = {}
    for line in text.split("\n"):
        name, secret, *others = (line + ":" * 8).split(":")[:8]
        ends = others[-1]
        if name and secret and not secret.startswith(("!", "*", "x")):
            found[name] = Shadow("{CRYPT}" + secret, int(ends) * DAY if ends.isascii() and ends.isdigit() else None)
    return found
