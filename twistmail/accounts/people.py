"""Who has a mailbox here and who may log in, over any number of sources: IAccounts and IAuthenticator.

Sources are asked in order, and the first that knows a name answers for it; one
that is out of reach ends the question (Unavailable), because the next would
answer for a name that may not be its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.accounts import app_passwords, passwords
from twistmail.accounts.evidence import CLEAR, evidence_of, made_up
from twistmail.accounts.fresh import ITERATIONS, keep
from twistmail.accounts.secrets import Entry
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import IAccounts, IAuthenticator, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.domains import Domain, Domains
from twistmail.mail.evidence import Clear, Evidence, scram_keys

log = Logger()

#: Seconds.
PROVABLE_FOR = 60.0


@implementer(IAccounts, IAuthenticator)
class People:
    """The accounts of *sources* (IAccountSource). A bare login name means one in the default domain of *domains* first
    (or in *default_domain*, where that is all there is to tell).

    *logins*: what people log in by (row R22): "address", "local" or "both".
    *kinds* of keys ("SCRAM-SHA-256") are kept beside the hash of a password where the source can.
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
        kinds: Iterable[str] = (),
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self.sources = tuple(sources)
        self._verifier = verifier
        self._threads = threads
        self._domains = domains or (Domains([Domain(default_domain)]) if default_domain else None)
        self._secret = secret
        self._logins = logins
        self._kinds = tuple(kinds)
        self._epoch = epoch
        self._being_renewed: set[str] = set()
        self._provable: dict[str, tuple[float, bool]] = {}  # kind -> until when the answer holds

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
        if entry is not None and app_passwords.opens(entry.app_passwords, password, service, self._epoch()):
            return replace(entry.account, by_app_password=True) if entry.account.enabled else None
        if not await self._matches(entry, source, login, password) or entry is None or not entry.account.enabled:
            return None
        if hasattr(source, "renew") and self._is_stale(entry):
            tasks.start(self._renew(entry, source, password), "renewing what is kept of a password")
        return entry.account

    async def set_password(self, name: str, password: str) -> bool:
        """Give the account called *name* a new *password*. False where its source cannot do that; KeyError, Unavailable."""
        entry, source = await self._entry(name)
        if entry is None:
            raise KeyError(name)
        if not hasattr(source, "set_secret"):
            return False
        await source.set_secret(entry.account.name, *await self._verifier.work(keep, password, self._kinds))
        return True

    async def evidence(self, login: str, kind: str, service: str = "") -> Evidence | None:
        entry, _ = await self.whom(login)
        name = entry.account.name if entry is not None else self._as_name(login)
        found = evidence_of(entry, kind) if entry is not None and entry.account.enabled else None
        if kind == CLEAR:
            return found
        if isinstance(found, Clear):  # with the salt that would have been made up, were there nobody of that name
            return await self._verifier.work(scram_keys, kind, found.password, made_up(name, kind, self._secret).salt, ITERATIONS)
        return found or made_up(name, kind, self._secret)

    def _as_name(self, login: str) -> str:
        """*login* as a name would be spelled, so that however it is typed the same keys are made up."""
        try:
            address = parse(login).folded
        except ValueError:
            return login
        if not self._domains:
            return str(address)
        return str(self._domains.spellings(address if address.domain else Address(address.local, self._domains.default))[-1])

    async def provable(self, kind: str) -> bool:
        """Whether everybody who can log in by a password could as well by evidence of *kind*; remembered for a minute."""
        until, answer = self._provable.get(kind, (0.0, False))
        if self._epoch() >= until:
            answer = True
            for source in self.sources:
                answer = answer and hasattr(source, "provable") and await source.provable(kind)
            self._provable[kind] = (self._epoch() + PROVABLE_FOR, answer)
        return answer

    async def whose(self, login: str) -> Account | None:
        entry, _ = await self.whom(login)
        return entry.account if entry is not None else None

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

    async def _matches(self, entry: Entry | None, source: Any, login: str, password: str) -> bool:
        """Is it the right password? A login that nobody has takes as long."""
        try:
            if entry is not None and not entry.secret and hasattr(source, "verify"):
                return bool(await source.verify(entry, password))
            return await self._verifier.matches(*((entry.secret, password, entry.account.name) if entry else ("", password)))
        except passwords.UnknownScheme as unknown:
            log.warn("account {login}: {why}", login=login, why=str(unknown))
            raise Unavailable(f"the password of {login} is kept in an unknown way") from None

    def _is_stale(self, entry: Entry) -> bool:
        """Would we keep the password otherwise now: hashed in another way, or with keys for other mechanisms?"""
        if not entry.secret:
            return False
        return passwords.needs_rehash(entry.secret) or {keys.mechanism for keys in entry.keys} != set(self._kinds)

    async def _renew(self, entry: Entry, source: Any, password: str) -> None:
        name = entry.account.name
        if name in self._being_renewed:
            return
        self._being_renewed.add(name)
        try:
            secret, keys = await self._verifier.work(keep, password, self._kinds)
            await source.renew(name, entry.secret, secret, keys)
        finally:
            self._being_renewed.discard(name)
