"""Who has a mailbox here and who may log in, over any number of sources: IAccounts and IAuthenticator.

Sources are asked in order, and the first that knows a name answers for it; one
that is out of reach ends the question (Unavailable), because the next would
answer for a name that may not be its own.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.accounts import passwords
from twistmail.accounts.secrets import AppPassword, Entry
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import IAccounts, IAuthenticator, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.domains import Domain, Domains
from twistmail.mail.evidence import Clear, Evidence, ScramKeys

log = Logger()

CLEAR = "PLAIN"
#: What a made-up key is like; as ours are (RFC 7677 §4 asks for 4096 iterations at least).
ITERATIONS = 4096
_DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


@implementer(IAccounts, IAuthenticator)
class People:
    """The accounts of *sources* (IAccountSource). A bare login name means one in the default domain of *domains* first
    (or in *default_domain*, where that is all there is to tell).

    *logins*: what people log in by (row R22): "address", "local" or "both".
    *secret*: octets that only we know, from which the keys of those who do not exist are made up. *epoch*() gives POSIX seconds.
    """

    def __init__(
        self,
        sources: Sequence[Any],
        verifier: Verifier,
        threads: Any,
        *,
        domains: Domains | None = None,
        default_domain: str = "",
        secret: bytes = b"",
        logins: str = "both",
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self.sources = tuple(sources)
        self._verifier = verifier
        self._threads = threads
        self._domains = domains or (Domains([Domain(default_domain)]) if default_domain else None)
        self._secret = secret
        self._logins = logins
        self._epoch = epoch

    # ----- accounts

    async def find(self, address: Address) -> Account | None:
        entry, _ = await self._entry(str(address))
        return entry.account if entry else None

    async def list(self) -> tuple[Account, ...]:
        known: dict[str, Account] = {}
        for source in self.sources:
            if hasattr(source, "list"):
                for account in await source.list():
                    known.setdefault(account.name, account)
        return tuple(known[name] for name in sorted(known))

    # ----- logins

    async def authenticate(self, login: str, password: str, service: str = "") -> Account | None:
        entry, source = await self.whom(login)
        if entry is not None and await self._by_app_password(entry.app_passwords, password, service):
            return entry.account if entry.account.enabled else None
        if not await self._matches(entry, source, login, password) or entry is None or not entry.account.enabled:
            return None
        if hasattr(source, "renew") and entry.secret and passwords.needs_rehash(entry.secret):
            tasks.start(self._rehash(entry, source, password), "renewing a password hash")
        return entry.account

    async def evidence(self, login: str, kind: str, service: str = "") -> Evidence | None:
        entry, _ = await self.whom(login)
        if entry is not None and entry.account.enabled:
            if (clear := passwords.plain(entry.secret) if entry.secret else None) is not None:
                return Clear(clear)
            if (keys := next((keys for keys in entry.keys if keys.mechanism == kind), None)) is not None:
                return keys
        return self._made_up(login, kind) if kind in _DIGESTS else None

    async def whom(self, login: str) -> tuple[Entry | None, Any]:
        """Whom *login*, as typed, means (row R22), and his source. Unavailable.

        A full address means itself, or the same name in the domain whose users its domain has. A bare name means the one
        in the default domain if there is one, else the only account of that name; a name that several domains have means nobody.
        """
        try:
            address = parse(login).folded
        except ValueError:
            return None, None
        if address.domain:
            return await self._spelled(address) if self._logins != "local" else (None, None)
        if self._logins == "address":
            return None, None
        if self._domains:
            entry, source = await self._spelled(Address(address.local, self._domains.default))
            if entry is not None:
                return entry, source
        return await self._only(address.local)

    async def _spelled(self, address: Address) -> tuple[Entry | None, Any]:
        for spelling in self._domains.spellings(address) if self._domains else (address,):
            entry, source = await self._entry(str(spelling))
            if entry is not None:
                return entry, source
        return None, None

    async def _entry(self, name: str) -> tuple[Entry | None, Any]:
        for source in self.sources:
            if (entry := await source.lookup(name)) is not None:
                return entry, source
        return None, None

    async def _only(self, local: str) -> tuple[Entry | None, Any]:
        known: dict[str, tuple[Entry, Any]] = {}
        for source in self.sources:
            for entry in await source.namesakes(local):
                known.setdefault(entry.account.name, (entry, source))
        return next(iter(known.values())) if len(known) == 1 else (None, None)

    async def _by_app_password(self, known: Iterable[AppPassword], password: str, service: str) -> bool:
        now = self._epoch()
        return any([await self._verifier.matches(one.secret, password) for one in known if one.opens(service, now)])

    async def _matches(self, entry: Entry | None, source: Any, login: str, password: str) -> bool:
        """Is it the right password? A login that nobody has takes as long."""
        try:
            if entry is not None and not entry.secret and hasattr(source, "verify"):
                return bool(await source.verify(entry, password))
            return await self._verifier.matches(entry.secret if entry else "", password)
        except passwords.UnknownScheme as unknown:
            log.warn("account {login}: {why}", login=login, why=str(unknown))
            raise Unavailable(f"the password of {login} is kept in an unknown way") from None

    async def _rehash(self, entry: Entry, source: Any, password: str) -> None:
        new = await self._threads.run(passwords.hash_password, password)
        await source.renew(entry.account.name, entry.secret, new)

    def _made_up(self, login: str, kind: str) -> ScramKeys:
        """Keys that no password fits, always the same for a login (RFC 5802 §9: nothing tells who exists)."""
        digest = _DIGESTS[kind]
        words = (f"{word}\0{kind}\0{login}".encode() for word in ("salt", "stored", "server"))
        salt, stored, server = (hmac.digest(self._secret, word, digest) for word in words)
        return ScramKeys(kind, salt[:16], ITERATIONS, stored, server)
